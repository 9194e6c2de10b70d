/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The manual pages say what the table of commands says: a page for each
 * command and none besides, its purpose, exactly its options, and in
 * casebound(1) the global options and every exit code.
 */
#include "support/expect.h"

#include "command.h"

#include <dirent.h>
#include <stdlib.h>

#define LINE_BYTES    512
#define OPTIONS_MAX   64
#define EXIT_CODE_MAX 256

typedef struct manual_page {
    char purpose[LINE_BYTES];
    char options[OPTIONS_MAX][LINE_BYTES]; /* "-o, --output FILE" */
    size_t option_count;
    bool exit_codes[EXIT_CODE_MAX];
} manual_page;

static void page_name(const char *command, char *name, size_t size)
{
    snprintf(name, size, "casebound%s%s.1", command[0] == '\0' ? "" : "-",
             command);
    for (char *at = name; *at != '\0'; at++) {
        *at = *at == ' ' ? '-' : *at;
    }
}

/* ".It Fl o , Fl Fl output Ar FILE" as "-o, --output FILE". */
static void read_option(const char *item, char *option)
{
    cb_buffer text;
    cb_buffer_init(&text, LINE_BYTES);
    char words[LINE_BYTES];
    snprintf(words, sizeof words, "%s", item);
    for (char *at = words; *at != '\0';) {
        size_t size = strcspn(at, " ");
        bool is_last = at[size] == '\0';
        at[size] = '\0';
        bool after_dash =
            text.size > 0 && text.bytes[text.size - 1] == (uint8_t)'-';
        if (strcmp(at, "Fl") == 0) {
            cb_buffer_append_format(&text, "%s-",
                                    text.size > 0 && !after_dash ? " " : "");
        } else if (strcmp(at, ",") == 0) {
            cb_buffer_append_text(&text, ",");
        } else if (strcmp(at, "Ar") != 0) {
            cb_buffer_append_format(&text, "%s%s", after_dash ? "" : " ", at);
        }
        at += size + (is_last ? 0 : 1);
    }
    snprintf(option, LINE_BYTES, "%s", cb_buffer_text(&text));
    cb_buffer_clear(&text);
}

static bool read_page(const char *name, manual_page *page)
{
    char path[LINE_BYTES * 2];
    char line[LINE_BYTES];
    snprintf(path, sizeof path, "%s/cli/man/%s", CASEBOUND_SOURCE, name);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return false;
    }
    memset(page, 0, sizeof *page);
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, ".Nd ", 4) == 0) {
            snprintf(page->purpose, sizeof page->purpose, "%s", line + 4);
        } else if (strncmp(line, ".It Fl ", 7) == 0) {
            cr_assert(page->option_count < OPTIONS_MAX);
            read_option(line + 4, page->options[page->option_count++]);
        } else if (strncmp(line, ".It ", 4) == 0 && line[4] >= '0' &&
                   line[4] <= '9') {
            long code = strtol(line + 4, NULL, 10);
            cr_assert(code >= 0 && code < EXIT_CODE_MAX);
            page->exit_codes[code] = true;
        }
    }
    fclose(file);
    return true;
}

static void expect_options(const char *name, const manual_page *page,
                           const cb_cli_option *option)
{
    size_t count = 0;
    for (; option != NULL && option->name != NULL; option++, count++) {
        char wanted[LINE_BYTES];
        char letter[8] = "";
        bool is_found = false;
        if (option->letter != '\0') {
            snprintf(letter, sizeof letter, "-%c, ", option->letter);
        }
        snprintf(wanted, sizeof wanted, "%s--%s%s%s", letter, option->name,
                 option->value == NULL ? "" : " ",
                 option->value == NULL ? "" : option->value);
        for (size_t i = 0; i < page->option_count; i++) {
            is_found = is_found || strcmp(page->options[i], wanted) == 0;
        }
        cr_expect(is_found, "%s has no item '%s'", name, wanted);
    }
    cr_expect(count == page->option_count,
              "%s has %zu options, the command %zu", name, page->option_count,
              count);
}

Test(manual, has_a_page_for_every_command_with_exactly_its_options)
{
    const cb_cli_program *program = &cb_cli_casebound;
    cr_assert(program->count > 0);
    for (size_t i = 0; i < program->count; i++) {
        const cb_cli_command *command = program->commands[i];
        char name[LINE_BYTES];
        manual_page page;
        page_name(command->name, name, sizeof name);
        bool is_there = read_page(name, &page);
        cr_expect(is_there, "there is no cli/man/%s", name);
        if (is_there) {
            expect_text(page.purpose, command->purpose);
            expect_options(name, &page, command->options);
        }
    }
}

Test(manual, has_no_page_without_a_command)
{
    const cb_cli_program *program = &cb_cli_casebound;
    size_t pages = 0;
    DIR *folder = opendir(CASEBOUND_SOURCE "/cli/man");
    cr_assert(folder != NULL);
    for (struct dirent *entry = readdir(folder); entry != NULL;
         entry = readdir(folder)) {
        bool is_known = strcmp(entry->d_name, "casebound.1") == 0;
        size_t size = strlen(entry->d_name);
        if (size < 2 || strcmp(entry->d_name + size - 2, ".1") != 0) {
            continue;
        }
        for (size_t i = 0; i < program->count; i++) {
            char name[LINE_BYTES];
            page_name(program->commands[i]->name, name, sizeof name);
            is_known = is_known || strcmp(entry->d_name, name) == 0;
        }
        cr_expect(is_known, "cli/man/%s describes no command", entry->d_name);
        pages++;
    }
    closedir(folder);
    cr_expect(pages == program->count + 1, "%zu pages", pages);
}

Test(manual, names_the_global_options_and_every_exit_code)
{
    manual_page page;
    bool is_used[EXIT_CODE_MAX] = { false };
    cr_assert(read_page("casebound.1", &page));
    expect_options("casebound.1", &page, cb_cli_global_options);
    for (int i = 0; i < CB_STATUS_COUNT; i++) {
        is_used[cb_status_exit_code((cb_status)i)] = true;
    }
    for (size_t i = 0; i < EXIT_CODE_MAX; i++) {
        cr_expect(page.exit_codes[i] == is_used[i],
                  "exit code %zu is %s casebound.1", i,
                  is_used[i] ? "not in" : "wrongly in");
    }
}
