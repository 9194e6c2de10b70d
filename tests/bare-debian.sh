#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Shows that the README's two commands work on a Debian 12 that holds nothing
# but its base: debootstrap makes one, each command gets a fresh copy of it and
# a fresh clone of HEAD.  Needs root, debootstrap, 4 GB and the archive.
#
# bare-debian.sh [COMMAND...]: other commands to run than those of the README.
# MIRROR is the archive (else this machine's), TMPDIR where the copies lie.
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- 'sh tests/demonstration.sh' 'sh tests/check.sh'

if [ "$(id -u)" != 0 ] || ! command -v debootstrap >/dev/null; then
    echo 'bare-debian: this needs root and debootstrap' >&2
    exit 1
fi
mirror=${MIRROR:-$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* \
    2>/dev/null | grep -o 'https\{0,1\}://[^ ]*/debian/\{0,1\}\( \|$\)' |
    head -n 1)}
mirror=${mirror:-http://deb.debian.org/debian}

folder=$(mktemp -d "${TMPDIR:-/var/tmp}/bare-debian.XXXXXX")
mounted=

release() {
    for place in $mounted; do
        umount "$place"
    done
    mounted=
}

# A mount that is still there must not be emptied along with the folder.
finish() {
    release && rm -rf --one-file-system "$folder"
}
trap finish EXIT
trap 'exit 130' INT TERM

attach() {
    mount --bind "$1" "$2"
    mounted="$2 $mounted"
}

# How this machine reaches the archive holds for the copies as well.
copy_network() {
    cp /etc/resolv.conf /etc/hosts "$1/etc/"
    grep -ls '^ *Acquire::' /etc/apt/apt.conf.d/* /etc/apt/apt.conf |
        while read -r file; do
            cp "$file" "$1/etc/apt/apt.conf.d/"
        done
}

run() {
    root=$folder/root
    cp -a "$folder/base" "$root"
    git clone -q . "$root/root/casebound"
    attach /proc "$root/proc"
    attach /dev "$root/dev"
    attach /dev/pts "$root/dev/pts"
    result=0
    chroot "$root" /usr/bin/env -i HOME=/root TERM="${TERM:-dumb}" \
        PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
        http_proxy="${http_proxy:-}" https_proxy="${https_proxy:-}" \
        sh -c "cd /root/casebound && $1" || result=$?
    release
    rm -rf --one-file-system "$root"
    return $result
}

echo "base system from $mirror"
debootstrap --variant=minbase bookworm "$folder/base" "$mirror" \
    >"$folder/log" || {
    tail -n 20 "$folder/log"
    exit 1
}
copy_network "$folder/base"

passed=0
failed=0
for command in "$@"; do
    echo "=== $command"
    if run "$command"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "bare-debian: failed: $command"
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
