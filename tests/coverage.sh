#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs the tests and says which lines of engine/ and sync/ they reach; fails
# below 85 of 100.  Where: build/coverage/report/index.html
set -eu
cd "$(dirname "$0")/.."
build=${CASEBOUND_BUILD:-build/coverage}

sh tests/install-packages.sh develop
find "$build" -name '*.gcda' -delete 2>/dev/null || :
result=0
CASEBOUND_BUILD=$build CASEBOUND_PROFILE=coverage sh tests/check.sh "$@" ||
    result=$?
mkdir -p "$build/report"
gcovr --root . --filter engine/ --filter sync/ \
    --html-details "$build/report/index.html" --print-summary \
    --fail-under-line 85 "$build"
exit $result
