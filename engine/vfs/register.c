/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registration, opening, and everything that is handed on unchanged.
 *
 * What kind a file is, SQLite says in the flags of xOpen.  A kind that is not
 * known here is refused rather than written in the clear.
 */
#include "vfs/internal.h"
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define BASE_VFS_DEFAULT     "unix-excl"
#define SQLITE_LOCK_OFFSET   0x40000000U
#define UNIX_EPOCH_JULIAN_MS INT64_C(210866760000000)
#define KIND_FLAGS                                                          \
    (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_TEMP_DB | SQLITE_OPEN_TRANSIENT_DB | \
     SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_TEMP_JOURNAL |                  \
     SQLITE_OPEN_SUBJOURNAL | SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_WAL)

struct cb_vfs_file *cb_vfs_file_of(sqlite3_file *file)
{
    void *memory = file;
    return memory;
}

static cb_vfs *vfs_of(sqlite3_vfs *handle)
{
    return handle->pAppData;
}

void cb_vfs_note_damage(cb_vfs *vfs, enum cb_vfs_kind kind,
                        enum cb_vfs_fault fault, const char *path,
                        uint64_t number)
{
    sqlite3_mutex_enter(vfs->mutex);
    vfs->damage = (struct cb_vfs_damage){ .kind = kind,
                                          .fault = fault,
                                          .number = number };
    (void)snprintf(vfs->damage.path, sizeof(vfs->damage.path), "%s",
                   path != NULL ? path : "");
    vfs->damaged = true;
    sqlite3_mutex_leave(vfs->mutex);
}

bool cb_vfs_damage(const cb_vfs *vfs, struct cb_vfs_damage *ret_damage)
{
    sqlite3_mutex_enter(vfs->mutex);
    bool damaged = vfs->damaged;
    if (damaged) {
        *ret_damage = vfs->damage;
    }
    sqlite3_mutex_leave(vfs->mutex);
    return damaged;
}

void cb_vfs_forget_damage(cb_vfs *vfs)
{
    sqlite3_mutex_enter(vfs->mutex);
    vfs->damaged = false;
    sqlite3_mutex_leave(vfs->mutex);
}

bool cb_vfs_file_reserve(struct cb_vfs_file *file, size_t size)
{
    if (file->buffer_size >= size) {
        return true;
    }
    uint8_t *buffer = sqlite3_malloc64(size);
    if (buffer == NULL) {
        return false;
    }
    memset(buffer, 0, size);
    if (file->buffer != NULL) {
        memcpy(buffer, file->buffer, file->buffer_size);
        sodium_memzero(file->buffer, file->buffer_size);
        sqlite3_free(file->buffer);
    }
    file->buffer = buffer;
    file->buffer_size = size;
    return true;
}

/* The open main file whose path and `suffix` make up this one's path. */
static struct cb_vfs_file *find_main(const struct cb_vfs_file *file,
                                     const char *suffix)
{
    size_t size = file->path != NULL ? strlen(file->path) : 0;
    size_t suffix_size = strlen(suffix);
    if (size <= suffix_size ||
        strcmp(file->path + size - suffix_size, suffix) != 0) {
        return NULL;
    }
    size -= suffix_size;
    struct cb_vfs_file *main_file = file->vfs->main_files;
    while (main_file != NULL &&
           (strlen(main_file->path) != size ||
            memcmp(main_file->path, file->path, size) != 0)) {
        main_file = main_file->next;
    }
    return main_file;
}

bool cb_vfs_head_find(struct cb_vfs_file *file, const char *suffix)
{
    cb_vfs *vfs = file->vfs;
    struct cb_vfs_head head = { { 0 } };
    bool known = false;
    sqlite3_mutex_enter(vfs->mutex);
    struct cb_vfs_file *main_file = find_main(file, suffix);
    if (main_file != NULL) {
        (void)cb_vfs_head_read(vfs, main_file->real, main_file->path, &head,
                               &known);
    }
    sqlite3_mutex_leave(vfs->mutex);
    if (known) {
        file->head = head;
    }
    file->head_known = known;
    return known;
}

int cb_vfs_log_begun(struct cb_vfs_file *log, const char *suffix, int result)
{
    if (result != SQLITE_OK) {
        return result;
    }
    sqlite3_mutex_enter(log->vfs->mutex);
    struct cb_vfs_file *main_file = log->vfs->main_files;
    size_t size = strlen(log->path) - strlen(suffix);
    for (; main_file != NULL; main_file = main_file->next) {
        if (strlen(main_file->path) == size &&
            memcmp(main_file->path, log->path, size) == 0) {
            main_file->new_log_due = false;
        }
    }
    sqlite3_mutex_leave(log->vfs->mutex);
    return SQLITE_OK;
}

