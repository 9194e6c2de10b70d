/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The case model: what can be recorded, who sees it, how two writers' values
 * meet.  It is data (schema/case/ in the sources, built into the library); a
 * service can load types of its own beside it.  No C code names a consent scope
 * or a borough, save a rule that speaks of it.
 *
 * A record is of a type; a type has fields in order; a field has a kind, which
 * fixes the form of its value in JSON:
 *
 *     line, text         string, UTF-8, without control characters (text may
 *                        hold line feeds), at most bytes_max bytes
 *     lines              array of lines, sorted by bytes, each once
 *     code               string, a code of the field's list
 *     codes              array of codes, sorted by bytes, each once
 *     yes/no             true, false
 *     integer, pence     integer within minimum and maximum
 *     date               "2017-03-14", "2017-03" or "2017"
 *     when               {"ms":1489500000000,"precision":"minute"}, precision
 *                        being year, month, day, minute or second
 *     person, record,    32 lower-case hexadecimal digits: the record id of a
 *     staff              party, of a record; the person id of a colleague
 *     persons, records,  array of those, sorted, each once
 *     staffs
 *     hash               64 lower-case hexadecimal digits
 *
 * Access is by class.  A type's class says into which compartment its records
 * go; a field may say another, and then its value is written there by itself
 * (op "part").  CB_CLASS_SIDE stands for V or O, by the person the record is
 * about.
 *
 * Everything returned by pointer is borrowed from the model, which never
 * changes after it was made and may be shared between handles.
 */
#ifndef CASEBOUND_MODEL_H
#define CASEBOUND_MODEL_H

#include <casebound/buffer.h>
#include <casebound/identifier.h>
#include <casebound/limits.h>

#include <jansson.h>

/* The values are the letters that stand in JSON. */
typedef enum cb_class {
    CB_CLASS_NONE = 0,
    CB_CLASS_V = 'V',   /* victim side, a compartment for each person */
    CB_CLASS_O = 'O',   /* offender side, a compartment for each person */
    CB_CLASS_S = 'S',   /* shared outcome */
    CB_CLASS_R = 'R',   /* risk and intelligence */
    CB_CLASS_C = 'C',   /* confidential process notes */
    CB_CLASS_W = 'W',   /* practitioner and supervision */
    CB_CLASS_A = 'A',   /* administrative and statistical */
    CB_CLASS_SIDE = '*' /* V or O; never the class of a compartment */
} cb_class;

/* Several writers, none of whom had seen the other: which value is in force. */
typedef enum cb_merge {
    CB_MERGE_UNION,      /* all of them stand */
    CB_MERGE_PROTECTIVE, /* the most protective, until a later one has seen it
                          */
    CB_MERGE_MULTI,      /* all are shown, and somebody is asked */
    CB_MERGE_EXCLUSIVE,  /* none, until somebody decides */
    CB_MERGE_ONCE,       /* the first by hash; the rest are duplicates */
    CB_MERGE_FORWARD     /* the furthest along `order` */
} cb_merge;

typedef enum cb_field_kind {
    CB_FIELD_LINE,
    CB_FIELD_TEXT,
    CB_FIELD_LINES,
    CB_FIELD_CODE,
    CB_FIELD_CODES,
    CB_FIELD_YESNO,
    CB_FIELD_INTEGER,
    CB_FIELD_PENCE,
    CB_FIELD_DATE,
    CB_FIELD_WHEN,
    CB_FIELD_PERSON,
    CB_FIELD_PERSONS,
    CB_FIELD_RECORD,
    CB_FIELD_RECORDS,
    CB_FIELD_STAFF,
    CB_FIELD_STAFFS,
    CB_FIELD_HASH,
    CB_FIELD_KIND_COUNT
} cb_field_kind;

typedef enum cb_about {
    CB_ABOUT_NONE,     /* the record concerns the case as a whole */
    CB_ABOUT_OPTIONAL, /* without a person it goes to class_without_about */
    CB_ABOUT_REQUIRED,
    CB_ABOUT_SELF /* the record is the person (type "person") */
} cb_about;

