#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs SQLite's own test suite over the encrypting VFS and over plain files, and
# compares.
#
#     tests/sqlite/run.sh [--cipher NAME] [--files PATTERN] [--folder FOLDER]
#                         [--again] [--permutation NAME] [BUILD]
#
# The source is Debian's, of exactly the library in use; it is fetched through a
# private configuration of apt, and nothing in it is changed.  A test that fails
# over our VFS, and neither over plain files nor over plain files with as many
# reserved bytes in each page, must stand in allowed.txt with a reason, else
# this exits with 1.
#
#   --cipher NAME       xchacha20 (when nothing is said) or aes256
#   --files PATTERN     only files whose name matches, as 'wal*.test'
#   --folder FOLDER     keep source, program and logs there, and use what is
#                       there already; else all is made anew and removed
#   --again             take what plain files gave from the last run in FOLDER
#   --permutation NAME  one of SQLite's own; veryquick when nothing is said
#   BUILD               a folder that CMake has configured; else one is made
#
# Some minutes on two processors.  Needs apt-get, dpkg-dev, tcl-dev, zlib1g-dev.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/tests/sqlite
cipher=xchacha20
pattern='*'
again=no
folder=
permutation=veryquick
build=
while [ $# -gt 0 ]; do
    case $1 in
    --cipher) cipher=$2 && shift ;;
    --files) pattern=$2 && shift ;;
    --again) again=yes ;;
    --folder) folder=$2 && shift ;;
    --permutation) permutation=$2 && shift ;;
    -*)
        echo "run.sh: there is no option '$1'" >&2
        exit 2
        ;;
    *) build=$1 ;;
    esac
    shift
done

fail()
{
    echo "run.sh: $1" >&2
    echo '    nothing was tested' >&2
    echo "    next: $2" >&2
    exit 1
}

if [ -z "$folder" ]; then
    folder=$(mktemp -d "${TMPDIR:-/tmp}/casebound-sqlite.XXXXXX")
    trap 'rm -rf "$folder"' EXIT INT TERM
fi
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
[ -z "$build" ] || build=$(cd "$build" && pwd)
source=$folder/source
program=$folder/program/testfixture

# What apt is told goes no further than this folder.
private_apt()
{
    apt-get -qq \
        -o Dir::Etc::sourcelist="$folder/apt/sources.list" \
        -o Dir::Etc::sourceparts=- \
        -o Dir::State::lists="$folder/apt/lists" \
        -o Dir::Cache="$folder/apt/cache" \
        -o APT::Sandbox::User="$(id -un)" "$@"
}

fetch_source()
{
    version=$(dpkg-query -W -f '${source:Version}' libsqlite3-0)
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    mkdir -p "$folder/apt/lists/partial" "$folder/apt/cache/archives/partial"
    # shellcheck source=/dev/null # it stands on every Debian
    codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
    {
        for suite in "$codename" "$codename-updates"; do
            echo "deb-src [signed-by=$keyring]" \
                "http://deb.debian.org/debian $suite main"
        done
        echo "deb-src [signed-by=$keyring]" \
            "http://deb.debian.org/debian-security $codename-security main"
    } >"$folder/apt/sources.list"
    private_apt update ||
        fail 'the archive of Debian cannot be reached' 'try again when online'
    (cd "$folder/apt" && private_apt source --download-only "sqlite3=$version") ||
        fail "there is no source of sqlite3 $version in the archive" \
            'install the updates of libsqlite3-0, then try again'
    rm -rf "$source.new"
    dpkg-source --no-check -x "$folder"/apt/sqlite3_*.dsc "$source.new" \
        >"$folder/unpack.log" 2>&1
    mv "$source.new" "$source"
}

