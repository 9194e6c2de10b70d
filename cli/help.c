/* SPDX-License-Identifier: Apache-2.0 */
#include "help.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "text.h"

#define TEXT_BYTES_MAX ((size_t)1 << 18)
#define WIDTH          80
#define LABEL_COLUMN   2
#define VALUE_COLUMN   24

static const char *const group_titles[CB_CLI_GROUP_COUNT] = {
    [CB_CLI_GROUP_START] = "this machine",
    [CB_CLI_GROUP_CARE] = "safe keeping",
    [CB_CLI_GROUP_CASES] = "case work",
    [CB_CLI_GROUP_RECORDS] = "records",
    [CB_CLI_GROUP_ATTENTION] = "what needs you",
    [CB_CLI_GROUP_SYNC] = "exchange",
    [CB_CLI_GROUP_HUB] = "hub",
    [CB_CLI_GROUP_AUDIT] = "audit",
    [CB_CLI_GROUP_FIGURES] = "figures",
    [CB_CLI_GROUP_HELP] = "help",
};

/* "  label   text", the text in a column of its own and wrapped there. */
static void append_row(cb_buffer *out, const char *label, const char *text,
                       size_t column)
{
    size_t at = LABEL_COLUMN + cb_cli_text_width(cb_span_of_text(label));
    cb_buffer_append_format(out, "%*s%s", LABEL_COLUMN, "", label);
    if (at + 2 > column) {
        cb_buffer_append_format(out, "\n%*s", (int)column, "");
    } else {
        cb_buffer_append_format(out, "%*s", (int)(column - at), "");
    }
    cb_cli_wrap(out, cb_span_of_text(text), column, column, WIDTH);
    cb_buffer_append_text(out, "\n");
}

static size_t noun_size(const char *name)
{
    const char *space = strchr(name, ' ');
    return space == NULL ? 0 : (size_t)(space - name);
}

/* The names of a group, those of one noun together: "case list|new|show". */
static void append_names(cb_buffer *names, const cb_cli_program *program,
                         cb_cli_group group)
{
    const char *before = NULL;
    for (size_t i = 0; i < program->count; i++) {
        const cb_cli_command *command = program->commands[i];
        if (command->group != group) {
            continue;
        }
        size_t size = noun_size(command->name);
        if (before != NULL && size > 0 && noun_size(before) == size &&
            strncmp(before, command->name, size) == 0) {
            cb_buffer_append_format(names, "|%s", command->name + size + 1);
        } else {
            cb_buffer_append_format(names, "%s%s", before == NULL ? "" : ", ",
                                    command->name);
        }
        before = command->name;
    }
}

void cb_cli_help_overview(const cb_cli_session *session)
{
    cb_buffer out;
    cb_buffer names;
    cb_buffer_init(&out, TEXT_BYTES_MAX);
    cb_buffer_init(&names, TEXT_BYTES_MAX);
    cb_buffer_append_text(&out,
                          "casebound: a case book for restorative justice "
                          "that works without a network\n\n");
    for (int group = 0; group < CB_CLI_GROUP_COUNT; group++) {
        cb_buffer_reset(&names);
        append_names(&names, session->program, (cb_cli_group)group);
        if (names.size > 0) {
            append_row(&out, group_titles[group], cb_buffer_text(&names), 18);
        }
    }
    cb_buffer_append_text(
        &out, "\n"
              "  casebound COMMAND --help   examples, options and exit codes "
              "of a command\n"
              "  casebound help commands    every command and what it does\n"
              "  casebound help topics      times, exit codes, and more\n");
    cb_cli_print_buffer(session, &out);
    cb_buffer_clear(&names);
    cb_buffer_clear(&out);
}

