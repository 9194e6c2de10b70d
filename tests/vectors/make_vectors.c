/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes every vector of the catalogue into a folder:
 *
 *     make_vectors tests/vectors/entry
 *
 * The tests compare what is there with what this writes, so a change of the
 * format cannot go unnoticed.
 */
#include "vectors/kit.h"

#include <sodium.h>
#include <stdio.h>

static int write_vector(const kit_row *row, const char *folder)
{
    char path[4096];
    cb_buffer file;
    cb_buffer_init(&file, KIT_FILE_BYTES_MAX);
    kit_render(row, &file);
    (void)snprintf(path, sizeof path, "%s/%s", folder, row->name);
    FILE *stream = fopen(path, "wb");
    if (stream == NULL) {
        perror(path);
        cb_buffer_clear(&file);
        return 1;
    }
    const size_t written = fwrite(file.bytes, 1, file.size, stream);
    const int failed = fclose(stream) != 0 || written != file.size;
    cb_buffer_clear(&file);
    return failed;
}

int main(int argument_count, char **arguments)
{
    if (argument_count != 2 || sodium_init() < 0) {
        (void)fprintf(stderr, "usage: make_vectors FOLDER\n");
        return 2;
    }
    int failed = 0;
    for (size_t i = 0; kit_row_at(i) != NULL; i++) {
        failed |= write_vector(kit_row_at(i), arguments[1]);
    }
    return failed;
}
