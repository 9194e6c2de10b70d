# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Read by a transcript: a hub in the folder `hub` with its log in `log`, and a
# command `joins FOLDER NAME ROLE` that lets a machine join it.
. "$FIXTURES/passphrase.sh"
bin=$(dirname "$(command -v casebound)")
cat >"$bin/joins" <<'EOF'
#!/bin/sh
set -e
casebound -C "$1" -q init
casebound -C "$1" -q enrol request -o "$1.request"
casebound -C "${4:-hub}" -q hub enrol "$1.request" --name "$2" --role "$3" \
    -o "$1.admission"
casebound -C "$1" -q join "$1.admission" --yes >/dev/null
EOF
chmod +x "$bin/joins"
casebound -C hub -q hub init --log log --name 'RJ London' \
    --person 'Cleo Hart' >/dev/null
