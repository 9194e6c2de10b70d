/* SPDX-License-Identifier: Apache-2.0 */
/* An older copy of a store is recognised when it is opened; nothing else is. */
#include <casebound/backup.h>
#include <casebound/exchange.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "store/internal.h"
#include "support/expect.h"
#include "support/store_kit.h"

#define WITNESS_BYTES 512
#define SLOT_BYTES    256

static store_kit kit;
static cb_store *store;
static cb_case_id case_id;

static cb_store_options options(char folder[STORE_KIT_PATH_BYTES],
                                char outside[STORE_KIT_PATH_BYTES])
{
    cb_store_options made =
        store_kit_options(&kit, store_kit_path(&kit, "a", folder));
    made.witness_folder = store_kit_path(&kit, "state/casebound", outside);
    return made;
}

static cb_status try_open(void)
{
    char folder[STORE_KIT_PATH_BYTES];
    char outside[STORE_KIT_PATH_BYTES];
    const cb_store_options made = options(folder, outside);
    return cb_store_open(&made, kit.passphrase, &store, test_error());
}

static void open_again(void)
{
    cb_store_close(store);
    store = NULL;
    expect_ok(try_open());
}

static void run(const char *command)
{
    char line[2 * STORE_KIT_PATH_BYTES];
    snprintf(line, sizeof line, "cd '%s' && %s", kit.root, command);
    cr_assert(system(line) == 0, "%s", line);
}

static void close_and_run(const char *command)
{
    cb_store_close(store);
    store = NULL;
    run(command);
}

/* A hub with one case, opened with a witness outside. */
static void begin(void)
{
    store_kit_begin(&kit);
    store = store_kit_hub(&kit, "a");
    case_id = store_kit_case(store);
    open_again();
}

static void end(void)
{
    cb_store_close(store);
    store_kit_end(&kit);
}

static void record(void)
{
    store_kit_person(store, &case_id, "victim", "Ash");
}

static cb_status try_record(void)
{
    cb_recorded recorded;
    const cb_change change = { .case_id = case_id };
    json_t *fields = store_kit_json("{'role':'offender'}");
    cb_status status = cb_store_add(store, &change, "person", NULL, fields,
                                    &recorded, test_error());
    if (status == CB_OK) {
        cb_recorded_clear(&recorded);
    }
    json_decref(fields);
    return status;
}

static cb_store_witness seen(void)
{
    cb_store_witness facts;
    cb_store_look_at_witness(store, &facts);
    return facts;
}

static cb_store_identity identity(void)
{
    cb_store_identity facts;
    cb_store_identify(store, &facts);
    return facts;
}

static bool same_stream(const cb_store_identity *other)
{
    const cb_store_identity facts = identity();
    return memcmp(&facts.stream, &other->stream, sizeof facts.stream) == 0;
}

TestSuite(witness, .init = begin, .fini = end, .timeout = 60);

/* ----------------------------------------------------------- older copies */

Test(witness, finds_a_whole_folder_that_was_put_back)
{
    record();
    close_and_run("cp -a a kept");
    open_again();
    record();
    record();
    record();
    close_and_run("rm -r a && mv kept a");

    open_again();
    cr_expect(identity().restored);
    cr_expect(seen().behind && seen().missing == 3 && !seen().log_lost);
    cr_expect(seen().newest_ms > 0 && seen().newest_ms < kit.now_ms);
    expect_status(CB_PERMISSION, try_record());
    expect_contains(test_error()->next, "restore --in-place");
    /* Not only when it is looked at for the first time. */
    open_again();
    cr_expect(identity().restored);
}

Test(witness, is_not_caught_up_with_by_an_older_copy_that_takes_things_in)
{
    close_and_run("cp -a a kept");
    open_again();
    record();
    close_and_run("rm -r a && mv kept a");
    open_again();
    for (int i = 0; i < 5; i++) {
        expect_ok(cb_store_begin(store, test_error()));
        expect_ok(cb_exchange_mark_put(store, "mark", cb_span_of_text("x"),
                                       test_error()));
        expect_ok(cb_store_commit(store, test_error()));
        expect_ok(cb_exchange_write_witness(store, test_error()));
    }
    open_again();
    cr_expect(identity().restored && seen().missing == 1);

    /* It knows by now, whatever becomes of the witnesses. */
    close_and_run("rm -rf a/witness state");
    open_again();
    cr_expect(identity().restored);
}