bool cb_vfs_key_fits(struct cb_vfs_file *file, const char *suffix)
{
    cb_vfs *vfs = file->vfs;
    uint32_t page_size = cb_vfs_head_page_size(&file->head);
    bool fits = false;
    uint8_t *page = sqlite3_malloc((int)page_size);
    if (page == NULL) {
        return false;
    }
    sqlite3_mutex_enter(vfs->mutex);
    struct cb_vfs_file *main_file = find_main(file, suffix);
    if (main_file != NULL &&
        main_file->real->pMethods->xRead(main_file->real, page, (int)page_size,
                                         0) == SQLITE_OK) {
        fits = cb_vfs_page_unseal(vfs, &file->head, 1, page);
    }
    sqlite3_mutex_leave(vfs->mutex);
    sodium_memzero(page, page_size);
    sqlite3_free(page);
    return fits;
}

int cb_vfs_versions_share(struct cb_vfs_file *file, const char *suffix)
{
    cb_vfs *vfs = file->vfs;
    int result = SQLITE_NOTFOUND;
    sqlite3_mutex_enter(vfs->mutex);
    struct cb_vfs_file *main_file = find_main(file, suffix);
    if (main_file != NULL && file->head_known) {
        result = cb_vfs_versions_attach(vfs, main_file->path, &file->head,
                                        &file->versions);
    }
    sqlite3_mutex_leave(vfs->mutex);
    return result;
}

static bool kind_of_flags(int flags, enum cb_vfs_kind *ret_kind)
{
    switch (flags & KIND_FLAGS) {
    case SQLITE_OPEN_MAIN_DB: *ret_kind = CB_VFS_MAIN; return true;
    case SQLITE_OPEN_WAL: *ret_kind = CB_VFS_WAL; return true;
    case SQLITE_OPEN_MAIN_JOURNAL: *ret_kind = CB_VFS_JOURNAL; return true;
    case SQLITE_OPEN_SUPER_JOURNAL:
        *ret_kind = CB_VFS_SUPER_JOURNAL;
        return true;
    case SQLITE_OPEN_TEMP_DB:
    case SQLITE_OPEN_TRANSIENT_DB:
    case SQLITE_OPEN_TEMP_JOURNAL:
    case SQLITE_OPEN_SUBJOURNAL: *ret_kind = CB_VFS_TEMPORARY; return true;
    default: return false;
    }
}

static const sqlite3_io_methods *methods_of_kind(enum cb_vfs_kind kind)
{
    const sqlite3_io_methods *methods = NULL;
    switch (kind) {
    case CB_VFS_MAIN: methods = &cb_vfs_main_methods; break;
    case CB_VFS_WAL: methods = &cb_vfs_wal_methods; break;
    case CB_VFS_JOURNAL: methods = &cb_vfs_journal_methods; break;
    case CB_VFS_TEMPORARY: methods = &cb_vfs_temporary_methods; break;
    case CB_VFS_SUPER_JOURNAL: methods = &cb_vfs_plain_methods; break;
    case CB_VFS_TABLE: break;
    }
    return methods;
}

/* Opens the file below; a reader makes none, and a log that is missing is
   empty. */
