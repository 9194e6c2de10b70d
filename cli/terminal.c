/* SPDX-License-Identifier: Apache-2.0 */
#include "terminal.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define COLUMNS_DEFAULT 80
#define COLUMNS_MIN     40
#define COLUMNS_MAX     500

int cb_cli_terminal_columns(void)
{
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): nothing else runs yet. */
    const char *variable = getenv("COLUMNS");
    long columns = variable == NULL ? 0 : strtol(variable, NULL, 10);
    struct winsize size = { 0 };
    if (columns <= 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) {
        columns = size.ws_col;
    }
    if (columns <= 0) {
        return COLUMNS_DEFAULT;
    }
    if (columns < COLUMNS_MIN) {
        return COLUMNS_MIN;
    }
    return columns > COLUMNS_MAX ? COLUMNS_MAX : (int)columns;
}
