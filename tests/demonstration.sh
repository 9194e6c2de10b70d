#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what is needed, builds, and shows the main job: two facilitators cut
# off from each other, a hub, a log that can read nothing, an auditor.
#
# Usage: sh tests/demonstration.sh [FOLDER]
#
# FOLDER (default ./build-demonstration) must not hold an earlier one; it keeps
# the stores, so that one can go on with the commands named at the end.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
case ${1:-} in
-*)
    sed -n 's/^# \{0,1\}//; 3,9p' "$0"
    exit 2
    ;;
esac
folder=${1:-$root/build-demonstration}
build=${CASEBOUND_BUILD:-$root/build-release}

sh "$root/tests/install-packages.sh" build
cmake -S "$root" -B "$build" -G Ninja -C "$root/tests/profiles/release.cmake" \
      -DCASEBOUND_TESTS=OFF >"$build.log" 2>&1 ||
    { cat "$build.log" >&2; exit 1; }
cmake --build "$build" >"$build.log" 2>&1 || { cat "$build.log" >&2; exit 1; }
rm -f "$build.log"
exec sh "$root/tests/demonstration/story.sh" "$build/cli/casebound" "$folder"