Test(witness, follows_a_copy_that_somebody_confirmed)
{
    close_and_run("cp -a a kept");
    open_again();
    record();
    record();
    const cb_store_identity newer = identity();
    close_and_run("mv a newer && mv kept a");
    open_again();
    const cb_store_identity old = identity();
    cr_expect(old.restored && old.head_seq < newer.head_seq);

    expect_ok(cb_restore_in_place(store, test_error()));
    cr_expect(!identity().restored && identity().head_seq == 1);
    cr_expect(!same_stream(&old));
    expect_status(CB_OK, try_record());
    open_again();
    cr_expect(!identity().restored);
    expect_status(CB_OK, try_record());
    cr_expect(!seen().behind);

    /* The one that went on before is the older one now. */
    close_and_run("rm -r a && mv newer a");
    open_again();
    cr_expect(identity().restored);
    /* Confirming what is none changes nothing. */
    expect_ok(cb_restore_in_place(store, test_error()));
    const cb_store_identity fresh = identity();
    expect_ok(cb_restore_in_place(store, test_error()));
    cr_expect(same_stream(&fresh));
}

/* Its hash does not hang on the master key. */
Test(witness, finds_a_folder_from_before_the_master_key_was_replaced)
{
    char folder[STORE_KIT_PATH_BYTES];
    char outside[STORE_KIT_PATH_BYTES];
    const cb_store_options made = options(folder, outside);
    const cb_rotation rotation = { .passphrase = kit.passphrase };
    record();
    close_and_run("cp -a a kept");
    open_again();
    expect_ok(cb_store_rotate(store, &made, &rotation, test_error()));
    open_again();
    cr_expect(!identity().restored && seen().inside == CB_WITNESS_CURRENT &&
              seen().outside == CB_WITNESS_CURRENT);
    record();
    open_again();
    cr_expect(!identity().restored);
    close_and_run("rm -r a && mv kept a");
    open_again();
    cr_expect(identity().restored && seen().missing == 1);
}

Test(witness, finds_a_database_that_was_put_back_alone)
{
    close_and_run("mkdir kept && cp a/casebook.db* kept");
    open_again();
    record();
    close_and_run("cp kept/* a/ && rm -rf state");
    open_again();
    cr_expect(identity().restored && seen().behind);
}

/* As many transactions, but others: two that came from one. */
Test(witness, finds_a_twin_that_went_as_far)
{
    close_and_run("cp -a a kept");
    open_again();
    record();
    close_and_run("mv a newer && mv kept a && mv state other");
    open_again();
    record();
    close_and_run("rm -r a && mv newer a");
    open_again();
    cr_expect(identity().restored && seen().behind && seen().missing == 0);
}

Test(witness, finds_the_loss_of_an_open_log)
{
    cb_store_close(store);
    store = NULL;
    pid_t child = fork();
    cr_assert(child >= 0);
    if (child == 0) {
        open_again();
        record();
        record();
        (void)raise(SIGKILL);
    }
    waitpid(child, NULL, 0);
    run("test -s a/casebook.db-wal && cp -a a kept && rm a/casebook.db-wal");
    open_again();
    cr_expect(identity().restored && seen().log_lost && seen().missing == 2);

    /* With its log it is whole. */
    close_and_run("rm -r a && mv kept a");
    open_again();
    cr_expect(!identity().restored && !seen().behind);
}

Test(witness, watches_over_a_store_that_has_not_joined)
{
    char folder[STORE_KIT_PATH_BYTES];
    char outside[STORE_KIT_PATH_BYTES];
    close_and_run("rm -rf a state");
    const cb_store_options made = options(folder, outside);
    expect_ok(cb_store_create(&made, kit.passphrase, &store, test_error()));
    open_again();
    cr_expect(!identity().restored && !seen().behind);
    cr_expect(seen().inside == CB_WITNESS_CURRENT &&
              seen().outside == CB_WITNESS_CURRENT);
    close_and_run("cp -a a kept");
    open_again();
    expect_ok(cb_store_begin(store, test_error()));
    expect_ok(cb_exchange_mark_put(store, "mark", cb_span_of_text("x"),
                                   test_error()));
    expect_ok(cb_store_commit(store, test_error()));
    close_and_run("rm -r a && mv kept a");

    open_again();
    cr_expect(identity().restored && !identity().joined);
    expect_ok(cb_restore_in_place(store, test_error()));
    open_again();
    cr_expect(!identity().restored);
}

