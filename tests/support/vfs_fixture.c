/* SPDX-License-Identifier: Apache-2.0 */
#include "support/vfs_fixture.h"

#include <dirent.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

static int hits;
static int writes;

/* Not every C library shows memmem without being asked for extensions. */
static bool contains(const uint8_t *bytes, size_t size, const char *text)
{
    size_t text_size = strlen(text);
    const uint8_t *end = bytes + size;
    while ((size_t)(end - bytes) >= text_size) {
        size_t span = (size_t)(end - bytes) - text_size + 1;
        const uint8_t *found = memchr(bytes, text[0], span);
        if (found == NULL) {
            return false;
        }
        if (memcmp(found, text, text_size) == 0) {
            return true;
        }
        bytes = found + 1;
    }
    return false;
}

static ssize_t vfs_spy_pwrite(int descriptor, const void *bytes, size_t size,
                              off_t offset)
{
    writes++;
    hits += contains(bytes, size, CANARY);
    return pwrite(descriptor, bytes, size, offset);
}

static ssize_t vfs_spy_write(int descriptor, const void *bytes, size_t size)
{
    writes++;
    hits += contains(bytes, size, CANARY);
    return write(descriptor, bytes, size);
}

void vfs_spy_install(void)
{
    sqlite3_initialize();
    sqlite3_vfs *base = sqlite3_vfs_find("unix-excl");
    base->xSetSystemCall(base, "pwrite", (sqlite3_syscall_ptr)vfs_spy_pwrite);
    base->xSetSystemCall(base, "pwrite64", (sqlite3_syscall_ptr)vfs_spy_pwrite);
    base->xSetSystemCall(base, "write", (sqlite3_syscall_ptr)vfs_spy_write);
}

void vfs_spy_reset(void)
{
    hits = 0;
    writes = 0;
}

int vfs_spy_hits(void)
{
    return hits;
}

int vfs_spy_writes(void)
{
    return writes;
}

struct vfs_fixture *vfs_fixture_create(enum cb_vfs_cipher cipher)
{
    struct vfs_fixture *fixture = calloc(1, sizeof *fixture);
    cr_assert(fixture != NULL && sodium_init() >= 0);
    snprintf(fixture->folder, sizeof fixture->folder, "/tmp/cb-vfs-XXXXXX");
    cr_assert(mkdtemp(fixture->folder) != NULL);
    fixture->environment = *cb_environment_system();
    expect_ok(cb_secret_create_random(&fixture->environment, CB_KEY_BYTES,
                                      &fixture->key, test_error()));
    vfs_fixture_reopen(fixture, cipher);
    return fixture;
}

void vfs_fixture_reopen(struct vfs_fixture *fixture, enum cb_vfs_cipher cipher)
{
    cb_vfs_destroy(fixture->vfs);
    fixture->vfs = NULL;
    if (!cb_vfs_cipher_available(cipher)) {
        cipher = CB_VFS_XCHACHA20_POLY1305;
    }
    expect_ok(cb_vfs_create(&fixture->environment, fixture->key, cipher,
                            &fixture->vfs, test_error()));
}

void vfs_fixture_destroy(struct vfs_fixture *fixture)
{
    cb_vfs_destroy(fixture->vfs);
    cb_secret_destroy(fixture->key);
    DIR *folder = opendir(fixture->folder);
    cr_assert(folder != NULL);
    const struct dirent *entry = NULL;
    while ((entry = readdir(folder)) != NULL) {
        char path[400];
        snprintf(path, sizeof path, "%s/%s", fixture->folder, entry->d_name);
        if (entry->d_name[0] != '.') {
            unlink(path);
        }
    }
    closedir(folder);
    rmdir(fixture->folder);
    free(fixture);
}

const char *vfs_fixture_path(struct vfs_fixture *fixture, const char *name)
{
    char folder[sizeof fixture->folder];
    memcpy(folder, fixture->folder, sizeof folder);
    char *path = fixture->path[fixture->path_next];
    fixture->path_next = (fixture->path_next + 1) % 4;
    snprintf(path, sizeof fixture->path[0], "%s/%s", folder, name);
    return path;
}

sqlite3 *vfs_fixture_open(struct vfs_fixture *fixture, const char *name,
                          const char *mode)
{
    sqlite3 *database = NULL;
    int result = sqlite3_open_v2(vfs_fixture_path(fixture, name), &database,
                                 SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
                                     SQLITE_OPEN_URI,
                                 cb_vfs_name(fixture->vfs));
    cr_assert(result == SQLITE_OK, "open: %s", sqlite3_errmsg(database));
    sqlite3_extended_result_codes(database, 1);
    expect_ok(cb_vfs_prepare(database, "main", test_error()));
    if (mode != NULL) {
        char sql[64];
        snprintf(sql, sizeof sql, "PRAGMA journal_mode=%s", mode);
        sql_must(database, sql);
    }
    return database;
}

int sql_run(sqlite3 *database, const char *sql)
{
    return sqlite3_exec(database, sql, NULL, NULL, NULL);
}

void sql_must(sqlite3 *database, const char *sql)
{
    int result = sql_run(database, sql);
    cr_assert(result == SQLITE_OK, "%s\n    gave %d: %s", sql, result,
              sqlite3_errmsg(database));
}

sqlite3_int64 sql_int(sqlite3 *database, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(database, sql, -1, &statement, NULL);
    cr_assert(result == SQLITE_OK, "%s\n    gave %d: %s", sql, result,
              sqlite3_errmsg(database));
    result = sqlite3_step(statement);
    cr_assert(result == SQLITE_ROW, "%s\n    gave %d: %s", sql, result,
              sqlite3_errmsg(database));
    sqlite3_int64 value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return value;
}

void sql_expect_integrity(sqlite3 *database)
{
    sqlite3_stmt *statement = NULL;
    sqlite3_prepare_v2(database, "PRAGMA integrity_check", -1, &statement,
                       NULL);
    cr_assert(sqlite3_step(statement) == SQLITE_ROW);
    expect_text((const char *)sqlite3_column_text(statement, 0), "ok");
    sqlite3_finalize(statement);
}

uint8_t *vfs_file_read(const char *path, size_t *ret_size)
{
    FILE *file = fopen(path, "rb");
    cr_assert(file != NULL, "no file %s", path);
    fseek(file, 0, SEEK_END);
    *ret_size = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(*ret_size + 1);
    cr_assert(bytes != NULL);
    cr_assert(fread(bytes, 1, *ret_size, file) == *ret_size);
    fclose(file);
    return bytes;
}

void vfs_file_write(const char *path, const uint8_t *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    cr_assert(file != NULL);
    cr_assert(fwrite(bytes, 1, size, file) == size);
    fclose(file);
}

bool vfs_file_contains(const char *path, const char *text)
{
    size_t size = 0;
    uint8_t *bytes = vfs_file_read(path, &size);
    bool found = contains(bytes, size, text);
    free(bytes);
    return found;
}
