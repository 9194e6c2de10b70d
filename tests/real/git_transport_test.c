/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pushing and fetching through stock git, with its hooks, refusals and deaths.
 */
#include "git/fetch.h"
#include "git/hosting.h"
#include "git/push.h"
#include "git/transport.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/expect.h"
#include "support/git_kit.h"

#define REF       "refs/heads/device/00112233445566778899aabbccddeeff"
#define OTHER_REF "refs/heads/device/ffeeddccbbaa99887766554433221100"

static git_kit kit;
static cb_git_repository *own;
static cb_transport *transport;
static char output[16384];

static void begin(void)
{
    git_kit_begin(&kit);
    expect_ok(cb_git_repository_create(git_kit_path(&kit, "own.git"), REF, &own,
                                       test_error()));
    expect_ok(cb_git_host_create(git_kit_path(&kit, "host"),
                                 "#!/bin/sh\nexit 0\n", test_error()));
    expect_ok(cb_transport_open(git_kit_path(&kit, "host"), &transport,
                                test_error()));
}

static void end(void)
{
    cb_transport_close(transport);
    cb_git_repository_close(own);
    git_kit_end(&kit);
}

TestSuite(git_transport, .init = begin, .fini = end, .timeout = 120);

#define run(...) git_kit_run(&kit, output, sizeof output, __VA_ARGS__)

static cb_status push_over(const cb_transport *over, const char *repository,
                           const char *ref, bool replace,
                           cb_git_push_result *ret_result)
{
    const cb_git_push_request request = {
        .transport = over,
        .repository = repository,
        .local_ref = ref,
        .remote_ref = ref,
        .replace = replace,
    };
    return cb_git_push(own, &request, ret_result, test_error());
}

static cb_status push(const char *ref)
{
    return push_over(transport, CB_GIT_LOG, ref, false, NULL);
}

static void expect_host_ref(const char *ref, const cb_git_oid *oid)
{
    cr_expect(run("git -C host/log.git rev-parse %s", ref) == 0, "%s", output);
    output[strcspn(output, "\n")] = 0;
    expect_text(output, git_kit_hex(oid));
}

static void expect_host_is_whole(void)
{
    cr_expect(run("git -C host/log.git fsck --strict --full") == 0, "%s",
              output);
}

/* Adds a commit to a ref of ours. */
static cb_git_oid advance(const char *ref, const cb_git_oid *parent,
                          uint64_t position, const char *text)
{
    cb_git_oid oid = git_kit_commit(&kit, own, parent, position, text);
    expect_ok(cb_git_ref_swap(own, ref, &oid, parent, test_error()));
    return oid;
}

/*
 * A transport that passes on to the real one, and does something when a given
 * number of calls has been made.
 */
typedef struct meddler {
    cb_transport transport;
    int calls;
    int act_at;
    void (*act)(void);
    bool has_changed;
} meddler;

typedef struct meddled_stream {
    meddler *owner;
    void *stream;
} meddled_stream;

static void count_call(meddler *owner)
{
    owner->calls++;
    if (owner->calls == owner->act_at) {
        owner->act();
    }
}

static cb_status meddle_connect(void *context, const char *repository,
                                cb_git_service service, void **ret_stream,
                                cb_error *reterr_error)
{
    meddled_stream *stream = calloc(1, sizeof *stream);
    cr_assert(stream != NULL);
    stream->owner = context;
    count_call(context);
    cb_status status = transport->connect(
        transport->context, repository, service, &stream->stream, reterr_error);
    if (status != CB_OK) {
        free(stream);
        return status;
    }
    *ret_stream = stream;
    return CB_OK;
}

static cb_status meddle_read(void *stream_pointer, void *bytes, size_t size,
                             size_t *ret_size, cb_error *reterr_error)
{
    meddled_stream *stream = stream_pointer;
    count_call(stream->owner);
    return transport->read(stream->stream, bytes, size, ret_size, reterr_error);
}

static cb_status meddle_write(void *stream_pointer, cb_span bytes,
                              cb_error *reterr_error)
{
    meddled_stream *stream = stream_pointer;
    count_call(stream->owner);
    return transport->write(stream->stream, bytes, reterr_error);
}

static void meddle_disconnect(void *stream_pointer)
{
    meddled_stream *stream = stream_pointer;
    count_call(stream->owner);
    transport->disconnect(stream->stream);
    free(stream);
}

static void meddle_init(meddler *owner, int act_at, void (*act)(void))
{
    *owner = (meddler){
        .transport = {
            .context = owner,
            .name = "the meddler",
            .connect = meddle_connect,
            .read = meddle_read,
            .write = meddle_write,
            .disconnect = meddle_disconnect,
        },
        .act_at = act_at,
        .act = act,
    };
}

