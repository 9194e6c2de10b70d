#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What programs of others say about our text: clang-format, mandoc, shellcheck
# and, unless told "quick", clang-tidy, which takes minutes.
# A program that is absent is left out and named, except with "all".
#
# lint.sh [quick|all]
set -eu
cd "$(dirname "$0")/.."
mode=${1:-all}
build=${CASEBOUND_BUILD:-build/lint}
passed=0
failed=0
each=

find_files() {
    find cli engine schema sync tests .ci .githooks -type f "$@" | sort
}

# check NAME PROGRAM COMMAND...: the files come on standard input.
check() {
    name=$1 program=$2
    shift
    if ! command -v "$program" >/dev/null; then
        if [ "$mode" = quick ]; then
            cat >/dev/null
            echo "skipped: $name, for there is no $program"
            return 0
        fi
        echo "lint: there is no $program" >&2
        echo '    next: sh tests/install-packages.sh develop' >&2
        exit 1
    fi
    if xargs -r ${each:+-n 1 -P "$(nproc)"} "$@" >"$output" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "lint: not so: $name"
        grep -E '^[^ ]+:[0-9]+:|^In ' "$output" | sort -u >"$list"
        head -n 25 "$list"
        echo "    $(wc -l <"$list") places"
    fi
}

check_text() {
    find_files -name '*.[ch]' >"$list"
    check 'C is formatted' clang-format --dry-run -Werror <"$list"
    find_files -path 'cli/man/*.1' >"$list"
    check 'manual pages are sound' mandoc -T lint -W warning <"$list"
    find_files \( -name '*.sh' -o -path .ci/run -o -path '.githooks/*' \) \
        >"$list"
    check 'shell scripts are sound' shellcheck <"$list"
}

# One process a file: two in one give findings that depend on their order.
check_code() {
    cmake -C tests/profiles/dev.cmake -DCMAKE_C_COMPILER=clang -S . \
        -B "$build" -G Ninja >/dev/null
    cmake --build "$build" --target casebound-schema >/dev/null
    find_files -name '*.c' ! -path 'tests/*' >"$list"
    each=yes
    check 'C is sound' clang-tidy -p "$build" --quiet <"$list"
}

list=$(mktemp)
output=$(mktemp)
trap 'rm -f "$list" "$output"' EXIT
check_text
[ "$mode" = quick ] || check_code
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
