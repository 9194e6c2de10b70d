/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page cipher: keys, nonces, seal and unseal.
 *
 * Why a nonce cannot repeat.  N is epoch (10 random bytes) | generation |
 * counter.  The epoch is drawn when a file is first written after it was
 * opened, again when the process turns out to be a child of the one that drew
 * it, and again before the counter would wrap; the counter rises with every
 * seal and is never read back from a disk.  So:
 *   - after a crash, a reopened file has a new epoch, whatever was or was not
 *     durable of the old one;
 *   - a disk restored from an image, or copied to two machines, is opened by
 *     new processes, with new epochs;
 *   - after a fork, parent and child differ in their process number, and the
 *     child draws.
 * Two epochs are equal with probability 2^-80 for each pair, and each cipher
 * and kind of file has its own key.  The one case left is a virtual machine
 * whose running memory was captured, while a file of the store was open, and
 * resumed twice: its two copies go on with one counter until they reopen it.
 * Where they seal different content for two copies of the disk, who has both
 * learns how the two differ, and with AES-256-GCM can forge under that epoch.
 *
 * Fresh randomness every so many seals would only shorten that.  Nothing less
 * than a random part in each nonce ends it, 0.6 us a call beside 3.7 us for a
 * page, and a key to be expanded for each page with AES-256-GCM; and it would
 * break the log's rules G1 and G2, which need one epoch across commits.  So it
 * stays: the command has a store open for moments, and who keeps images of a
 * running machine's memory has the keys in them anyway.
 *
 * The generation tells nothing to the cipher; the log uses it, see wal.c.
 */
#include "vfs/internal.h"
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#define DOMAIN_COUNT         4
#define CIPHER_COUNT         2
#define KEY_COUNT            ((size_t)CIPHER_COUNT * DOMAIN_COUNT)
#define EPOCH_SLOTS          64
#define ASSOCIATED_BYTES_MAX (1 + CB_VFS_HEAD_BYTES + 8 + 16)
#define KDF_CONTEXT          "casedb01"
#define EPOCH_CONTEXT        "casebound vfs epoch v1"

static_assert(CB_VFS_RESERVED_BYTES == sizeof(struct cb_vfs_trailer),
              "nonce and tag fill the reserved bytes");
static_assert(CB_KEY_BYTES == crypto_kdf_KEYBYTES, "master key feeds the KDF");
static_assert(CB_KEY_BYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES,
              "one size of key");
static_assert(CB_KEY_BYTES == crypto_aead_aes256gcm_KEYBYTES,
              "one size of key");
static_assert(CB_VFS_TAG_BYTES == crypto_aead_xchacha20poly1305_ietf_ABYTES,
              "one size of tag");
static_assert(CB_VFS_TAG_BYTES == crypto_aead_aes256gcm_ABYTES,
              "one size of tag");

/* One expanded AES key; lives in guarded memory only. */
struct cb_vfs_epoch_keys {
    crypto_aead_aes256gcm_state state;
    uint8_t epoch[CB_VFS_EPOCH_BYTES];
    uint8_t domain; /* 0: empty slot */
    uint8_t padding[5];
};

/* Guarded memory is aligned to the largest power of two in its size. */
static_assert(sizeof(struct cb_vfs_epoch_keys) % 16 == 0,
              "AES state needs 16-byte alignment");

bool cb_vfs_cipher_available(enum cb_vfs_cipher cipher)
{
    bool available = false;
    switch (cipher) {
    case CB_VFS_XCHACHA20_POLY1305: available = true; break;
    case CB_VFS_AES256_GCM:
        available =
            sodium_init() >= 0 && crypto_aead_aes256gcm_is_available() != 0;
        break;
    }
    return available;
}

static size_t domain_index(enum cb_vfs_domain domain)
{
    size_t index = 0;
    switch (domain) {
    case CB_VFS_DOMAIN_MAIN: index = 0; break;
    case CB_VFS_DOMAIN_WAL: index = 1; break;
    case CB_VFS_DOMAIN_JOURNAL: index = 2; break;
    case CB_VFS_DOMAIN_VERSIONS: index = 3; break;
    }
    return index;
}