# The suite's program, with our VFS where it starts; see support/vfs_default.h.
build_program()
{
    if [ -z "$build" ]; then
        build=$folder/build
        cmake -C "$root/tests/profiles/release.cmake" -S "$root" -B "$build" \
            -G Ninja >"$folder/cmake.log"
    fi
    cmake --build "$build" --target casebound-engine-static \
        >"$folder/engine.log"
    mkdir -p "$folder/program"
    cd "$folder/program"
    [ -e Makefile ] ||
        "$source/configure" --enable-load-extension --enable-fts4 \
            --enable-fts5 >configure.log 2>&1
    includes="-I$root/tests -I$root/engine -I$root/engine/include"
    # shellcheck disable=SC2086 # several options
    cc -c -O1 $includes -I"$root/schema" -D_POSIX_C_SOURCE=200809L \
        "$root/tests/support/vfs_default.c" -o vfs_default.o
    options='-DSQLITE_EXTRA_INIT=casebound_vfs'
    options="$options -DSQLITE_EXTRA_SHUTDOWN=casebound_vfs_end"
    for feature in ENABLE_COLUMN_METADATA ENABLE_FTS3_PARENTHESIS ENABLE_RTREE \
        ENABLE_DBSTAT_VTAB ENABLE_SESSION ENABLE_PREUPDATE_HOOK SOUNDEX; do
        options="$options -DSQLITE_$feature"
    done
    libtcl="-L/usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH) -ltcl8.6"
    rm -f testfixture
    make testfixture USE_AMALGAMATION=1 CFLAGS='-O1 -DSQLITE_OS_UNIX=1' \
        OPTS="$options -DSQLITE_USE_URI=1" LIBTCL="$PWD/vfs_default.o $build/engine/libcasebound.a -lsodium $libtcl" \
        >make.log 2>&1 || fail "SQLite's test program does not build" \
        "read $PWD/make.log"
    cd "$folder"
}

# Files that cannot be read by their owner can be read by root, so the suite
# refuses root.
as_nobody=
chmod 755 "$folder"
if [ "$(id -u)" = 0 ]; then
    as_nobody='setpriv --reuid=65534 --regid=65534 --clear-groups'
fi

run_all()
{
    rm -rf "$folder/log/$1" "$folder/at"
    mkdir -p "$folder/log/$1" "$folder/at"
    CASEBOUND_TEST_CIPHER=$1
    export CASEBOUND_TEST_CIPHER folder program here source permutation
    export as_nobody
    xargs -P "$(nproc)" -n 1 sh "$here/one.sh" <"$folder/files"
}

# From logs to lines: name of the file, "ran" and number, or "failed" and test.
collect()
{
    awk '
        function ended(name) {
            if (name != "" && !ran) {
                print name, "failed", name ":did-not-end"
            }
        }
        FNR == 1 {
            ended(file)
            file = FILENAME
            sub(".*/", "", file)
            ran = 0
        }
        $1 == "casebound:" && $2 == "ran" { ran = 1; print file, "ran", $3 }
        $1 == "casebound:" && $2 == "failed" { print file, "failed", $3 }
        $2 == "do_not_use_codec" { print file, "marked", "1" }
        END { ended(file) }
    ' "$folder/log/$1"/* >"$folder/$1.result"
}

# Ours against plain, and what is left against the list of what may fail.
compare()
{
    awk '
        FILENAME ~ /allowed.txt$/ {
            if ($0 !~ /^#/ && NF == 3) {
                class[$2 " " $3] = $1
            }
            next
        }
        FILENAME ~ /(none|reserved).result$/ {
            which = FILENAME ~ /none.result$/ ? "plain" : "reserved"
            if ($2 == "ran") { files[which]++; tests[which] += $3 }
            if ($2 == "failed") {
                failures[which]++
                if (!(($1 " " $3) in same)) {
                    same[$1 " " $3] = which
                }
            }
            next
        }
        $2 == "ran" { files["ours"]++; tests["ours"] += $3; next }
        $2 == "failed" {
            failures["ours"]++
            key = $1 " " $3
            reason = key in same ? same[key] : key in class ? class[key] : ""
            if (reason == "") {
                unexpected++
                print "    not allowed: " key
            } else {
                count[reason]++
            }
        }
        function show(text, which) {
            printf "%-28s %5d files, %7d tests, %5d failures", text,
                files[which], tests[which], failures[which]
        }
        END {
            show("plain files", "plain")
            print ""
            show("plain with reserved bytes", "reserved")
            print ""
            show("encrypted", "ours")
            printf ": %d allowed, %d not\n", failures["ours"] - unexpected,
                unexpected
            for (reason in count) {
                printf "    %-24s %5d\n", reason, count[reason] | "sort"
            }
            close("sort")
            exit unexpected > 0
        }
    ' "$here/allowed.txt" "$folder/none.result" "$folder/reserved.result" \
        "$folder/$cipher.result"
}

[ -d "$source" ] || fetch_source
[ -x "$program" ] || build_program
cd "$folder"
CASEBOUND_TEST_CIPHER=none "$program" "$here/one.tcl" "$source" list \
    "$permutation" >"$folder/all-files"
while read -r file; do
    # shellcheck disable=SC2254 # it is a pattern
    case ${file##*/} in $pattern) echo "$file" ;; esac
done <"$folder/all-files" >"$folder/files"
for which in none reserved "$cipher"; do
    if [ "$which" = "$cipher" ] || [ "$again" = no ]; then
        run_all "$which"
        collect "$which"
    fi
done
compare
