/* SPDX-License-Identifier: Apache-2.0 */
#include "support/case_builder.h"

#include "support/case_twice.h"
#include "support/expect.h"

#include <casebound/when.h>

#include <sodium.h>
#include <stdlib.h>

#define FACTS_MAX   1024
#define DEVICES_MAX 16
#define ROLES_MAX   4

typedef struct device {
    const char *name;
    cb_stream_id stream;
    uint64_t seq;
    int64_t wrong_by_ms;
    const char *roles[ROLES_MAX];
    size_t role_count;
    bool knows[FACTS_MAX];
} device;

struct case_book {
    cb_model *model;
    cb_fact facts[FACTS_MAX];
    json_t *bodies[FACTS_MAX];
    bool knows[FACTS_MAX][FACTS_MAX];
    size_t count;
    device devices[DEVICES_MAX];
    size_t device_count;
};

case_book *case_book_create(void)
{
    case_book *book = calloc(1, sizeof *book);
    cr_assert(book != NULL);
    expect_ok(cb_model_create_builtin(&book->model, test_error()));
    return book;
}

void case_book_destroy(case_book *book)
{
    for (size_t i = 0; i < book->count; i++) {
        json_decref(book->bodies[i]);
    }
    cb_model_destroy(book->model);
    free(book);
}

static device *find_device(case_book *book, const char *name)
{
    for (size_t i = 0; i < book->device_count; i++) {
        if (strcmp(book->devices[i].name, name) == 0) {
            return &book->devices[i];
        }
    }
    cr_assert(book->device_count < DEVICES_MAX);
    device *added = &book->devices[book->device_count];
    book->device_count++;
    added->name = name;
    added->roles[0] = "facilitator";
    added->role_count = 1;
    crypto_generichash(added->stream.bytes, sizeof added->stream.bytes,
                       (const unsigned char *)name, strlen(name), NULL, 0);
    return added;
}

cb_record_id case_id(const char *name)
{
    cb_record_id id;
    crypto_generichash(id.bytes, sizeof id.bytes, (const unsigned char *)name,
                       strlen(name), NULL, 0);
    return id;
}

int64_t case_ms(const char *when)
{
    cb_when moment;
    char text[64];
    snprintf(text, sizeof text, "%s%s", when, strchr(when, 'T') ? "Z" : "");
    expect_ok(cb_when_parse(text, 0, &moment, test_error()));
    return moment.start_ms;
}

json_t *case_json(const char *text)
{
    char *json = malloc(strlen(text) * 34 + 1);
    size_t size = 0;
    cr_assert(json != NULL);
    while (*text != '\0') {
        if (*text == '@') {
            size_t length =
                strspn(text + 1, "abcdefghijklmnopqrstuvwxyz0123456789-");
            char name[64];
            cr_assert(length < sizeof name);
            memcpy(name, text + 1, length);
            name[length] = '\0';
            cb_record_id id = case_id(name);
            cb_hex_format(id.bytes, sizeof id.bytes, json + size);
            size += 2 * sizeof id.bytes;
            text += length + 1;
        } else {
            json[size] = *text == '\'' ? '"' : *text;
            size++;
            text++;
        }
    }
    json_error_t error;
    json_t *value = json_loadb(json, size, 0, &error);
    cr_assert(value != NULL, "%s in %.*s", error.text, (int)size, json);
    free(json);
    return value;
}

static json_t *hex_of(const void *bytes, size_t size)
{
    char text[2 * CB_HASH_BYTES + 1];
    cb_hex_format(bytes, size, text);
    return json_string(text);
}

static json_t *read_place(const char *place)
{
    char class[2] = { place[0], '\0' };
    json_t *value = json_pack("{s:s}", "class", class);
    if (place[1] == ':') {
        cb_record_id person = case_id(place + 2);
        json_object_set_new(value, "person", hex_of(&person, sizeof person));
    }
    return value;
}

/* For each compartment what the device knows and nothing else there builds on.
 */
