#!/usr/bin/env bash
# Prometheus with promtool, Lua 5.1, and what the documents' commands use, for the tests. What is missing is installed from Debian if that is allowed.
set -euo pipefail

missing=()
command -v prometheus >/dev/null && command -v promtool >/dev/null || missing+=(prometheus)
command -v lua5.1 >/dev/null || missing+=(lua5.1)
for tool in curl jq openssl; do
  command -v $tool >/dev/null || missing+=($tool)
done
if [[ ${#missing[@]} == 0 ]]; then
  exit
fi
if [[ $EUID != 0 ]] || ! command -v apt-get >/dev/null; then
  echo "Missing: ${missing[*]}. Install them (apt-get install --no-install-recommends ${missing[*]}), or put prometheus, promtool, lua5.1, curl, jq and openssl on PATH" >&2
  exit 1
fi
echo "tests: installing ${missing[*]}"
apt-get update -q && apt-get install -yq --no-install-recommends "${missing[@]}"