void cb_cli_help_list(const cb_cli_session *session, const char *noun)
{
    cb_buffer out;
    cb_buffer_init(&out, TEXT_BYTES_MAX);
    for (size_t i = 0; i < session->program->count; i++) {
        const cb_cli_command *command = session->program->commands[i];
        size_t size = noun_size(command->name);
        if (noun == NULL || (size > 0 && strlen(noun) == size &&
                             strncmp(command->name, noun, size) == 0)) {
            append_row(&out, command->name, command->purpose, VALUE_COLUMN);
        }
    }
    cb_cli_print_buffer(session, &out);
    cb_buffer_clear(&out);
}

void cb_cli_append_usage(cb_buffer *text, const cb_cli_command *command)
{
    cb_buffer_append_format(text, "casebound %s", command->name);
    const cb_cli_option *option = command->options;
    for (; option != NULL && option->name != NULL; option++) {
        bool is_required = cb_cli_is_required(command, option);
        cb_buffer_append_format(text, " %s--%s%s%s%s", is_required ? "" : "[",
                                option->name, option->value == NULL ? "" : " ",
                                option->value == NULL ? "" : option->value,
                                is_required ? "" : "]");
    }
    if (command->operands != NULL) {
        cb_buffer_append_format(text, " %s", command->operands);
    }
}

static void append_options(cb_buffer *out, const cb_cli_option *option)
{
    for (; option != NULL && option->name != NULL; option++) {
        cb_buffer label;
        cb_buffer_init(&label, TEXT_BYTES_MAX);
        if (option->letter != '\0') {
            cb_buffer_append_format(&label, "-%c, ", option->letter);
        }
        cb_buffer_append_format(&label, "--%s%s%s", option->name,
                                option->value == NULL ? "" : " ",
                                option->value == NULL ? "" : option->value);
        append_row(out, cb_buffer_text(&label), option->help, VALUE_COLUMN);
        cb_buffer_clear(&label);
    }
}

/* The effects start in one column, as near as the longest command allows. */
static void append_examples(cb_buffer *out, const cb_cli_example *examples)
{
    size_t column = 0;
    const cb_cli_example *example = examples;
    for (; example != NULL && example->command != NULL; example++) {
        size_t width = strlen(example->command) + LABEL_COLUMN + 2;
        column = width > column && width <= 44 ? width : column;
    }
    column = column == 0 ? 6 : column;
    cb_buffer_append_text(out, "Examples\n");
    for (example = examples; example != NULL && example->command != NULL;
         example++) {
        if (example->effect[0] == '\0') {
            cb_buffer_append_format(out, "%*s%s\n", LABEL_COLUMN, "",
                                    example->command);
        } else {
            append_row(out, example->command, example->effect, column);
        }
    }
    cb_buffer_append_text(out, "\n");
}

static void append_exits(cb_buffer *out, const cb_cli_exit *exits)
{
    if (exits == NULL) {
        return;
    }
    cb_buffer_append_text(out, "\nExit codes\n");
    for (; exits->when != NULL; exits++) {
        char code[16];
        (void)snprintf(code, sizeof code, "%d",
                       cb_status_exit_code(exits->status));
        append_row(out, code, exits->when, 8);
    }
}

/* Paragraphs, each wrapped by itself; NULL is none. */
static void append_description(cb_buffer *out, const char *text)
{
    for (const char *at = text; at != NULL;) {
        const char *end = strstr(at, "\n\n");
        size_t size = end == NULL ? strlen(at) : (size_t)(end - at);
        cb_buffer_append_format(out, "%s%*s", at == text ? "" : "\n",
                                LABEL_COLUMN, "");
        cb_cli_wrap(out, (cb_span){ (const uint8_t *)at, size }, LABEL_COLUMN,
                    LABEL_COLUMN, WIDTH);
        cb_buffer_append_text(out, "\n");
        at = end == NULL ? NULL : end + 2;
    }
}

