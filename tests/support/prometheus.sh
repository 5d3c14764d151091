#!/usr/bin/env bash
# Prometheus with promtool, and Lua 5.1, for the tests. What is missing is installed from Debian if that is allowed.
set -euo pipefail

missing=()
command -v prometheus >/dev/null && command -v promtool >/dev/null || missing+=(prometheus)
command -v lua5.1 >/dev/null || missing+=(lua5.1)
if [[ ${#missing[@]} == 0 ]]; then
  exit
fi
if [[ $EUID != 0 ]] || ! command -v apt-get >/dev/null; then
  echo "Missing: ${missing[*]}. Install them (apt-get install --no-install-recommends ${missing[*]}), or put prometheus, promtool and lua5.1 on PATH" >&2
  exit 1
fi
echo "tests: installing ${missing[*]}"
apt-get update -q && apt-get install -yq --no-install-recommends "${missing[@]}"
