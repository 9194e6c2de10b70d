/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scene that tests of a sync start from: a hub with its log host, Anna and
 * Bert.  For one test file each: its variables are that file's own.
 */
#ifndef CASEBOUND_TESTS_SYNC_SCENE_H
#define CASEBOUND_TESTS_SYNC_SCENE_H

#include <stdlib.h>

#include "support/expect.h"
#include "support/sync_kit.h"

static sync_kit kit;
static cb_store *anna;
static cb_store *bert;
static char output[65536];

static inline void begin(void)
{
    sync_kit_begin(&kit, CASEBOUND_CHECK_PUSH);
    anna = sync_kit_device(&kit, "anna");
    bert = sync_kit_device(&kit, "bert");
}

static inline void end(void)
{
    cb_store_close(anna);
    cb_store_close(bert);
    sync_kit_end(&kit);
}

static inline cb_store_identity identity_of(const cb_store *store)
{
    cb_store_identity identity;
    cb_store_identify(store, &identity);
    return identity;
}

static inline void run(const char *command)
{
    int code = sync_kit_run(&kit, output, sizeof output, "%s", command);
    cr_assert(code == 0, "'%s' ended with %d: %s", command, code, output);
}

static inline void merge(void)
{
    cb_hub_report report = sync_kit_merge(&kit);
    cr_expect(report.refused_streams == 0, "%s",
              report.stream_count > 0 ? report.streams[0].reason : "");
    cb_hub_report_clear(&report);
}

/* A case of Anna's that has a receipt. */
static inline cb_case_id settled_case(void)
{
    cb_case_id case_id = store_kit_case(anna);
    (void)sync_kit_sync(&kit, anna);
    merge();
    (void)sync_kit_sync(&kit, anna);
    cr_assert(identity_of(anna).accepted_seq == identity_of(anna).head_seq);
    return case_id;
}

static inline cb_sync_report expect_sync(cb_store *store, cb_status wanted,
                                         const char *words)
{
    cb_sync_report report;
    cb_status status = sync_kit_try_sync(&kit, store, &report, test_error());
    cr_expect(status == wanted, "%s", test_describe(status));
    cr_expect(strstr(test_error()->what, words) != NULL, "'%s' is not in '%s'",
              words, test_error()->what);
    cr_expect(test_error()->meaning[0] != '\0' &&
              test_error()->next[0] != '\0');
    return report;
}

static inline const char *device_hex(const cb_store *store)
{
    static char hex[CB_IDENTIFIER_TEXT_BYTES];
    const cb_store_identity identity = identity_of(store);
    cb_hex_format(identity.device.bytes, sizeof identity.device.bytes, hex);
    return hex;
}

static inline const char *stream_hex(const cb_store *store)
{
    static char hex[CB_IDENTIFIER_TEXT_BYTES];
    const cb_store_identity identity = identity_of(store);
    cb_hex_format(identity.stream.bytes, sizeof identity.stream.bytes, hex);
    return hex;
}

#endif