static json_t *find_deps(const case_book *book, const device *writer)
{
    json_t *deps = json_array();
    bool done[FACTS_MAX] = { false };
    for (size_t i = 0; i < book->count; i++) {
        if (!writer->knows[i] || done[i]) {
            continue;
        }
        const json_t *place = json_object_get(book->bodies[i], "compartment");
        json_t *heads = json_array();
        for (size_t k = i; k < book->count; k++) {
            if (!writer->knows[k] ||
                !json_equal(place,
                            json_object_get(book->bodies[k], "compartment"))) {
                continue;
            }
            done[k] = true;
            bool head = true;
            for (size_t m = k + 1; m < book->count && head; m++) {
                head = !(writer->knows[m] && book->knows[m][k] &&
                         json_equal(place, json_object_get(book->bodies[m],
                                                           "compartment")));
            }
            if (head) {
                json_array_append_new(
                    heads, hex_of(&book->facts[k].entry, sizeof(cb_hash)));
            }
        }
        json_t *group = json_copy((json_t *)place);
        json_object_set_new(group, "heads", heads);
        json_array_append_new(deps, group);
    }
    return deps;
}

void case_skew(case_book *book, const char *name, int64_t wrong_by_ms)
{
    find_device(book, name)->wrong_by_ms = wrong_by_ms;
}

void case_role(case_book *book, const char *name, const char *role)
{
    device *holder = find_device(book, name);
    cr_assert(holder->role_count < ROLES_MAX);
    holder->roles[holder->role_count] = role;
    holder->role_count++;
}

size_t case_write(case_book *book, const char *name, const char *place,
                  const char *happened, const char *operations)
{
    device *writer = find_device(book, name);
    size_t index = book->count;
    cr_assert(index < FACTS_MAX);
    int64_t ms = case_ms(happened) + writer->wrong_by_ms;
    json_t *ops = case_json(operations);
    if (!json_is_array(ops)) {
        json_t *one = ops;
        ops = json_array();
        json_array_append_new(ops, one);
    }
    cb_record_id author = case_id(name);
    cb_record_id the_case = case_id("case");
    json_t *body = json_pack("{s:o,s:o,s:o,s:o,s:{s:I,s:s},s:o,s:i}", "author",
                             hex_of(&author, sizeof author), "case",
                             hex_of(&the_case, sizeof the_case), "compartment",
                             read_place(place), "deps", find_deps(book, writer),
                             "happened", "ms", (json_int_t)ms, "precision",
                             "minute", "ops", ops, "schema", 1);
    cr_assert(body != NULL);
    char *text = json_dumps(body, JSON_SORT_KEYS | JSON_COMPACT);
    cb_fact *fact = &book->facts[index];
    writer->seq++;
    *fact = (cb_fact){ .stream = writer->stream,
                       .seq = writer->seq,
                       .time = (uint64_t)ms << 16,
                       .roster = 1,
                       .received_ms = ms,
                       .admitted = true,
                       .body = body,
                       .roles = writer->roles,
                       .role_count = writer->role_count };
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, sizeof fact->entry.bytes);
    crypto_generichash_update(&state, writer->stream.bytes,
                              sizeof writer->stream.bytes);
    crypto_generichash_update(&state, (const unsigned char *)&writer->seq,
                              sizeof writer->seq);
    crypto_generichash_update(&state, (const unsigned char *)text,
                              strlen(text));
    crypto_generichash_final(&state, fact->entry.bytes,
                             sizeof fact->entry.bytes);
    free(text);
    book->bodies[index] = body;
    memcpy(book->knows[index], writer->knows, sizeof writer->knows);
    writer->knows[index] = true;
    book->count++;
    return index;
}

void case_exchange(case_book *book, const char *a, const char *b)
{
    device *left = find_device(book, a);
    device *right = find_device(book, b);
    for (size_t i = 0; i < book->count; i++) {
        left->knows[i] = right->knows[i] = left->knows[i] || right->knows[i];
    }
}

json_t *case_body(case_book *book, size_t fact)
{
    return book->bodies[fact];
}

