/* SPDX-License-Identifier: Apache-2.0 */
/* What JSON values leave in memory, and what becomes of one that found none. */
#include "base/json.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

#include "store/internal.h"
#include "support/expect.h"
#include "support/store_kit.h"

/* A sanitizer has its own heap, which it fills with what it likes. */
#if !defined(__SANITIZE_ADDRESS__)
    #define MARK_BYTES 48

/* Only its reverse stands in the program's own memory. */
static const char reversed_mark[] =
    "/eht-fo-eman-eht-si-siht-dna-txet-eht-ni-doots/";

static void write_mark(char *mark)
{
    const size_t size = sizeof reversed_mark - 1;
    for (size_t i = 0; i < size; i++) {
        mark[i] = reversed_mark[size - 1 - i];
    }
    mark[size] = '\0';
}

static bool holds_mark(const char *bytes, size_t size)
{
    const size_t length = sizeof reversed_mark - 1;
    for (size_t i = 0; i + length <= size; i++) {
        size_t same = 0;
        while (same < length &&
               bytes[i + same] == reversed_mark[length - 1 - same]) {
            same++;
        }
        if (same == length) {
            return true;
        }
    }
    return false;
}

/* Whether the heap of this process holds the mark. */
static bool heap_holds_mark(void)
{
    char line[512];
    bool found = false;
    FILE *maps = fopen("/proc/self/maps", "r");
    cr_assert(maps != NULL);
    while (!found && fgets(line, sizeof line, maps) != NULL) {
        uintptr_t from = 0;
        uintptr_t to = 0;
        if (strstr(line, "[heap]") != NULL &&
            sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &from, &to) == 2) {
            found = holds_mark((const char *)from, to - from);
        }
    }
    fclose(maps);
    return found;
}

Test(json_memory, is_zeroed_before_it_is_freed)
{
    char mark[MARK_BYTES];
    cb_json_prepare();
    write_mark(mark);
    json_t *object = json_pack("{s:s, s:[s, s]}", "a", mark, "b", mark, "x");
    char *text = json_dumps(object, 0);
    json_t *again = NULL;
    expect_ok(cb_json_parse(cb_span_of_text(text), &again, test_error()));
    memset(mark, 0, sizeof mark);
    cr_expect(heap_holds_mark(), "the test sees nothing at all");

    memset(text, 0, strlen(text));
    free(text);
    json_decref(object);
    json_decref(again);

    cr_expect(!heap_holds_mark());
}

/* More than there is, as Jansson's own failures are. */
static void fail_once(void)
{
    static const char text[] = "x";
    const uint64_t before = cb_json_failures();
    cr_assert(json_stringn_nocheck(text, (size_t)1 << 62) == NULL);
    cr_assert(cb_json_failures() == before + 1);
}

static void fail_in_a_buffer(void)
{
    cb_buffer buffer;
    const uint64_t before = cb_json_failures();
    cb_buffer_init(&buffer, (size_t)1 << 62);
    cr_assert(cb_buffer_extend(&buffer, (size_t)1 << 61) == NULL);
    cr_assert(cb_json_failures() == before + 1);
    cb_buffer_clear(&buffer);
}

static void expect_no_part_of_a_commit(void (*fail)(void))
{
    store_kit kit;
    cb_recorded recorded = { .verdicts = NULL };
    store_kit_begin(&kit);
    cb_store *store = store_kit_hub(&kit, "a");
    const cb_case_id case_id = store_kit_case(store);
    const cb_change change = { .case_id = case_id };
    const uint64_t head = store->identity.head_seq;
    json_t *fields = store_kit_json("{'role':'victim','name':'Ash'}");

    fail();
    expect_status(CB_NO_MEMORY, cb_store_add(store, &change, "person", NULL,
                                             fields, &recorded, test_error()));
    expect_contains(test_error()->meaning, "recorded");
    cr_expect(store->identity.head_seq == head);

    /* What failed then is no matter of the next change. */
    expect_ok(cb_store_add(store, &change, "person", NULL, fields, &recorded,
                           test_error()));
    cr_expect(store->identity.head_seq > head);
    cb_recorded_clear(&recorded);
    json_decref(fields);
    cb_store_close(store);
    store_kit_end(&kit);
}

Test(json_memory, that_was_missing_is_no_part_of_a_commit)
{
    expect_no_part_of_a_commit(fail_once);
}

Test(json_memory, that_a_buffer_missed_is_no_part_of_a_commit)
{
    expect_no_part_of_a_commit(fail_in_a_buffer);
}
#endif
