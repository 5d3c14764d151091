#!/usr/bin/env bash
# What comes into the program: licences, sources, bans, and known vulnerabilities where the advisory database can be had.
# ADVISORY_DB names a checkout of https://github.com/RustSec/advisory-db; without it the database is fetched. Where that fails, the
# rest is checked all the same, and the last line says what was not; with ADVISORIES=required, as in a release, that is a failure.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

cargo deny --workspace check bans licenses sources

# The folder that cargo-deny looks for: the name and the hash of the database's address.
name=advisory-db-3157b0e258782691
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if [[ -n ${ADVISORY_DB:-} ]]; then
  [[ -d $ADVISORY_DB/crates ]] || { echo "ADVISORY_DB=$ADVISORY_DB is no checkout of the advisory database: it has no folder crates/" >&2; exit 1; }
  ln -s "$(cd "$ADVISORY_DB" && pwd)" "$folder/$name"
  sed "s|^\[advisories\]|&\ndb-path = \"$folder\"|" deny.toml >"$folder/deny.toml"
  cargo deny --workspace --offline --config "$folder/deny.toml" check advisories
# A network that drops packages must not hold this up.
elif timeout 60 cargo deny fetch db 2>"$folder/said"; then
  cargo deny --workspace --offline check advisories
else
  grep -im1 'fatal\|error' "$folder/said" >&2 || true
  echo "advisories were NOT checked: the database could not be fetched; name a checkout with ADVISORY_DB=DIR" >&2
  [[ ${ADVISORIES:-} != required ]] || exit 1
fi
