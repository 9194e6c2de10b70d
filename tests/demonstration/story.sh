#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The story that tests/demonstration.sh tells.  Everything in it is done by the
# real command, stock git and kill -9; nothing is acted.
#
# Usage: story.sh CASEBOUND FOLDER
set -eu
export LC_ALL=C.UTF-8 TZ=UTC
here=$(cd "$(dirname "$0")" && pwd)
casebound=$1
folder=$2
case $folder in /*) ;; *) folder=$PWD/$folder ;; esac
if [ -e "$folder" ]; then
    echo "'$folder' is there already: remove it, or name another folder" >&2
    exit 2
fi
mkdir -p "$folder"
world=$folder/world
mkdir "$world"
# What a machine remembers of its stores stays in the folder, too.
export XDG_STATE_HOME="$folder/state"
passphrase=$folder/passphrase
printf 'four words for show\n' >"$passphrase"
begin=$(date +%s)

say() { printf '\n%s\n' "$*" | fold -s -w 78 | sed "s, *$,,"; }
chapter() { printf '\n== %s\n' "$*"; }

# Runs the command on one of the stores: quietly STORE ARGUMENTS...
# A store's own passphrase comes from a file here; in life it is typed.
quietly() {
    place=$1
    shift
    if [ -e "$folder/unlocked.$place" ]; then
        "$casebound" -C "$world/$place" "$@" </dev/null
    else
        "$casebound" -C "$world/$place" --passphrase-fd 3 "$@" 3<"$passphrase"
    fi
}
# Where the kernel has a keyring, the passphrase's half second is paid once.
unlock() {
    if quietly "$1" unlock --for 10m >/dev/null 2>&1; then
        : >"$folder/unlocked.$1"
    fi
}
lock_all() {
    for who in hub lind okoro; do
        rm -f "$folder/unlocked.$who"
        quietly $who lock >/dev/null 2>&1 || true
    done
}
trap lock_all EXIT
# The same, shown, and with the exit code that it must have.
on_expect() {
    expected=$1
    store=$2
    shift 2
    printf '[%s]$ casebound' "$store"
    for word in "$@"; do
        case $word in
        "$folder"/*) printf ' %s' "${word#"$folder"/}" ;;
        *[!A-Za-z0-9=_./:,-]*) printf " '%s'" "$word" ;;
        *) printf ' %s' "$word" ;;
        esac
    done
    printf '\n'
    code=0
    quietly "$store" "$@" >"$folder/output" 2>&1 || code=$?
    sed "s|$folder/||g; s/^/    /" "$folder/output"
    rm -f "$folder/output"
    [ "$code" = 0 ] || echo "    (exit code $code)"
    case " $expected " in
    *" $code "*) ;;
    *)
        echo "this should have ended with exit code $expected" >&2
        exit 1
        ;;
    esac
}
on() { on_expect 0 "$@"; }
# Exit code 3: done, and conflicts wait for a person.
exchange() { "$@" >/dev/null 2>&1 || [ $? = 3 ]; }
fingerprint() { # As people compare it over the telephone.
    quietly "$1" case show "$case" --json |
        sed -n 's/.*"fingerprint": *"\([0-9a-f]\{4\}\)\([0-9a-f]\{4\}\).*/\1-\2/p'
}
# Hub and devices exchange all they have.
round() {
    exchange quietly hub hub merge
    for who in "$@"; do
        exchange quietly "$who" sync
    done
}

chapter "1. A service, its hub, and a log host that can read nothing"
on hub hub init --log "$world/log" --name "Restorative London (demonstration)" \
    --person "Hub office"
unlock hub
today=$(date +%F)
awk -v TOTAL=118 -v DAY="$today" -f "$here/referrals.awk" \
    "$here/recorded-offences-2016-17.csv" >"$folder/referrals.csv"
say "118 referrals, spread over the boroughs by the offences recorded there in 2016/17:"
on hub hub import "$folder/referrals.csv"
awk -F '"' 'NR > 1 { n[$2]++ } END { for (b in n) print n[b], b }' "$folder/referrals.csv" |
    sort -k1,1nr -k2 | head -5 |
    awk '{ n = $1; $1 = ""; printf "   %s %d,", $0, n } END { print "    ..." }'

chapter "2. Two facilitators join with two small signed text files each"
for who in lind okoro; do
    case $who in lind) person="J. Lind" ;; *) person="K. Okoro" ;; esac
    quietly $who init 2>/dev/null
    unlock $who
    on $who enrol request -o "$folder/$who.request"
    on hub hub enrol "$folder/$who.request" --name "$person" --role facilitator \
        -o "$folder/$who.admission"
    on $who join "$folder/$who.admission" --yes
