/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/bench_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static double read_clock(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

double bench_seconds(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

double bench_processor_seconds(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

long bench_resident_kib(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? usage.ru_maxrss : -1;
}

unsigned bench_processors(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count < 1 ? 1 : (unsigned)count;
}

void bench_machine(char *text, size_t size)
{
    struct utsname system;
    char line[256];
    char model[128] = "unknown processor";
    FILE *file = fopen("/proc/cpuinfo", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        const char *value = strstr(line, ": ");
        if (strncmp(line, "model name", 10) == 0 && value != NULL) {
            snprintf(model, sizeof model, "%.*s", (int)strcspn(value + 2, "\n"),
                     value + 2);
            break;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    uname(&system);
    snprintf(text, size, "%s %s %s, %s, %u processors", system.sysname,
             system.release, system.machine, model, bench_processors());
}

long bench_number(int count, char **arguments, const char *name, long otherwise)
{
    for (int i = 1; i + 1 < count; i++) {
        if (strcmp(arguments[i], name) == 0) {
            return strtol(arguments[i + 1], NULL, 10);
        }
    }
    return otherwise;
}

bool bench_flag(int count, char **arguments, const char *name)
{
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], name) == 0) {
            return true;
        }
    }
    return false;
}
