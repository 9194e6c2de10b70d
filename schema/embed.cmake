# SPDX-License-Identifier: Apache-2.0
# Writes OUTPUT, a C file that holds the files of LIST (names below ROOT).
set(code "/* Generated from schema/; do not edit. */\n")
string(APPEND code "#include <casebound/embedded.h>\n#include <string.h>\n\n")
set(table "")
set(number 0)
string(REPLACE "|" ";" names "${LIST}")
list(SORT names)
foreach(name IN LISTS names)
    file(READ "${ROOT}/${name}" hex HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
    string(REGEX REPLACE "(................................................................................)" "\\1\n" bytes "${bytes}")
    string(APPEND code "static const unsigned char file_${number}[] = {\n${bytes}0x00};\n")
    string(APPEND table "    {\"${name}\", file_${number}, sizeof file_${number} - 1},\n")
    math(EXPR number "${number} + 1")
endforeach()
# The last row lets the table be empty and ends a walk that does not count.
string(APPEND table "    {NULL, NULL, 0},\n")
string(APPEND code "\nconst cb_embedded_file cb_embedded_files[] = {\n${table}};\n")
string(APPEND code "const size_t cb_embedded_file_count = ${number};\n\n")
string(APPEND code "const cb_embedded_file *cb_embedded_find(const char *name)
{
    for (size_t i = 0; i < cb_embedded_file_count; i++) {
        if (strcmp(cb_embedded_files[i].name, name) == 0) {
            return &cb_embedded_files[i];
        }
    }
    return NULL;
}
")
file(WRITE "${OUTPUT}" "${code}")
