#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs the shell commands given with a disk of two megabytes at `disk`.  Where
# nothing may be mounted (not root, some containers) it says so and ends like a
# full disk, so that a transcript can tell the two apart by what is printed.
set -u
mkdir disk
if ! unshare --mount sh -c 'mount -t tmpfs -o size=2m none disk' 2>/dev/null; then
    echo 'small-disk: a full disk cannot be shown here: mounting is not allowed' >&2
    exit 17
fi
exec unshare --mount sh -c "mount -t tmpfs -o size=2m none disk; $1"
