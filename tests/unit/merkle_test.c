/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree is compared with a second one that follows the text of RFC 9162
 * literally (recursion over slices), and the checking of proofs with the public
 * vectors of transparency-dev.
 */
#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

#include "proof/merkle.h"
#include "support/expect.h"

#define LEAVES_MAX 70

/* Leaf i is the text of its number. */
static cb_hash leaf_of(uint64_t index)
{
    char text[24];
    snprintf(text, sizeof text, "leaf %llu", (unsigned long long)index);
    cb_hash hash;
    cb_tree_leaf_hash(cb_span_of_text(text), &hash);
    return hash;
}

/* MTH(D[from:to]) as section 2.1.1 defines it. */
static cb_hash slice_hash(uint64_t from, uint64_t to)
{
    if (to - from == 1) {
        return leaf_of(from);
    }
    uint64_t split = 1;
    while (split * 2 < to - from) {
        split *= 2;
    }
    const cb_hash left = slice_hash(from, from + split);
    const cb_hash right = slice_hash(from + split, to);
    uint8_t bytes[65] = { 1 };
    memcpy(bytes + 1, left.bytes, 32);
    memcpy(bytes + 33, right.bytes, 32);
    cb_hash hash;
    crypto_hash_sha256(hash.bytes, bytes, sizeof bytes);
    return hash;
}

static cb_status get_slice(void *context, unsigned level, uint64_t index,
                           cb_hash *ret_hash, cb_error *reterr_error)
{
    const uint64_t *size = context;
    if ((index + 1) << level > *size) {
        return cb_error_set(reterr_error, CB_INPUT, "asked beyond the tree");
    }
    *ret_hash = slice_hash(index << level, (index + 1) << level);
    return CB_OK;
}

static cb_tree_head head_of(uint64_t size)
{
    cb_tree_edge edge;
    cb_tree_head head;
    cb_tree_edge_init(&edge);
    for (uint64_t i = 0; i < size; i++) {
        const cb_hash leaf = leaf_of(i);
        expect_ok(cb_tree_edge_append(&edge, &leaf, test_error()));
    }
    cb_tree_edge_head(&edge, &head);
    return head;
}

static void expect_hash(const cb_hash *got, const char *wanted)
{
    char text[CB_HASH_TEXT_BYTES];
    cb_hex_format(got->bytes, CB_HASH_BYTES, text);
    expect_text(text, wanted);
}

Test(merkle, hashes_as_rfc_6962_does)
{
    cb_tree_head head;
    cb_tree_edge edge;
    cb_hash leaf;

    cb_tree_edge_init(&edge);
    cb_tree_edge_head(&edge, &head);
    expect_hash(&head.root, "e3b0c44298fc1c149afbf4c8996fb924"
                            "27ae41e4649b934ca495991b7852b855");
    cr_expect(head.size == 0);

    cb_tree_leaf_hash(cb_span_of_text(""), &leaf);
    expect_hash(&leaf, "6e340b9cffb37a989ca544e6bb780a2c"
                       "78901d3fb33738768511a30617afa01d");
    expect_ok(cb_tree_edge_append(&edge, &leaf, test_error()));
    cb_tree_edge_head(&edge, &head);
    expect_bytes(head.root.bytes, 32, leaf.bytes, 32);
}

Test(merkle, root_is_that_of_the_recursive_definition_at_each_size)
{
    cb_tree_edge edge;
    cb_tree_edge_init(&edge);
    for (uint64_t size = 1; size <= LEAVES_MAX; size++) {
        const cb_hash leaf = leaf_of(size - 1);
        expect_ok(cb_tree_edge_append(&edge, &leaf, test_error()));
        const cb_hash wanted = slice_hash(0, size);
        cb_tree_head head;
        cb_tree_edge_head(&edge, &head);
        cr_expect(head.size == size);
        expect_bytes(head.root.bytes, 32, wanted.bytes, 32);

        cb_tree_edge loaded;
        const cb_tree_source source = { &size, get_slice };
        expect_ok(cb_tree_edge_load(&source, size, &loaded, test_error()));
        cb_tree_edge_head(&loaded, &head);
        expect_bytes(head.root.bytes, 32, wanted.bytes, 32);
    }
}