Test(git_transport, an_address_is_a_folder_or_a_file_url)
{
    static const struct {
        const char *address;
        cb_status status;
    } rows[] = {
        { "/srv/log", CB_OK },
        { "relative/folder", CB_OK },
        { "./with:colon", CB_OK },
        { "file:///srv/my%20log", CB_OK },
        { "", CB_INPUT },
        { "-oProxyCommand=x", CB_INPUT },
        { "host:path", CB_INPUT },
        { "ssh://host/log", CB_INPUT },
        { "https://host/log", CB_INPUT },
        { "ext::sh -c x", CB_INPUT },
        { "file://host/log", CB_INPUT },
        { "file://relative", CB_INPUT },
        { "file:///a%00b", CB_INPUT },
        { "file:///a%0ab", CB_INPUT },
        { "file:///a%zz", CB_INPUT },
        { "file:///a%2", CB_INPUT },
        { "/srv/\033[2J", CB_INPUT },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cb_transport *other = NULL;
        cb_error_clear(test_error());
        cb_status status =
            cb_transport_open(rows[i].address, &other, test_error());
        cr_expect(status == rows[i].status, "'%s' gave %s", rows[i].address,
                  test_describe(status));
        if (status != CB_OK) {
            expect_contains(test_error()->meaning, "file:///srv/log");
        }
        cb_transport_close(other);
    }
}

Test(git_transport, an_address_without_a_log_is_unreachable)
{
    static const char *const rows[] = { "absent", "absent/deeper", "a-file",
                                        "empty", "half" };
    cb_git_oid oids[3];
    cb_git_ref_list list = { 0 };
    git_kit_stream(&kit, own, REF, oids);
    git_kit_write(&kit, "a-file", "text");
    cr_assert(run("mkdir -p empty half/log.git/objects") == 0);

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cb_transport *other = NULL;
        expect_ok(cb_transport_open(git_kit_path(&kit, rows[i]), &other,
                                    test_error()));
        expect_status(CB_UNREACHABLE,
                      push_over(other, CB_GIT_LOG, REF, false, NULL));
        expect_contains(test_error()->what, rows[i]);
        expect_status(CB_UNREACHABLE,
                      cb_transport_list(other, CB_GIT_LOG, "refs/", 10, &list,
                                        test_error()));
        cb_transport_close(other);
    }
}

Test(git_transport, a_log_that_may_not_be_written_is_a_matter_of_permission)
{
    cb_git_oid oids[3];
    git_kit_stream(&kit, own, REF, oids);
    cr_assert(run("chmod 755 . && chmod -R a+rX . && chmod -R a-w host") == 0);
    if (geteuid() == 0) {
        cr_assert(run("chown -R 65534 host") == 0 && seteuid(65534) == 0);
    }

    cb_status status = push(REF);

    if (getuid() == 0) {
        cr_assert(seteuid(0) == 0);
    }
    cr_expect(status == CB_PERMISSION, "%s", test_describe(status));
    cr_assert(run("chmod -R u+w host") == 0);
}

Test(git_transport, a_push_is_confirmed_and_the_next_one_has_nothing_to_do)
{
    cb_git_oid oids[3];
    cb_git_push_result result;
    cb_git_ref_list list = { 0 };
    git_kit_stream(&kit, own, REF, oids);
    git_kit_stream(&kit, own, OTHER_REF, oids);

    expect_ok(push_over(transport, CB_GIT_LOG, REF, false, &result));
    cr_expect(!result.already && !result.had_before && result.attempts == 1);
    expect_host_ref(REF, &oids[2]);
    expect_ok(push_over(transport, CB_GIT_LOG, REF, false, &result));
    cr_expect(result.already && result.had_before);

    cb_git_oid next = advance(REF, &oids[2], 3, "fourth");
    expect_ok(push_over(transport, CB_GIT_LOG, REF, false, &result));
    cr_expect(!result.already && result.had_before &&
              cb_git_oid_equal(&result.before, &oids[2]));
    expect_host_ref(REF, &next);
    expect_ok(push(OTHER_REF));
    expect_ok(cb_transport_list(transport, CB_GIT_LOG, "refs/heads/device/", 2,
                                &list, test_error()));
    cr_expect(list.count == 2 && cb_git_oid_equal(&list.items[0].oid, &next));
    cb_git_ref_list_clear(&list);
    expect_status(CB_LIMIT, cb_transport_list(transport, CB_GIT_LOG, "refs/", 1,
                                              &list, test_error()));
    expect_host_is_whole();
    expect_status(CB_NOT_FOUND, push("refs/heads/device/none"));
}

