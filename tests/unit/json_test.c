/* SPDX-License-Identifier: Apache-2.0 */
#include <casebound/limits.h>
#include <stdlib.h>

#include "base/json.h"
#include "support/expect.h"

Test(json, has_one_canonical_form)
{
    static const struct {
        const char *text;
        cb_status parsed;
        cb_status canonical;
    } rows[] = {
        { "{}", CB_OK, CB_OK },
        { "[]", CB_OK, CB_OK },
        { "{\"a\":1,\"b\":[true,false,null]}", CB_OK, CB_OK },
        { "{\"a\":\"\\u0001\\n\\\"\\\\/\"}", CB_OK, CB_OK },
        { "{\"a\":\"\xc3\xa9\"}", CB_OK, CB_OK },
        { "{\"a\":-9223372036854775808}", CB_OK, CB_OK },
        { "{\"b\":1,\"a\":1}", CB_OK, CB_INPUT },
        { "{\"a\": 1}", CB_OK, CB_INPUT },
        { "{\"a\":1}\n", CB_OK, CB_INPUT },
        { "{\"a\":\"\\u00e9\"}", CB_OK, CB_INPUT },
        { "{\"a\":\"\\/\"}", CB_OK, CB_INPUT },
        { "{\"a\":-0}", CB_OK, CB_INPUT },
        { "{\"a\":1,\"a\":1}", CB_INPUT, CB_INPUT },
        { "{\"a\":1.5}", CB_INPUT, CB_INPUT },
        { "{\"a\":1e5}", CB_INPUT, CB_INPUT },
        { "{\"a\":1E5}", CB_INPUT, CB_INPUT },
        { "{\"a\":\"1e5.\"}", CB_OK, CB_OK },
        { "{\"a\":9223372036854775808}", CB_INPUT, CB_INPUT },
        { "{\"a\":\"\\u0000\"}", CB_INPUT, CB_INPUT },
        { "{\"a\":\"\xc3\"}", CB_INPUT, CB_INPUT },
        { "{\"a\":\"\xed\xa0\x80\"}", CB_INPUT, CB_INPUT },
        { "{\"a\":\"\\ud800\"}", CB_INPUT, CB_INPUT },
        { "{\"a\":\"", CB_INPUT, CB_INPUT },
        { "{\"a\":1}{}", CB_INPUT, CB_INPUT },
        { "{'a':1}", CB_INPUT, CB_INPUT },
        { "1", CB_INPUT, CB_INPUT },
        { "", CB_INPUT, CB_INPUT },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const cb_span text = cb_span_of_text(rows[i].text);
        json_t *value = NULL;
        cb_error error = { 0 };
        cb_status status = cb_json_parse(text, &value, &error);
        cr_expect(status == rows[i].parsed, "%s: %s", rows[i].text, error.what);
        cr_expect((value != NULL) == (status == CB_OK), "%s", rows[i].text);
        json_decref(value);

        value = NULL;
        status = cb_json_parse_canonical(text, &value, NULL);
        cr_expect(status == rows[i].canonical, "canonical %s: %s", rows[i].text,
                  cb_status_name(status));
        json_decref(value);
    }
}

Test(json, is_as_deep_as_the_limit_and_not_deeper)
{
    char text[2 * (CB_JSON_DEPTH_MAX + 1) + 1];
    for (size_t depth = CB_JSON_DEPTH_MAX; depth <= CB_JSON_DEPTH_MAX + 1;
         depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        text[2 * depth] = '\0';
        json_t *value = NULL;

        expect_status(depth == CB_JSON_DEPTH_MAX ? CB_OK : CB_INPUT,
                      cb_json_parse_canonical(cb_span_of_text(text), &value,
                                              test_error()));
        json_decref(value);
    }
}

Test(json, does_not_read_a_document_over_the_limit)
{
    const size_t size = CB_JSON_DOCUMENT_BYTES_MAX + 1;
    uint8_t *text = malloc(size);
    cr_assert(text);
    memset(text, ' ', size);
    text[0] = '[';
    text[size - 2] = ']';
    json_t *value = NULL;

    expect_ok(cb_json_parse((cb_span){ text, size - 1 }, &value, test_error()));
    json_decref(value);
    value = NULL;
    expect_status(CB_LIMIT,
                  cb_json_parse((cb_span){ text, size }, &value, test_error()));
    cr_expect(value == NULL);
    free(text);
}

Test(json, gives_members_of_the_right_type_only)
{
    json_t *object = NULL;
    int64_t number = 0;
    uint8_t bytes[2] = { 0 };
    expect_ok(cb_json_parse(
        cb_span_of_text("{\"a\":[],\"b\":\"0aff\",\"n\":5,\"o\":{}}"), &object,
        test_error()));

    expect_text(cb_json_text(object, "b"), "0aff");
    cr_expect(!cb_json_text(object, "n") && !cb_json_text(object, "absent"));
    cr_expect(cb_json_integer(object, "n", &number) && number == 5);
    cr_expect(!cb_json_integer(object, "b", &number));
    cr_expect(cb_json_array(object, "a") && !cb_json_array(object, "o"));
    cr_expect(cb_json_object(object, "o") && !cb_json_object(object, "a"));
    cr_expect(cb_json_bytes(object, "b", bytes, 2));
    expect_bytes(bytes, 2, "\x0a\xff", 2);
    cr_expect(!cb_json_bytes(object, "b", bytes, 1));
    cr_expect(!cb_json_bytes(object, "n", bytes, 2));
    json_decref(object);

    json_t *text = cb_json_hex("\x01\xab", 2);
    expect_text(json_string_value(text), "01ab");
    json_decref(text);
}

Test(json, respects_the_limit_of_the_buffer_it_is_written_to)
{
    json_t *value = json_pack("{s:s}", "a", "0123456789");
    cb_buffer text;
    cb_buffer_init(&text, 10);

    expect_status(CB_LIMIT, cb_json_append(value, &text, test_error()));

    cb_buffer_clear(&text);
    json_decref(value);
}

/* "[0,0,0..." takes a hundred times its size once it is parsed. */
Test(json, reads_no_more_values_than_the_limit)
{
    /* The list counts too. */
    const size_t size = 2 * (size_t)CB_JSON_VALUES_MAX - 1;
    char *text = malloc(size + 2);
    json_t *value = NULL;
    cr_assert(text != NULL);
    text[0] = '[';
    for (size_t i = 1; i < size + 2; i++) {
        text[i] = i % 2 == 1 ? '0' : ',';
    }
    text[size - 1] = ']';
    expect_ok(cb_json_parse((cb_span){ (const uint8_t *)text, size }, &value,
                            test_error()));
    json_decref(value);
    text[size - 1] = ',';
    text[size + 1] = ']';
    expect_status(CB_LIMIT,
                  cb_json_parse((cb_span){ (const uint8_t *)text, size + 2 },
                                &value, test_error()));
    free(text);
}
