#!/usr/bin/env bash
# Builds the image of another revision, for the steps that upgrade from it: target/previous/switchboard.oci.tar. Takes as long as
# the image of this one.
set -euo pipefail
cd "$(dirname "$0")/../../.."
revision=$(git rev-parse "$1^{commit}")
out=$PWD/target/previous

if [[ $(cat "$out/revision" 2>/dev/null) == "$revision" ]]; then exit; fi
rm -rf "$out/source"
mkdir -p "$out/source"
git archive "$revision" | tar -x -C "$out/source"
cd "$out/source"
CARGO_TARGET_DIR=$out/source/target IMAGE_NAME=localhost/switchboard:previous SOURCE_DATE_EPOCH=0 image/build.sh
cp target/image/switchboard.oci.tar "$out/"
printf '%s\n' "$revision" >"$out/revision"
