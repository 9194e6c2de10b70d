/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the case model share.
 *
 * A model is made in three passes over its files, so that order does not
 * matter: code lists and settings, then types, then what types say of each
 * other.  All strings are borrowed from the JSON documents, which the model
 * keeps; all else lies in blocks that are freed with it.
 */
#ifndef CASEBOUND_MODEL_INTERNAL_H
#define CASEBOUND_MODEL_INTERNAL_H

#include <casebound/model.h>

typedef struct cb_model_block cb_model_block;

/* The parsed JSON of a file and its name for messages (NULL: built in). */
typedef struct cb_model_source {
    const char *name;
    json_t *document;
} cb_model_source;

struct cb_model {
    cb_model_block *blocks;
    cb_model_source *sources;
    size_t source_count;
    const cb_type **types;
    size_t type_count;
    const cb_code_list **lists;
    size_t list_count;
    cb_setting *settings;
    size_t setting_count;
};

/* What a message about a model file names. */
typedef struct cb_model_place {
    const char *file;
    const char *thing; /* type or list, or NULL */
    const char *part;  /* field or code, or NULL */
} cb_model_place;

/* `count` zeroed items that live as long as the model; NULL: no memory. */
void *cb_model_allocate(cb_model *model, size_t count, size_t size);

/* CB_INPUT: "model file 'x': 'type.field': " and the words. */
cb_status cb_model_complain(const cb_model_place *place, cb_error *error,
                            const char *format, ...) CB_PRINTF(3, 4);

/* Whether an object has none but these members; `names` ends with NULL. */
cb_status cb_model_known_members(const json_t *object, const char *const *names,
                                 const cb_model_place *place, cb_error *error);

/* A member that is a text of 1 to `bytes_max` bytes. */
cb_status cb_model_text(const json_t *object, const char *name,
                        size_t bytes_max, bool required, const char **ret_text,
                        const cb_model_place *place, cb_error *error);

/* Letters, digits, '_', at most CB_MODEL_NAME_BYTES_MAX, not empty. */
bool cb_model_is_name(const char *name);

/* Reads the type that `document` holds. */
cb_status cb_model_load_type(cb_model *model, const cb_model_source *source,
                             const cb_type **ret_type, cb_error *error);

/* One field; `type` has its name, class and merge already. */
cb_status cb_model_load_field(cb_model *model, const cb_type *type,
                              const json_t *object, const char *file,
                              cb_field *field, cb_error *error);

bool cb_merge_parse(const char *name, cb_merge *ret_merge);

/* Whether a template names only fields of the type and its brackets close. */
cb_status cb_summary_check(const cb_type *type, const cb_model_place *place,
                           cb_error *error);

/* Number of bytes of valid text; refuses what a line or text may not hold. */
typedef enum cb_text_fault {
    CB_TEXT_GOOD,
    CB_TEXT_NOT_UTF8,
    CB_TEXT_CONTROL, /* a control character, or a line break in a line */
} cb_text_fault;

cb_text_fault cb_text_check(const char *text, size_t size, bool line_feeds);

/* "2017", "2017-03", "2017-03-14" of a date that exists. */
bool cb_date_is_valid(const char *text);

/* "14/03/2017", "14.3.2017", "14 March 2017", "March 2017": day first. */
bool cb_date_rewrite(const char *text, char ret_date[CB_DATE_TEXT_BYTES]);

/* Index of the precision's word, or -1. */
int cb_precision_index(const char *word);
extern const char *const cb_precision_words[];

/* Same letters, where case and ' ' '-' '_' make no difference. */
bool cb_words_equal(const char *a, const char *b);

/* How unlike two names are, 0 for equal; bounded whatever their length. */
unsigned cb_words_distance(const char *a, const char *b);

/* The nearest code, or NULL where none is near. */
const cb_code *cb_code_list_nearest(const cb_code_list *list, const char *text);

#endif
