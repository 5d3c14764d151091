#!/usr/bin/env bash
# Builds the image into target/image/switchboard.oci.tar with buildah, or with docker where there is no buildah. No registry is asked:
# the program is compiled here, and only the Dockerfile's runtime stage is built, from the root file system of image/rootfs.sh.
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
name=${IMAGE_NAME:-localhost/switchboard:$version}
out=target/image
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}

image/compile.sh
mkdir -p "$out"
image/rootfs.sh target/dist/switchboard "$out/rootfs"
sed -n '/^FROM scratch AS runtime/,$p' Dockerfile >"$out/Dockerfile"
image/pack.sh "$out/Dockerfile" "$out/rootfs" "$name" "$out/switchboard.oci.tar" \
    --build-arg VERSION="$version" \
    --build-arg REVISION="$(git rev-parse HEAD 2>/dev/null || echo unknown)" \
    --build-arg CREATED="$(date --utc --date="@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)"
printf '%s\n' "$name" >"$out/name"

unpacked=$(du --summarize --apparent-size --bytes "$out/rootfs" | cut -f1)
packed=$(stat --format=%s "$out/switchboard.oci.tar")
printf 'image %s: %d.%d MB, %d.%d MB to pull: %s\n' "$name" \
    $((unpacked / 1000000)) $((unpacked / 100000 % 10)) $((packed / 1000000)) $((packed / 100000 % 10)) "$out/switchboard.oci.tar"
((unpacked < 31000000)) || { echo "the image must stay under 31 MB" >&2; exit 1; }
