#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows that each rule of libraries.py finds what it forbids.

A small library that keeps the rules is compiled, then one that breaks them in
one way at a time: exactly the rule that forbids the change must speak.
"""
import os
import re
import subprocess
import sys
import tempfile

HEADER = """#ifndef A_H
#define A_H
#define CB_PUBLIC __attribute__((visibility("default")))
typedef struct cb_a { int value; } cb_a;
typedef int cb_call(void *context, int (*next)(int));
enum cb_b { CB_B = (1) };
/* CB_PUBLIC int cb_in_a_comment(void); */
static inline int cb_inline(void)
{
    return 1;
}
CB_PUBLIC int cb_one(void);
CB_PUBLIC _Noreturn void cb_two(const char *format,
                                ...) __attribute__((format(printf, 1, 2)));
CB_PUBLIC extern const int cb_three[];
#endif
"""
SOURCE = """#include <casebound/a.h>
#include <stdlib.h>
int cb_inner(void);
static const char *const names[] = { "a", "b" };
const int cb_three[] = { 1, 2 };
int cb_inner(void)
{
    return names[cb_three[0] - 1][0];
}
int cb_one(void)
{
    return cb_inner() + cb_inline();
}
void cb_two(const char *format, ...)
{
    exit(format[0]);
}
"""
# The rule that must speak, what is added to header and source, link options.
DEVIATIONS = [
    (None, "", "", []),
    ("exports_are_the_headers", "CB_PUBLIC int cb_absent(void);\n", "", []),
    ("exports_are_the_headers", "int cb_hidden(void);\n",
     "int cb_hidden(void)\n{\n    return 0;\n}\n", []),
    ("exports_are_the_headers", "",
     "CB_PUBLIC int cb_secretly(void);\n"
     "int cb_secretly(void)\n{\n    return 0;\n}\n", []),
    ("globals_are_prefixed", "",
     "int bare(void);\nint bare(void)\n{\n    return 0;\n}\n", []),
    ("nothing_changes", "", "int cb_count(void);\nint cb_count(void)\n{\n"
     "    static int count;\n    return count++;\n}\n", []),
    ("nothing_changes", "", "int cb_start = 3;\n", []),
    ("nothing_changes", "", "_Thread_local int cb_each;\n", []),
    ("needs_are_allowed", "", "", ["-Wl,--no-as-needed", "-lgit2"]),
    ("headers_compile_alone", "CB_PUBLIC int cb_four(size_t size);\n",
     "int cb_four(size_t size)\n{\n    return size > 1;\n}\n", []),
]


def speak(folder, header, source, links):
    include = f"{folder}/include"
    os.makedirs(f"{include}/casebound", exist_ok=True)
    with open(f"{include}/casebound/a.h", "w") as file:
        file.write(HEADER.replace("#endif\n", header + "#endif\n"))
    with open(f"{folder}/a.c", "w") as file:
        file.write("#include <stddef.h>\n" + SOURCE + source)
    # -O0, for an optimiser rightly drops what nobody uses.
    for command in (
            ["cc", "-std=c17", "-O0", "-fPIC", "-fvisibility=hidden",
             f"-I{include}", "-c", f"{folder}/a.c", "-o", f"{folder}/a.o"],
            ["cc", "-shared", f"{folder}/a.o", "-o", f"{folder}/a.so", *links],
            ["ar", "rc", f"{folder}/a.a", f"{folder}/a.o"]):
        subprocess.run(command, check=True)
    here = os.path.dirname(os.path.abspath(__file__))
    done = subprocess.run(
        [sys.executable, f"{here}/libraries.py", "--part", "a", "--headers",
         include, "--shared", f"{folder}/a.so", "--static", f"{folder}/a.a",
         "--needs", "sodium"], text=True, stdout=subprocess.PIPE)
    spoke = set(re.findall(r"^(\w+): ", done.stdout, re.M))
    return spoke if done.returncode == bool(spoke) else {"wrong exit code"}


def main():
    failed = 0
    for wanted, header, source, links in DEVIATIONS:
        with tempfile.TemporaryDirectory() as folder:
            got = speak(folder, header, source, links)
        if got != ({wanted} if wanted else set()):
            print(f"{(header + source)!r:.60} {links}: {got} spoke, "
                  f"not {wanted}")
            failed += 1
    print(f"{len(DEVIATIONS) - failed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main())
