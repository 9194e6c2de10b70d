/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operations on one id -> its records.
 *
 * A creation that may stand where it was written always counts.  Those that
 * agree in type, party and side make one record, and all their fields are
 * writes to it; those that do not make several records of one id.  Otherwise
 * whoever creates a record again, of another type or for another party, could
 * make what it says fall away, a withdrawal for instance.
 *
 * One id gives SIBLINGS_MAX records at most.  Every stream's first creation
 * comes before any stream's second, so what one device floods an id with is
 * what is left out.
 */
#include "base/json.h"
#include "case/state.h"

#include <stdlib.h>
#include <string.h>

#define SIBLINGS_MAX    8
#define CREATIONS_MAX   16
#define ALERT_HEADS_MAX 16
#define TWICE_ACT       "casebound show {record}"

typedef struct creation {
    const cb_op *op;
    const cb_case_entry *entry;
    size_t rank; /* among those of its stream */
} creation;

/* Creations that make one record: items[first .. first + count). */
typedef struct family {
    const creation *items;
    size_t count;
    size_t rank; /* the lowest */
    const creation *chosen;
} family;

static bool read_about(const cb_op *op, cb_record_id *ret_about)
{
    return cb_case_hex_of(op->json, "about", ret_about->bytes,
                          sizeof ret_about->bytes);
}

static bool is_of_side(const cb_type *type)
{
    return type != NULL && type->class == CB_CLASS_SIDE;
}

/* By type, party and side; all types that are not known are one. */
static int compare_kinds(const creation *left, const creation *right)
{
    const cb_type *a = left->op->type;
    const cb_type *b = right->op->type;
    if (a != b) {
        return a == NULL ? -1 : b == NULL ? 1 : strcmp(a->name, b->name);
    }
    if (a == NULL) {
        return 0;
    }
    int order = (int)left->op->about_known - (int)right->op->about_known;
    if (order == 0) {
        order =
            memcmp(&left->op->about, &right->op->about, sizeof left->op->about);
    }
    if (order == 0 && is_of_side(a)) {
        order = left->entry->place.class - right->entry->place.class;
    }
    return order;
}

static int compare_hashes(const creation *left, const creation *right)
{
    int order =
        memcmp(&left->entry->hash, &right->entry->hash, sizeof(cb_hash));
    if (order == 0 && left->op != right->op) {
        order = left->op < right->op ? -1 : 1;
    }
    return order;
}

static int compare_streams(const void *a, const void *b)
{
    const creation *left = a;
    const creation *right = b;
    int order = memcmp(&left->entry->stream, &right->entry->stream,
                       sizeof left->entry->stream);
    if (order == 0 && left->entry->seq != right->entry->seq) {
        order = left->entry->seq < right->entry->seq ? -1 : 1;
    }
    return order != 0 ? order : compare_hashes(left, right);
}

static int compare_families(const void *a, const void *b)
{
    const creation *left = a;
    const creation *right = b;
    int order = compare_kinds(left, right);
    if (order == 0 && left->rank != right->rank) {
        order = left->rank < right->rank ? -1 : 1;
    }
    return order != 0 ? order : compare_hashes(left, right);
}

static int compare_ranks(const void *a, const void *b)
{
    const family *left = a;
    const family *right = b;
    if (left->rank != right->rank) {
        return left->rank < right->rank ? -1 : 1;
    }
    return compare_hashes(left->chosen, right->chosen);
}

/* ------------------------------------------------------------ the creations */

static void read_creation(cb_case_state *state, cb_op *op)
{
    const char *name = cb_json_text(op->json, "type");
    op->type = name != NULL ? cb_model_type(state->model, name) : NULL;
    op->about_known = read_about(op, &op->about);
    op->stands =
        name != NULL &&
        (op->type == NULL ||
         cb_place_fits(&state->entries[op->entry].place, op->type, NULL,
                       &op->record, op->about_known ? &op->about : NULL));
    if (op->type != NULL && op->type->about == CB_ABOUT_SELF) {
        op->about = op->record;
        op->about_known = true;
    }
    if (!op->stands && name != NULL) {
        cb_case_add_finding(state, "record.wrong_place", op->entry, &op->record,
                            "",
                            "A record was written where records of its kind "
                            "may not be. It was kept but does not count.");
    }
}

/* All that may stand, sorted to their families. */
static size_t collect(cb_case_state *state, cb_op *ops, size_t count,
                      creation *ret_items)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        if (ops[i].kind == CB_OP_CREATE) {
            read_creation(state, &ops[i]);
        }
        if (ops[i].stands) {
            ret_items[found] =
                (creation){ .op = &ops[i],
                            .entry = &state->entries[ops[i].entry] };
            found++;
        }
    }
    if (found > 1) {
        qsort(ret_items, found, sizeof *ret_items, compare_streams);
        for (size_t i = 1; i < found; i++) {
            bool same = memcmp(&ret_items[i].entry->stream,
                               &ret_items[i - 1].entry->stream,
                               sizeof(cb_stream_id)) == 0;
            ret_items[i].rank = same ? ret_items[i - 1].rank + 1 : 0;
        }
        qsort(ret_items, found, sizeof *ret_items, compare_families);
    }
    return found;
}