typedef struct cb_code {
    const char *code;
    const char *title;
    const char *group; /* coarser code for figures, or NULL */
    const char *gss;   /* code of the national statistics, or NULL */
    cb_class side;     /* V or O where the code puts a person on a side */
    bool complex;      /* makes a case complex */
    /*
     * As written, for attributes that only a rule or a figure knows: a method's
     * "scopes" of consent and "direct", for instance, or a service's own.
     */
    const json_t *json;
} cb_code;

typedef struct cb_code_list {
    const char *name;
    const char *title;
    const cb_code *codes; /* in the order in which they are offered */
    size_t count;
} cb_code_list;

typedef struct cb_field {
    const char *name;
    const char *title;
    const char *help; /* one sentence, or "" */
    cb_field_kind kind;
    cb_class class; /* never NONE; SIDE where it follows the record */
    cb_merge merge;
    bool required; /* of a complete record */
    bool personal; /* identifies or describes a person */
    int64_t minimum;
    int64_t maximum;
    size_t bytes_max; /* of a line or text, of each of the lines */
    size_t items_max; /* of a set */
    /* Of a code or codes; of a line or lines: suggestions.  Else NULL. */
    const cb_code_list *codes;
    /*
     * Protective: from least to most protective; forward: from first to last.
     * Codes; for yes/no "no" and "yes"; for dates, moments and numbers two
     * words: "latest" and "earliest", or "lowest" and "highest".
     */
    const char *const *order;
    size_t order_count;
    const char *target; /* type that a record reference must be of, or NULL */
} cb_field;

typedef struct cb_type {
    const char *name;
    const char *title;
    const char *help; /* what it is for, one sentence */
    cb_class class;
    cb_class class_without_about; /* NONE where a person is required */
    cb_about about;
    cb_merge merge;      /* of fields that do not say otherwise */
    const char *gate;    /* what the rules know it as, or NULL */
    const char *summary; /* template, see cb_type_summary */
    const cb_field *fields;
    size_t field_count;
    /*
     * Records that are writes to a register: those of one case with equal keys
     * write the same register.  A part of the key is "about" or a field's name;
     * a set writes one register for each of its members.  No parts: one
     * register for the case.  What is written is register_value or, where that
     * is NULL, the record as a whole; concurrent writes meet by register_merge.
     */
    bool is_register;
    const char *const *register_key;
    size_t register_key_count;
    const cb_field *register_value;
    cb_merge register_merge;
    /* Of a person: the field whose code says which side, else NULL. */
    const cb_field *side_field;
} cb_type;

typedef enum cb_setting_unit {
    CB_SETTING_COUNT, /* a plain number */
    CB_SETTING_HOURS,
    CB_SETTING_DAYS,
    CB_SETTING_WEEKS,
    CB_SETTING_YEARS
} cb_setting_unit;

/* A number of practice that a service may set; [P] in the sources. */
typedef struct cb_setting {
    const char *name;
    const char *title;
    cb_setting_unit unit;
    int64_t value;
} cb_setting;

typedef struct cb_model cb_model;

/* ------------------------------------------------------------ the model */

/* What a service adds: a file's name for messages, and its JSON text. */
typedef struct cb_model_file {
    const char *name;
    cb_span text;
} cb_model_file;

/* The model that is built in. */
CB_NODISCARD CB_PUBLIC cb_status
cb_model_create_builtin(cb_model **ret_model, cb_error *reterr_error);

/*
 * The built-in model and `files`, in order.  A file may hold one type, code
 * lists, or settings; a setting known already takes the new value, a type or a
 * list known already is refused.  CB_INPUT names the file and what is wrong.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_model_create(const cb_model_file *files,
                                                 size_t file_count,
                                                 cb_model **ret_model,
                                                 cb_error *reterr_error);

CB_PUBLIC void cb_model_destroy(cb_model *model);

/* NULL where there is none of that name (a newer version may know it). */
CB_PUBLIC const cb_type *cb_model_type(const cb_model *model, const char *name);
CB_PUBLIC const cb_code_list *cb_model_code_list(const cb_model *model,
                                                 const char *name);
CB_PUBLIC const cb_setting *cb_model_setting(const cb_model *model,
                                             const char *name);

