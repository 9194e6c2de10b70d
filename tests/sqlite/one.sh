#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# For run.sh: one file of the suite in a folder of its own; what it prints
# becomes a log.  The variables are run.sh's.
set -u

name=$(basename "$1" .test)
# shellcheck disable=SC2154 # exported by run.sh
work=$folder/at/$name
mkdir -p "$work" && cd "$work" || exit 1
[ -z "$as_nobody" ] || chown 65534:65534 "$work"
# shellcheck disable=SC2154,SC2086 # exported by run.sh; several words
timeout -k 10 600 $as_nobody "$program" "$here/one.tcl" "$source" run \
    "$permutation" "$1" >"$folder/log/$CASEBOUND_TEST_CIPHER/$name" 2>&1 \
    </dev/null
cd "$folder" || exit 1
rm -rf "$work"
exit 0
