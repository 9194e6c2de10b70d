#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the build into an empty folder and uses it from there as a stranger
# would: pkg-config, a compiler, the libraries, the command and its pages.
#
# install.sh CMAKE BUILD SOURCE COMPILER [SANITIZE]
set -eu
cmake=$1 build=$2 source=$3 compiler=$4 sanitize=${5:-}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
passed=0
failed=0

check() {
    name=$1
    shift
    if "$@" >"$folder/output" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "install: $name"
        cat "$folder/output"
    fi
}

"$cmake" --install "$build" --prefix "$folder/usr" >"$folder/log" || {
    cat "$folder/log"
    exit 1
}
library=$(dirname "$(dirname "$(find "$folder/usr" -name casebound.pc)")")
export PKG_CONFIG_PATH="$library/pkgconfig"
export LD_LIBRARY_PATH="$library"

use_library() {
    cat >"$folder/use.c" <<'CODE'
#include <casebound/error.h>
#include <stdio.h>
int main(void)
{
    puts(cb_status_name(CB_LOCKED));
    return cb_status_exit_code(CB_OK);
}
CODE
    # shellcheck disable=SC2046 # the words are many on purpose
    "$compiler" -std=c17 -Wall -Werror ${sanitize:+"-fsanitize=$sanitize"} \
        "$folder/use.c" -o "$folder/use" \
        $(pkg-config --cflags --libs "$@") || return 1
    [ "$("$folder/use")" = locked ]
}

# The first that differs ends it, for `set -e` does not reach into a check.
same_files() {
    target=$1
    shift
    for file; do
        cmp "$file" "$target/${file##*/}" || return 1
    done
}

# shellcheck disable=SC2046 # the words are many on purpose
every_header() {
    same_files "$folder/usr/include/casebound" \
        "$source"/schema/casebound/*.def \
        "$source"/engine/include/casebound/*.h \
        $(find "$source/sync/include" -name '*.h')
}

version_agrees() {
    [ "$(pkg-config --modversion casebound)" = "$(sed -n \
        's/^project(casebound VERSION \([0-9.]*\).*/\1/p' \
        "$source/CMakeLists.txt")" ]
}

command_starts() {
    env -u LD_LIBRARY_PATH "$folder/usr/bin/casebound" help >/dev/null
}

every_page() {
    same_files "$folder/usr/share/man/man1" "$source"/cli/man/*.1
}

every_completion() {
    [ -s "$folder/usr/share/bash-completion/completions/casebound" ] &&
    [ -s "$folder/usr/share/zsh/site-functions/_casebound" ] &&
    [ -s "$folder/usr/share/fish/vendor_completions.d/casebound.fish" ]
}

check 'a program can be built with casebound.pc' use_library casebound
check 'the public headers are there' every_header
check 'casebound.pc names the version' version_agrees
if [ -f "$source/sync/CMakeLists.txt" ]; then
    check 'a program can be built with casebound-sync.pc' \
        use_library casebound-sync
fi
if [ -f "$source/cli/CMakeLists.txt" ]; then
    check 'the command starts where it is installed' command_starts
    check 'the manual pages are there' every_page
    check 'the completions are there' every_completion
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
