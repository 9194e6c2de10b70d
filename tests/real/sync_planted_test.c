/* SPDX-License-Identifier: Apache-2.0 */
/* What somebody puts into the log so that others are held up. */
#include <sys/stat.h>
#include <unistd.h>

#include "git/hosting.h"
#include "hub/realm_file.h"
#include "session/place.h"
#include "support/sync_scene.h"

TestSuite(sync_planted, .init = begin, .fini = end, .timeout = 120);

#define NOBODY "0123456789abcdef0123456789abcdef"

Test(sync_planted, what_the_hub_has_signed_stays_in_the_branch_it_is_for)
{
    static const struct {
        const char *name;
        const char *source; /* a repository and what of it, with Anna as $A */
        const char *target;
        const char *words;
    } rows[] = {
        { "the log as an outbox", "log.git refs/heads/log",
          "refs/heads/outbox/" NOBODY, "receipt" },
        { "another's outbox", "log.git refs/heads/outbox/$A",
          "refs/heads/outbox/" NOBODY, "another device" },
        { "mail as an outbox", "mail.git refs/heads/down/$A",
          "refs/heads/outbox/" NOBODY, "receipt" },
        { "an outbox as the log", "log.git refs/heads/outbox/$A",
          "refs/heads/log", "" },
    };

    (void)settled_case();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int code = sync_kit_run(
            &kit, output, sizeof output,
            "A=%s; set -- %s; rm -rf x.git; git clone -q --mirror log/$1 x.git "
            "&& git -C x.git push -q ../log/log.git $2:%s",
            device_hex(anna), rows[i].source, rows[i].target);
        cr_expect(code != 0, "%s was taken", rows[i].name);
        cr_expect(strstr(output, rows[i].words) != NULL, "%s: %s", rows[i].name,
                  output);
    }
    /* Where there is no log yet, an outbox is none either. */
    run("git -C log/log.git update-ref -d refs/heads/log");
    int code = sync_kit_run(&kit, output, sizeof output,
                            "rm -rf x.git; git clone -q --mirror log/log.git "
                            "x.git && git -C x.git push -q ../log/log.git "
                            "refs/heads/outbox/%s:refs/heads/log",
                            device_hex(anna));
    cr_expect(code != 0 && strstr(output, "checkpoint") != NULL, "%s", output);
    merge();
}

Test(sync_planted, an_outbox_that_is_not_the_devices_holds_up_nobody_else)
{
    static const char *const sources[] = { "refs/heads/log",
                                           "refs/heads/outbox/$A" };
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        char newcomer[CB_IDENTIFIER_TEXT_BYTES];
        if (i > 0) {
            end();
            begin();
        }
        (void)settled_case();
        cb_store *cleo = sync_kit_device(&kit, "cleo");
        (void)store_kit_case(cleo);
        (void)sync_kit_sync(&kit, cleo);
        (void)store_kit_case(bert);
        (void)sync_kit_sync(&kit, bert);
        (void)snprintf(newcomer, sizeof newcomer, "%s", device_hex(cleo));
        int code = sync_kit_run(&kit, output, sizeof output,
                                "A=%s; cd log/log.git && git update-ref "
                                "refs/heads/outbox/%s $(git rev-parse %s)",
                                device_hex(anna), newcomer, sources[i]);
        cr_assert(code == 0, "%s", output);

        cb_hub_report report = sync_kit_merge(&kit);
        size_t said = 0;
        for (size_t k = 0; k < report.stream_count; k++) {
            const cb_hub_stream_report *row = &report.streams[k];
            if (row->status != CB_OK) {
                said++;
                cr_expect(row->status == CB_DAMAGED &&
                              strstr(row->reason, "outbox") != NULL,
                          "%s", row->reason);
            }
        }
        cr_expect(said == 1, "row %zu: said %zu times", i, said);
        cb_hub_report_clear(&report);
        (void)sync_kit_sync(&kit, bert);
        cr_expect(identity_of(bert).accepted_seq == identity_of(bert).head_seq);
        cb_store_close(cleo);
    }
}

