#!/usr/bin/env bash
# A browser with its driver, fonts for both languages of the pages, and axe-core, for the tests. What is missing is installed if that is allowed.
set -euo pipefail
cd "$(dirname "$0")/../.."

# axe-core comes from its package, in this version and with this checksum.
axe_version=4.14.1
axe_sum=e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745

missing=()
command -v chromium >/dev/null || missing+=(chromium)
command -v chromedriver >/dev/null || missing+=(chromium-driver)
ls /usr/share/fonts/opentype/ipafont-gothic/*.ttf >/dev/null 2>&1 || missing+=(fonts-ipafont-gothic)
ls /usr/share/fonts/truetype/dejavu/*.ttf >/dev/null 2>&1 || missing+=(fonts-dejavu-core)
if [[ ${#missing[@]} != 0 ]]; then
  if [[ $EUID != 0 ]] || ! command -v apt-get >/dev/null; then
    echo "Missing: ${missing[*]}. Install them (apt-get install --no-install-recommends ${missing[*]}), or put chromium and chromedriver on PATH" >&2
    exit 1
  fi
  echo "tests: installing ${missing[*]}"
  apt-get update -q && apt-get install -yq --no-install-recommends "${missing[@]}"
fi

axe=${CARGO_TARGET_DIR:-target}/tools/axe-core-$axe_version/axe.min.js
if [[ ! -s $axe ]]; then
  command -v npm >/dev/null || { echo "npm is missing, which brings axe-core: install it, or put axe.min.js of axe-core $axe_version at $axe" >&2; exit 1; }
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  (cd "$work" && npm pack --silent "axe-core@$axe_version" >/dev/null)
  echo "$axe_sum  $work/axe-core-$axe_version.tgz" | sha256sum --check --quiet
  mkdir -p "$(dirname "$axe")"
  tar -xzf "$work/axe-core-$axe_version.tgz" -C "$work" package/axe.min.js
  mv "$work/package/axe.min.js" "$axe"
fi