done
case=$(quietly hub case list 2>/dev/null | awk 'NR == 1 { print $1 }')
on hub hub grant "$case" "J. Lind"
on hub hub grant "$case" "K. Okoro"
say "They sync. Each gets this one case, and nothing of the other 117."
on lind sync
on okoro sync
on hub hub merge
on lind sync
on okoro sync
on okoro case list

chapter "3. Okoro prepares the case, then goes behind the gate: no network"
date_ago() { date -d "$1 days ago" +%F; }
add() { quietly okoro add "$@" --case "$case" -q >/dev/null; }
add consent --about victim scope=contact_by_service,approach_other_party,direct_meeting,indirect \
    state=given form_version=1 given_on="$(date_ago 3)" --happened "$(date_ago 3) 11:00"
add preparation --about victim limits_explained=yes voluntariness_discussed=yes \
    readiness=ready --happened "$(date_ago 3) 11:30"
add risk_assessment stage=initial overall=M --happened "$(date_ago 3) 15:00"
add risk_assessment stage=second overall=M --happened "$(date_ago 2) 15:00"
round okoro lind
say "In the prison, yesterday morning, with the network off, Okoro records:"
yesterday=$(date_ago 1)
on okoro add preparation --case "$case" --about offender limits_explained=yes \
    readiness=ready --happened "$yesterday 10:40"
on okoro add acknowledgement --case "$case" --about offender level=full \
    facilitator_view='accepts what was done' --happened "$yesterday 10:40"
on okoro add consent --case "$case" --about offender \
    scope=direct_meeting,indirect state=given form_version=1 how_recorded=signed_paper \
    paper_serial=P-0412 given_on="$yesterday" --happened "$yesterday 11:05"

say "The battery dies in the middle of a save. (Notes are saved one after another; the process is killed with SIGKILL.)"
: >"$folder/acknowledged"
how=--passphrase-fd=3
[ ! -e "$folder/unlocked.okoro" ] || how=
export casebound world passphrase case folder how
# shellcheck disable=SC2016 # the words are for the inner shell
setsid sh -c '
    echo $$ >"$folder/writer"
    n=0
    while :; do
        n=$((n + 1))
        "$casebound" -C "$world/okoro" $how add contact --case "$case" \
            --about offender channel=in_person direction=outgoing outcome=spoke \
            minutes=$n 3<"$passphrase" >/dev/null 2>&1 &&
            echo "$n" >>"$folder/acknowledged"
        sleep 0.3
    done' &
sleep 2
kill -s KILL -- "-$(cat "$folder/writer")"
rm -f "$folder/writer"
acknowledged=$(wc -l <"$folder/acknowledged")
kept=$(quietly okoro case timeline "$case" --json | grep -c '"type": "contact"' || true)
rm -f "$folder/acknowledged"
echo "    acknowledged before the power failed: $acknowledged; found after the restart: $kept"
if [ "$kept" -lt "$acknowledged" ]; then
    echo "something acknowledged was lost" >&2
    exit 1
fi

chapter "4. Withdrawal meets scheduling"
say "Yesterday at 14:00 the harmed person tells Lind that she withdraws from the meeting; a letter she still wants. At 14:10 Okoro, who cannot know, sets the date."
on lind add consent --case "$case" --about victim scope=direct_meeting \
    state=withdrawn --happened "$yesterday 14:00"
on okoro add plan --case "$case" method=face_to_face_prison \
    date="$(date -d '10 days' +%F) 14:00" establishment=Pentonville \
    participants=victim,offender --happened "$yesterday 14:10"

at=$(date -u +%FT%TZ)

say "They sync in one order, and in a copy of this world in the other:"
cp -a "$world" "$folder/before"
order() {
    exchange quietly "$1" sync
    exchange quietly "$2" sync
    round "$1" "$2"
    printf '    %-6s then %-6s' "$1" "$2"
    for who in hub lind okoro; do
        printf '  %s %s' "$who" "$(fingerprint $who)"
    done
    printf '\n'
}
order lind okoro >"$folder/order.1"
mv "$world" "$folder/first"
mv "$folder/before" "$world"
order okoro lind >"$folder/order.2"
rm -rf "$folder/first"
cat "$folder/order.1" "$folder/order.2"
if [ "$(tr -s ' ' '\n' <"$folder/order.1" | grep -E '^[0-9a-f]{4}-' | sort -u)" != \
     "$(tr -s ' ' '\n' <"$folder/order.2" | grep -E '^[0-9a-f]{4}-' | sort -u)" ] ||
   [ "$(cat "$folder/order.1" "$folder/order.2" | tr -s ' ' '\n' |
        grep -cE '^[0-9a-f]{4}-')" != 6 ]; then
    echo "the fingerprints differ" >&2
    exit 1
fi
same=$(fingerprint hub)
rm -f "$folder/order.1" "$folder/order.2"