cb_fact *case_facts(case_book *book)
{
    return book->facts;
}

size_t case_count(const case_book *book)
{
    return book->count;
}

const cb_model *case_model(const case_book *book)
{
    return book->model;
}

cb_case_state *case_fold(case_book *book)
{
    cb_case_state *state = NULL;
    expect_ok(case_fold_twice(book->model, book->facts, book->count, &state,
                              test_error()));
    return state;
}

cb_case_state *case_fold_of(case_book *book, const char *name)
{
    static cb_fact known[FACTS_MAX];
    const device *reader = find_device(book, name);
    cb_case_state *state = NULL;
    size_t count = 0;
    for (size_t i = 0; i < book->count; i++) {
        if (reader->knows[i]) {
            known[count] = book->facts[i];
            count++;
        }
    }
    expect_ok(case_fold_twice(book->model, known, count, &state, test_error()));
    return state;
}

const cb_issue *case_issue(const cb_case_state *state, const char *kind)
{
    for (size_t i = 0; i < cb_case_state_issue_count(state); i++) {
        const cb_issue *issue = cb_case_state_issue(state, i);
        if (strcmp(issue->kind, kind) == 0) {
            return issue;
        }
    }
    return NULL;
}

size_t case_issues(const cb_case_state *state, const char *kind)
{
    size_t count = 0;
    for (size_t i = 0; i < cb_case_state_issue_count(state); i++) {
        count += strcmp(cb_case_state_issue(state, i)->kind, kind) == 0;
    }
    return count;
}

#define CREATE(id, type, about) \
    "{'op':'create','record':'@" id "','type':'" type "'" about ",'fields':"

case_book *case_book_prepared(void)
{
    case_book *book = case_book_create();
    case_write(
        book, "H", "A", "2017-02-01",
        CREATE(
            "referral", "referral",
            "") "{'reference':'RL-2017-00412-7','received':'2017-02-01',"
                "'source':'victim_support','stage':'post_sentence_community',"
                "'initiated_by':'victim','offence':'robbery'}}");
    case_write(
        book, "H", "V:ann", "2017-02-01",
        CREATE("ann", "person", "") "{'role':'victim','name':'Ann Example'}}");
    case_write(book, "H", "O:ben", "2017-02-01",
               CREATE("ben", "person",
                      "") "{'role':'offender','name':'Ben Example'}}");
    case_write(
        book, "H", "V:ann", "2017-03-10",
        CREATE(
            "consent-ann", "consent",
            ",'about':'@ann'") "{'scope':['approach_other_party','contact_by_service',"
                               "'direct_meeting','indirect'],'state':'given',"
                               "'form_version':'3','given_on':'2017-03-10'}}");
    case_write(
        book, "H", "O:ben", "2017-03-10",
        CREATE(
            "consent-ben", "consent",
            ",'about':'@ben'") "{'scope':['contact_by_service','direct_meeting','indirect'],"
                               "'state':'given','form_version':'3',"
                               "'given_on':'2017-03-10'}}");
    case_write(
        book, "H", "V:ann", "2017-03-10",
        CREATE(
            "prep-ann", "preparation",
            ",'about':'@ann'") "{'limits_explained':true,'readiness':'ready'}}");
    case_write(
        book, "H", "O:ben", "2017-03-10",
        CREATE(
            "prep-ben", "preparation",
            ",'about':'@ben'") "{'limits_explained':true,'readiness':'needs_more'}}");
    case_write(
        book, "H", "O:ben", "2017-03-10",
        CREATE(
            "facts", "acknowledgement",
            ",'about':'@ben'") "{'level':'full','facilitator_view':'sincere'}}");
    case_write(
        book, "H", "R", "2017-03-10",
        CREATE("risk", "risk_assessment",
               "") "{'stage':'second','overall':'L','assessed_on':'2017-03-10',"
                   "'valid_until':'2017-04-30'}}");
    case_exchange(book, "H", "X");
    case_exchange(book, "H", "Y");
    return book;
}