Test(merkle, proves_each_leaf_in_each_tree_and_nothing_else)
{
    for (uint64_t size = 1; size <= LEAVES_MAX; size++) {
        const cb_tree_source source = { &size, get_slice };
        const cb_tree_head head = head_of(size);
        for (uint64_t index = 0; index < size; index++) {
            cb_tree_proof proof;
            const cb_hash leaf = leaf_of(index);
            expect_ok(cb_tree_prove_inclusion(&source, index, size, &proof,
                                              test_error()));
            expect_ok(cb_tree_verify_inclusion(&leaf, index, &head, &proof,
                                               test_error()));

            const cb_hash other = leaf_of(index + 1000);
            expect_status(CB_DAMAGED,
                          cb_tree_verify_inclusion(&other, index, &head, &proof,
                                                   test_error()));
            expect_status(CB_DAMAGED,
                          cb_tree_verify_inclusion(&leaf, index ^ 1, &head,
                                                   &proof, test_error()));
            cb_tree_proof longer = proof;
            memset(&longer.hashes[longer.count++], 0, sizeof(cb_hash));
            expect_status(CB_DAMAGED,
                          cb_tree_verify_inclusion(&leaf, index, &head, &longer,
                                                   test_error()));
            if (proof.count > 0) {
                proof.count--;
                expect_status(CB_DAMAGED,
                              cb_tree_verify_inclusion(&leaf, index, &head,
                                                       &proof, test_error()));
            }
        }
        cb_tree_proof none;
        expect_status(CB_INPUT, cb_tree_prove_inclusion(&source, size, size,
                                                        &none, test_error()));
    }
}

Test(merkle, proves_each_tree_to_be_the_beginning_of_each_larger_one)
{
    for (uint64_t to = 1; to <= LEAVES_MAX; to++) {
        const cb_tree_source source = { &to, get_slice };
        const cb_tree_head head_to = head_of(to);
        for (uint64_t from = 1; from <= to; from++) {
            cb_tree_proof proof;
            cb_tree_head head_from = { .size = from,
                                       .root = slice_hash(0, from) };
            expect_ok(cb_tree_prove_consistency(&source, from, to, &proof,
                                                test_error()));
            expect_ok(cb_tree_verify_consistency(&head_from, &head_to, &proof,
                                                 test_error()));

            for (size_t i = 0; i < proof.count; i++) {
                cb_tree_proof changed = proof;
                changed.hashes[i].bytes[31] ^= 1;
                expect_status(CB_DAMAGED, cb_tree_verify_consistency(
                                              &head_from, &head_to, &changed,
                                              test_error()));
                changed = proof;
                changed.count = i;
                expect_status(CB_DAMAGED, cb_tree_verify_consistency(
                                              &head_from, &head_to, &changed,
                                              test_error()));
            }
            head_from.root.bytes[0] ^= 1;
            expect_status(CB_DAMAGED,
                          cb_tree_verify_consistency(&head_from, &head_to,
                                                     &proof, test_error()));
        }
    }
}

Test(merkle, treats_empty_equal_and_shrinking_trees_as_cases_of_their_own)
{
    const uint64_t size = 5;
    uint64_t context = size;
    const cb_tree_source source = { &context, get_slice };
    const cb_tree_head empty = head_of(0);
    const cb_tree_head five = head_of(size);
    cb_tree_head forged = five;
    forged.size = 0;
    cb_tree_proof proof = { .count = 99 };

    expect_ok(
        cb_tree_prove_consistency(&source, 0, size, &proof, test_error()));
    cr_expect(proof.count == 0);
    expect_ok(
        cb_tree_prove_consistency(&source, size, size, &proof, test_error()));
    cr_expect(proof.count == 0);
    expect_status(CB_INPUT, cb_tree_prove_consistency(&source, size + 1, size,
                                                      &proof, test_error()));

    expect_ok(cb_tree_verify_consistency(&empty, &empty, &proof, test_error()));
    expect_ok(cb_tree_verify_consistency(&five, &five, &proof, test_error()));
    expect_status(CB_DAMAGED, cb_tree_verify_consistency(&empty, &five, &proof,
                                                         test_error()));
    expect_status(CB_DAMAGED, cb_tree_verify_consistency(&five, &empty, &proof,
                                                         test_error()));
    expect_status(CB_DAMAGED, cb_tree_verify_consistency(&forged, &forged,
                                                         &proof, test_error()));
    proof = (cb_tree_proof){ .count = 1 };
    expect_status(CB_DAMAGED, cb_tree_verify_consistency(&five, &five, &proof,
                                                         test_error()));
    expect_status(CB_DAMAGED, cb_tree_verify_inclusion(&five.root, 0, &empty,
                                                       &proof, test_error()));
}