on okoro case show "$case"
say "Somebody tries to record the meeting all the same:"
on_expect 19 okoro add event --case "$case" method=face_to_face_prison held=held \
    participants=victim,offender
say "What did Okoro know when writing the plan? Ask the entries, not the clocks:"
on okoro audit knew "$case" --at "$at" --by "K. Okoro"
on okoro tasks "$case"

chapter "5. The auditor: no keys, no network, no trust in the hub"
on hub hub signers -o "$folder/allowed-signers"
git clone -q --mirror "$world/log/log.git" "$folder/clone.git"
echo '$ git clone --mirror; git fsck --strict; git log --show-signature'
git -C "$folder/clone.git" fsck --strict --no-dangling 2>&1 | sed 's/^/    /'
signatures=$(git -C "$folder/clone.git" -c gpg.ssh.allowedSignersFile="$folder/allowed-signers" \
    log --all --format='%G?' | sort | uniq -c | tr -s ' \n' ' ')
echo "    every object is sound; signatures by verdict (G is good):$signatures"
case $signatures in *[!G0-9\ ]*) echo "not every signature is good" >&2; exit 1 ;; esac
realm=$(quietly hub status --json | sed -n 's/.*"realm": *"\([0-9a-f]*\)".*/\1/p')
echo '$ casebound audit verify clone.git --realm ...'
"$casebound" audit verify "$folder/clone.git" --realm "$realm" 2>&1 | sed 's/^/    /'

# Verifies a copy in which something must be found: found COPY CODE
found() {
    code=0
    "$casebound" audit verify "$1" --realm "$realm" >"$folder/report" 2>&1 || code=$?
    sed -n '/^[A-Z][A-Z]* /,/^$/p' "$folder/report" | sed '/^$/q; s/^/    /'
    grep -q "^$2 " "$folder/report" || code=0
    rm -f "$folder/report"
    [ "$code" = 1 ] || { echo "the tampering was not found" >&2; exit 1; }
}
say "Somebody with power over the log host changes one byte of one entry in a copy. To Git it is a valid commit:"
cp -a "$folder/clone.git" "$folder/tampered.git"
sh "$here/tamper.sh" "$folder/tampered.git"
found "$folder/tampered.git" SIG
say "Or lets the newest entries of one device disappear:"
cp -a "$folder/clone.git" "$folder/shortened.git"
branch=$(git -C "$folder/shortened.git" for-each-ref --format='%(refname)' refs/heads/device |
    while read -r ref; do
        echo "$(git -C "$folder/shortened.git" rev-list --count "$ref") $ref"
    done | sort -rn | sed -n '1s/.* //p')
git -C "$folder/shortened.git" update-ref "$branch" "$branch~1"
found "$folder/shortened.git" TAIL

chapter "6. Care: a backup, a bit that flips, a folder that was put back"
on lind backup "$folder/monday.backup"
say "The disk changes one bit of Lind's store, and doctor names the page:"
database=$world/lind/casebook.db
at=$((4096 * 11 + 700))
byte=$(od -An -tu1 -j $at -N 1 "$database")
# shellcheck disable=SC2059 # the format is the byte
printf "\\$(printf %03o $((byte ^ 4)))" |
    dd of="$database" bs=1 seek=$at conv=notrunc 2>/dev/null
on_expect 12 lind doctor
say "Nothing is guessed. The backup is brought back; a sync sends and fetches the rest."
mv "$world/lind" "$folder/damaged"
rm -f "$folder/unlocked.lind"
on lind restore "$folder/monday.backup"
unlock lind
on lind sync
exchange quietly hub hub merge
exchange quietly lind sync
on lind doctor
if [ "$(fingerprint lind)" != "$same" ]; then
    echo "the restored store has another case" >&2
    exit 1
fi
say "Then somebody puts back yesterday's copy of the folder over today's:"
cp -a "$world/lind" "$folder/copy"
quietly lind add contact --case "$case" --about victim channel=telephone \
    direction=outgoing outcome=spoke -q >/dev/null
rm -rf "$world/lind"
mv "$folder/copy" "$world/lind"
on_expect 16 lind add contact --case "$case" --about victim channel=letter \
    direction=outgoing outcome=message

chapter "Done in $(($(date +%s) - begin)) seconds; every copy of the case has the fingerprint $same"
cat <<END

The stores are in $folder/world, their passphrase in
$folder/passphrase. To go on:

    export PATH="$(dirname "$casebound"):\$PATH"
    casebound -C $folder/world/okoro unlock --for 1h
    casebound -C $folder/world/okoro case show $case
    casebound -C $folder/world/okoro case timeline $case
    casebound -C $folder/world/okoro add --help
    casebound -C $folder/world/hub unlock --for 1h
    casebound -C $folder/world/hub case list
    casebound audit verify $folder/world/log
END