/*
 * Of several creations the one that knew of no other; of several such the
 * lowest hash.  Order in memory is not enough: its tie-break depends on entries
 * that have nothing to do with them.  `creators` is a set of entries, empty
 * between calls.
 */
static const creation *choose(const cb_case_state *state, const creation *items,
                              size_t count, uint64_t *creators)
{
    const creation *chosen = NULL;
    for (size_t i = 0; i < count && count > 1; i++) {
        size_t entry = items[i].op->entry;
        creators[entry / 64] |= UINT64_C(1) << (entry % 64);
    }
    for (size_t i = 0; i < count; i++) {
        size_t entry = items[i].op->entry;
        const uint64_t *known =
            state->knowledge + state->knowledge_offset[entry];
        bool first = true;
        for (size_t w = 0; w <= entry / 64 && first && count > 1; w++) {
            first = (known[w] & creators[w]) == 0;
        }
        if (first &&
            (chosen == NULL || compare_hashes(&items[i], chosen) < 0)) {
            chosen = &items[i];
        }
    }
    for (size_t i = 0; i < count && count > 1; i++) {
        creators[items[i].op->entry / 64] = 0;
    }
    return chosen;
}

/* ------------------------------------------------------------- the records */

static bool is_protective(const cb_type *type)
{
    return type != NULL &&
           (cb_is_consent(type) ||
            (type->is_register && type->register_merge == CB_MERGE_PROTECTIVE));
}

static void add_family(cb_case_state *state, const family *made,
                       cb_case_record record)
{
    const cb_op *origin = made->chosen->op;
    size_t most = made->count < CREATIONS_MAX ? made->count : CREATIONS_MAX;
    record.type_name = cb_json_text(origin->json, "type");
    record.type = origin->type;
    record.about_known = origin->about_known;
    record.about = origin->about;
    record.created = origin->entry;
    if (is_of_side(record.type)) {
        uint8_t class = made->chosen->entry->place.class;
        bool sided =
            class == (uint8_t)CB_CLASS_V || class == (uint8_t)CB_CLASS_O;
        record.side = sided ? class : 0;
    }
    record.creations =
        cb_arena_allocate(&state->arena, most + 1, sizeof *record.creations);
    if (record.creations == NULL) {
        return;
    }
    record.creations[0] = origin->entry;
    record.creation_count = 1;
    for (size_t i = 0; i < made->count && record.creation_count <= most; i++) {
        size_t entry = made->items[i].op->entry;
        if (entry != origin->entry) {
            record.creations[record.creation_count] = entry;
            record.creation_count++;
        }
    }
    if (record.type == NULL) {
        cb_case_add_finding(state, "newer.type", origin->entry, &record.id, "",
                            "A record is of a kind that only a newer version "
                            "knows. It is kept whole.");
    }
    state->records[state->record_count] = record;
    state->record_count++;
}

/* The first of the siblings: a protective one, then as of creations. */
static void choose_first(const cb_case_state *state, family *made, size_t count,
                         uint64_t *creators)
{
    creation candidates[SIBLINGS_MAX];
    size_t found = 0;
    bool protective = false;
    for (size_t i = 0; i < count; i++) {
        protective = protective || is_protective(made[i].chosen->op->type);
    }
    for (size_t i = 0; i < count; i++) {
        if (is_protective(made[i].chosen->op->type) == protective) {
            candidates[found] = *made[i].chosen;
            found++;
        }
    }
    const creation *first = choose(state, candidates, found, creators);
    for (size_t i = 1; i < count; i++) {
        if (made[i].chosen->op == first->op) {
            family swap = made[0];
            made[0] = made[i];
            made[i] = swap;
        }
    }
}

static void report_twice(cb_case_state *state, const cb_record_id *record,
                         creation *items, size_t count, bool two_sides)
{
    size_t entries[ALERT_HEADS_MAX];
    size_t found = 0;
    for (size_t rank = 0; rank <= 1; rank++) {
        for (size_t i = 0; i < count && found < ALERT_HEADS_MAX; i++) {
            if ((items[i].rank == 0) == (rank == 0)) {
                entries[found] = items[i].op->entry;
                found++;
            }
        }
    }
    cb_issue alert = {
        .form = CB_ISSUE_ALERT,
        .kind = "record.created_twice",
        .waits_for = "coordinator",
        .act = TWICE_ACT,
        .record = *record,
        .sentence = "A record was created more than once under one id. All "
                    "that was said counts, and the most protective of it is in "
                    "force. Honest devices do not do this; find out which one "
                    "did.",
    };
    (void)cb_case_add_issue(state, &alert, entries, found);
    if (two_sides) {
        alert.kind = "person.two_sides";
        alert.about = *record;
        alert.waits_for = "supervisor";
        alert.sentence =
            "A person was put on both sides of this case. What was written on "
            "either side counts; nothing written on one replaces what was "
            "written on the other. Write no more about this person before it "
            "is clear which is right.";
        (void)cb_case_add_issue(state, &alert, entries, found);
    }
}