/* In order of name; NULL from `count` on. */
CB_PUBLIC size_t cb_model_type_count(const cb_model *model);
CB_PUBLIC const cb_type *cb_model_type_at(const cb_model *model, size_t index);
CB_PUBLIC size_t cb_model_code_list_count(const cb_model *model);
CB_PUBLIC const cb_code_list *cb_model_code_list_at(const cb_model *model,
                                                    size_t index);
CB_PUBLIC size_t cb_model_setting_count(const cb_model *model);
CB_PUBLIC const cb_setting *cb_model_setting_at(const cb_model *model,
                                                size_t index);

/*
 * For names that stand in our own code: the setting must exist, and be in
 * days or weeks (years count 365 days), or in hours.
 */
CB_PUBLIC int64_t cb_model_setting_days(const cb_model *model,
                                        const char *name);
CB_PUBLIC int64_t cb_model_setting_hours(const cb_model *model,
                                         const char *name);

/* NULL where there is none. */
CB_PUBLIC const cb_field *cb_type_field(const cb_type *type, const char *name);
CB_PUBLIC const cb_code *cb_code_list_find(const cb_code_list *list,
                                           const char *code);
/* The title of a code, or the code itself where the list does not know it. */
CB_PUBLIC const char *cb_code_title(const cb_code_list *list, const char *code);

/* The type or field of that name, or CB_INPUT with the nearest one. */
CB_NODISCARD CB_PUBLIC cb_status cb_model_find_type(const cb_model *model,
                                                    const char *name,
                                                    const cb_type **ret_type,
                                                    cb_error *reterr_error);
CB_NODISCARD CB_PUBLIC cb_status cb_type_find_field(const cb_type *type,
                                                    const char *name,
                                                    const cb_field **ret_field,
                                                    cb_error *reterr_error);

/* Words for enums, as they stand in JSON and in help. */
CB_PUBLIC const char *cb_class_name(cb_class class);    /* "V", "side" */
CB_PUBLIC const char *cb_class_title(cb_class class);   /* "victim side" */
CB_PUBLIC const char *cb_merge_name(cb_merge merge);    /* "protective" */
CB_PUBLIC const char *cb_kind_name(cb_field_kind kind); /* "codes" */
CB_PUBLIC bool cb_kind_is_set(cb_field_kind kind);      /* value is an array */
/* A compartment's class from its letter; NONE for anything else. */
CB_PUBLIC cb_class cb_class_parse(const char *letter);

/* ----------------------------------------------------------- compartments */

/*
 * V or O: the side on which a person record's fields put the person.  NONE
 * where they do not say, or `type` is not a person's.
 */
CB_PUBLIC cb_class cb_type_side(const cb_type *type, const json_t *fields);

/*
 * The class of the compartment in which `field` of a record is written (the
 * record itself for NULL).  `side` is the side of the person the record is
 * about, NONE where it is about nobody.  NONE where the type demands a person
 * and there is none.
 */
CB_PUBLIC cb_class cb_type_class(const cb_type *type, const cb_field *field,
                                 cb_class side);

/* ----------------------------------------------------------------- values */

#define CB_DATE_TEXT_BYTES 11

/*
 * How words become references and moments, which the model cannot know.
 * Each function may be NULL: then only the stored forms are accepted
 * (hexadecimal ids; 2017-03-14T14:00Z for a moment, with less or more of it).
 */
typedef struct cb_model_resolver {
    void *context;
    /* Writes 32 (of a hash 64) hexadecimal digits and a zero. */
    cb_status (*reference)(void *context, const cb_field *field,
                           const char *text, char ret_id[CB_HASH_TEXT_BYTES],
                           cb_error *reterr_error);
    /* ret_precision: a literal, one of the five precisions. */
    cb_status (*moment)(void *context, const char *text, int64_t *ret_ms,
                        const char **ret_precision, cb_error *reterr_error);
} cb_model_resolver;

