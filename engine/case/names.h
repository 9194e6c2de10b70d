/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of the case model that the rules and the merge rows speak of, all
 * of them, once.  tests/model/names_test.c proves that the model has them.
 */
#ifndef CASEBOUND_CASE_NAMES_H
#define CASEBOUND_CASE_NAMES_H

#define CB_GATE_CONSENT "consent"

/* CB_NAME_TYPE(type), CB_NAME_FIELD(type, field), CB_NAME_CODE(list, code) */
#define CB_CASE_NAMES(TYPE, FIELD, CODE)      \
    TYPE(acknowledgement)                     \
    FIELD(acknowledgement, level)             \
    FIELD(acknowledgement, facilitator_view)  \
    CODE(acknowledgement, full)               \
    CODE(acknowledgement, partial)            \
    CODE(acknowledgement, none)               \
    TYPE(agreement)                           \
    FIELD(agreement, event)                   \
    TYPE(agreement_item)                      \
    FIELD(agreement_item, agreement)          \
    FIELD(agreement_item, owner)              \
    FIELD(agreement_item, to)                 \
    TYPE(case_stage)                          \
    FIELD(case_stage, stage)                  \
    TYPE(closure)                             \
    FIELD(closure, state)                     \
    CODE(closure_state, closed)               \
    TYPE(consent)                             \
    FIELD(consent, scope)                     \
    FIELD(consent, state)                     \
    FIELD(consent, form_version)              \
    FIELD(consent, given_on)                  \
    FIELD(consent, confirmed_on)              \
    FIELD(consent, expires)                   \
    CODE(consent_state, given)                \
    CODE(consent_state, refused)              \
    CODE(consent_state, withdrawn)            \
    CODE(consent_scope, approach_other_party) \
    CODE(consent_scope, contact_by_service)   \
    TYPE(contact)                             \
    FIELD(contact, channel)                   \
    FIELD(contact, direction)                 \
    FIELD(contact, route)                     \
    FIELD(contact, tells_other_side)          \
    CODE(contact_channel, through_agency)     \
    CODE(direction, incoming)                 \
    TYPE(contact_route)                       \
    FIELD(contact_route, kind)                \
    CODE(route_kind, through_agency)          \
    TYPE(event)                               \
    FIELD(event, method)                      \
    FIELD(event, held)                        \
    FIELD(event, participants)                \
    CODE(event_held, held)                    \
    TYPE(indirect_exchange)                   \
    FIELD(indirect_exchange, from)            \
    FIELD(indirect_exchange, to)              \
    TYPE(offence_link)                        \
    FIELD(offence_link, offence)              \
    FIELD(offence_link, order_live)           \
    TYPE(person)                              \
    FIELD(person, role)                       \
    CODE(person_role, offender)               \
    CODE(person_role, victim)                 \
    CODE(person_role, bereaved)               \
    TYPE(plan)                                \
    FIELD(plan, method)                       \
    FIELD(plan, date)                         \
    FIELD(plan, participants)                 \
    FIELD(plan, state)                        \
    CODE(plan_state, cancelled)               \
    CODE(method, face_to_face_prison)         \
    TYPE(preparation)                         \
    FIELD(preparation, limits_explained)      \
    FIELD(preparation, readiness)             \
    FIELD(preparation, needs)                 \
    FIELD(preparation, questions)             \
    FIELD(preparation, hopes)                 \
    FIELD(preparation, off_limits)            \
    FIELD(preparation, said)                  \
    FIELD(preparation, notes)                 \
    FIELD(preparation, tells_other_side)      \
    CODE(readiness, ready)                    \
    TYPE(referral)                            \
    FIELD(referral, reference)                \
    FIELD(referral, stage)                    \
    FIELD(referral, initiated_by)             \
    FIELD(referral, victim_contact_route)     \
    FIELD(referral, offence)                  \
    FIELD(referral, flags)                    \
    FIELD(referral, complex_triggers)         \
    CODE(initiator, offender)                 \
    TYPE(risk_assessment)                     \
    FIELD(risk_assessment, stage)             \
    FIELD(risk_assessment, overall)           \
    FIELD(risk_assessment, assessed_on)       \
    FIELD(risk_assessment, valid_until)       \
    CODE(risk_stage, initial)                 \
    CODE(risk_stage, second)                  \
    CODE(risk_stage, pre_event)               \
    CODE(risk_level, H)                       \
    CODE(risk_level, VH)                      \
    TYPE(safeguarding_concern)                \
    FIELD(safeguarding_concern, status)       \
    CODE(safeguarding_state, closed)          \
    TYPE(side_release)                        \
    FIELD(side_release, state)                \
    CODE(side_release_state, released)        \
    TYPE(sign_off)                            \
    FIELD(sign_off, record)                   \
    FIELD(sign_off, decision)                 \
    CODE(sign_off_decision, approved)         \
    CODE(sign_off_decision, approved_with_conditions)

#endif
