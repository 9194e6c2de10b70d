#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs from Debian 12's archive what is missing; asks the archive only then.
# As root, or through sudo.
#
# install-packages.sh [build|check|develop]: for building and the demonstration;
# for the tests too (this is meant when nothing is said); for the tools of those
# who change the code too.
set -eu

packages='ca-certificates cmake gcc git libbsd-dev libc6-dev libgit2-dev
    libjansson-dev libkeyutils-dev libsodium-dev libsqlite3-dev ninja-build
    openssh-client pkg-config'
check='binutils libcriterion-dev mandoc nano procps python3 python3-jsonschema
    vim-tiny'
develop='clang clang-format clang-tidy cppcheck gcovr llvm shellcheck'

case ${1:-check} in
build) ;;
check) packages="$packages $check" ;;
develop) packages="$packages $check $develop" ;;
*)
    echo "install-packages: there is no group '$1'" >&2
    echo '    nothing was installed' >&2
    echo '    next: install-packages.sh [build|check|develop]' >&2
    exit 2
    ;;
esac

wanted=
for package in $packages; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) ||
        status=absent
    [ "$status" = installed ] || wanted="$wanted $package"
done
[ -n "$wanted" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    as_root="env"
elif command -v sudo >/dev/null; then
    as_root="sudo env"
else
    echo "install-packages: these packages are missing:$wanted" >&2
    echo '    nothing was installed' >&2
    echo '    next: run this as root, or install sudo' >&2
    exit 1
fi
echo "installing$wanted"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# shellcheck disable=SC2086 # the words are many on purpose
if ! { $as_root apt-get -q update &&
    $as_root DEBIAN_FRONTEND=noninteractive apt-get -q install -y \
        --no-install-recommends $wanted; } >"$log" 2>&1; then
    cat "$log" >&2
    echo 'install-packages: the packages could not be installed' >&2
    echo '    next: read what apt-get said above, mend it, run this again' >&2
    exit 1
fi
