/* SPDX-License-Identifier: Apache-2.0 */
#include "support/case_builder.h"
#include "support/expect.h"

cb_verdict_list *case_ask(case_book *book, const cb_case_state *state,
                          const char *type, const char *about,
                          const char *happened, const char *role,
                          const char *fields)
{
    json_t *values = case_json(fields);
    cb_record_id person = case_id(about != NULL ? about : "");
    cb_record_id author = case_id("X");
    cb_verdict_list *verdicts = NULL;
    cb_proposal proposal = {
        .type = type,
        .about = about != NULL ? &person : NULL,
        .compartment_class = (char)cb_model_type(case_model(book), type)->class,
        .fields = values,
        .happened_ms = case_ms(happened),
        .roles = &role,
        .role_count = 1,
    };
    memcpy(proposal.author.bytes, author.bytes, sizeof author.bytes);
    expect_ok(cb_rules_evaluate(case_model(book), state, &proposal, &verdicts,
                                test_error()));
    json_decref(values);
    return verdicts;
}

cb_outcome case_outcome(const cb_verdict_list *verdicts, const char *rule,
                        const char **ret_sentence)
{
    cb_outcome worst = CB_OUTCOME_ALLOWED;
    for (size_t i = 0; i < cb_verdict_list_count(verdicts); i++) {
        const cb_verdict *verdict = cb_verdict_list_get(verdicts, i);
        if (strcmp(verdict->rule, rule) == 0 && verdict->outcome >= worst) {
            worst = verdict->outcome;
            if (ret_sentence != NULL) {
                *ret_sentence = verdict->sentence;
            }
        }
    }
    return worst;
}