void cb_cli_help_command(const cb_cli_session *session,
                         const cb_cli_command *command)
{
    cb_buffer out;
    cb_buffer usage;
    cb_buffer_init(&out, TEXT_BYTES_MAX);
    cb_buffer_init(&usage, TEXT_BYTES_MAX);
    cb_buffer_append_format(&out, "casebound %s: %s\n\n", command->name,
                            command->purpose);
    append_examples(&out, command->examples);
    cb_buffer_append_format(&out, "Usage\n%*s", LABEL_COLUMN, "");
    cb_cli_append_usage(&usage, command);
    cb_cli_wrap(&out, cb_span_of_buffer(&usage), LABEL_COLUMN, LABEL_COLUMN + 4,
                WIDTH);
    cb_buffer_append_text(&out, "\n");
    append_description(&out, command->description);
    if (command->options != NULL) {
        cb_buffer_append_text(&out, "\nOptions\n");
        append_options(&out, command->options);
    }
    append_exits(&out, command->exits);
    cb_buffer_append_format(&out, "\nSee also\n%*s", LABEL_COLUMN, "");
    cb_buffer_append_format(&out, "%s%shelp options, help exit-codes\n",
                            command->see_also == NULL ? "" : command->see_also,
                            command->see_also == NULL ? "" : ", ");
    cb_cli_print_buffer(session, &out);
    cb_buffer_clear(&usage);
    cb_buffer_clear(&out);
}

const char *cb_cli_nearest_command(const cb_cli_program *program,
                                   const char *typed)
{
    const char *nearest = NULL;
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < program->count; i++) {
        const char *name = program->commands[i]->name;
        size_t size = noun_size(name);
        const char *words[] = { name, size > 0 ? name + size + 1 : name };
        for (size_t word = 0; word < 2; word++) {
            /* The whole name first: its last word alone counts for more. */
            size_t distance = cb_cli_edit_distance(typed, words[word]);
            if (distance < least &&
                cb_cli_is_near(typed, words[word], distance)) {
                least = distance;
                nearest = name;
            }
        }
    }
    return nearest;
}

/* What is explained apart from any command. */
typedef struct help_topic {
    const char *name;
    const char *purpose;
    const char *text; /* NULL: made by append_topic */
} help_topic;

static const help_topic topics[] = {
    { "care", "what keeps a store safe, and what to do when it is not",
      "Habits\n"
      "  Sync often: what the hub confirmed (casebound status) is in two places.\n"
      "  casebound backup FILE, weekly and before a journey, on a stick that does\n"
      "  not travel with the laptop. The file is encrypted, and read again before\n"
      "  it is called written.\n"
      "  casebound recovery new, once, on paper in a drawer that can be locked.\n"
      "  casebound doctor, monthly and after anything odd.\n"
      "  casebound lock before you leave the machine.\n"
      "\n"
      "The passphrase is forgotten\n"
      "  casebound passphrase --recovery, with the paper. Without it nobody gets\n"
      "  in; what was synced is safe at the hub, which can enrol a new device.\n"
      "\n"
      "Somebody may know the passphrase\n"
      "  casebound passphrase. If they may have used the machine while it was\n"
      "  unlocked, or have a copy of the folder: casebound key rotate as well.\n"
      "\n"
      "Something is damaged (exit code 12)\n"
      "  Copy the folder away as it is. casebound doctor names what is wrong;\n"
      "  casebound doctor --repair builds again what follows from the entries.\n"
      "  Where entries are damaged: casebound -C NEWFOLDER restore FILE, and sync.\n"
      "\n"
      "It says that it is an older copy\n"
      "  Somebody put back a copy of the folder. If the newer one is still there,\n"
      "  use that. If not: casebound sync, or, without a network, casebound\n"
      "  restore --in-place.\n"
      "\n"
      "The laptop is lost or stolen\n"
      "  Tell the hub's office. On another machine: casebound restore FILE.\n"
      "\n"
      "Memory that reaches a disk\n"
      "  What is in the store is encrypted on the disk, always. What is open is\n"
      "  in memory, and three things carry memory to a disk. Swap: encrypt it\n"
      "  (/etc/crypttab with the option swap, or zram) or do without (swapoff -a);\n"
      "  init, unlock and doctor say where it is in plain. Hibernation, which\n"
      "  writes all memory to swap: run casebound lock before. A terminal that\n"
      "  keeps what it showed: close it.\n" },
    { "commands", "every command and what it does", NULL },
    { "exit-codes", "what the exit code of a command says", NULL },
    { "options", "the options that every command takes", NULL },
    { "times", "how to say when something happened",
      "A time is read on London's clock and kept as exactly as it was given:\n"
      "\n"
      "  14:00                  today at two\n"
      "  'yesterday 14:00'      also today, tomorrow\n"
      "  '2017-03-14 14:00'     a date and a time\n"
      "  2017-03-14             a day\n"
      "  2017-03                a month\n"
      "  2017                   a year\n"
      "  now                    this second\n"
      "  2017-03-14T14:00:05Z   in UTC; or with an offset such as +01:00\n"
      "\n"
      "A time that the change of the clocks skips, or gives twice, is refused;\n"
      "the message says how to tell which one is meant.\n" },
    { "topics", "this list", NULL },
};

