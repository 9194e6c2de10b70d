/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every secret key of a store as hexadecimal lines, so that a test can look for
 * them where they must not be: keys STORE, the passphrase on the input.
 */
#include <casebound/store.h>
#include <stdio.h>
#include <string.h>

#include "store/internal.h"

static void print(const cb_secret *secret)
{
    for (size_t i = 0; secret != NULL && i < cb_secret_size(secret); i++) {
        printf("%02x", cb_secret_view(secret)[i]);
    }
    printf("\n");
}

int main(int argc, char **argv)
{
    char line[256];
    cb_error error = { 0 };
    cb_secret *passphrase = NULL;
    cb_store *store = NULL;
    if (argc != 2 || fgets(line, sizeof line, stdin) == NULL) {
        return 2;
    }
    size_t size = strcspn(line, "\n");
    cb_status status = cb_secret_create(size, &passphrase, &error);
    if (status == CB_OK) {
        memcpy(cb_secret_bytes(passphrase), line, size);
        const cb_store_options options = { .folder = argv[1] };
        status = cb_store_open(&options, passphrase, &store, &error);
    }
    if (status != CB_OK) {
        fprintf(stderr, "%s\n", error.what);
        return 1;
    }
    print(store->master_key);
    print(store->device_key);
    print(store->sealing_key);
    print(store->stream_key);
    cb_compartment compartment;
    for (int64_t number = 1; cb_compartment_load_number(
                                 store, number, &compartment, &error) == CB_OK;
         number++) {
        print(store->key_in_use);
    }
    cb_store_close(store);
    cb_secret_destroy(passphrase);
    return 0;
}
