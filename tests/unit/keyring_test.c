/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The session key in the kernel's keyring, as the kernel itself tells of it.
 * Some containers have no keyring; there the tests hold the store to what it
 * does without one.
 */
#include <errno.h>
#include <keyutils.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "store/internal.h"
#include "support/expect.h"
#include "support/rotate_kit.h"

TestSuite(keyring, .init = rotate_kit_begin, .fini = rotate_kit_end,
          .timeout = 60);

static void name_key(const cb_store *store, char name[64])
{
    char id[CB_IDENTIFIER_TEXT_BYTES];
    cb_hex_format(store->store_id, sizeof store->store_id, id);
    snprintf(name, 64, "casebound:%s", id);
}

/* The kernel's number of the key, or -1. */
static long find_key(const cb_store *store)
{
    char name[64];
    name_key(store, name);
    return keyctl_search(KEY_SPEC_USER_KEYRING, "user", name, 0);
}

/* The error that reading it gives, 0 where its content is to be had. */
static int read_error(long key)
{
    char bytes[128];
    return keyctl_read((key_serial_t)key, bytes, sizeof bytes) >= 0 ? 0 : errno;
}

static bool is_gone(int number)
{
    return number == EKEYREVOKED || number == EKEYEXPIRED || number == ENOKEY;
}

/* How /proc/keys flags the key that is named so; "" where it lists none. */
static void list_key(const cb_store *store, char flags[16])
{
    char name[64];
    char line[512];
    FILE *file = fopen("/proc/keys", "r");
    name_key(store, name);
    flags[0] = '\0';
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strstr(line, name) != NULL) {
            cr_expect(sscanf(line, "%*s %15s", flags) == 1);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
}

/* False where this kernel has no keyring for us, which must be said. */
static bool keep(cb_store *store, unsigned seconds)
{
    cb_error_clear(test_error());
    cb_status status = cb_store_keep_unlocked(store, seconds, test_error());
    if (status == CB_NOT_FOUND) {
        expect_contains(test_error()->what, "keeps no keys");
        expect_contains(test_error()->meaning, "ask for the passphrase");
        fprintf(stderr, "skipped: this kernel keeps no keys here\n");
        return false;
    }
    cr_assert(status == CB_OK, "%s", test_describe(status));
    return true;
}

static cb_status open_kept(cb_store **ret_store)
{
    cb_error_clear(test_error());
    return cb_store_open(&the.options, NULL, ret_store, test_error());
}

Test(keyring, lock_takes_the_key_from_the_kernel)
{
    char flags[16];
    cb_store *store = store_kit_open(&the.kit, "a");
    if (keep(store, 60)) {
        cb_store *again = NULL;
        long key = find_key(store);
        cr_assert(key >= 0 && read_error(key) == 0);
        list_key(store, flags);
        cr_expect(flags[0] == 'I' && strchr(flags, 'R') == NULL, "'%s'", flags);

        expect_ok(cb_store_lock(&the.options, test_error()));
        /* Also for whoever remembers its number, or holds a link. */
        cr_expect(is_gone(read_error(key)));
        cr_expect(find_key(store) < 0);
        list_key(store, flags);
        cr_expect(flags[0] == '\0' || strchr(flags, 'R') != NULL, "'%s'",
                  flags);
        cb_store_close(store);
        store = NULL;
        cr_expect(open_kept(&again) == CB_LOCKED);
        expect_status(CB_NOT_FOUND, cb_store_lock(&the.options, test_error()));
    }
    cb_store_close(store);
}

Test(keyring, forgets_the_key_when_its_time_is_over)
{
    cb_store *store = store_kit_open(&the.kit, "a");
    if (keep(store, 1)) {
        struct timespec pause = { .tv_nsec = 50000000 };
        cb_store *again = NULL;
        long key = find_key(store);
        cr_assert(key >= 0);
        for (int i = 0; i < 60 && read_error(key) == 0; i++) {
            nanosleep(&pause, NULL);
        }
        cr_expect(is_gone(read_error(key)), "it is still there");
        cb_store_close(store);
        store = NULL;
        cr_expect(open_kept(&again) == CB_LOCKED);
    }
    cb_store_close(store);
}

/* Become nobody, and try by the key's number. */
static int read_as_nobody(long key)
{
    int status = 0;
    pid_t child = fork();
    cr_assert(child >= 0);
    if (child == 0) {
        if (setgid(65534) != 0 || setuid(65534) != 0) {
            _exit(99);
        }
        _exit(read_error(key) & 0x7f);
    }
    cr_assert(waitpid(child, &status, 0) == child && WIFEXITED(status));
    return WEXITSTATUS(status);
}

Test(keyring, lets_nobody_else_read_the_key)
{
    cb_store *store = store_kit_open(&the.kit, "a");
    if (keep(store, 60)) {
        char *facts = NULL;
        unsigned permissions = 0;
        long key = find_key(store);
        cr_assert(keyctl_describe_alloc((key_serial_t)key, &facts) > 0);
        /* type;uid;gid;permissions;description */
        cr_assert(sscanf(facts, "%*[^;];%*d;%*d;%x;", &permissions) == 1);
        cr_expect((permissions & (KEY_GRP_ALL | KEY_OTH_ALL)) == 0, "%s",
                  facts);
        free(facts);
        if (geteuid() == 0) {
            cr_expect(read_as_nobody(key) == EACCES);
        }
        expect_ok(cb_store_lock(&the.options, test_error()));
    }
    cb_store_close(store);
}