static int open_real(struct cb_vfs_file *file, int flags, int *ret_flags)
{
    sqlite3_vfs *base = file->vfs->base;
    if (file->vfs->reading && file->kind != CB_VFS_TEMPORARY) {
        int exists = 0;
        flags &= ~(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
        flags |= SQLITE_OPEN_READONLY;
        int result =
            base->xAccess(base, file->path, SQLITE_ACCESS_EXISTS, &exists);
        if (result != SQLITE_OK) {
            return result;
        }
        if (exists == 0 && file->kind == CB_VFS_WAL) {
            file->real->pMethods = &cb_vfs_empty_methods;
            if (ret_flags != NULL) {
                *ret_flags = flags;
            }
            return SQLITE_OK;
        }
    }
    return base->xOpen(base, file->path, file->real, flags, ret_flags);
}

static int vfs_open(sqlite3_vfs *handle, const char *path,
                    sqlite3_file *file_handle, int flags, int *ret_flags)
{
    cb_vfs *vfs = vfs_of(handle);
    struct cb_vfs_file *file = cb_vfs_file_of(file_handle);
    memset(file, 0, (size_t)vfs->vfs.szOsFile);
    if (!kind_of_flags(flags, &file->kind)) {
        return SQLITE_CANTOPEN;
    }
    file->vfs = vfs;
    file->path = path;
    void *real = (uint8_t *)file + vfs->file_offset;
    file->real = real;
    int result = open_real(file, flags, ret_flags);
    if (result == SQLITE_OK && file->kind == CB_VFS_TEMPORARY) {
        result = cb_vfs_temporary_init(file);
    }
    if (result == SQLITE_OK && file->kind == CB_VFS_MAIN &&
        (vfs->admits || vfs->reading)) {
        result = cb_vfs_gate_open(file);
    }
    if (result != SQLITE_OK) {
        cb_vfs_gate_close(file);
        if (file->real->pMethods != NULL) {
            (void)file->real->pMethods->xClose(file->real);
        }
        file->base.pMethods = NULL;
        return result;
    }
    if (file->kind == CB_VFS_MAIN) {
        sqlite3_mutex_enter(vfs->mutex);
        if (vfs->main_files == NULL) {
            /* Whoever has closed everything looks at the disk anew. */
            vfs->sync_failed = false;
        }
        file->next = vfs->main_files;
        vfs->main_files = file;
        sqlite3_mutex_leave(vfs->mutex);
    }
    file->base.pMethods = methods_of_kind(file->kind);
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *handle, const char *path, int sync_folder)
{
    cb_vfs *vfs = vfs_of(handle);
    int result = cb_vfs_may_write(vfs);
    if (result == SQLITE_OK) {
        result = vfs->base->xDelete(vfs->base, path, sync_folder);
    }
    if (result == SQLITE_IOERR_DIR_FSYNC) {
        sqlite3_mutex_enter(vfs->mutex);
        vfs->sync_failed = true;
        sqlite3_mutex_leave(vfs->mutex);
    }
    return result;
}

static int vfs_access(sqlite3_vfs *handle, const char *path, int flags,
                      int *ret_result)
{
    sqlite3_vfs *base = vfs_of(handle)->base;
    return base->xAccess(base, path, flags, ret_result);
}

static int vfs_full_pathname(sqlite3_vfs *handle, const char *path, int size,
                             char *ret_path)
{
    sqlite3_vfs *base = vfs_of(handle)->base;
    return base->xFullPathname(base, path, size, ret_path);
}

static int vfs_randomness(sqlite3_vfs *handle, int size, char *ret_bytes)
{
    const cb_environment *environment = vfs_of(handle)->environment;
    environment->random(environment->context, ret_bytes, (size_t)size);
    return size;
}

static int vfs_sleep(sqlite3_vfs *handle, int microseconds)
{
    sqlite3_vfs *base = vfs_of(handle)->base;
    return base->xSleep(base, microseconds);
}

static int vfs_current_time_ms(sqlite3_vfs *handle, sqlite3_int64 *ret_time_ms)
{
    const cb_environment *environment = vfs_of(handle)->environment;
    *ret_time_ms =
        environment->now_ms(environment->context) + UNIX_EPOCH_JULIAN_MS;
    return SQLITE_OK;
}

static int vfs_current_time(sqlite3_vfs *handle, double *ret_days)
{
    sqlite3_int64 time_ms = 0;
    int result = vfs_current_time_ms(handle, &time_ms);
    *ret_days = (double)time_ms / 86400000.0;
    return result;
}

static int vfs_last_error(sqlite3_vfs *handle, int size, char *ret_text)
{
    sqlite3_vfs *base = vfs_of(handle)->base;
    return base->xGetLastError != NULL
               ? base->xGetLastError(base, size, ret_text)
               : 0;
}

static size_t round_up(size_t size)
{
    return (size + 15) / 16 * 16;
}

/* No code is loaded into a process that holds the key. */
static void *vfs_load(sqlite3_vfs *handle, const char *path)
{
    (void)handle;
    (void)path;
    return NULL;
}

static void vfs_load_error(sqlite3_vfs *handle, int size, char *ret_text)
{
    (void)handle;
    (void)snprintf(ret_text, (size_t)size, "extensions are not loaded");
}

static void fill_vfs(cb_vfs *vfs)
{
    vfs->file_offset = round_up(sizeof(struct cb_vfs_file));
    vfs->vfs = (sqlite3_vfs){
        .iVersion = 2,
        .szOsFile = (int)vfs->file_offset + vfs->base->szOsFile,
        .mxPathname = vfs->base->mxPathname,
        .zName = vfs->name,
        .pAppData = vfs,
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_full_pathname,
        .xDlOpen = vfs_load,
        .xDlError = vfs_load_error,
        .xRandomness = vfs_randomness,
        .xSleep = vfs_sleep,
        .xCurrentTime = vfs_current_time,
        .xGetLastError = vfs_last_error,
        .xCurrentTimeInt64 = vfs_current_time_ms,
    };
}

cb_status cb_vfs_create(const cb_environment *environment,
                        const cb_secret *master_key,
                        enum cb_vfs_cipher preferred, cb_vfs **ret_vfs,
                        cb_error *reterr_error)
{
    const char *base_name = environment->base_vfs != NULL
                                ? environment->base_vfs
                                : BASE_VFS_DEFAULT;
    if (cb_secret_size(master_key) != CB_KEY_BYTES) {
        return cb_error_set(reterr_error, CB_INPUT,
                            "the store's key is not %d bytes long",
                            CB_KEY_BYTES);
    }
    if (sodium_init() < 0 || sqlite3_initialize() != SQLITE_OK) {
        return cb_error_set(reterr_error, CB_FAILED,
                            "a library could not be started");
    }
    if (!cb_vfs_cipher_available(preferred)) {
        return cb_error_set(reterr_error, CB_INPUT,
                            "this machine cannot run the cipher asked for");
    }
    sqlite3_vfs *base = sqlite3_vfs_find(base_name);
    if (base == NULL) {
        return cb_error_set(reterr_error, CB_NOT_FOUND,
                            "there is no SQLite VFS '%s'", base_name);
    }
    cb_vfs *vfs = sqlite3_malloc((int)sizeof(*vfs));
    if (vfs == NULL) {
        return cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
    }
    memset(vfs, 0, sizeof(*vfs));
    vfs->base = base;
    vfs->environment = environment;
    vfs->preferred = preferred;
    vfs->lock_offset = SQLITE_LOCK_OFFSET;
    (void)snprintf(vfs->name, sizeof(vfs->name), "casebound-%p", (void *)vfs);
    vfs->mutex = sqlite3_mutex_alloc(SQLITE_MUTEX_RECURSIVE);
    fill_vfs(vfs);
    cb_status status = cb_vfs_keys_create(vfs, master_key, reterr_error);
    if (status == CB_OK && sqlite3_vfs_register(&vfs->vfs, 0) != SQLITE_OK) {
        status = cb_error_set(reterr_error, CB_FAILED,
                              "the encrypting VFS could not be registered");
    }
    if (status != CB_OK) {
        cb_vfs_destroy(vfs);
        return status;
    }
    *ret_vfs = vfs;
    return CB_OK;
}

void cb_vfs_destroy(cb_vfs *vfs)
{
    if (vfs == NULL) {
        return;
    }
    CB_ASSERT(vfs->main_files == NULL && vfs->versions == NULL);
    (void)sqlite3_vfs_unregister(&vfs->vfs);
    cb_vfs_keys_destroy(vfs);
    sqlite3_mutex_free(vfs->mutex);
    sodium_memzero(vfs, sizeof(*vfs));
    sqlite3_free(vfs);
}

void cb_vfs_admit_readers(cb_vfs *vfs)
{
    vfs->admits = true;
}

void cb_vfs_only_read(cb_vfs *vfs)
{
    vfs->reading = true;
}

const char *cb_vfs_name(const cb_vfs *vfs)
{
    return vfs->name;
}

cb_status cb_vfs_prepare(sqlite3 *database, const char *schema,
                         cb_error *reterr_error)
{
    int reserve = CB_VFS_RESERVED_BYTES;
    int result = sqlite3_file_control(database, schema,
                                      SQLITE_FCNTL_RESERVE_BYTES, &reserve);
    /* Asked again with a negative number, it tells what it will be. */
    reserve = -1;
    if (result == SQLITE_OK) {
        result = sqlite3_file_control(database, schema,
                                      SQLITE_FCNTL_RESERVE_BYTES, &reserve);
    }
    if (result != SQLITE_OK || reserve != CB_VFS_RESERVED_BYTES) {
        return cb_error_set(reterr_error, CB_IO,
                            "'%s' leaves no room for encryption in its pages",
                            schema);
    }
    return CB_OK;
}
