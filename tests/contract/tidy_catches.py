#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows that each rule of tidy.py finds what it forbids.

A small tree that keeps the rules is made, then broken in one way at a time:
exactly the rule that forbids the change must speak.
"""
import os
import sys
import tempfile

import tidy

SPDX = "/* SPDX-License-Identifier: Apache-2.0 */\n"
GOOD = {
    "CMakeLists.txt": "# SPDX-License-Identifier: Apache-2.0\n",
    "README.md": "words\n",
    "LICENSE": "words\n",
    "cli/main.c": SPDX + "#include <casebound/a.h>\n",
    "cli/list.c": SPDX + "#include <casebound/list.def>\n",
    "sync/a.c": SPDX + '#include <casebound/a.h>\n/* gets(x) // "quoted" */\n',
    "sync/git/a.c": SPDX + "#include <git2.h>\n",
    "engine/include/casebound/a.h": SPDX,
    "engine/a.c": SPDX + '#include "b.h"\nint a(void)\n{\n    x.rand(1);\n}\n',
    "engine/b.h": SPDX,
    "schema/casebound/list.def": SPDX,
    "schema/casebound/embedded.h": SPDX,
    "tests/a.c": SPDX + '#include <git2.h>\n#include "b.h"\n',
}
# The rule that must speak, the file that is changed, what it then holds.
DEVIATIONS = [
    ("top_level", "docs/a.md", "words\n"),
    ("top_level", "README.md", None),
    ("include_edges", "engine/a.c", SPDX + "#include <casebound/sync.h>\n"),
    ("include_edges", "cli/main.c", SPDX + '#include "../engine/b.h"\n'),
    ("include_edges", "cli/main.c", SPDX + "#include <b.h>\n"),
    ("include_edges", "cli/main.c", SPDX + "#include <casebound/embedded.h>\n"),
    ("include_edges", "sync/a.c", SPDX + '#include "engine/b.h"\n'),
    ("include_edges", "engine/include/casebound/a.h",
     SPDX + "# include <b.h>\n"),
    ("homes", "engine/a.c", SPDX + "#include <git2.h>\n"),
    ("homes", "sync/a.c", SPDX + "#include <git2/sys/odb_backend.h>\n"),
    ("homes", "cli/main.c", SPDX + "#include <sodium.h>\n"),
    ("homes", "engine/a.c", SPDX + "#include <curl/curl.h>\n"),
    ("file_sizes", "engine/a.c", SPDX + "\n" * 600),
    ("function_sizes", "engine/a.c",
     SPDX + "int a(void)\n{\n" + "    a();\n" * 69 + "}\n"),
    ("licence_lines", "engine/a.c", "\n" + SPDX),
    ("licence_lines", "tests/a.sh", "#!/bin/sh\nexit 0\n"),
    ("whitespace", "README.md", "words"),
    ("whitespace", "README.md", "words\r\n"),
    ("whitespace", "README.md", "a\tb\n"),
    ("banned_calls", "engine/a.c", SPDX + "int a = strcpy (b, c);\n"),
    ("banned_calls", "cli/main.c", SPDX + 'int a = system("b");\n'),
    ("banned_calls", "tests/a.c", SPDX + "int a = gmtime(b);\n"),
    ("comment_marks", "engine/a.c", SPDX + "int a; // why\n"),
    ("attributes", "engine/a.c", SPDX + "__attribute__((unused)) int a;\n"),
    ("unfinished", "engine/a.c", SPDX + "/* " + "TO" + "DO */\n"),
]


def speak(files):
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            if text is not None:
                os.makedirs(os.path.dirname(f"{root}/{path}"), exist_ok=True)
                with open(f"{root}/{path}", "w", newline="") as file:
                    file.write(text)
        tree = tidy.Tree(root)
        return {rule.__name__ for rule in tidy.RULES if list(rule(tree))}


def main():
    base = dict(GOOD)
    base["sync/include/casebound/sync.h"] = SPDX
    rows = [(set(), "README.md", "other words\n")]
    rows += [({rule}, path, text) for rule, path, text in DEVIATIONS]
    failed = 0
    for wanted, path, text in rows:
        got = speak({**base, path: text})
        if got != wanted:
            print(f"{path} as {text!r:.60}: {got} spoke, not {wanted}")
            failed += 1
    print(f"{len(rows) - failed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main())