#define TOPIC_COUNT (sizeof topics / sizeof topics[0])

static void append_exit_codes(cb_buffer *out)
{
    /* One row a code, though several statuses share the codes 1 and 2. */
    int before = -1;
    for (int i = 0; i < CB_STATUS_COUNT; i++) {
        cb_status status = (cb_status)i;
        int code = cb_status_exit_code(status);
        if (code != before) {
            char label[16];
            (void)snprintf(label, sizeof label, "%d", code);
            append_row(out, label, cb_status_meaning(status), 8);
        }
        before = code;
    }
    cb_buffer_append_text(out, "\n  Any other code is a failure.  --json names "
                               "the status in full.\n");
}

static void append_topic(cb_buffer *out, const help_topic *topic)
{
    if (topic->text != NULL) {
        cb_buffer_append_text(out, topic->text);
    } else if (strcmp(topic->name, "exit-codes") == 0) {
        append_exit_codes(out);
    } else if (strcmp(topic->name, "options") == 0) {
        append_options(out, cb_cli_global_options);
    } else {
        for (size_t i = 0; i < TOPIC_COUNT; i++) {
            append_row(out, topics[i].name, topics[i].purpose, VALUE_COLUMN);
        }
    }
}

static bool print_topic(const cb_cli_session *session, const char *name)
{
    if (strcmp(name, "commands") == 0) {
        cb_cli_help_list(session, NULL);
        return true;
    }
    for (size_t i = 0; i < TOPIC_COUNT; i++) {
        if (strcmp(topics[i].name, name) == 0) {
            cb_buffer out;
            cb_buffer_init(&out, TEXT_BYTES_MAX);
            append_topic(&out, &topics[i]);
            cb_cli_print_buffer(session, &out);
            cb_buffer_clear(&out);
            return true;
        }
    }
    return false;
}

cb_status cb_cli_run_help(cb_cli_session *session)
{
    const char *first = cb_cli_operand(&session->arguments, 0);
    const char *second = cb_cli_operand(&session->arguments, 1);
    if (first == NULL) {
        cb_cli_help_overview(session);
        return CB_OK;
    }
    cb_buffer name;
    cb_buffer_init(&name, TEXT_BYTES_MAX);
    cb_buffer_append_format(&name, "%s%s%s", first, second == NULL ? "" : " ",
                            second == NULL ? "" : second);
    const char *text = cb_buffer_text(&name);
    const cb_cli_command *command = cb_cli_find(session->program, text);
    cb_status status = CB_OK;
    if (command != NULL) {
        cb_cli_help_command(session, command);
    } else if (cb_cli_is_noun(session->program, text)) {
        cb_cli_help_list(session, text);
    } else if (!print_topic(session, text)) {
        status = cb_error_set(&session->error, CB_USAGE,
                              "there is no help on '%.40s'", text);
        cb_error_next(&session->error, "casebound help topics");
    }
    cb_buffer_clear(&name);
    return status;
}
