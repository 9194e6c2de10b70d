#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs the tests with every memory access and every arithmetic step watched.
set -eu
cd "$(dirname "$0")/.."
CASEBOUND_BUILD=${CASEBOUND_BUILD:-build/asan} CASEBOUND_PROFILE=asan \
    exec sh tests/check.sh "$@"
