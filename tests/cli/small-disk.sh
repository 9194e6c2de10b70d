#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs the shell commands given with a disk of two megabytes at `disk`.  Where
# nothing may be mounted (not root, some containers) it says so and ends with 77,
# by which a transcript leaves the step out.
set -u
mkdir disk
if ! unshare --mount sh -c 'mount -t tmpfs -o size=2m none disk' 2>/dev/null; then
    echo 'small-disk: a full disk cannot be shown here: mounting is not allowed' >&2
    exit 77
fi
exec unshare --mount sh -c "mount -t tmpfs -o size=2m none disk; $1"
