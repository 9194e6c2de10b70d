/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contract files of this folder, built into the library: SQL, the case
 * model, output schemas.  Generated at build from the files themselves.
 */
#ifndef CASEBOUND_EMBEDDED_H
#define CASEBOUND_EMBEDDED_H

#include <stddef.h>

typedef struct cb_embedded_file {
    const char *name; /* such as "sql/queries.sql" or "case/consent.json" */
    const unsigned char *bytes; /* followed by a zero that is not counted */
    size_t size;
} cb_embedded_file;

/* Sorted by name. */
extern const cb_embedded_file cb_embedded_files[];
extern const size_t cb_embedded_file_count;

/* The file of that name, or NULL. */
const cb_embedded_file *cb_embedded_find(const char *name);

#endif
