# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Read by a transcript: from then on `casebound` gets the passphrase from a
# file, so that every command can be shown as a person would type it.  The
# kernel's keyring would do as well, but some containers have none.
printf 'correct horse battery\n' >"$HOME/phrase"
real=$(command -v casebound)
mv "$real" "$real-itself"
cat >"$real" <<EOF
#!/bin/sh
exec "$real-itself" --passphrase-fd 9 "\$@" 9<"$HOME/phrase"
EOF
chmod +x "$real"
