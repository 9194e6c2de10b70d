/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one form of JSON that is stored or signed.
 *
 * Canonical: UTF-8, keys sorted by bytes, no white space, no real numbers, no
 * duplicate keys, depth at most CB_JSON_DEPTH_MAX, strings escaped only where
 * JSON demands it.  Text that parses but is not canonical is refused, so that
 * one value has one form.
 *
 * The library gives Jansson memory functions of its own (json_set_alloc_funcs),
 * for the whole process, when a store is made or opened: JSON texts can hold
 * keys, so a block is zeroed before it is freed.  Blocks still come from malloc
 * and a program may free what json_dumps gave it.  A program that sets other
 * functions afterwards gives that up, and with it what cb_json_failures counts.
 */
#ifndef CASEBOUND_JSON_H
#define CASEBOUND_JSON_H

#include <casebound/buffer.h>

#include <jansson.h>

/* New reference.  CB_INPUT says what is wrong; CB_NO_MEMORY. */
CB_NODISCARD CB_PUBLIC cb_status cb_json_parse_canonical(
    cb_span text, json_t **ret_value, cb_error *reterr_error);

/* The same for texts up to `bytes_max`, such as a keyring message. */
CB_NODISCARD CB_PUBLIC cb_status cb_json_parse_canonical_within(
    cb_span text, size_t bytes_max, json_t **ret_value, cb_error *reterr_error);

/* Any well-formed JSON within the limits (model files, files from people). */
CB_NODISCARD CB_PUBLIC cb_status cb_json_parse(cb_span text, json_t **ret_value,
                                               cb_error *reterr_error);

/* Appends the canonical form. */
CB_NODISCARD CB_PUBLIC cb_status cb_json_append(const json_t *value,
                                                cb_buffer *text,
                                                cb_error *reterr_error);

/*
 * Strict getters over an object: the member must be there and of that type.
 * Borrowed; NULL (or false) where it is not.
 */
CB_PUBLIC const char *cb_json_text(const json_t *object, const char *name);
CB_PUBLIC bool cb_json_integer(const json_t *object, const char *name,
                               int64_t *ret_value);
CB_PUBLIC const json_t *cb_json_array(const json_t *object, const char *name);
CB_PUBLIC const json_t *cb_json_object(const json_t *object, const char *name);

/* A member of exactly `size` bytes as lower-case hexadecimal. */
CB_PUBLIC bool cb_json_bytes(const json_t *object, const char *name,
                             uint8_t *ret_bytes, size_t size);

/*
 * Sets the memory functions; the first call does, others do nothing.  Stores do
 * it by themselves; a program that handles secrets in JSON before it has one
 * calls this first.
 */
CB_PUBLIC void cb_json_prepare(void);

/*
 * How many allocations for JSON values and buffers this thread has seen fail.
 * Jansson leaves out a member that finds no memory; what was built while the
 * count did not change is complete.
 */
CB_PUBLIC uint64_t cb_json_failures(void);

/* New string value of `size` bytes in lower-case hexadecimal. */
CB_PUBLIC json_t *cb_json_hex(const void *bytes, size_t size);

#endif
