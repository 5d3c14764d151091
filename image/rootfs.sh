#!/usr/bin/env bash
# Makes the root file system of an image: a program, the libraries that it is linked with, and the certificate authorities, from
# this Debian system. rootfs.sh PROGRAM DIR [FILE=PATH]...: further files and where they go.
set -euo pipefail

program=$1 root=$2
shift 2
packages=(ca-certificates)

rm -rf "$root"
mkdir -p "$root"/{etc/ssl/certs,usr/bin,usr/share/doc,var/lib/dpkg/status.d}
install -m 0755 "$program" "$root/usr/bin/"

# The loader, and every library with the path under which the loader finds it.
while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    install -m 0755 "$(readlink -f "$library")" "$root$library"
    package=$(dpkg-query --search "$library" 2>/dev/null || dpkg-query --search "$(readlink -f "$library")")
    packages+=("${package%%:*}")
done < <(ldd "$program" | grep -o '/[^ ]*')

cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
echo 'switchboard:x:65532:65532::/:/nonexistent' >"$root/etc/passwd"
echo 'switchboard:x:65532:' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
grep -E '^(ID|VERSION_ID|PRETTY_NAME)=' /etc/os-release >"$root/etc/os-release"

# For scanners, and for the licences' sake.
for package in $(printf '%s\n' "${packages[@]}" | sort -u); do
    mkdir -p "$root/usr/share/doc/$package"
    cp -L "/usr/share/doc/$package/copyright" "$root/usr/share/doc/$package/" 2>/dev/null || true
    dpkg-query --status "$package" | sed '/^Conffiles:/,/^[^ ]/{/^Conffiles:/d;/^ /d}' >"$root/var/lib/dpkg/status.d/$package"
done
for file in "$@"; do
    mkdir -p "$root$(dirname "${file#*=}")"
    cp "${file%%=*}" "$root${file#*=}"
done

chmod -R u=rwX,go=rX "$root"
# Only what is inside may tell two builds apart.
find "$root" -exec touch --no-dereference --date="@${SOURCE_DATE_EPOCH:-0}" {} +
