# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Read by a transcript: from then on, always on a fresh copy of a store, in the
# folder `sick`,
#     damage STORE KIND ...      what a failing disk does, or somebody with the
#                                disk in hand:
#         flip FILE OFFSET           flips the lowest bit of a byte
#         swap PAGE PAGE             exchanges two pages of the database
#         cut PAGES                  takes pages off its end
#         stale STORE                puts back a page of an older copy
#         file COMMAND               runs a command in the folder
#                                (the witness elsewhere would know of the copy)
#     edit STORE SQL             what somebody can do who has the key
#     named CODE [OPTIONS]       casebound doctor, and what it says of that code
# The clock is one that could be right, which doctor looks at as well.
bin=$(dirname "$(command -v casebound)")
sed -i "s/^exec/CASEBOUND_TEST_CLOCK='2026-03-14 14:00' exec/" "$bin/casebound"
cat >"$bin/damage" <<'EOS'
#!/bin/sh
set -eu
rm -rf sick "$HOME/.local/state" && cp -r "$1" sick
db=sick/casebook.db
copy() { # FROM PAGE TO PAGE
    dd if="$1" of="$3" bs=4096 skip=$(($2 - 1)) seek=$(($4 - 1)) count=1 \
        conv=notrunc 2>/dev/null
}
case $2 in
flip)
    value=$(od -An -tu1 -j "$4" -N 1 "sick/$3" | tr -d ' ')
    # shellcheck disable=SC2059
    printf "\\$(printf %03o $((value ^ 1)))" |
        dd of="sick/$3" bs=1 seek="$4" conv=notrunc 2>/dev/null
    ;;
swap)
    copy "$db" "$3" "$HOME/page" 1
    copy "$db" "$4" "$db" "$3"
    copy "$HOME/page" 1 "$db" "$4"
    ;;
cut) truncate -s $(($(wc -c <"$db") - $3 * 4096)) "$db" ;;
stale)
    page=$(cmp -l "$db" "$3/casebook.db" |
        awk '$1 > 4096 { print int(($1 - 1) / 4096) + 1; exit }')
    copy "$3/casebook.db" "$page" "$db" "$page"
    ;;
file) cd sick && eval "$3" ;;
esac
EOS
cat >"$bin/edit" <<'EOS'
#!/bin/sh
rm -rf sick "$HOME/.local/state" && cp -r "$1" sick
CASEBOUND_STORE=sick CASEBOUND_TEST_SQL=$2 casebound
EOS
cat >"$bin/named" <<'EOS'
#!/bin/sh
pattern="^[a-z]*  $1"
shift
casebound -q -C sick doctor "$@" >said
code=$?
grep -A1 "$pattern" said | grep -v -e --
tail -1 said
exit "$code"
EOS
chmod +x "$bin/damage" "$bin/edit" "$bin/named"
