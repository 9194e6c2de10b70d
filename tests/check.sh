#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what is missing, builds, and runs all tests.  The last line counts
# the single tests, by the word of the programs that ran them.
#
# CASEBOUND_BUILD is the folder to build in, CASEBOUND_PROFILE the profile.
# Arguments go to ctest: sh tests/check.sh -L unit
set -eu
cd "$(dirname "$0")/.."
build=${CASEBOUND_BUILD:-build/check}
profile=${CASEBOUND_PROFILE:-dev}

sh tests/install-packages.sh
mkdir -p "$build"
cmake -C "tests/profiles/$profile.cmake" -S . -B "$build" -G Ninja \
    >"$build/configure.log" 2>&1 || {
    cat "$build/configure.log"
    echo '0 passed, 1 failed'
    exit 1
}
cmake --build "$build" || {
    echo '0 passed, 1 failed'
    exit 1
}

result=0
ctest --test-dir "$build" --output-on-failure --no-tests=error \
    -j "$(nproc)" "$@" || result=$?
awk -v result="$result" -f tests/count.awk \
    "$build/Testing/Temporary/LastTest.log"
