#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the tree to its own rules: what lies where, who includes whom, sizes.

Usage: tidy.py SOURCE_ROOT

Every rule is one function that yields the places where it is broken; a rule
without findings has passed.
"""
import os
import re
import sys

TOP = {"engine", "cli", "schema", "sync", "tests", "CMakeLists.txt",
       "README.md", "LICENSE"}
# What a build or an editor leaves behind; .gitignore names the same.
LEFT_BEHIND = re.compile(r"build(-.*)?$|compile_commands\.json$|__pycache__$"
                         r"|.*~$|.*\.swp$")

# Which part of the tree may include headers of which.  The public headers of a
# part are a place of their own: nothing outside sees more of the part.
ALLOWED_EDGES = {
    "schema": {"schema"},
    "engine/include": {"engine/include", "schema"},
    "engine": {"engine", "engine/include", "schema"},
    "sync/include": {"sync/include", "engine/include"},
    "sync": {"sync", "sync/include", "engine/include"},
    "cli": {"cli", "sync/include", "engine/include"},
}
ROOTS = ["engine/include", "sync/include", "schema", "engine", "sync", "cli"]

# C17 and POSIX, open to everybody.  Whatever is absent needs a home below.
STANDARD = set("""
    assert.h ctype.h errno.h inttypes.h limits.h math.h signal.h stdalign.h
    stdarg.h stdatomic.h stdbool.h stddef.h stdint.h stdio.h stdlib.h stdnoreturn.h
    string.h strings.h time.h dirent.h fcntl.h poll.h unistd.h sys/file.h
    sys/mman.h sys/resource.h sys/stat.h sys/statvfs.h sys/time.h sys/types.h
    sys/wait.h""".split())

# Where a header of another library, or of the system's darker corners, may be
# used.  A new line here is a decision: it says who else must be read when that
# library changes.
HOMES = {
    "sqlite3.h": ["engine/store/", "engine/vfs/"],
    "sodium.h": ["engine/", "sync/"],
    "jansson.h": ["engine/", "sync/", "cli/"],
    "git2.h": ["sync/git/"],
    "git2/": ["sync/git/"],
    "keyutils.h": ["engine/store/keyring.c"],
    "malloc.h": ["engine/base/json_memory.c", "sync/git/memory.c"],
    "pthread.h": ["engine/base/json_memory.c", "sync/"],
    "spawn.h": ["sync/git/process.c"],
    "sys/socket.h": ["sync/git/process.c"],
    "bsd/readpassphrase.h": ["cli/prompt.c"],
    "termios.h": ["cli/editor_run.c", "cli/prompt.c", "cli/terminal.c"],
    "sys/ioctl.h": ["cli/terminal.c"],
    "sys/vfs.h": ["cli/scratch.c"],
    "sys/prctl.h": ["cli/system.c"],
    "langinfo.h": ["cli/terminal.c"],
    "locale.h": ["cli/"],
    "wchar.h": ["cli/"],
}

BANNED = {
    "strcpy": "cb_buffer or snprintf", "strcat": "cb_buffer",
    "strncpy": "memcpy", "strncat": "cb_buffer", "stpcpy": "cb_buffer",
    "sprintf": "snprintf", "vsprintf": "vsnprintf", "gets": "fgets",
    "strtok": "strcspn", "atoi": "strtol", "atol": "strtol", "atof": "strtod",
    "system": "posix_spawn", "popen": "posix_spawn", "vfork": "posix_spawn",
    "alloca": "a limit", "setjmp": "a status", "longjmp": "a status",
    "localtime": "localtime_r", "gmtime": "gmtime_r", "ctime": "strftime",
    "asctime": "strftime", "rand": "cb_environment", "srand": "cb_environment",
    "random": "cb_environment", "mktemp": "mkdtemp", "tmpnam": "mkdtemp",
    "tempnam": "mkdtemp",
}
BANNED_CALL = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(BANNED))
# Tests start the programs they compare us with.
ALLOWED_IN_TESTS = {"system", "popen"}

FILE_LINES = 600
FUNCTION_LINES = 70
TEXT = re.compile(r"(\.(c|h|def|sql|json|md|sh|py|cmake|in|1)|CMakeLists\.txt"
                  r"|\.ci/run|pre-commit)$")
CODE = re.compile(r"(\.(c|h|def|sql|sh|py|cmake|1)|CMakeLists\.txt|\.ci/run"
                  r"|pre-commit)$")
# Split, or this file would break its own rule.
UNFINISHED = re.compile(r"\b(%s)\b" % "|".join(["TO" "DO", "FIX" "ME",
                                                 "X" "XX", "HA" "CK"]))


def walk(root):
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name != ".git"
                            and not LEFT_BEHIND.match(name))
        for name in sorted(names):
            path = os.path.relpath(os.path.join(folder, name), root)
            if not LEFT_BEHIND.match(name) and TEXT.search(path):
                with open(os.path.join(root, path), "rb") as file:
                    yield path, file.read()


def bare(text):
    """The C text with comments and literals blanked, lines kept."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0))
    return re.sub(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'',
                  blank, text, flags=re.S)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def top_level(tree):
    names = {name for name in os.listdir(tree.root)
             if not name.startswith(".") and not LEFT_BEHIND.match(name)}
    for name in sorted(names - TOP):
        yield f"{name}: not of the agreed top level"
    for name in sorted(TOP - names):
        yield f"{name}: missing from the top level"


