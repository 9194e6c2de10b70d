/* SPDX-License-Identifier: Apache-2.0 */
#include "fault/story.h"

/* A step that only gets others where they have to be. */
#define DO(who, title, ...)                                             \
    {                                                                   \
        .name = title, .store = who, .arguments = { __VA_ARGS__, NULL } \
    }
#define TEST(who, title, ...)                                        \
    {                                                                \
        .name = title, .store = who, .checked = true, .arguments = { \
            __VA_ARGS__,                                             \
            NULL                                                     \
        }                                                            \
    }
#define SAVE(who, title, kept, ...)                                 \
    {                                                               \
        .name = title, .store = who, .checked = true, .save = kept, \
        .arguments = {                                              \
            __VA_ARGS__,                                            \
            NULL                                                    \
        }                                                           \
    }
#define AGAIN(who, title, ...)                                       \
    {                                                                \
        .name = title, .store = who, .checked = true, .again = true, \
        .arguments = {                                               \
            __VA_ARGS__,                                             \
            NULL                                                     \
        }                                                            \
    }
#define EXCHANGE(who, is_checked, ...)                                    \
    {                                                                     \
        .name = is_checked ? who " exchanges" : "exchange", .store = who, \
        .checked = is_checked, .exchanges = true, .conflicts = true,      \
        .arguments = {                                                    \
            __VA_ARGS__,                                                  \
            NULL                                                          \
        }                                                                 \
    }

const story_step story_steps[] = {
    AGAIN("hub", "hub init", "hub", "init", "--log", "%log", "--name",
          "RJ London", "--person", "Cleo Hart"),
    AGAIN("kwame", "init", "init"),
    TEST("kwame", "enrol request", "enrol", "request", "-o", "kwame.request"),
    TEST("hub", "hub enrol", "hub", "enrol", "kwame.request", "--name",
         "Kwame Okoro", "--role", "facilitator", "-o", "kwame.admission"),
    AGAIN("kwame", "join", "join", "kwame.admission", "--yes"),
    DO("judith", "init", "init"),
    DO("judith", "enrol request", "enrol", "request", "-o", "judith.request"),
    DO("hub", "hub enrol", "hub", "enrol", "judith.request", "--name",
       "Judith Lind", "--role", "facilitator", "-o", "judith.admission"),
    DO("judith", "join", "join", "judith.admission", "--yes"),
    EXCHANGE("judith", false, "sync"),
    EXCHANGE("hub", false, "hub", "merge"),
    SAVE("kwame", "case new", "case", "case", "new", "received=2017-03-01",
         "source=self_victim", "stage=historic", "initiated_by=victim"),
    SAVE("kwame", "add", "victim", "add", "person", "--case", "$case",
         "role=victim", "name=Amara Hill"),
    SAVE("kwame", "add", "contact", "add", "contact", "--case", "$case",
         "--about", "$victim", "channel=letter", "direction=outgoing",
         "outcome=message"),
    TEST("kwame", "amend", "amend", "$contact", "outcome=callback", "--why",
         "heard it again"),
    TEST("kwame", "strike", "strike", "$contact", "--why", "was never sent"),
    EXCHANGE("kwame", true, "sync"),
    EXCHANGE("hub", true, "hub", "merge"),
    TEST("hub", "hub grant", "hub", "grant", "$case", "Judith Lind", "--class",
         "VOSRCAW"),
    DO("hub", "hub grant", "hub", "grant", "$case", "Kwame Okoro", "--class",
       "VOSRCAW"),
    TEST("hub", "hub import", "hub", "import", "referrals.csv"),
    EXCHANGE("hub", false, "hub", "merge"),
    EXCHANGE("judith", true, "sync"),
    EXCHANGE("kwame", false, "sync"),
    DO("judith", "amend", "amend", "$victim", "name=Amara Hill-Shah", "--why",
       "as she spells it"),
    DO("kwame", "amend", "amend", "$victim", "name=Amara Shah", "--why",
       "from her letter"),
    EXCHANGE("judith", false, "sync"),
    EXCHANGE("kwame", false, "sync"),
    EXCHANGE("hub", true, "hub", "merge"),
    EXCHANGE("kwame", true, "sync"),
    { .name = "conflicts",
      .store = "kwame",
      .save = "conflict",
      .conflicts = true,
      .arguments = { "conflicts", NULL } },
    TEST("kwame", "resolve", "resolve", "$conflict", "--keep", "1", "--why",
         "rang and asked"),
    AGAIN("kwame", "backup", "backup", "--replace", "kwame.backup"),
    AGAIN("spare", "restore", "restore", "kwame.backup"),
    TEST("kwame", "recovery new", "recovery", "new", "-o", "kwame.paper"),
    AGAIN("kwame", "key rotate", "key", "rotate", "--yes", "--drop-recovery"),
    AGAIN("kwame", "passphrase", "passphrase"),
};

const size_t story_step_count = sizeof story_steps / sizeof story_steps[0];
