/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scrub: every page of a file read and checked; and damage put into words.
 */
#include "vfs/internal.h"
#include <sodium.h>
#include <string.h>

/* Explained by what cb_vfs_head_read noted, or by there being no head. */
static cb_status fail_head(cb_vfs *vfs, int result, const char *path,
                           cb_error *reterr_error)
{
    struct cb_vfs_damage damage;
    if (result == SQLITE_NOTADB && cb_vfs_damage(vfs, &damage)) {
        return cb_vfs_explain(&damage, reterr_error);
    }
    if (result != SQLITE_OK) {
        return cb_error_set(reterr_error, CB_IO, "'%s' cannot be read", path);
    }
    return cb_error_set(reterr_error, CB_WRONG_KEY,
                        "'%s' is not an encrypted store", path);
}

struct scrub {
    cb_vfs *vfs;
    sqlite3_file *real;
    const char *path;
    struct cb_vfs_head head;
    struct cb_vfs_versions *versions;
    bool table_damaged; /* `table_block` was reported last */
    uint64_t table_block;
    cb_vfs_scrub_callback callback;
    void *context;
    struct cb_vfs_scrub_result result;
};

/* Hands on what was noted. */
static void report_noted(struct scrub *scrub)
{
    struct cb_vfs_damage damage;
    scrub->result.damaged++;
    if (scrub->callback != NULL && cb_vfs_damage(scrub->vfs, &damage)) {
        scrub->callback(scrub->context, &damage);
    }
}

static void report(struct scrub *scrub, enum cb_vfs_fault fault,
                   uint64_t number)
{
    cb_vfs_note_damage(scrub->vfs, CB_VFS_MAIN, fault, scrub->path, number);
    report_noted(scrub);
}

/* One damaged block of the table concerns many pages, and is said once. */
static void report_table(struct scrub *scrub)
{
    struct cb_vfs_damage damage = { .number = 0 };
    if (cb_vfs_damage(scrub->vfs, &damage) &&
        (!scrub->table_damaged || damage.number != scrub->table_block)) {
        scrub->table_damaged = true;
        scrub->table_block = damage.number;
        report_noted(scrub);
    }
}

static int scrub_page(struct scrub *scrub, uint64_t number, uint8_t *page)
{
    uint32_t page_size = cb_vfs_head_page_size(&scrub->head);
    struct cb_vfs_trailer trailer;
    bool newest = false;
    int result =
        scrub->real->pMethods->xRead(scrub->real, page, (int)page_size,
                                     (sqlite3_int64)(number - 1) * page_size);
    memcpy(trailer.bytes, page + page_size - CB_VFS_RESERVED_BYTES,
           sizeof(trailer.bytes));
    scrub->result.pages++;
    if (result != SQLITE_OK ||
        !cb_vfs_page_unseal(scrub->vfs, &scrub->head, number, page)) {
        memset(page, 0, page_size);
        report(scrub, CB_VFS_FAULT_UNREADABLE, number);
        return SQLITE_OK;
    }
    result = cb_vfs_versions_check(scrub->versions, number, &trailer, &newest);
    if (result == SQLITE_IOERR_DATA) {
        report_table(scrub);
        result = SQLITE_OK;
    } else if (result == SQLITE_OK && !newest) {
        scrub->result.table_doubtful =
            scrub->result.table_doubtful ||
            cb_vfs_versions_doubtful(scrub->versions);
        report(scrub, CB_VFS_FAULT_STALE, number);
    }
    return result;
}

static cb_status scrub_pages(struct scrub *scrub, uint64_t size,
                             cb_error *reterr_error)
{
    uint32_t page_size = cb_vfs_head_page_size(&scrub->head);
    uint64_t count = size / page_size;
    uint64_t expected = 0;
    int result = SQLITE_OK;
    uint8_t *page = sqlite3_malloc((int)page_size);
    if (page == NULL) {
        return cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
    }
    scrub->result.tracked = cb_vfs_versions_live(scrub->versions);
    for (uint64_t i = 1; i <= count && result == SQLITE_OK; i++) {
        result = scrub_page(scrub, i, page);
        if (i == 1 && memcmp(page + 24, page + 92, 4) == 0) {
            expected = cb_get_u32(page + 28);
        }
    }
    if (result == SQLITE_OK && (count < expected || size % page_size != 0)) {
        report(scrub, CB_VFS_FAULT_TRUNCATED, count + 1);
    }
    sodium_memzero(page, page_size);
    sqlite3_free(page);
    return result == SQLITE_OK
               ? CB_OK
               : cb_error_set(reterr_error, CB_IO,
                              "'%s" CB_VFS_TABLE_SUFFIX "' cannot be read",
                              scrub->path);
}

static cb_status scrub_file(struct scrub *scrub, cb_error *reterr_error)
{
    bool known = false;
    sqlite3_int64 size = 0;
    int result = cb_vfs_head_read(scrub->vfs, scrub->real, scrub->path,
                                  &scrub->head, &known);
    if (result != SQLITE_OK || !known) {
        return fail_head(scrub->vfs, result, scrub->path, reterr_error);
    }
    scrub->result.cipher = cb_vfs_head_cipher(&scrub->head);
    result = scrub->real->pMethods->xFileSize(scrub->real, &size);
    if (result != SQLITE_OK) {
        return cb_error_set(reterr_error, CB_IO, "'%s' cannot be read",
                            scrub->path);
    }
    result = cb_vfs_versions_attach(scrub->vfs, scrub->path, &scrub->head,
                                    &scrub->versions);
    if (result != SQLITE_OK) {
        return cb_error_set(reterr_error, CB_IO,
                            "'%s" CB_VFS_TABLE_SUFFIX "' cannot be read",
                            scrub->path);
    }
    return scrub_pages(scrub, (uint64_t)size, reterr_error);
}