def part_of(path):
    # The two lists are installed with the engine's headers, which read them.
    if re.match(r"schema/casebound/\w+\.def$", path):
        return "engine/include"
    for part in ROOTS:
        if path.startswith(part + "/"):
            return part
    return path.split("/")[0]


def includes(tree):
    for path, text in tree.c.items():
        for match in re.finditer(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', text,
                                 re.M):
            name = match.group(2)
            folders = ROOTS
            if match.group(1) == '"':
                folders = [os.path.dirname(path), path.split("/")[0],
                           *ROOTS, "."]
            found = [folder + "/" + name for folder in folders
                     if os.path.isfile(f"{tree.root}/{folder}/{name}")]
            place = f"{path}:{line_of(text, match.start())}"
            yield place, path, name, os.path.normpath(found[0]) if found \
                else None


def include_edges(tree):
    for place, path, name, target in includes(tree):
        allowed = ALLOWED_EDGES.get(part_of(path))
        if target and allowed and part_of(target) not in allowed:
            yield f"{place}: {part_of(path)} may not see {target}"


def homes(tree):
    for place, path, name, target in includes(tree):
        if target or name in STANDARD or path.startswith("tests/"):
            continue
        allowed = [home for header, places in HOMES.items()
                   if name == header or header[-1] == "/"
                   and name.startswith(header) for home in places]
        if not any(path == home or home[-1] == "/" and path.startswith(home)
                   for home in allowed):
            where = ", ".join(allowed) or "nowhere yet"
            yield f"{place}: <{name}> has its home in: {where}"


def file_sizes(tree):
    for path, text in tree.text.items():
        lines = text.count("\n")
        if CODE.search(path) and lines > FILE_LINES:
            yield f"{path}: {lines} lines, at most {FILE_LINES}"


def function_sizes(tree):
    for path, text in tree.bare.items():
        start = None
        for number, line in enumerate(text.split("\n"), 1):
            if line.rstrip() == "{":
                start = number
            elif line.rstrip() == "}" and start:
                if number - start + 1 > FUNCTION_LINES:
                    yield (f"{path}:{start}: a function of "
                           f"{number - start + 1} lines, at most "
                           f"{FUNCTION_LINES}")
                start = None


def licence_lines(tree):
    for path, text in tree.text.items():
        first = text.split("\n")[:2] if text.startswith("#!") \
            else text.split("\n")[:1]
        if CODE.search(path) and not any(
                "SPDX-License-Identifier: Apache-2.0" in line
                for line in first):
            yield f"{path}: does not begin with its SPDX line"


def whitespace(tree):
    for path, text in tree.text.items():
        if "\r" in text:
            yield f"{path}: has carriage returns"
        if "\t" in text:
            yield f"{path}:{line_of(text, text.index(chr(9)))}: has a tab"
        if text and not text.endswith("\n"):
            yield f"{path}: no newline at the end"


def banned_calls(tree):
    for path, text in tree.bare.items():
        for match in BANNED_CALL.finditer(text):
            name = match.group(1)
            if path.startswith("tests/") and name in ALLOWED_IN_TESTS:
                continue
            yield (f"{path}:{line_of(text, match.start())}: {name}() is "
                   f"banned; use {BANNED[name]}")


def comment_marks(tree):
    for path, text in tree.bare.items():
        for match in re.finditer(r"//", text):
            yield (f"{path}:{line_of(text, match.start())}: a comment is "
                   "written /* like this */")


def attributes(tree):
    for path, text in tree.bare.items():
        if path.endswith("/compiler.h") or path.startswith("tests/"):
            continue
        for match in re.finditer(r"__attribute__", text):
            yield (f"{path}:{line_of(text, match.start())}: attributes are "
                   "spelled in compiler.h only")


def unfinished(tree):
    for path, text in tree.text.items():
        for match in UNFINISHED.finditer(text):
            yield (f"{path}:{line_of(text, match.start())}: "
                   f"{match.group(1)}: finish it or open an issue")


class Tree:
    def __init__(self, root):
        self.root = root
        self.text = {}
        for path, content in walk(root):
            self.text[path] = content.decode("utf-8", "surrogateescape")
        self.c = {path: text for path, text in self.text.items()
                  if path.endswith((".c", ".h"))}
        self.bare = {path: bare(text) for path, text in self.c.items()}


RULES = [top_level, include_edges, homes, file_sizes, function_sizes,
         licence_lines, whitespace, banned_calls, comment_marks, attributes,
         unfinished]


def main():
    tree = Tree(os.path.abspath(sys.argv[1]))
    failed = 0
    for rule in RULES:
        findings = list(rule(tree))
        for finding in findings:
            print(f"{rule.__name__}: {finding}")
        failed += bool(findings)
    print(f"{len(RULES) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