/*
 * A person's words into a value: codes also by title, sets separated by
 * commas, money as pounds ("12.50"), dates as 14/03/2017 or 14 March 2017 too.
 * No words at all make null, which takes a value away.  New reference.
 * CB_INPUT names the accepted forms and the nearest code; the value given is
 * not repeated in the message where the field is personal.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_field_parse(
    const cb_field *field, const char *text, const cb_model_resolver *resolver,
    json_t **ret_value, cb_error *reterr_error);

/*
 * Whether a value from anywhere is one of this field: kind, form, length,
 * list.  CB_INPUT, CB_LIMIT.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_field_check(const cb_field *field,
                                                const json_t *value,
                                                cb_error *reterr_error);

/*
 * Whether all fields are known and right and, for `complete`, all required
 * ones are there.  Otherwise they are a correction: null takes a value away,
 * though not a required one.  At most CB_FIELDS_MAX.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_type_check(const cb_type *type,
                                               const json_t *fields,
                                               bool complete,
                                               cb_error *reterr_error);

/*
 * Orders two values of a field with an `order`: below zero where `a` is less
 * protective (or less far) than `b`, zero only where they are equal.  A value
 * that the order does not know (a newer version's) ranks above all it does
 * know, and NULL below: what cannot be judged is treated as the most
 * protective.
 */
CB_PUBLIC int cb_field_compare(const cb_field *field, const json_t *a,
                               const json_t *b);

/* ------------------------------------------------------------------ words */

/* How references and moments become words; either function may be NULL. */
typedef struct cb_model_words {
    void *context;
    /* Appends a name and returns true, or returns false: the id is shown. */
    bool (*reference)(void *context, const cb_field *field, const char *id,
                      cb_buffer *text);
    bool (*moment)(void *context, int64_t ms, const char *precision,
                   cb_buffer *text);
} cb_model_words;

/*
 * Appends a value as people read it: titles of codes, "yes", "£12.50",
 * "14 Mar 2017".  A value of another kind than the model says is appended as
 * JSON, for it comes from a newer version.  Text from people stays as it is;
 * whoever prints it cleans it for where it goes.
 */
CB_PUBLIC void cb_field_format(const cb_field *field, const json_t *value,
                               const cb_model_words *words, cb_buffer *text);

/*
 * Appends one line for a timeline by the type's template:
 *   {name}        the field, formatted; a text is cut to its first line
 *   {name:upper}  the same in capitals; :lower without the first capital;
 *                 :code as the code is stored
 *   [ ... ]       left out where a field in it is absent, no, or empty
 * An absent field outside brackets is a dash.
 */
CB_PUBLIC void cb_type_summary(const cb_type *type, const json_t *fields,
                               const cb_model_words *words, cb_buffer *text);

/* For `casebound types` and its --json.  New references; NULL: no memory. */
CB_PUBLIC json_t *cb_model_types_document(const cb_model *model);
CB_PUBLIC json_t *cb_model_type_document(const cb_type *type);

/* --------------------------------------------------------- case reference */

/*
 * RL-2017-00412-7: service, year of receipt, serial of five digits, and the
 * Luhn check digit of the serial, so that a digit misheard over the telephone
 * is noticed.
 */
#define CB_REFERENCE_SERIAL_MAX 99999
#define CB_REFERENCE_TEXT_BYTES 24

typedef struct cb_reference {
    char service[5]; /* two to four capital letters */
    int year;        /* 1900 to 2999 */
    int serial;      /* 1 to CB_REFERENCE_SERIAL_MAX */
} cb_reference;

/* CB_INPUT where a part is out of range. */
CB_NODISCARD CB_PUBLIC cb_status cb_reference_format(
    const cb_reference *reference, char ret_text[CB_REFERENCE_TEXT_BYTES],
    cb_error *reterr_error);

/*
 * Accepts small letters, and spaces around it.  CB_INPUT says whether the form
 * or the check digit is wrong, never which digit would be right.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_reference_parse(const char *text,
                                                    cb_reference *ret_reference,
                                                    cb_error *reterr_error);

/* True where the text looks like a reference, right or wrong. */
CB_PUBLIC bool cb_reference_is_like(const char *text);

/* The check digit of a serial, '0' to '9'. */
CB_PUBLIC char cb_reference_check_digit(int serial);

#endif
