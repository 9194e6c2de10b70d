/* SPDX-License-Identifier: Apache-2.0 */
#include "support/audit_kit.h"

#include <stdlib.h>

#include "support/expect.h"

json_t *audit_verify_with(const log_builder *log, cb_audit_options options)
{
    json_t *document = NULL;
    options.path = options.path == NULL ? log->root : options.path;
    options.realm = &log->realm;
    cb_error_clear(test_error());
    cb_status status = cb_audit_verify(&options, &document, test_error());
    cr_assert(document != NULL, "%s", test_describe(status));
    const char *result = json_string_value(json_object_get(document, "result"));
    expect_text(result, status == CB_OK         ? "clean"
                        : status == CB_FINDINGS ? "findings"
                                                : "unchecked");
    return document;
}

json_t *audit_verify(const log_builder *log, cb_audit_mode mode)
{
    return audit_verify_with(log, (cb_audit_options){ .mode = mode });
}

const char *audit_dump(const json_t *document)
{
    static char *text;
    free(text);
    text = json_dumps(document, JSON_INDENT(1) | JSON_SORT_KEYS);
    return text;
}

void audit_expect_clean(json_t *document)
{
    expect_text(json_string_value(json_object_get(document, "result")),
                "clean");
    cr_expect(json_array_size(json_object_get(document, "findings")) == 0, "%s",
              audit_dump(document));
    json_decref(document);
}

long audit_number(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return json_is_integer(value) ? (long)json_integer_value(value) : -1;
}

void audit_expect_place(const json_t *finding, const audit_planted *wanted)
{
    const json_t *place = json_object_get(finding, "place");
    char stream[CB_IDENTIFIER_TEXT_BYTES];
    expect_text(json_string_value(json_object_get(finding, "code")),
                wanted->code);
    if (wanted->path != NULL) {
        expect_text(json_string_value(json_object_get(place, "path")),
                    wanted->path);
    }
    if (wanted->writer != NULL) {
        cb_hex_format(wanted->writer->stream.bytes, CB_IDENTIFIER_BYTES,
                      stream);
        expect_text(json_string_value(json_object_get(place, "stream")),
                    stream);
    }
    if (wanted->seq >= 0) {
        cr_expect(audit_number(place, "seq") == wanted->seq, "%s",
                  audit_dump(finding));
    }
    if (wanted->log_index >= 0) {
        cr_expect(audit_number(place, "log_index") == wanted->log_index, "%s",
                  audit_dump(finding));
    }
}

/* Exactly one finding, and it is this. */
void audit_expect_only(json_t *document, audit_planted wanted)
{
    const json_t *findings = json_object_get(document, "findings");
    cr_expect(json_array_size(findings) == 1, "%s: %s", wanted.code,
              audit_dump(document));
    if (json_array_size(findings) > 0) {
        audit_expect_place(json_array_get(findings, 0), &wanted);
        cr_expect(cb_audit_explain(wanted.code) != NULL);
    }
    json_decref(document);
}

/* The same in both modes. */
void audit_expect_both(const log_builder *log, audit_planted wanted)
{
    audit_expect_only(audit_verify(log, CB_AUDIT_FULL), wanted);
    audit_expect_only(audit_verify(log, CB_AUDIT_FAST), wanted);
}

void audit_write_many(log_builder *log, log_writer *writer, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        log_write(log, writer);
    }
}

/* Two devices that write in turns, published twice; 12 + 300 leaves. */
void audit_begin(log_builder *log, log_writer **ann, log_writer **bob)
{
    log_begin(log);
    *ann = log_enrol(log);
    *bob = log_enrol(log);
    audit_write_many(log, *ann, 4);
    log_publish(log);
    log_sync(log, *ann);
    audit_write_many(log, *ann, 1);
    audit_write_many(log, *bob, 1);
}
