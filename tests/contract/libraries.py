#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the built libraries to the headers and to the direction of knowledge.

Usage: libraries.py --part NAME --headers FOLDER --shared FILE --static FILE
                    --needs LIBRARY,... [--include FOLDER ...]
       libraries.py --program FILE --needs LIBRARY,...

- What a shared library exports is what its public headers mark CB_PUBLIC, and
  nothing is declared there without that mark.
- Every global name begins with cb_, for a static library hides nothing.
- No object holds data that can change: two stores in one process share nothing.
- A library or program asks the loader for those it may know and no others.
- Each public header compiles alone, under every compiler at hand.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys

# What compilers and sanitizers bring along on their own account.
RUNTIME = re.compile(r"(libc|libm|libgcc_s|libasan|libubsan|liblsan|libpthread"
                     r"|ld-linux-[-\w]+|libclang_rt[-.\w]*)\.so")
NOT_OURS = {"_init", "_fini", "mangle_path"}  # the last is gcov's
# SQLite chains its file systems through the object that registers one; what JSON
# memory remembers is argued in base/json_memory.c, libgit2's in git/memory.c.
MAY_CHANGE = {"encrypting_vfs", "json_failures", "json_functions_set",
              "git_reserve"}


def output(*command):
    return subprocess.run(command, check=True, text=True,
                          stdout=subprocess.PIPE).stdout


def statements(text):
    """The declarations outside of braces, comments and directives removed."""
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    text = re.sub(r"^\s*#(?:[^\n]*\\\n)*[^\n]*", "", text, flags=re.M)
    depth = 0
    kept = ""
    for character in text:
        depth += (character == "{") - (character == "}")
        if character == "}" and depth == 0:
            kept += "{}"
        elif depth == 0:
            kept += character
    for statement in re.split(r";|(?<=\))\s*\{\}", kept):
        yield " ".join(statement.split())


def public_names(folder):
    marked, unmarked = set(), set()
    for path in headers_of(folder):
        with open(path) as file:
            text = file.read()
        for statement in statements(text):
            if re.match(r"(static|typedef|enum|struct|union)\b[^()]*"
                        r"(\{\}|$)|static\b|typedef\b|_Static_assert|"
                        r"static_assert", statement):
                continue
            name = re.search(r"\b(\w+)\s*\(", statement) or \
                re.search(r"\b(cb_\w+)\s*(\[.*\])?\s*$", statement)
            if name and "CB_PUBLIC" in statement:
                marked.add(name.group(1))
            elif name and name.group(1).startswith("cb_"):
                unmarked.add(name.group(1))
    return marked, unmarked


def headers_of(folder):
    return sorted(os.path.join(place, name)
                  for place, _, names in os.walk(folder) for name in names
                  if name.endswith(".h"))


def exported(library):
    names = set()
    for line in output("nm", "-D", "--defined-only", library).splitlines():
        name = line.split()[-1].split("@")[0]
        if not name.startswith("__") and name not in NOT_OURS:
            names.add(name)
    return names


def exports_are_the_headers(options):
    marked, unmarked = public_names(options.headers)
    names = exported(options.shared)
    for name in sorted(names - marked):
        yield f"{name} is exported and in no public header"
    for name in sorted(marked - names):
        yield f"{name} is in a public header and not exported"
    for name in sorted(unmarked):
        yield f"{name} is in a public header without CB_PUBLIC"
    if not marked:
        yield f"no public function was found below {options.headers}"


def globals_are_prefixed(options):
    listing = output("nm", "-g", "--defined-only", options.static)
    for line in listing.splitlines():
        words = line.split()
        if len(words) == 3 and not words[2].startswith(("cb_", "__")):
            yield f"{words[2]} is global and lacks the cb_ prefix"


def nothing_changes(options):
    listing = output("readelf", "-sW", "-SW", options.static)
    writable = set()
    for line in listing.splitlines():
        section = re.match(r"\s*\[\s*(\d+)\]\s+(\.\S+)", line)
        if section and section.group(1) == "0":
            writable = set()
        if re.match(r"File: ", line):
            writable = set()
        if section and re.match(r"\.(data|bss|tdata|tbss)(?!\.rel\.ro)",
                                section.group(2)):
            writable.add(section.group(1))
        words = line.split()
        if len(words) == 8 and words[3] in ("OBJECT", "TLS") and \
                words[6] in writable:
            name = words[7].split(".")[0]
            if name not in MAY_CHANGE and not name.startswith("__"):
                yield f"{words[7]} can change while the program runs"


def needs_are_allowed(options):
    file = options.shared or options.program
    needed = re.findall(r"\(NEEDED\).*\[(.*?)\]", output("readelf", "-dW",
                                                         file))
    for name in needed:
        plain = re.sub(r"^lib|\.so.*", "", name)
        if plain not in options.needs and not RUNTIME.match(name):
            yield f"{os.path.basename(file)} may not need {name}"


def headers_compile_alone(options):
    folders = [f"-I{folder}" for folder in [options.headers] +
               options.include]
    compilers = [name for name in ("gcc", "clang") if shutil.which(name)]
    if not compilers:
        yield "there is no compiler to try the headers with"
    for compiler in compilers:
        for path in headers_of(options.headers):
            name = os.path.relpath(path, options.headers)
            done = subprocess.run(
                [compiler, "-std=c17", "-fsyntax-only", "-Wall", "-Wextra",
                 "-Wpedantic", "-Wundef", "-Werror", "-x", "c", *folders,
                 "-"], input=f"#include <{name}>\n#include <{name}>\nint used;\n",
                text=True, stderr=subprocess.PIPE)
            if done.returncode:
                yield f"{compiler}: {name} alone: {done.stderr.strip()}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--part")
    parser.add_argument("--headers")
    parser.add_argument("--shared")
    parser.add_argument("--static")
    parser.add_argument("--program")
    parser.add_argument("--include", action="append", default=[])
    parser.add_argument("--needs", type=lambda text: text.split(","))
    options = parser.parse_args()
    rules = [needs_are_allowed]
    if options.part:
        rules += [exports_are_the_headers, globals_are_prefixed,
                  nothing_changes, headers_compile_alone]
    failed = 0
    for rule in rules:
        findings = list(rule(options))
        for finding in findings:
            print(f"{rule.__name__}: {finding}")
        failed += bool(findings)
    print(f"{len(rules) - failed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main())
