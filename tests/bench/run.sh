#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds and runs every bench and prints one table.
#
#     tests/bench/run.sh [--json] [--quick] [BUILD]
#
# BUILD is a folder that CMake has configured; without it one is made with the
# release profile, in a temporary folder.  --json gives one document a line.
# Nothing fails on a time.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
json=
quick=no
build=
for argument; do
    case $argument in
    --json) json=--json ;;
    --quick) quick=yes ;;
    -*)
        echo "run.sh: '$argument' is not an option; use --json or --quick" >&2
        exit 2
        ;;
    *) build=$argument ;;
    esac
done

made=
if [ -z "$build" ]; then
    build=$(mktemp -d "${TMPDIR:-/tmp}/casebound-bench.XXXXXX")
    made=$build
    trap 'rm -rf "$made"' EXIT INT TERM
    cmake -C "$root/tests/profiles/release.cmake" -S "$root" -B "$build" \
        -G Ninja >/dev/null
fi

# What a bench does in its short form.
shorter()
{
    case $1 in
    append) echo "--entries 1000 --appends 200 --cases 12" ;;
    show) echo "--cases 100 --turns 10" ;;
    ingest) echo "--entries 3000 --devices 15" ;;
    merge) echo "--devices 5" ;;
    store) echo "--rounds 1" ;;
    audit) echo "--entries 20000" ;;
    esac
}

for bench in append show store ingest merge audit; do
    [ -e "$root/tests/bench/${bench}_bench.c" ] || continue
    cmake --build "$build" --target "${bench}_bench" >/dev/null
    options=
    [ "$quick" = no ] || options=$(shorter "$bench")
    # shellcheck disable=SC2086 # several options
    "$build/tests/bench/${bench}_bench" $json $options
done
