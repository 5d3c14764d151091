#!/usr/bin/env bash
# Packs a root file system as an OCI archive. pack.sh DOCKERFILE ROOT NAME ARCHIVE [ARGUMENT...]; the Dockerfile copies from `rootfs`.
set -euo pipefail

dockerfile=$1 root=$2 name=$3 archive=$4
shift 4
epoch=${SOURCE_DATE_EPOCH:-0}
rm -f "$archive"

if command -v buildah >/dev/null; then
    # Of its own and gone at once: neither a daemon nor what other builds left has a part in it.
    storage=$(mktemp -d "${TMPDIR:-/tmp}/switchboard-buildah-XXXXXX")
    trap 'rm -rf "$storage"' EXIT
    buildah=(buildah --storage-driver vfs --root "$storage/root" --runroot "$storage/run")
    "${buildah[@]}" bud --quiet --isolation chroot --format oci --timestamp "$epoch" \
        --build-context rootfs="$root" --file "$dockerfile" --tag "$name" "$@" "$root" >/dev/null
    "${buildah[@]}" push --quiet "$name" "oci-archive:$archive:$name"
elif docker buildx version >/dev/null 2>&1; then
    docker buildx build --build-context rootfs="$root" --file "$dockerfile" --tag "$name" "$@" --provenance=false \
        --output "type=oci,dest=$archive,rewrite-timestamp=true" "$root"
else
    echo "no buildah (apt-get install buildah) and no docker buildx" >&2
    exit 1
fi
