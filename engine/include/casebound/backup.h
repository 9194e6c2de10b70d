/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store that was put back: from a copy of its folder.
 *
 * Two copies of one store that both go on writing would sign two different
 * entries under one number, which nobody can tell from forgery.  So a copy is
 * read only until it has begun a new incarnation: a stream of entries of its
 * own, whose opening entry says which stream it follows and how far that is
 * held here.
 */
#ifndef CASEBOUND_BACKUP_H
#define CASEBOUND_BACKUP_H

#include <casebound/store.h>

/*
 * A person has confirmed that this older copy is the one to go on with
 * (identity.restored): it begins a new incarnation, and its witnesses follow
 * it.  What was recorded after it and not synced is given up.  Does nothing
 * where the store is no older copy.  CB_NO_SPACE, CB_IO.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_restore_in_place(cb_store *store,
                                                     cb_error *reterr_error);

#endif
