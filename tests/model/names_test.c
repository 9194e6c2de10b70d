/* SPDX-License-Identifier: Apache-2.0 */
/* The rules speak of types, fields and codes by name; the model has them all.
 */
#include "case/names.h"
#include "support/expect.h"

#include <casebound/model.h>

#define ROW_TYPE(type)        { 0, #type, NULL },
#define ROW_FIELD(type, name) { 1, #type, #name },
#define ROW_CODE(list, code)  { 2, #list, #code },

static const struct {
    int what;
    const char *first;
    const char *second;
} rows[] = { CB_CASE_NAMES(ROW_TYPE, ROW_FIELD, ROW_CODE) };

Test(names, are_all_in_the_model)
{
    cb_model *model = NULL;
    expect_ok(cb_model_create_builtin(&model, test_error()));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const cb_type *type = cb_model_type(model, rows[i].first);
        const cb_code_list *list = cb_model_code_list(model, rows[i].first);
        bool there =
            rows[i].what == 2
                ? list != NULL &&
                      cb_code_list_find(list, rows[i].second) != NULL
                : type != NULL && (rows[i].what == 0 ||
                                   cb_type_field(type, rows[i].second) != NULL);
        cr_expect(there, "%s %s", rows[i].first,
                  rows[i].second ? rows[i].second : "");
    }
    static const char *const settings[] = {
        "consent_reconfirm",     "consent_form_current", "risk_validity",
        "risk_validity_complex", "suspended_review",     "late_entry",
    };
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        cr_expect(cb_model_setting(model, settings[i]) != NULL, "%s",
                  settings[i]);
    }
    cb_model_destroy(model);
}
