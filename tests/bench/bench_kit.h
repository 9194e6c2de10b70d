/* SPDX-License-Identifier: Apache-2.0 */
/* What the benches share: a clock, the machine's name, memory, options. */
#ifndef CASEBOUND_TESTS_BENCH_KIT_H
#define CASEBOUND_TESTS_BENCH_KIT_H

#include <stdbool.h>
#include <stddef.h>

/* Seconds since some moment; and those that this process computed. */
double bench_seconds(void);
double bench_processor_seconds(void);

/* Most memory that this process has held, in KiB. */
long bench_resident_kib(void);

/* Processors that may be used. */
unsigned bench_processors(void);

/* "system release machine, model of processor, 2 processors". */
void bench_machine(char *text, size_t size);

/* The value after `name` among the arguments, or `otherwise`. */
long bench_number(int count, char **arguments, const char *name,
                  long otherwise);
bool bench_flag(int count, char **arguments, const char *name);

#endif
