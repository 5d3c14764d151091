#!/usr/bin/env bash
# PostgreSQL's server for the tests. Where it is missing, Debian's package is installed if that is allowed.
set -euo pipefail

if command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then
  exit
fi
if [[ $EUID != 0 ]] || ! command -v apt-get >/dev/null; then
  echo "PostgreSQL is missing: install it (apt-get install postgresql), or put initdb and postgres on PATH" >&2
  exit 1
fi
echo "tests: installing PostgreSQL"
apt-get update -q && apt-get install -yq postgresql
