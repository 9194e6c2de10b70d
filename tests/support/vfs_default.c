/* SPDX-License-Identifier: Apache-2.0 */
#include "support/vfs_default.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/vfs.h"

int casebound_vfs(const char *unused)
{
    /* Both live as long as the process, like a VFS that is built in. */
    static cb_environment environment;
    static cb_vfs *vfs;
    (void)unused;
    if (vfs != NULL) {
        return SQLITE_OK;
    }
    if (sodium_init() < 0) {
        return SQLITE_ERROR;
    }
    environment = *cb_environment_system();
    environment.base_vfs = "unix";
    const char *wanted = getenv("CASEBOUND_TEST_CIPHER");
    enum cb_vfs_cipher cipher = wanted != NULL && strcmp(wanted, "aes256") == 0
                                    ? CB_VFS_AES256_GCM
                                    : CB_VFS_XCHACHA20_POLY1305;
    cb_secret *key = NULL;
    if (cb_secret_create(CB_KEY_BYTES, &key, NULL) != CB_OK) {
        return SQLITE_ERROR;
    }
    memset(cb_secret_bytes(key), 0x42, CB_KEY_BYTES);
    cb_status status = cb_vfs_create(&environment, key, cipher, &vfs, NULL);
    cb_secret_destroy(key);
    if (status != CB_OK) {
        return SQLITE_ERROR;
    }
    return sqlite3_vfs_register(sqlite3_vfs_find(cb_vfs_name(vfs)), 1);
}