Test(git_transport, the_words_of_a_refusing_hook_arrive)
{
    cb_git_oid oids[3];
    cb_git_push_result result = { 0 };
    git_kit_stream(&kit, own, REF, oids);
    expect_ok(cb_git_host_install_hook(
        git_kit_path(&kit, "host"),
        "#!/bin/sh\n"
        "printf 'entry 7 does not verify\\033[2J\\n' >&2\nexit 1\n",
        test_error()));

    expect_status(CB_REFUSED,
                  push_over(transport, CB_GIT_LOG, REF, false, &result));

    expect_contains(test_error()->what, "hook declined");
    expect_contains(test_error()->meaning, "entry 7 does not verify");
    expect_contains(result.words.text, "entry 7 does not verify");
    cr_expect(strchr(result.words.text, '\033') == NULL);
    cr_expect(run("git -C host/log.git rev-parse --verify " REF) != 0);
}

Test(git_transport, a_talkative_hook_neither_blocks_nor_fills_memory)
{
    cb_git_oid oids[3];
    cb_git_push_result result = { 0 };
    git_kit_stream(&kit, own, REF, oids);
    expect_ok(cb_git_host_install_hook(git_kit_path(&kit, "host"),
                                       "#!/bin/sh\n"
                                       "yes word | head -c 3000000 >&2\n"
                                       "exit 1\n",
                                       test_error()));

    expect_status(CB_REFUSED,
                  push_over(transport, CB_GIT_LOG, REF, false, &result));

    cr_expect(result.words.size < sizeof result.words.text);
}

Test(git_transport, a_rewritten_history_is_refused)
{
    cb_git_oid oids[3];
    git_kit_stream(&kit, own, REF, oids);
    expect_ok(push(REF));
    cb_git_oid rewritten = git_kit_commit(&kit, own, &oids[0], 1, "rewritten");
    expect_ok(cb_git_ref_swap(own, REF, &rewritten, &oids[2], test_error()));

    expect_status(CB_REFUSED, push(REF));
    expect_host_ref(REF, &oids[2]);
    expect_ok(cb_git_ref_swap(own, REF, &oids[1], &rewritten, test_error()));
    expect_status(CB_REFUSED, push(REF));
    expect_host_ref(REF, &oids[2]);
    expect_status(CB_REFUSED,
                  push_over(transport, CB_GIT_LOG, REF, true, NULL));
    expect_host_ref(REF, &oids[2]);
}

static cb_git_oid rival_tip;

/* Somebody else pushes to the same ref, in the middle of our push. */
static void push_as_rival(void)
{
    cb_git_repository *repository = NULL;
    cb_git_oid before;
    expect_ok(cb_git_repository_create(git_kit_path(&kit, "rival.git"), REF,
                                       &repository, test_error()));
    expect_ok(cb_git_ref_get(own, "refs/heads/start", &before, test_error()));
    cr_assert(run("git -C rival.git fetch -q ../own.git refs/heads/start") == 0,
              "%s", output);
    rival_tip = git_kit_commit(&kit, repository, &before, 3, "rival");
    expect_ok(cb_git_ref_swap(repository, REF, &rival_tip, NULL, test_error()));
    const cb_git_push_request request = {
        .transport = transport,
        .repository = CB_GIT_LOG,
        .local_ref = REF,
        .remote_ref = REF,
    };
    expect_ok(cb_git_push(repository, &request, NULL, test_error()));
    cb_git_repository_close(repository);
}

Test(git_transport, of_two_at_once_on_one_ref_one_is_refused_and_none_lost)
{
    cb_git_oid oids[3];
    cb_git_push_result result = { 0 };
    meddler rival;
    git_kit_stream(&kit, own, REF, oids);
    expect_ok(
        cb_git_ref_swap(own, "refs/heads/start", &oids[2], NULL, test_error()));
    expect_ok(push(REF));
    (void)advance(REF, &oids[2], 3, "ours");
    meddle_init(&rival, 4, push_as_rival);

    expect_status(CB_REFUSED,
                  push_over(&rival.transport, CB_GIT_LOG, REF, false, &result));

    /* The first answer was about the moved ref, the second about its history.
     */
    cr_expect(result.attempts == 2, "%d attempts", result.attempts);
    expect_host_ref(REF, &rival_tip);
    expect_host_is_whole();
}

static void die(void)
{
    (void)raise(SIGKILL);
}

