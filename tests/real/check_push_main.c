/* SPDX-License-Identifier: Apache-2.0 */
/* What `casebound hub check-push` runs, without the rest of the command. */
#include <casebound/hub.h>
#include <stdio.h>

int main(void)
{
    cb_error error = { 0 };
    cb_status status = cb_hub_check_push(cb_environment_system(), 0, &error);
    if (status != CB_OK) {
        fprintf(stderr, "casebound: %s\n%s\n%s\n", error.what, error.meaning,
                error.next);
    }
    return cb_status_exit_code(status);
}
