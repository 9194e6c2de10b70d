/* SPDX-License-Identifier: Apache-2.0 */
/* A vector file in memory: fields, then bytes. */
#ifndef CASEBOUND_TESTS_VECTORS_VECTOR_FILE_H
#define CASEBOUND_TESTS_VECTORS_VECTOR_FILE_H

#include <casebound/secret.h>

typedef struct vector_file {
    char expect[32];
    char form[16];
    char text_hash[65];
    uint8_t public_key[32];
    cb_secret *signing_key;     /* of the seed */
    cb_secret *compartment_key; /* or NULL */
    cb_secret *entry_key;       /* or NULL */
    cb_buffer bytes;
} vector_file;

/* The folder of this project's own vectors. */
#define VECTOR_FOLDER CASEBOUND_SOURCE "/tests/vectors/entry"

/* Ends the test where there is no such file or it is not in the form. */
void vector_file_open(const char *name, vector_file *ret_file);
void vector_file_close(vector_file *file);

/* The file as it lies there. */
void vector_file_read(const char *name, cb_buffer *content);

#endif
