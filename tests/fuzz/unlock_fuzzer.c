/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unlock.json as whoever has the disk may have written it.  Argon2id is not
 * run: what it is asked for is bounded, and that is what is looked at.
 */
#include <sodium.h>
#include <string.h>

#include <casebound/limits.h>
#include <casebound/recovery.h>

#include "fuzz/fuzz.h"
#include "store/unlock.h"

static const char first[] =
    "{\"kdf\":\"argon2id13\",\"memory_bytes\":8192,\"nonce\":"
    "\"6a1b961345efe9fd14ecbc31dcf958f6e46a94ce5f21b2c2\",\"operations\":1,"
    "\"salt\":\"01a080dc49280b98f5f53e0ec0975075\",\"sealed\":"
    "\"6a14cf011d71bd3b22284bdbb98068db6fef9ac6c611451efce429a0a57194798be92c52"
    "d2cb47241d7b1f89db8592e7\",\"store\":\"46a38968cd04e9bda21909a85244122f\","
    "\"version\":1}";

static cb_secret *fixed_secret(size_t size, int byte)
{
    cb_secret *secret = NULL;
    CB_ASSERT(cb_secret_create(size, &secret, NULL) == CB_OK);
    memset(cb_secret_bytes(secret), byte, size);
    return secret;
}

static void fill(void *context, void *bytes, size_t size)
{
    (void)context;
    memset(bytes, 7, size);
}

static void make(cb_unlock *unlock, bool recovery, bool previous)
{
    static const cb_environment environment = { .random = fill };
    static const cb_unlock_cost cost = { 1, 8192 };
    cb_secret *master = fixed_secret(CB_KEY_BYTES, 1);
    cb_secret *passphrase = fixed_secret(9, 'p');
    cb_secret *key = fixed_secret(CB_RECOVERY_KEY_BYTES, 2);
    *unlock = (cb_unlock){ .store_id = "a store" };
    CB_ASSERT(cb_unlock_seal(&environment, unlock, CB_UNLOCK_PASSPHRASE, cost,
                             passphrase, master, NULL) == CB_OK);
    if (recovery) {
        CB_ASSERT(cb_unlock_seal(&environment, unlock, CB_UNLOCK_RECOVERY, cost,
                                 key, master, NULL) == CB_OK);
    }
    if (previous) {
        CB_ASSERT(cb_unlock_keep_previous(&environment, unlock, master, master,
                                          NULL) == CB_OK);
    }
    cb_secret_destroy(key);
    cb_secret_destroy(passphrase);
    cb_secret_destroy(master);
}

bool fuzz_seed(unsigned number, cb_buffer *seed)
{
    cb_unlock unlock;
    cb_secret *master = NULL;
    if (number > 4) {
        return false;
    }
    if (number == 4) {
        cb_buffer_append_text(seed, first);
        return true;
    }
    make(&unlock, number % 2 == 1, number / 2 == 1);
    master = fixed_secret(CB_KEY_BYTES, 1);
    CB_ASSERT(cb_unlock_format(&unlock, master, seed, NULL) == CB_OK);
    cb_secret_destroy(master);
    return true;
}

/* What was read can be judged, tried and written again, and is the same. */
static void use(cb_unlock *unlock, const cb_environment *environment)
{
    cb_secret *master = fixed_secret(CB_KEY_BYTES, 1);
    cb_secret *key = fixed_secret(CB_RECOVERY_KEY_BYTES, 2);
    cb_secret *opened = NULL;
    cb_secret *previous = NULL;
    const cb_unlock_slot *slot = &unlock->slots[CB_UNLOCK_PASSPHRASE];
    CB_ASSERT(slot->used && cb_unlock_cost_valid(slot->cost));
    cb_unlock_fit fit = cb_unlock_judge(unlock, master);
    CB_ASSERT(fit != CB_UNLOCK_FITS || !unlock->rotten);
    cb_status status = cb_unlock_unseal(environment, unlock, CB_UNLOCK_RECOVERY,
                                        key, &opened, NULL);
    /* Nothing but the key's own seal lets anything out. */
    CB_ASSERT((status == CB_OK) == (opened != NULL));
    CB_ASSERT(opened == NULL ||
              memcmp(cb_secret_view(opened), cb_secret_view(master),
                     CB_KEY_BYTES) == 0);
    if (unlock->previous.used &&
        cb_unlock_take_previous(unlock, master, &previous, NULL) == CB_OK) {
        CB_ASSERT(memcmp(cb_secret_view(previous), cb_secret_view(master),
                         CB_KEY_BYTES) == 0);
    }
    if (unlock->version == 2) {
        cb_unlock again;
        cb_buffer text;
        cb_buffer_init(&text, CB_UNLOCK_FILE_BYTES_MAX);
        CB_ASSERT(cb_unlock_format(unlock, master, &text, NULL) == CB_OK);
        CB_ASSERT(cb_unlock_parse(cb_span_of_buffer(&text), &again, NULL) ==
                  CB_OK);
        CB_ASSERT(cb_unlock_judge(&again, master) == CB_UNLOCK_FITS);
        CB_ASSERT(memcmp(again.slots, unlock->slots, sizeof again.slots) == 0);
        cb_buffer_clear(&text);
    }
    cb_secret_destroy(previous);
    cb_secret_destroy(opened);
    cb_secret_destroy(key);
    cb_secret_destroy(master);
}

static void read_recovery_key(cb_span input)
{
    cb_secret *typed = NULL;
    cb_secret *key = NULL;
    cb_secret *text = NULL;
    if (input.size == 0 || input.size > CB_PASSPHRASE_BYTES_MAX) {
        return;
    }
    CB_ASSERT(cb_secret_create(input.size, &typed, NULL) == CB_OK);
    memcpy(cb_secret_bytes(typed), input.bytes, input.size);
    if (cb_recovery_read(typed, &key, NULL) == CB_OK) {
        CB_ASSERT(cb_recovery_print(key, &text, NULL) == CB_OK);
    }
    cb_secret_destroy(text);
    cb_secret_destroy(key);
    cb_secret_destroy(typed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const cb_environment environment = { .random = fill };
    const cb_span input = { data, size };
    cb_unlock unlock;
    CB_ASSERT(sodium_init() >= 0);
    cb_status status = cb_unlock_parse(input, &unlock, NULL);
    CB_ASSERT(status == CB_OK || status == CB_DAMAGED || status == CB_NEWER);
    if (status == CB_OK) {
        use(&unlock, &environment);
    }
    read_recovery_key(input);
    return 0;
}