/* Position of a subkey. */
static size_t key_index(enum cb_vfs_cipher cipher, enum cb_vfs_domain domain)
{
    return ((size_t)cipher - 1) * DOMAIN_COUNT + domain_index(domain);
}

/*
 * Its number for the KDF.  The first three kinds of file were numbered without
 * a gap, so what came later is counted from 100.
 */
static uint64_t key_number(size_t index)
{
    uint64_t cipher = index / DOMAIN_COUNT;
    uint64_t domain = index % DOMAIN_COUNT;
    return domain < 3 ? 3 * cipher + domain + 1 : 100 + cipher + 1;
}

static const uint8_t *find_key(const cb_vfs *vfs, enum cb_vfs_cipher cipher,
                               enum cb_vfs_domain domain)
{
    return cb_secret_view(vfs->keys) + key_index(cipher, domain) * CB_KEY_BYTES;
}

cb_status cb_vfs_keys_create(cb_vfs *vfs, const cb_secret *master_key,
                             cb_error *reterr_error)
{
    cb_status status =
        cb_secret_create(KEY_COUNT * CB_KEY_BYTES, &vfs->keys, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    uint8_t *keys = cb_secret_bytes(vfs->keys);
    for (size_t i = 0; i < KEY_COUNT; i++) {
        (void)crypto_kdf_derive_from_key(keys + i * CB_KEY_BYTES, CB_KEY_BYTES,
                                         key_number(i), KDF_CONTEXT,
                                         cb_secret_view(master_key));
    }
    if (cb_vfs_cipher_available(CB_VFS_AES256_GCM)) {
        status =
            cb_secret_create(EPOCH_SLOTS * sizeof(struct cb_vfs_epoch_keys),
                             &vfs->epochs, reterr_error);
    }
    return status;
}

void cb_vfs_keys_destroy(cb_vfs *vfs)
{
    cb_secret_destroy(vfs->keys);
    vfs->keys = NULL;
    cb_secret_destroy(vfs->epochs);
    vfs->epochs = NULL;
}

/* The expanded key of an epoch; the caller holds the mutex. */
static const crypto_aead_aes256gcm_state *find_epoch(cb_vfs *vfs,
                                                     enum cb_vfs_domain domain,
                                                     const uint8_t *epoch)
{
    void *memory = cb_secret_bytes(vfs->epochs);
    struct cb_vfs_epoch_keys *slots = memory;
    for (size_t i = 0; i < EPOCH_SLOTS; i++) {
        /* The newest first: almost always the one. */
        size_t at = (vfs->epoch_next + EPOCH_SLOTS - 1 - i) % EPOCH_SLOTS;
        if (slots[at].domain == (uint8_t)domain &&
            memcmp(slots[at].epoch, epoch, CB_VFS_EPOCH_BYTES) == 0) {
            return &slots[at].state;
        }
    }

    struct cb_vfs_epoch_keys *slot = &slots[vfs->epoch_next];
    vfs->epoch_next = (vfs->epoch_next + 1) % EPOCH_SLOTS;
    uint8_t input[sizeof(EPOCH_CONTEXT) - 1 + CB_VFS_EPOCH_BYTES];
    memcpy(input, EPOCH_CONTEXT, sizeof(EPOCH_CONTEXT) - 1);
    memcpy(input + sizeof(EPOCH_CONTEXT) - 1, epoch, CB_VFS_EPOCH_BYTES);
    uint8_t key[CB_KEY_BYTES];
    (void)crypto_generichash(key, sizeof(key), input, sizeof(input),
                             find_key(vfs, CB_VFS_AES256_GCM, domain),
                             CB_KEY_BYTES);
    (void)crypto_aead_aes256gcm_beforenm(&slot->state, key);
    sodium_memzero(key, sizeof(key));
    slot->domain = (uint8_t)domain;
    memcpy(slot->epoch, epoch, CB_VFS_EPOCH_BYTES);
    return &slot->state;
}

static void draw_nonce(cb_vfs *vfs, struct cb_vfs_nonces *nonces,
                       uint8_t nonce[CB_VFS_NONCE_BYTES])
{
    pid_t self = getpid();
    if (!nonces->drawn || nonces->owner != self ||
        nonces->counter == UINT32_MAX) {
        vfs->environment->random(vfs->environment->context, nonces->epoch,
                                 sizeof(nonces->epoch));
        nonces->drawn = true;
        nonces->owner = self;
        nonces->counter = 0;
    }
    nonces->counter++;
    memcpy(nonce, nonces->epoch, CB_VFS_EPOCH_BYTES);
    cb_put_u16(nonce + 10, nonces->generation);
    cb_put_u32(nonce + 12, nonces->counter);
}

static size_t put_associated(const struct cb_vfs_place *place, uint8_t *bytes)
{
    CB_ASSERT(place->extra_size <= 16);
    bytes[0] = (uint8_t)place->domain;
    memcpy(bytes + 1, place->head->bytes, CB_VFS_HEAD_BYTES);
    cb_put_u64(bytes + 1 + CB_VFS_HEAD_BYTES, place->position);
    size_t size = 1 + CB_VFS_HEAD_BYTES + 8;
    if (place->extra_size != 0) {
        memcpy(bytes + size, place->extra, place->extra_size);
    }
    return size + place->extra_size;
}

void cb_vfs_seal(cb_vfs *vfs, struct cb_vfs_nonces *nonces,
                 const struct cb_vfs_place *place, const uint8_t *plain,
                 size_t size, uint8_t *sealed, struct cb_vfs_trailer *trailer)
{
    uint8_t associated[ASSOCIATED_BYTES_MAX];
    size_t associated_size = put_associated(place, associated);
    uint8_t *tag = trailer->bytes + CB_VFS_NONCE_BYTES;
    draw_nonce(vfs, nonces, trailer->bytes);

    if (cb_vfs_head_cipher(place->head) == CB_VFS_AES256_GCM) {
        uint8_t nonce[crypto_aead_aes256gcm_NPUBBYTES] = { 0 };
        memcpy(nonce + 6, trailer->bytes + CB_VFS_EPOCH_BYTES, 6);
        sqlite3_mutex_enter(vfs->mutex);
        (void)crypto_aead_aes256gcm_encrypt_detached_afternm(
            sealed, tag, NULL, plain, size, associated, associated_size, NULL,
            nonce, find_epoch(vfs, place->domain, trailer->bytes));
        sqlite3_mutex_leave(vfs->mutex);
        return;
    }
    uint8_t nonce[crypto_aead_xchacha20poly1305_ietf_NPUBBYTES] = { 0 };
    memcpy(nonce, trailer->bytes, CB_VFS_NONCE_BYTES);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt_detached(
        sealed, tag, NULL, plain, size, associated, associated_size, NULL,
        nonce, find_key(vfs, CB_VFS_XCHACHA20_POLY1305, place->domain));
}

bool cb_vfs_unseal(cb_vfs *vfs, const struct cb_vfs_place *place,
                   uint8_t *bytes, size_t size,
                   const struct cb_vfs_trailer *trailer)
{
    uint8_t associated[ASSOCIATED_BYTES_MAX];
    size_t associated_size = put_associated(place, associated);
    const uint8_t *tag = trailer->bytes + CB_VFS_NONCE_BYTES;
    int result = -1;

    if (cb_vfs_head_cipher(place->head) == CB_VFS_AES256_GCM) {
        uint8_t nonce[crypto_aead_aes256gcm_NPUBBYTES] = { 0 };
        memcpy(nonce + 6, trailer->bytes + CB_VFS_EPOCH_BYTES, 6);
        sqlite3_mutex_enter(vfs->mutex);
        result = crypto_aead_aes256gcm_decrypt_detached_afternm(
            bytes, NULL, bytes, size, tag, associated, associated_size, nonce,
            find_epoch(vfs, place->domain, trailer->bytes));
        sqlite3_mutex_leave(vfs->mutex);
        return result == 0;
    }
    uint8_t nonce[crypto_aead_xchacha20poly1305_ietf_NPUBBYTES] = { 0 };
    memcpy(nonce, trailer->bytes, CB_VFS_NONCE_BYTES);
    result = crypto_aead_xchacha20poly1305_ietf_decrypt_detached(
        bytes, NULL, bytes, size, tag, associated, associated_size, nonce,
        find_key(vfs, CB_VFS_XCHACHA20_POLY1305, place->domain));
    return result == 0;
}