static cb_status get_zero(void *context, unsigned level, uint64_t index,
                          cb_hash *ret_hash, cb_error *reterr_error)
{
    (void)context;
    (void)reterr_error;
    cr_expect(level < CB_TREE_LEVELS);
    cr_expect(index <= (CB_TREE_SIZE_MAX >> level) - 1);
    memset(ret_hash->bytes, (int)level, sizeof ret_hash->bytes);
    return CB_OK;
}

Test(merkle, holds_at_the_largest_size_and_refuses_the_next)
{
    const cb_tree_source source = { NULL, get_zero };
    cb_tree_proof proof;
    cb_tree_edge edge;
    cb_hash leaf = { .bytes = { 0 } };

    static const struct {
        uint64_t index;
        uint64_t size;
        size_t hashes;
    } rows[] = {
        { 0, CB_TREE_SIZE_MAX, 62 },
        { CB_TREE_SIZE_MAX - 1, CB_TREE_SIZE_MAX, 62 },
        { CB_TREE_SIZE_MAX - 2, CB_TREE_SIZE_MAX - 1, 61 },
        { 0, CB_TREE_SIZE_MAX - 1, 62 },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        expect_ok(cb_tree_prove_inclusion(&source, rows[i].index, rows[i].size,
                                          &proof, test_error()));
        cr_expect(proof.count == rows[i].hashes, "row %zu: %zu", i,
                  proof.count);
    }
    expect_ok(cb_tree_prove_consistency(
        &source, CB_TREE_SIZE_MAX - 1, CB_TREE_SIZE_MAX, &proof, test_error()));
    cr_expect(proof.count == CB_PROOF_HASHES_MAX);

    expect_ok(
        cb_tree_edge_load(&source, CB_TREE_SIZE_MAX - 1, &edge, test_error()));
    expect_ok(cb_tree_edge_append(&edge, &leaf, test_error()));
    cr_expect(edge.size == CB_TREE_SIZE_MAX);
    expect_status(CB_LIMIT, cb_tree_edge_append(&edge, &leaf, test_error()));
    cr_expect(edge.size == CB_TREE_SIZE_MAX);
    cb_tree_head head;
    cb_tree_edge_head(&edge, &head);

    const uint64_t beyond = CB_TREE_SIZE_MAX + 1;
    expect_status(CB_LIMIT, cb_tree_prove_inclusion(&source, 0, beyond, &proof,
                                                    test_error()));
    expect_status(CB_LIMIT, cb_tree_prove_consistency(&source, 1, beyond,
                                                      &proof, test_error()));
    expect_status(CB_LIMIT,
                  cb_tree_edge_load(&source, beyond, &edge, test_error()));
    head.size = UINT64_MAX;
    expect_status(CB_LIMIT, cb_tree_verify_inclusion(&leaf, 0, &head, &proof,
                                                     test_error()));
    expect_status(CB_LIMIT, cb_tree_verify_consistency(&head, &head, &proof,
                                                       test_error()));
}

/* False where the vector's text is not 32 bytes: what a parser refuses. */
static bool hash_of(const json_t *text, cb_hash *ret_hash)
{
    return text != NULL &&
           cb_base64_parse(cb_span_of_text(json_string_value(text)),
                           ret_hash->bytes, sizeof ret_hash->bytes);
}