Test(witness, of_the_first_version_is_understood)
{
    char hex[2 * CB_IDENTIFIER_BYTES + 1];
    char path[STORE_KIT_PATH_BYTES];
    for (unsigned more = 0; more < 2; more++) {
        const cb_store_identity now = identity();
        cb_hex_format(now.stream.bytes, sizeof now.stream.bytes, hex);
        close_and_run("rm -rf state");
        FILE *file = fopen(store_kit_path(&kit, "a/witness", path), "w");
        cr_assert(file != NULL);
        fprintf(file, "{\"seq\":%llu,\"stream\":\"%s\",\"version\":1}",
                (unsigned long long)now.head_seq + more, hex);
        fclose(file);
        open_again();
        cr_expect(identity().restored == (more == 1));
        if (more == 0) {
            /* Written over as a whole, and from then on in place. */
            expect_status(CB_OK, try_record());
            struct stat facts;
            cr_expect(stat(path, &facts) == 0 &&
                      facts.st_size == WITNESS_BYTES);
            close_and_run("true");
            open_again();
            cr_expect(seen().inside == CB_WITNESS_CURRENT);
        }
    }
}

/* --------------------------------------------------------- no false alarms */

Test(witness, never_cries_wolf_after_a_kill, .timeout = 120)
{
    cb_store_close(store);
    store = NULL;
    for (unsigned i = 0; i < 20; i++) {
        int channel[2];
        char byte = 0;
        cr_assert(pipe(channel) == 0);
        pid_t child = fork();
        cr_assert(child >= 0);
        if (child == 0) {
            open_again();
            for (;;) {
                record();
                cr_assert(write(channel[1], "x", 1) == 1);
            }
        }
        close(channel[1]);
        cr_assert(read(channel[0], &byte, 1) == 1);
        const struct timespec pause = { .tv_nsec = (long)i * 331000 };
        nanosleep(&pause, NULL);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        close(channel[0]);
        open_again();
        cr_expect(!identity().restored && !seen().behind, "kill %u", i);
        cb_store_close(store);
        store = NULL;
    }
}

static void damage(const char *name, size_t offset, size_t size)
{
    char path[STORE_KIT_PATH_BYTES];
    uint8_t bytes[WITNESS_BYTES];
    int file = open(store_kit_path(&kit, name, path), O_RDWR);
    cr_assert(file >= 0 &&
              pread(file, bytes, size, (off_t)offset) == (ssize_t)size);
    for (size_t i = 0; i < size; i++) {
        bytes[i] ^= 0x5a;
    }
    cr_assert(pwrite(file, bytes, size, (off_t)offset) == (ssize_t)size);
    close(file);
}

/* One slot is torn, whichever and wherever: the other says what it said. */
Test(witness, survives_a_torn_write)
{
    record();
    record();
    close_and_run("rm -rf state; cp a/witness kept");
    for (size_t slot = 0; slot < 2; slot++) {
        for (size_t offset = 0; offset < 160; offset += 13) {
            run("cp kept a/witness");
            damage("a/witness", slot * SLOT_BYTES + offset,
                   SLOT_BYTES - offset);
            open_again();
            cr_expect(!identity().restored, "slot %zu from %zu", slot, offset);
            cr_expect(seen().inside == CB_WITNESS_CURRENT);
            cb_store_close(store);
            store = NULL;
        }
    }
}

Test(witness, that_is_damaged_or_gone_accuses_nobody_and_is_made_again)
{
    static const struct {
        const char *command;
        cb_witness_state inside;
        bool lost;
    } rows[] = {
        { "rm -rf a/witness state", CB_WITNESS_NONE, true },
        { "rm -rf state; echo nonsense > a/witness", CB_WITNESS_DAMAGED,
          false },
        { "rm -rf state; head -c 300 /dev/zero > a/witness", CB_WITNESS_DAMAGED,
          false },
        { "rm -rf state; head -c 100000 /dev/zero > a/witness",
          CB_WITNESS_DAMAGED, false },
        { "rm -rf state a/witness; mkfifo a/witness", CB_WITNESS_UNREADABLE,
          false },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        record();
        close_and_run(rows[i].command);
        open_again();
        cr_expect(!identity().restored && !seen().behind);
        cr_expect(seen().inside == rows[i].inside, "%s", rows[i].command);
        cr_expect(seen().inside_lost == rows[i].lost, "%s", rows[i].command);
        cr_expect(seen().outside == CB_WITNESS_NONE);
        record();
        cr_expect(seen().inside == CB_WITNESS_CURRENT);
        open_again();
        cr_expect(seen().inside == CB_WITNESS_CURRENT &&
                  seen().outside == CB_WITNESS_CURRENT);
    }
}

