/* SPDX-License-Identifier: Apache-2.0 */
/* What the log host takes as mail, and what it does not. */
#include "git/commit.h"
#include "git/hosting.h"
#include "git/push.h"
#include "session/mailbox.h"
#include "support/sync_scene.h"

TestSuite(sync_mail, .init = begin, .fini = end, .timeout = 120);

/* A mail commit that somebody else may have made. */
typedef struct planted_mail {
    const char *name; /* of the row */
    char ref[CB_GIT_REF_TEXT_BYTES];
    const char *file; /* NULL: "keys" */
    bool two_files;
    bool has_parent;
    const cb_secret *key;
    cb_span message;
    const char *words; /* NULL: taken */
} planted_mail;

static cb_ref_name mailbox(const char *prefix, const cb_store *store)
{
    const cb_store_identity identity = identity_of(store);
    return cb_ref_make(prefix, identity.device.bytes);
}

/* What lies in a mailbox. */
static void take_copy(const char *ref, cb_buffer *message)
{
    char path[STORE_KIT_PATH_BYTES];
    cb_git_repository *repository = NULL;
    cb_git_commit commit;
    cb_git_oid oid;
    cb_buffer_init(message, CB_MAIL_BYTES_MAX);
    expect_ok(cb_git_begin(test_error()));
    expect_ok(cb_git_repository_open(
        store_kit_path(&kit.stores, "log/" CB_GIT_MAIL, path), &repository,
        test_error()));
    expect_ok(cb_git_ref_get(repository, ref, &oid, test_error()));
    expect_ok(cb_git_commit_read(repository, &oid, &commit, test_error()));
    expect_ok(cb_git_file_read(repository, &commit.tree, CB_KEYS_FILE,
                               CB_MAIL_BYTES_MAX, message, test_error()));
    cb_git_commit_clear(&commit);
    cb_git_repository_close(repository);
    cb_git_end();
}

static void commit_mail(cb_git_repository *repository, const planted_mail *mail,
                        cb_git_oid *ret_oid)
{
    const cb_git_file files[] = {
        { .path = mail->file == NULL ? CB_KEYS_FILE : mail->file,
          .content = mail->message },
        { .path = "more", .content = mail->message },
    };
    cb_git_commit_plan plan = { .files = files,
                                .file_count = mail->two_files ? 2 : 1,
                                .message = "mail\n",
                                .secret_key = mail->key };
    expect_ok(cb_git_commit_create(repository, &plan, ret_oid, test_error()));
    if (mail->has_parent) {
        const cb_git_oid parent = *ret_oid;
        plan.parent = &parent;
        plan.position = 1;
        expect_ok(
            cb_git_commit_create(repository, &plan, ret_oid, test_error()));
    }
}

static cb_status push_mail(const planted_mail *mail)
{
    char path[STORE_KIT_PATH_BYTES];
    cb_git_repository *repository = NULL;
    cb_transport *transport = NULL;
    cb_git_oid oid;
    run("rm -rf planted.git");
    expect_ok(cb_git_begin(test_error()));
    expect_ok(cb_git_repository_create(
        store_kit_path(&kit.stores, "planted.git", path), "refs/heads/none",
        &repository, test_error()));
    commit_mail(repository, mail, &oid);
    expect_ok(
        cb_place_point(repository, "refs/heads/mail", &oid, test_error()));
    expect_ok(cb_transport_open(kit.log, &transport, test_error()));
    const cb_git_push_request request = { .transport = transport,
                                          .repository = CB_GIT_MAIL,
                                          .local_ref = "refs/heads/mail",
                                          .remote_ref = mail->ref,
                                          .replace = true };
    cb_error_clear(test_error());
    cb_status status = cb_git_push(repository, &request, NULL, test_error());
    cb_transport_close(transport);
    cb_git_repository_close(repository);
    cb_git_end();
    return status;
}

static void expect_row(const planted_mail *mail)
{
    cb_status status = push_mail(mail);
    if (mail->words == NULL) {
        cr_expect(status == CB_OK, "%s: %s", mail->name, test_describe(status));
        return;
    }
    cr_expect(status == CB_REFUSED, "%s: %s", mail->name,
              test_describe(status));
    cr_expect(strstr(test_error()->meaning, mail->words) != NULL, "%s: %s",
              mail->name, test_error()->meaning);
}

static planted_mail row(const char *name, cb_ref_name ref, const cb_secret *key,
                        cb_span message, const char *words)
{
    planted_mail mail = {
        .name = name, .key = key, .message = message, .words = words
    };
    (void)snprintf(mail.ref, sizeof mail.ref, "%s", ref.text);
    return mail;
}