static bool proof_of(const json_t *hashes, cb_tree_proof *ret_proof)
{
    ret_proof->count = json_array_size(hashes);
    if (ret_proof->count > CB_PROOF_HASHES_MAX) {
        return false;
    }
    for (size_t i = 0; i < ret_proof->count; i++) {
        if (!hash_of(json_array_get(hashes, i), &ret_proof->hashes[i])) {
            return false;
        }
    }
    return true;
}

/* Jansson has no unsigned 64-bit numbers; a few vectors use the largest. */
static bool number_of(const json_t *row, const char *name, uint64_t *ret_value)
{
    const json_t *value = json_object_get(row, name);
    if (json_is_integer(value)) {
        *ret_value = (uint64_t)json_integer_value(value);
        return true;
    }
    const double real = json_real_value(value);
    *ret_value = real < 18446744073709551615.0 ? (uint64_t)real : UINT64_MAX;
    return json_is_real(value);
}

static bool accepts_inclusion(const json_t *row)
{
    cb_hash leaf;
    cb_tree_head head;
    cb_tree_proof proof;
    uint64_t index = 0;
    return hash_of(json_object_get(row, "leafHash"), &leaf) &&
           hash_of(json_object_get(row, "root"), &head.root) &&
           number_of(row, "leafIdx", &index) &&
           number_of(row, "treeSize", &head.size) &&
           proof_of(json_object_get(row, "proof"), &proof) &&
           cb_tree_verify_inclusion(&leaf, index, &head, &proof, NULL) == CB_OK;
}

static bool accepts_consistency(const json_t *row)
{
    cb_tree_head from;
    cb_tree_head to;
    cb_tree_proof proof;
    return hash_of(json_object_get(row, "root1"), &from.root) &&
           hash_of(json_object_get(row, "root2"), &to.root) &&
           number_of(row, "size1", &from.size) &&
           number_of(row, "size2", &to.size) &&
           proof_of(json_object_get(row, "proof"), &proof) &&
           cb_tree_verify_consistency(&from, &to, &proof, NULL) == CB_OK;
}

/*
 * One vector is valid only for a verifier that compares roots as texts of any
 * length; ours are hashes, so its 12-byte roots are refused.
 */
static bool has_no_real_root(const json_t *row)
{
    const char *root = json_string_value(json_object_get(row, "root1"));
    return root != NULL && strlen(root) == 16;
}

static void run_vectors(const char *name, bool (*accepts)(const json_t *row))
{
    const char *folder = getenv("CASEBOUND_VECTORS");
    char path[1024];
    snprintf(path, sizeof path, "%s/merkle/%s",
             folder != NULL ? folder : CASEBOUND_VECTORS, name);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        cr_skip_test("the public vectors 'merkle/%s' are not here; set "
                     "CASEBOUND_VECTORS to their folder to run them",
                     name);
    }
    char line[8192];
    size_t rows = 0;
    size_t valid = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        json_t *row = json_loads(line, 0, NULL);
        if (row == NULL) { /* the numbers that Jansson takes as reals only */
            row = json_loads(line, JSON_DECODE_INT_AS_REAL, NULL);
        }
        cr_assert(row != NULL, "%s: line %zu is not JSON", name, rows + 1);
        const bool wanted = json_is_false(json_object_get(row, "wantErr")) &&
                            !has_no_real_root(row);
        cr_expect(accepts(row) == wanted, "%s",
                  json_string_value(json_object_get(row, "file")));
        valid += wanted ? 1 : 0;
        rows++;
        json_decref(row);
    }
    fclose(file);
    cr_expect(rows >= 98 && valid > 0, "%s: %zu rows, %zu valid", name, rows,
              valid);
}

Test(merkle, agrees_with_the_public_vectors_on_inclusion)
{
    run_vectors("inclusion.jsonl", accepts_inclusion);
}

Test(merkle, agrees_with_the_public_vectors_on_consistency)
{
    run_vectors("consistency.jsonl", accepts_consistency);
}
