# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Read by a transcript: a hub in the folder `hub` with its log in `log`, and
#     joins FOLDER NAME ROLE [HUB]    lets a machine join it
#     push CLONE WHERE REFSPEC        pushes, and prints what the hook says
# shellcheck disable=SC1091
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
cat >"$bin/push" <<'EOF'
#!/bin/sh
git -C "$1" push -q "$2" "$3" 2>push.words
code=$?
sed -n 's/^remote: \(.*[^ ]\) *$/\1/p' push.words
exit "$code"
EOF
chmod +x "$bin/joins" "$bin/push"
casebound -C hub -q hub init --log log --name 'RJ London' \
    --person 'Cleo Hart' >/dev/null
