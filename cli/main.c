/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

int main(int argc, char **argv)
{
    cb_cli_world world;
    cb_cli_harden();
    cb_cli_world_system(&world);
    cb_cli_catch_signals();
    return cb_cli_main(argc, argv, &world);
}
