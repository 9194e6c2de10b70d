/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/merge.h"

#include <stdio.h>
#include <stdlib.h>

cb_mark_name cb_mark_for(const char *prefix, const cb_device_id *device)
{
    char hex[CB_IDENTIFIER_TEXT_BYTES];
    cb_mark_name name;
    cb_hex_format(device->bytes, sizeof device->bytes, hex);
    (void)snprintf(name.text, sizeof name.text, "%s.%s", prefix, hex);
    return name;
}

/* Room for one more, or NULL with the error set. */
static void *grow(void *items, size_t count, size_t *capacity, size_t item_size,
                  cb_error *error)
{
    if (count < *capacity) {
        return items;
    }
    size_t wanted = *capacity == 0 ? 32 : 2 * *capacity;
    void *grown = realloc(items, wanted * item_size);
    if (grown == NULL) {
        (void)cb_error_set(error, CB_NO_MEMORY, "out of memory");
        return NULL;
    }
    *capacity = wanted;
    return grown;
}

static cb_status add_device(void *context, const cb_device_facts *facts,
                            cb_error *error)
{
    cb_device_list *list = context;
    void *grown = grow(list->items, list->count, &list->capacity,
                       sizeof *list->items, error);
    if (grown == NULL) {
        return CB_NO_MEMORY;
    }
    list->items = grown;
    list->items[list->count++] = *facts;
    return CB_OK;
}

static cb_status add_stream(void *context, const cb_stream_facts *facts,
                            cb_error *error)
{
    cb_stream_list *list = context;
    void *grown = grow(list->items, list->count, &list->capacity,
                       sizeof *list->items, error);
    if (grown == NULL) {
        return CB_NO_MEMORY;
    }
    list->items = grown;
    list->items[list->count++] = *facts;
    return CB_OK;
}

cb_status cb_device_list_read(cb_store *store, cb_device_list *ret_list,
                              cb_error *reterr_error)
{
    cb_device_list list = { 0 };
    cb_status status =
        cb_exchange_devices(store, add_device, &list, reterr_error);
    if (status != CB_OK) {
        free(list.items);
        return status;
    }
    *ret_list = list;
    return CB_OK;
}

cb_status cb_stream_list_read(cb_store *store, cb_stream_list *ret_list,
                              cb_error *reterr_error)
{
    cb_stream_list list = { 0 };
    cb_status status =
        cb_exchange_streams(store, add_stream, &list, reterr_error);
    if (status != CB_OK) {
        free(list.items);
        return status;
    }
    *ret_list = list;
    return CB_OK;
}

cb_status cb_merge_row(cb_hub_round *merge, const cb_hub_stream_report *row,
                       cb_error *reterr_error)
{
    cb_hub_report *report = merge->report;
    void *grown =
        grow(report->streams, report->stream_count, &merge->report_capacity,
             sizeof *report->streams, reterr_error);
    if (grown == NULL) {
        return CB_NO_MEMORY;
    }
    report->streams = grown;
    report->streams[report->stream_count++] = *row;
    return CB_OK;
}

bool cb_merge_is_theirs(cb_status status)
{
    return status == CB_DAMAGED || status == CB_REFUSED || status == CB_NEWER ||
           status == CB_LIMIT || status == CB_INPUT || status == CB_NOT_FOUND ||
           status == CB_WRONG_KEY;
}

bool cb_merge_is_beyond(const cb_hub_round *merge, cb_status status)
{
    cb_git_ref_list refs = { 0 };
    if (status != CB_UNREACHABLE ||
        cb_transport_list(merge->transport, CB_GIT_LOG, "refs/heads/",
                          CB_REFS_MAX, &refs, NULL) != CB_OK) {
        return false;
    }
    cb_git_ref_list_clear(&refs);
    return true;
}

void cb_hub_report_clear(cb_hub_report *report)
{
    free(report->streams);
    report->streams = NULL;
    report->stream_count = 0;
}
