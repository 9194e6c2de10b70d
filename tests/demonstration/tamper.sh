#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Changes one byte of the newest bundle of entries in the hub's log, with stock
# git: new blob, new trees, new commit, branch moved.  Usage: tamper.sh REPOSITORY
set -eu
export GIT_AUTHOR_NAME=nobody GIT_AUTHOR_EMAIL=nobody@invalid
export GIT_COMMITTER_NAME=nobody GIT_COMMITTER_EMAIL=nobody@invalid
repository=$1
index=$(mktemp)
changed=$(mktemp)
trap 'rm -f "$index" "$changed"' EXIT
rm -f "$index"
path=$(git -C "$repository" ls-tree -r --name-only log tile/entries | sort | tail -n 1)
git -C "$repository" cat-file blob "log:$path" >"$changed"
size=$(wc -c <"$changed")
place=$((size / 2))
byte=$(od -An -tu1 -j "$place" -N 1 "$changed" | tr -d ' ')
# shellcheck disable=SC2059 # the byte is the format
printf "\\$(printf %03o $(((byte + 1) % 256)))" |
    dd of="$changed" bs=1 seek="$place" conv=notrunc 2>/dev/null
blob=$(git -C "$repository" hash-object -w "$changed")
GIT_INDEX_FILE=$index git -C "$repository" read-tree log
GIT_INDEX_FILE=$index git -C "$repository" update-index --add --cacheinfo "100644,$blob,$path"
tree=$(GIT_INDEX_FILE=$index git -C "$repository" write-tree)
commit=$(git -C "$repository" commit-tree "$tree" -p log -m 'nothing to see')
git -C "$repository" update-ref refs/heads/log "$commit"
echo "    byte $place of $path is another one now"
