/* SPDX-License-Identifier: Apache-2.0 */
#include "carry.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void step(void *context, const char *phase, uint64_t done,
                 uint64_t total)
{
    cb_cli_carry *carry = context;
    if (carry->phase == NULL || strcmp(carry->phase, phase) != 0) {
        cb_cli_carry_end(carry);
        carry->phase = phase;
        cb_cli_progress_begin(&carry->line, carry->session, phase, "entries",
                              total);
    }
    cb_cli_progress_update(&carry->line, done, 0);
}

static bool is_interrupted(void *context)
{
    const cb_cli_carry *carry = context;
    return carry->session->world->is_interrupted();
}

void cb_cli_carry_begin(cb_cli_carry *carry, const cb_cli_session *session)
{
    *carry = (cb_cli_carry){ .session = session };
    carry->progress = (cb_sync_progress){ .context = carry,
                                          .step = step,
                                          .interrupted = is_interrupted };
}

void cb_cli_carry_end(cb_cli_carry *carry)
{
    if (carry->phase != NULL) {
        cb_cli_progress_end(&carry->line);
    }
}

const char *cb_cli_count(char text[CB_CLI_COUNT_BYTES], uint64_t count,
                         const char *one, const char *many)
{
    (void)snprintf(text, CB_CLI_COUNT_BYTES, "%" PRIu64 " %s", count,
                   count == 1 ? one : many);
    return text;
}

cb_status cb_cli_open_conflicts(cb_store *store, size_t *ret_count,
                                cb_error *reterr_error)
{
    json_t *document = NULL;
    cb_status status =
        cb_store_issue_list(store, "conflict", NULL, &document, reterr_error);
    if (status == CB_OK) {
        *ret_count = json_array_size(json_object_get(document, "conflicts"));
        json_decref(document);
    }
    return status;
}
