#!/usr/bin/env bash
# Prints the krew manifest of a release: release.sh VERSION FOLDER, with the version as in v0.1.0 and the folder that holds the archives
# switchboard-OS-ARCH.tar.gz which the release publishes.
set -euo pipefail

[[ $# == 2 && $1 == v* && -d $2 ]] || { echo "usage: ${0##*/} vX.Y.Z FOLDER-OF-THE-ARCHIVES" >&2; exit 2; }
version=$1 folder=$2

while IFS= read -r line; do
    case $line in
        "  version: "*) line="  version: $version" ;;
        "      uri: "*)
            archive=${line##*/}
            [[ -f $folder/$archive ]] || { echo "$folder has no $archive" >&2; exit 1; }
            line="${line%/*/*}/$version/$archive"
            sum=$(sha256sum <"$folder/$archive" | cut -d' ' -f1)
            ;;
        "      sha256: "*) line="      sha256: \"$sum\"" ;;
    esac
    printf '%s\n' "$line"
done <"$(dirname "${BASH_SOURCE[0]}")/switchboard.yaml"