Test(keyring, keeps_one_key_however_often_it_is_told_to)
{
    cb_store *store = store_kit_open(&the.kit, "a");
    if (keep(store, 60)) {
        long first = find_key(store);
        cr_assert(keep(store, 60));
        cr_expect(find_key(store) != first && is_gone(read_error(first)));
        expect_ok(cb_store_lock(&the.options, test_error()));
        cr_expect(find_key(store) < 0);
    }
    cb_store_close(store);
}

Test(keyring, key_opens_after_a_change_of_passphrase)
{
    cb_secret *fresh = NULL;
    expect_ok(cb_secret_create(12, &fresh, test_error()));
    memset(cb_secret_bytes(fresh), 'q', 12);
    cb_store *store = store_kit_open(&the.kit, "a");
    if (keep(store, 60)) {
        expect_ok(cb_store_change_passphrase(store, &the.options, fresh,
                                             test_error()));
        cb_store_close(store);
        store = NULL;
        expect_ok(open_kept(&store));
        expect_content(store);
        expect_ok(cb_store_lock(&the.options, test_error()));
    }
    cb_store_close(store);
    cb_secret_destroy(fresh);
}

Test(keyring, key_is_replaced_with_the_master_key)
{
    cb_store *store = store_kit_open(&the.kit, "a");
    if (keep(store, 60)) {
        uint8_t payload[64];
        long before = find_key(store);
        expect_ok(rotate(store, NULL));
        cb_store_close(store);
        store = NULL;
        expect_ok(open_kept(&store));
        expect_content(store);
        long after = find_key(store);
        cr_expect(after != before && is_gone(read_error(before)));
        /* Its last four bytes: the seconds that it was given. */
        long size =
            keyctl_read((key_serial_t)after, (char *)payload, sizeof payload);
        cr_assert(size == CB_KEY_BYTES + 8 + 4);
        uint32_t seconds = cb_get_u32(payload + CB_KEY_BYTES + 8);
        cr_expect(seconds > 0 && seconds <= 60, "%u seconds", seconds);
        expect_ok(cb_store_lock(&the.options, test_error()));
    }
    cb_store_close(store);
}

/* A clock set back may not make it last longer, one set on may end it. */
Test(keyring, replaced_key_never_lasts_longer)
{
    static const struct {
        int64_t step_ms;
        bool kept;
    } rows[] = { { -3600000, true }, { 30000, true }, { 61000, false } };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cb_store *store = store_kit_open(&the.kit, "a");
        if (!keep(store, 60)) {
            cb_store_close(store);
            return;
        }
        the.kit.now_ms += rows[i].step_ms;
        cb_secret *other = NULL;
        expect_ok(cb_secret_create_random(&the.kit.environment, CB_KEY_BYTES,
                                          &other, test_error()));
        cr_expect(cb_keyring_replace(&the.kit.environment, store->store_id,
                                     other) == rows[i].kept,
                  "row %zu", i);
        cr_expect((find_key(store) >= 0) == rows[i].kept);
        if (rows[i].kept) {
            uint8_t payload[64];
            cr_assert(keyctl_read((key_serial_t)find_key(store),
                                  (char *)payload, sizeof payload) > 0);
            cr_expect(cb_get_u32(payload + CB_KEY_BYTES + 8) <= 60);
            expect_ok(cb_store_lock(&the.options, test_error()));
        }
        cb_secret_destroy(other);
        cb_store_close(store);
    }
}

/* A copy from before has the same id; the key that is kept is not its own. */
Test(keyring, key_of_a_rotated_store_does_not_fit_its_older_copy)
{
    char command[4 * STORE_KIT_PATH_BYTES];
    char path[STORE_KIT_PATH_BYTES];
    snprintf(command, sizeof command, "cp -a '%s' '%s'", the.folder,
             store_kit_path(&the.kit, "b", path));
    cr_assert(system(command) == 0);
    cb_store *store = store_kit_open(&the.kit, "a");
    if (keep(store, 60)) {
        cb_store *older = NULL;
        const cb_store_options options = store_kit_options(&the.kit, path);
        expect_ok(rotate(store, NULL));
        expect_status(CB_LOCKED,
                      cb_store_open(&options, NULL, &older, test_error()));
        expect_ok(cb_store_lock(&the.options, test_error()));
    }
    cb_store_close(store);
}

/* From now on the kernel answers as one that was built without keys. */
static bool take_keyring_away(void)
{
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_add_key, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_keyctl, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
    };
    struct sock_fprog program = { .len = sizeof rules / sizeof rules[0],
                                  .filter = rules };
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static int live_without_keyring(void)
{
    cb_error error = { 0 };
    cb_store *store = NULL;
    if (!take_keyring_away()) {
        return 0;
    }
    if (cb_store_open(&the.options, NULL, &store, &error) != CB_LOCKED ||
        cb_store_lock(&the.options, NULL) != CB_NOT_FOUND ||
        cb_store_open(&the.options, the.kit.passphrase, &store, NULL) !=
            CB_OK) {
        return 1;
    }
    cb_error_clear(&error);
    if (cb_store_keep_unlocked(store, 60, &error) != CB_NOT_FOUND ||
        strstr(error.what, "keeps no keys") == NULL ||
        strstr(error.meaning, "passphrase") == NULL) {
        return 2;
    }
    /* And rotation goes without. */
    return rotate(store, NULL) == CB_OK ? 0 : 3;
}

Test(keyring, store_works_where_the_kernel_has_none)
{
    int status = 0;
    pid_t child = fork();
    cr_assert(child >= 0);
    if (child == 0) {
        _exit(live_without_keyring());
    }
    cr_assert(waitpid(child, &status, 0) == child);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%d", status);
}
