#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# read-only.sh FOLDER COMMANDS: runs the commands while nothing can be written
# below the folder.  Root may write everywhere, so for root it is mounted
# read-only; where that is not allowed either it says so and ends with 77, by
# which a transcript leaves the step out.
set -u
if [ "$(id -u)" -ne 0 ]; then
    chmod -R a-w "$1"
    sh -c "$2"
    code=$?
    chmod -R u+w "$1"
    exit "$code"
fi
# shellcheck disable=SC2016
bind='mount --bind "$0" "$0" && mount -o remount,bind,ro "$0"'
if ! unshare --mount sh -c "$bind" "$1" 2>/dev/null; then
    echo 'read-only: it cannot be shown here: mounting is not allowed' >&2
    exit 77
fi
exec unshare --mount sh -c "$bind && $2" "$1"