static void expect_forms(cb_span message)
{
    const cb_secret *key = cb_exchange_device_key(anna);
    const cb_ref_name up = mailbox(CB_REF_UP_PREFIX, anna);
    const cb_span braces = cb_span_of_text("{}");
    planted_mail mail = row("another ref", (cb_ref_name){ "refs/heads/mine" },
                            key, message, "not a mailbox");
    expect_row(&mail);
    mail = row("a ref of no device", (cb_ref_name){ "refs/heads/up/anna" }, key,
               message, "not a mailbox");
    expect_row(&mail);
    mail = row("two commits", up, key, message, "without a history");
    mail.has_parent = true;
    expect_row(&mail);
    mail = row("another file", up, key, message, "other files");
    mail.file = "key";
    expect_row(&mail);
    mail = row("two files", up, key, message, "other files");
    mail.two_files = true;
    expect_row(&mail);
    mail = row("no message", up, key, braces, "not complete");
    expect_row(&mail);
    mail = row("no canonical JSON", up, key, cb_span_of_text("keys"),
               "not the JSON");
    expect_row(&mail);
}

Test(sync_mail, the_log_host_takes_only_what_belongs_into_the_box)
{
    cb_buffer sent;
    cb_buffer received;
    cb_buffer huge;
    (void)settled_case();
    const cb_ref_name up = mailbox(CB_REF_UP_PREFIX, anna);
    const cb_ref_name down = mailbox(CB_REF_DOWN_PREFIX, anna);
    const cb_ref_name others_up = mailbox(CB_REF_UP_PREFIX, bert);
    const cb_ref_name others_down = mailbox(CB_REF_DOWN_PREFIX, bert);
    const cb_secret *annas = cb_exchange_device_key(anna);
    const cb_secret *hubs = cb_exchange_device_key(kit.hub);
    take_copy(up.text, &sent);
    take_copy(down.text, &received);
    const cb_span from_anna = cb_span_of_buffer(&sent);
    const cb_span to_anna = cb_span_of_buffer(&received);
    cb_buffer_init(&huge, (size_t)CB_MAIL_BYTES_MAX + 1);
    memset(cb_buffer_extend(&huge, (size_t)CB_MAIL_BYTES_MAX + 1), 'x',
           (size_t)CB_MAIL_BYTES_MAX + 1);

    expect_forms(from_anna);
    const planted_mail rows[] = {
        row("too much", up, annas, cb_span_of_buffer(&huge), "larger than"),
        row("down, by a device", down, annas, to_anna, "only the hub"),
        row("down, for another device", others_down, hubs, to_anna,
            "another mailbox"),
        row("down, not the hub's message", down, hubs, from_anna,
            "another mailbox"),
        row("up, from another device", others_up, annas, from_anna,
            "another mailbox"),
        row("up, signed by another", up, cb_exchange_device_key(bert),
            from_anna, "does not verify"),
        row("up, as it was", up, annas, from_anna, NULL),
        row("down, as it was", down, hubs, to_anna, NULL),
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        expect_row(&rows[i]);
    }
    cb_buffer_clear(&sent);
    cb_buffer_clear(&received);
    cb_buffer_clear(&huge);

    (void)store_kit_case(bert);
    (void)sync_kit_sync(&kit, bert);
    merge();
    (void)sync_kit_sync(&kit, bert);
    cr_expect(identity_of(bert).accepted_seq == identity_of(bert).head_seq);
    run("git -C log/mail.git fsck --strict");
}

Test(sync_mail, a_mailbox_is_not_removed)
{
    (void)settled_case();
    int code =
        sync_kit_run(&kit, output, sizeof output,
                     "git -C anna/outgoing.git push -q ../../log/mail.git :%s",
                     mailbox(CB_REF_UP_PREFIX, anna).text);
    cr_expect(code != 0 && strstr(output, "never removed") != NULL, "%s",
              output);
    run("git -C log/mail.git rev-parse refs/heads/up/*");
}

/* More refs than are listed would stop every sync and every merge. */
Test(sync_mail, there_are_only_so_many_mailboxes)
{
    (void)settled_case();
    int code = sync_kit_run(
        &kit, output, sizeof output,
        "cd log/mail.git && O=$(git rev-parse %s) && git pack-refs --all && "
        "sed -i '/^#/d' packed-refs && seq %d | awk -v o=$O "
        "'{ printf \"%%s refs/heads/up/%%032x\\n\", o, $1 }' >> packed-refs",
        mailbox(CB_REF_UP_PREFIX, anna).text, CB_REFS_MAX / 4 * 3);
    cr_assert(code == 0, "%s", output);
    (void)store_kit_case(bert);
    (void)expect_sync(bert, CB_REFUSED, "");
    cr_expect(strstr(test_error()->meaning, "as many mailboxes") != NULL, "%s",
              test_error()->meaning);
    /* Whoever has one keeps it. */
    (void)store_kit_case(anna);
    (void)sync_kit_sync(&kit, anna);
}

/* Killed between the two repositories: the next attempt finishes. */
Test(sync_mail, a_host_that_was_cut_off_is_finished)
{
    run("rm -rf log/mail.git log/log.git/casebound-realm");
    expect_ok(cb_hub_create(kit.hub, CASEBOUND_CHECK_PUSH, test_error()));
    run("test -x log/mail.git/hooks/pre-receive && "
        "test -r log/mail.git/casebound-mail");
    (void)settled_case();
}