Test(git_transport, a_push_killed_anywhere_is_made_good_by_the_next)
{
    enum {
        CALLS_MAX = 60
    };

    cb_git_oid oids[3];
    int kills = 0;
    git_kit_stream(&kit, own, REF, oids);
    cb_git_oid tip = oids[2];
    expect_ok(push(REF));

    for (int at = 1; at < CALLS_MAX; at++) {
        int status = 0;
        char text[32];
        snprintf(text, sizeof text, "segment %d", at);
        tip = advance(REF, &tip, (uint64_t)at + 2, text);
        pid_t child = fork();
        cr_assert(child >= 0);
        if (child == 0) {
            meddler killer;
            meddle_init(&killer, at, die);
            (void)push_over(&killer.transport, CB_GIT_LOG, REF, false, NULL);
            _exit(0);
        }
        cr_assert(waitpid(child, &status, 0) == child);
        expect_ok(push(REF));
        expect_host_ref(REF, &tip);
        if (!WIFSIGNALED(status)) {
            break;
        }
        kills++;
    }
    cr_expect(kills >= 6, "only %d kills", kills);
    expect_host_is_whole();
}

Test(git_transport, a_lock_left_by_a_killed_push_is_taken_away_in_time)
{
    static const char lock[] = "host/log.git/" REF ".lock";
    cb_git_oid oids[3];
    cb_git_push_result result = { 0 };
    git_kit_stream(&kit, own, REF, oids);
    expect_ok(push(REF));
    cb_git_oid next = advance(REF, &oids[2], 3, "next");
    git_kit_write(&kit, lock, "");

    expect_status(CB_UNREACHABLE,
                  push_over(transport, CB_GIT_LOG, REF, false, &result));
    cr_expect(result.attempts > 1);
    expect_host_ref(REF, &oids[2]);

    cr_assert(run("touch -d '2 minutes ago' %s", lock) == 0);
    expect_ok(push(REF));
    expect_host_ref(REF, &next);
}

Test(git_transport, a_broken_conversation_is_unreachable)
{
    cb_git_oid oids[3];
    cb_git_fetch *fetch = NULL;
    git_kit_stream(&kit, own, REF, oids);
    expect_ok(push(REF));
    cr_assert(run("chmod u+w host/log.git/HEAD && rm host/log.git/HEAD") == 0);

    const cb_git_fetch_request request = {
        .transport = transport,
        .repository = CB_GIT_LOG,
        .remote_ref = REF,
    };
    expect_status(CB_UNREACHABLE,
                  cb_git_fetch_begin(own, &request, &fetch, test_error()));
    expect_status(CB_UNREACHABLE, push(REF));
}

Test(git_transport, more_than_the_host_takes_is_refused_in_its_own_words)
{
    enum {
        BIG_BYTES = 6 * 1000 * 1000
    };

    cb_git_push_result result = { 0 };
    cb_git_oid oid;
    uint32_t state = 1;
    uint8_t *bytes = calloc(1, BIG_BYTES);
    cr_assert(bytes != NULL);
    for (size_t i = 0; i < BIG_BYTES; i++) {
        state = state * 1664525 + 1013904223;
        bytes[i] = (uint8_t)(state >> 24);
    }
    const cb_git_file file = {
        .path = "segment",
        .content = { bytes, BIG_BYTES },
    };
    const cb_git_commit_plan plan = {
        .files = &file,
        .file_count = 1,
        .message = "segment\n",
        .secret_key = kit.key,
    };
    expect_ok(cb_git_commit_create(own, &plan, &oid, test_error()));
    expect_ok(cb_git_ref_swap(own, REF, &oid, NULL, test_error()));
    free(bytes);
    cr_assert(run("git -C host/log.git config receive.maxInputSize 100k") == 0);

    expect_status(CB_REFUSED,
                  push_over(transport, CB_GIT_LOG, REF, false, &result));

    expect_contains(test_error()->meaning, "maximum allowed size");
    cr_assert(run("git -C host/log.git config receive.maxInputSize 64m") == 0);
    expect_ok(push(REF));
    expect_host_is_whole();
}

/* A host that answers about a ref that nobody asked it to move. */
static cb_status answer_another_ref(void *stream_pointer, void *bytes,
                                    size_t size, size_t *ret_size,
                                    cb_error *reterr_error)
{
    static const char answer[] = "ok " REF;
    meddled_stream *stream = stream_pointer;
    char *text = bytes;
    cb_status status =
        transport->read(stream->stream, bytes, size, ret_size, reterr_error);
    for (size_t i = 0; status == CB_OK && i + sizeof answer <= *ret_size; i++) {
        if (memcmp(text + i, answer, sizeof answer - 1) == 0) {
            text[i + sizeof answer - 2] ^= 1;
            stream->owner->has_changed = true;
        }
    }
    return status;
}

Test(git_transport, an_answer_about_another_ref_confirms_nothing)
{
    cb_git_oid oids[3];
    meddler liar;
    git_kit_stream(&kit, own, REF, oids);
    meddle_init(&liar, -1, die);
    liar.transport.read = answer_another_ref;

    expect_status(CB_UNREACHABLE,
                  push_over(&liar.transport, CB_GIT_LOG, REF, false, NULL));
    cr_expect(liar.has_changed);
}