Test(sync_planted, a_branch_that_lost_its_objects_holds_up_nobody_else)
{
    (void)settled_case();
    (void)store_kit_case(anna);
    (void)sync_kit_sync(&kit, anna);
    (void)store_kit_case(bert);
    (void)sync_kit_sync(&kit, bert);
    int code = sync_kit_run(
        &kit, output, sizeof output,
        "cd log/log.git && O=$(git rev-parse refs/heads/device/%s:segment) && "
        "rm -f objects/$(echo $O | cut -c1-2)/$(echo $O | cut -c3-) && "
        "! git cat-file -e $O",
        stream_hex(anna));
    cr_assert(code == 0, "%s", output);

    cb_hub_report report = sync_kit_merge(&kit);
    cr_expect(report.refused_streams == 1);
    for (size_t k = 0; k < report.stream_count; k++) {
        const cb_hub_stream_report *row = &report.streams[k];
        cr_expect(row->status == (row->accepted > 0 ? CB_OK : CB_UNREACHABLE),
                  "%s", row->reason);
    }
    cr_expect(report.accepted == identity_of(bert).head_seq);
    cb_hub_report_clear(&report);
    (void)sync_kit_sync(&kit, bert);
    cr_expect(identity_of(bert).accepted_seq == identity_of(bert).head_seq);
}

Test(sync_planted, an_outbox_that_lost_its_objects_stops_no_sending)
{
    (void)settled_case();
    (void)store_kit_case(anna);
    (void)sync_kit_sync(&kit, anna);
    merge();
    (void)store_kit_case(anna);
    int code = sync_kit_run(
        &kit, output, sizeof output,
        "cd log/log.git && O=$(git rev-parse refs/heads/outbox/%s:receipt) && "
        "rm -f objects/$(echo $O | cut -c1-2)/$(echo $O | cut -c3-) && "
        "! git cat-file -e $O",
        device_hex(anna));
    cr_assert(code == 0, "%s", output);
    cb_sync_report report = expect_sync(anna, CB_UNREACHABLE, "");
    cr_expect(report.sent_entries > 0 && report.receipts == 0);
    cr_expect(report.safe_seq < report.head_seq);
}

/* Somebody who may write to mail.git puts his own in place of all mail. */
static void spoil_mail(void)
{
    run("cd log/mail.git && T=$(git mktree </dev/null) && for R in $(git "
        "for-each-ref --format='%(refname)'); do git update-ref $R $(git -c "
        "user.name=x -c user.email=x@y commit-tree -m x $T); done");
}

Test(sync_planted, keys_that_somebody_threw_away_are_sent_again)
{
    (void)settled_case();
    (void)store_kit_case(anna);
    (void)sync_kit_sync(&kit, anna);
    spoil_mail();
    cb_hub_report report = sync_kit_merge(&kit);
    cr_expect(report.refused_streams == 0 && report.keys_received == 0);
    cb_hub_report_clear(&report);
    cb_sync_report synced = sync_kit_sync(&kit, anna);
    cr_expect(synced.sent_keys);
    report = sync_kit_merge(&kit);
    cr_expect(report.keys_received > 0);
    cb_hub_report_clear(&report);
    /* And the hub's own: a newcomer's, spoilt before it was fetched. */
    cb_store *cleo = sync_kit_device(&kit, "cleo");
    (void)store_kit_case(cleo);
    (void)sync_kit_sync(&kit, cleo);
    merge();
    spoil_mail();
    merge();
    run("cd log/mail.git && git for-each-ref refs/heads/down && for R in $(git "
        "for-each-ref --format='%(refname)' refs/heads/down); do git cat-file "
        "-e $R:keys || exit 1; done");
    cb_store_close(cleo);
}

Test(sync_planted, everybody_who_pushes_may_read_whose_log_it_is)
{
    struct stat found;
    char path[STORE_KIT_PATH_BYTES];
    cr_assert(stat(store_kit_path(&kit.stores,
                                  "log/" CB_GIT_LOG "/" CB_REALM_FILE, path),
                   &found) == 0);
    cr_expect((found.st_mode & 0777) == 0644);
}
