/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running stock git, and nothing else, as a child process.
 *
 * The child gets an environment made here: no configuration of the machine or
 * of the user, no GIT_ variable of ours, English words.  Its arguments are
 * given as a list, never through a shell; the last one is an absolute path, so
 * none can be taken for an option.  Its stderr is kept up to a bound, as
 * printable ASCII; the rest is read and dropped, so that a talkative child
 * cannot stop.
 */
#ifndef CASEBOUND_GIT_PROCESS_H
#define CASEBOUND_GIT_PROCESS_H

#include <casebound/buffer.h>

enum {
    CB_GIT_WORDS_BYTES = 1024
};

typedef struct cb_process cb_process;

/*
 * What another program said, made fit for a terminal: printable ASCII and
 * single spaces, cut at its bound.  Begin with a zeroed one.
 */
typedef struct cb_git_words {
    char text[CB_GIT_WORDS_BYTES];
    size_t size;
} cb_git_words;

void cb_git_words_append(cb_git_words *words, const void *bytes, size_t size);

/*
 * Starts `git <arguments>`.  `arguments` ends in NULL, without the program's
 * name.  keep_fd, where not -1, stays open in the child: a lock that lasts as
 * long as the child does.  CB_UNREACHABLE where git is not installed.
 */
CB_NODISCARD cb_status cb_process_start(const char *const *arguments,
                                        int keep_fd, cb_process **ret_process,
                                        cb_error *reterr_error);

/*
 * Reads what the child writes; 0 bytes is the end.  CB_UNREACHABLE where it
 * has been silent for too long.
 */
CB_NODISCARD cb_status cb_process_read(cb_process *process, void *bytes,
                                       size_t size, size_t *ret_size,
                                       cb_error *reterr_error);

/* Writes all.  CB_END without text where the child no longer reads. */
CB_NODISCARD cb_status cb_process_write(cb_process *process, cb_span bytes,
                                        cb_error *reterr_error);

/*
 * Tells the child that no more will come and waits for it.  Returns its exit
 * status, or 128 and more after a signal.  May be called again.
 */
int cb_process_wait(cb_process *process);

/* What the child said on stderr so far. */
const char *cb_process_words(const cb_process *process);

/* Ends the child if it still runs, and frees; NULL is allowed. */
void cb_process_destroy(cb_process *process);

#endif