/* One of another store says nothing of this one. */
Test(witness, of_another_store_is_not_believed)
{
    store_kit other = kit;
    cb_store *second = store_kit_hub(&other, "b");
    for (int i = 0; i < 9; i++) {
        (void)store_kit_case(second);
    }
    cb_store_close(second);
    close_and_run("cp b/witness a/witness; rm -rf state");
    open_again();
    cr_expect(!identity().restored && seen().inside == CB_WITNESS_DAMAGED);
}

static cb_status no_room(void *context, const char *path, uint64_t offset,
                         cb_span content, bool flush, cb_error *error)
{
    (void)context;
    (void)path;
    (void)offset;
    (void)content;
    (void)flush;
    return cb_error_set(error, CB_NO_SPACE, "the disk is full");
}

/* A change is safe in the database; that is what was promised. */
Test(witness, that_cannot_be_written_fails_no_change)
{
    record();
    close_and_run("rm state/casebound/* && rmdir state/casebound && "
                  "echo > state/casebound");
    open_again();
    expect_status(CB_OK, try_record());
    cr_expect(seen().unwritten && seen().outside == CB_WITNESS_UNWRITABLE &&
              seen().inside == CB_WITNESS_CURRENT);
    close_and_run("rm state/casebound");

    open_again();
    kit.environment.mark_file = no_room;
    expect_status(CB_OK, try_record());
    cr_expect(seen().unwritten && seen().inside == CB_WITNESS_UNWRITABLE);
    kit.environment.mark_file = cb_environment_system()->mark_file;
    expect_status(CB_OK, try_record());
    /* Closing tries once more. */
    open_again();
    cr_expect(!identity().restored && seen().inside == CB_WITNESS_CURRENT);
}

Test(witness, of_a_newer_version_is_left_alone)
{
    char path[STORE_KIT_PATH_BYTES];
    uint8_t bytes[WITNESS_BYTES];
    record();
    record();
    close_and_run("cp -a a kept");
    int file = open(store_kit_path(&kit, "a/witness", path), O_RDWR);
    cr_assert(file >= 0 && read(file, bytes, sizeof bytes) == sizeof bytes);
    bytes[9] = 3;
    cr_assert(pwrite(file, bytes, sizeof bytes, 0) == sizeof bytes);
    run("cp a/casebook.db before && cp a/witness seen");
    /* One alone is a flipped bit. */
    expect_status(CB_OK, try_open());
    cb_store_close(store);
    store = NULL;
    bytes[SLOT_BYTES + 9] = 3;
    cr_assert(pwrite(file, bytes, sizeof bytes, 0) == sizeof bytes);
    close(file);
    run("cp a/casebook.db before && cp a/witness seen");
    expect_status(CB_NEWER, try_open());
    run("cmp a/casebook.db before && cmp a/witness seen");
}

/* An earlier stream that is not there leads back to the present as it was. */
Test(witness, is_not_forgotten_where_an_earlier_stream_cannot_be_entered)
{
    uint8_t row[CB_IDENTIFIER_BYTES + CB_SIGNING_KEY_BYTES];
    cb_store_identity identity;
    bool can_sign = false;
    memset(row, 7, sizeof row);
    expect_ok(cb_store_begin(store, test_error()));
    expect_ok(
        cb_meta_put(store, "stream.earlier", row, sizeof row, test_error()));
    expect_ok(cb_store_commit(store, test_error()));
    close_and_run("cp -r a kept");
    expect_ok(try_open());
    store_kit_person(store, &case_id, "victim", "Ash");
    close_and_run("rm -r a && mv kept a");
    expect_ok(try_open());
    cb_store_identify(store, &identity);
    cr_assert(identity.restored);

    expect_status(CB_DAMAGED,
                  cb_exchange_earlier_enter(store, &can_sign, test_error()));
    cb_store_identify(store, &identity);
    cr_expect(identity.restored && !store->in_earlier);
    expect_ok(cb_store_begin(store, test_error()));
    expect_ok(cb_store_commit(store, test_error()));
    open_again();
    cb_store_identify(store, &identity);
    cr_expect(identity.restored);
}