static void add_siblings(cb_case_state *state, creation *items, size_t count,
                         family *families, cb_case_record draft,
                         uint64_t *creators)
{
    size_t made = 0;
    bool sides[2] = { false, false };
    for (size_t first = 0; first < count;) {
        size_t end = first + 1;
        while (end < count && compare_kinds(&items[first], &items[end]) == 0) {
            end++;
        }
        const cb_type *type = items[first].op->type;
        if (type != NULL && type->about == CB_ABOUT_SELF) {
            uint8_t class = items[first].entry->place.class;
            sides[0] = sides[0] || class == (uint8_t)CB_CLASS_V;
            sides[1] = sides[1] || class == (uint8_t)CB_CLASS_O;
        }
        families[made] = (family){ .items = &items[first],
                                   .count = end - first,
                                   .rank = items[first].rank,
                                   .chosen = choose(state, &items[first],
                                                    end - first, creators) };
        made++;
        first = end;
    }
    if (made > 1) {
        qsort(families, made, sizeof *families, compare_ranks);
        made = made < SIBLINGS_MAX ? made : SIBLINGS_MAX;
        choose_first(state, families, made, creators);
    }
    draft.sibling_count = made;
    for (size_t i = 0; i < made; i++) {
        draft.sibling = i;
        add_family(state, &families[i], draft);
    }
    if (count > 1) {
        report_twice(state, &draft.id, items, count, sides[0] && sides[1]);
    }
}

/* A record of which only parts may be read here. */
static void add_part(cb_case_state *state, const cb_op *ops, size_t count,
                     cb_case_record record)
{
    const cb_op *origin = NULL;
    for (size_t i = 0; i < count && origin == NULL; i++) {
        if (ops[i].kind == CB_OP_PART &&
            cb_json_text(ops[i].json, "type") != NULL) {
            origin = &ops[i];
        }
    }
    if (origin == NULL) {
        for (size_t i = 0; i < count; i++) {
            cb_case_add_finding(state, "record.unknown", ops[i].entry,
                                &ops[i].record, "",
                                "A change speaks of a record that is not "
                                "here. It was kept but changes nothing.");
        }
        return;
    }
    record.type_name = cb_json_text(origin->json, "type");
    record.type = cb_model_type(state->model, record.type_name);
    record.about_known = read_about(origin, &record.about);
    if (record.type != NULL && record.type->about == CB_ABOUT_SELF) {
        record.about = record.id;
        record.about_known = true;
    }
    record.sibling_count = 1;
    if (record.type == NULL) {
        cb_case_add_finding(state, "newer.type", origin->entry, &record.id, "",
                            "A record is of a kind that only a newer version "
                            "knows. It is kept whole.");
    }
    state->records[state->record_count] = record;
    state->record_count++;
}

bool cb_record_is_made_by(const cb_case_record *record,
                          const cb_case_state *state, const cb_op *op)
{
    if (!op->stands || op->type != record->type) {
        return false;
    }
    if (op->type == NULL) {
        return true;
    }
    uint8_t class = state->entries[op->entry].place.class;
    return op->about_known == record->about_known &&
           memcmp(&op->about, &record->about, sizeof op->about) == 0 &&
           (record->side == 0 || class == record->side);
}

/* Each operation makes one record at most. */
static bool make_room(cb_case_state *state, size_t more)
{
    size_t wanted = state->record_count + more;
    if (wanted <= state->record_capacity) {
        return true;
    }
    size_t capacity =
        state->record_count == 0 ? wanted : wanted + state->record_count / 2;
    cb_case_record *records =
        cb_arena_allocate(&state->arena, capacity, sizeof *records);
    if (records == NULL) {
        return false;
    }
    if (state->record_count > 0) {
        memcpy(records, state->records, state->record_count * sizeof *records);
    }
    state->records = records;
    state->record_capacity = capacity;
    return true;
}

cb_status cb_case_make_records(cb_case_state *state, cb_op *ops, size_t count,
                               cb_error *reterr_error)
{
    size_t most = count + 1;
    creation *items = calloc(most, sizeof *items);
    family *families = calloc(most, sizeof *families);
    uint64_t *creators = calloc(state->counted / 64 + 1, sizeof *creators);
    bool complete = items != NULL && families != NULL && creators != NULL &&
                    make_room(state, count);
    for (size_t first = 0, end = 0; first < count && complete; first = end) {
        end = first + 1;
        while (end < count && memcmp(&ops[end].record, &ops[first].record,
                                     sizeof(cb_record_id)) == 0) {
            end++;
        }
        cb_case_record draft = { .id = ops[first].record,
                                 .created = CB_NOTHING,
                                 .struck_by = CB_NOTHING,
                                 .ops = &ops[first],
                                 .op_count = end - first };
        size_t found = collect(state, &ops[first], end - first, items);
        if (found > 0) {
            add_siblings(state, items, found, families, draft, creators);
        } else {
            add_part(state, &ops[first], end - first, draft);
        }
    }
    free(items);
    free(families);
    free(creators);
    if (!complete) {
        return cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
    }
    return cb_arena_check(&state->arena, reterr_error);
}