cb_status cb_vfs_scrub(cb_vfs *vfs, const char *path,
                       cb_vfs_scrub_callback callback, void *context,
                       struct cb_vfs_scrub_result *ret_result,
                       cb_error *reterr_error)
{
    sqlite3_vfs *base = vfs->base;
    size_t full_size = (size_t)base->mxPathname + 1;
    cb_status status = CB_NO_MEMORY;
    int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_MAIN_DB;
    struct scrub scrub = { .vfs = vfs,
                           .callback = callback,
                           .context = context };
    sqlite3_filename name = NULL;
    char *full = sqlite3_malloc64(full_size);
    scrub.real = sqlite3_malloc(base->szOsFile);
    if (full == NULL || scrub.real == NULL) {
        (void)cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
        goto out;
    }
    memset(scrub.real, 0, (size_t)base->szOsFile);
    /* The VFS below expects a name as SQLite makes them, with parameters. */
    if (base->xFullPathname(base, path, (int)full_size, full) == SQLITE_OK) {
        name = sqlite3_create_filename(full, "", "", 0, NULL);
    }
    if (name == NULL ||
        base->xOpen(base, name, scrub.real, flags, &flags) != SQLITE_OK) {
        status =
            cb_error_set(reterr_error, CB_IO, "'%s' cannot be opened", path);
        goto out;
    }
    scrub.path = name;
    status = scrub_file(&scrub, reterr_error);
    if (status == CB_OK) {
        *ret_result = scrub.result;
    }

out:
    cb_vfs_versions_release(scrub.versions);
    if (scrub.real != NULL && scrub.real->pMethods != NULL) {
        (void)scrub.real->pMethods->xClose(scrub.real);
    }
    sqlite3_free(scrub.real);
    sqlite3_free_filename(name);
    sqlite3_free(full);
    return status;
}

static const char *piece_name(enum cb_vfs_kind kind)
{
    const char *name = "page";
    switch (kind) {
    case CB_VFS_MAIN: name = "page"; break;
    case CB_VFS_WAL: name = "frame"; break;
    case CB_VFS_JOURNAL: name = "record"; break;
    case CB_VFS_TEMPORARY:
    case CB_VFS_SUPER_JOURNAL:
    case CB_VFS_TABLE: name = "block"; break;
    }
    return name;
}

/* The table says nothing about content: it can be made anew. */
static cb_status explain_table(const struct cb_vfs_damage *damage,
                               cb_error *reterr_error)
{
    if (damage->fault == CB_VFS_FAULT_MISSING) {
        (void)cb_error_set(reterr_error, CB_DAMAGED, "'%s' is missing",
                           damage->path);
    } else if (damage->number != 0) {
        (void)cb_error_set(reterr_error, CB_DAMAGED,
                           "block %llu of '%s' does not verify",
                           (unsigned long long)damage->number, damage->path);
    } else {
        (void)cb_error_set(reterr_error, CB_DAMAGED, "'%s' does not verify",
                           damage->path);
    }
    cb_error_meaning(reterr_error,
                     "nothing is lost, but without it an older page put back "
                     "would not be noticed");
    cb_error_next(reterr_error, "casebound doctor --repair");
    return CB_DAMAGED;
}

cb_status cb_vfs_explain(const struct cb_vfs_damage *damage,
                         cb_error *reterr_error)
{
    const char *piece = piece_name(damage->kind);
    unsigned long long number = damage->number;
    cb_status status = CB_DAMAGED;
    switch (damage->fault) {
    case CB_VFS_FAULT_NEWER:
        return cb_error_set(reterr_error, CB_NEWER,
                            "'%s' was written by a newer version",
                            damage->path);
    case CB_VFS_FAULT_CIPHER:
        status = cb_error_set(reterr_error, CB_REFUSED,
                              "'%s' uses a cipher that this machine lacks",
                              damage->path);
        cb_error_meaning(reterr_error, "nothing was changed; the store opens "
                                       "on a machine that has the cipher");
        return status;
    case CB_VFS_FAULT_STALE:
        status = cb_error_set(reterr_error, status,
                              "%s %llu of '%s' is an older version of itself",
                              piece, number, damage->path);
        cb_error_meaning(reterr_error, "something put back what stood there "
                                       "before; what it says is out of date");
        break;
    case CB_VFS_FAULT_MISSING: return explain_table(damage, reterr_error);
    case CB_VFS_FAULT_LOST_FRAMES:
        status = cb_error_set(reterr_error, status,
                              "%s %llu of '%s' is damaged and hides later ones",
                              piece, number, damage->path);
        cb_error_meaning(reterr_error, "what was recorded last is still in the "
                                       "file but cannot be reached safely");
        break;
    case CB_VFS_FAULT_TRUNCATED:
        status = cb_error_set(reterr_error, status, "'%s' ends before %s %llu",
                              damage->path, piece, number);
        cb_error_meaning(reterr_error, "a part of the store is missing");
        break;
    case CB_VFS_FAULT_UNREADABLE:
        if (damage->kind == CB_VFS_MAIN && damage->number == 1) {
            return cb_error_set(reterr_error, CB_WRONG_KEY,
                                "page 1 of '%s' does not open with this key",
                                damage->path);
        }
        if (damage->kind == CB_VFS_TABLE) {
            return explain_table(damage, reterr_error);
        }
        status = cb_error_set(reterr_error, status,
                              "%s %llu of '%s' does not verify", piece, number,
                              damage->path);
        cb_error_meaning(reterr_error, "it was changed on the disk by "
                                       "something other than casebound");
        break;
    }
    cb_error_next(reterr_error, "copy the folder away as it is, then: "
                                "casebound doctor");
    return status;
}
