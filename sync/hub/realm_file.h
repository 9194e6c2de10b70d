/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file in log.git, and under another name in mail.git, that tells the
 * receiving hook whose log this is.  Three public values, for the hook has no
 * store:
 *
 *     casebound-realm 1
 *     realm <hex>
 *     root-key <hex>
 *     hub-key <hex>
 */
#ifndef CASEBOUND_HUB_REALM_FILE_H
#define CASEBOUND_HUB_REALM_FILE_H

#include <casebound/store.h>

#define CB_REALM_FILE           "casebound-realm"
#define CB_MAIL_REALM_FILE      "casebound-mail"
#define CB_REALM_FILE_BYTES_MAX 1024

typedef struct cb_realm_file {
    cb_realm_id realm;
    uint8_t root_key[CB_PUBLIC_KEY_BYTES];
    uint8_t hub_key[CB_PUBLIC_KEY_BYTES];
} cb_realm_file;

cb_realm_file cb_realm_file_of(const cb_store_identity *identity);

/* Failures stick in the buffer. */
void cb_realm_file_write(const cb_realm_file *realm, cb_buffer *text);

/* Exactly the lines above, or false. */
CB_NODISCARD bool cb_realm_file_read(cb_span text, cb_realm_file *ret_realm);

#endif
