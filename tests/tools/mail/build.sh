#!/usr/bin/env bash
# Builds the mail server of the tests, mailpit, into target/tools, unless the one there is already of the version that go.mod names. It is a
# module of its own, so that neither it nor helm is built again for the other's sake. Needs Go and a module proxy; about 105 processor seconds
# from nothing.
set -euo pipefail

module=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$(cd "$module/../../.." && pwd)/target/tools

cd "$module"
key=$(sha256sum -- go.mod go.sum build.sh | sha256sum | cut -d' ' -f1)
built() { [[ -x $out/mailpit && -f $out/mailpit.key && $(<"$out/mailpit.key") == "$key" ]]; }

built && exit 0

say() { printf 'mail server: %s\n' "$*" >&2; }

mkdir -p "$out"
exec 9>"$out/mailpit.lock"
if ! flock --nonblock 9; then
    say "another build is under way, waiting for it"
    flock 9
fi
built && exit 0 # the other build made it

command -v go >/dev/null || { say "Go is needed (https://go.dev/dl), version $(awk '$1 == "go" { print $2 }' go.mod) or newer"; exit 1; }

export CGO_ENABLED=0 GOFLAGS="${GOFLAGS:-} -mod=readonly"
export GOGC="${GOGC:-400}" GOMEMLIMIT="${GOMEMLIMIT:-2GiB}" # see tests/cluster/build.sh, and for -dwarf=false
work=$(mktemp -d "$out/build.XXXXXX")
trap 'rm -rf "$work"' EXIT

say "building mailpit $(go list -m -f '{{.Version}}' github.com/axllent/mailpit), a minute or two the first time"
go build -trimpath -gcflags=all=-dwarf=false -ldflags "-s -w" -o "$work/" github.com/axllent/mailpit

mv -f "$work/mailpit" "$out/"
printf '%s\n' "$key" >"$out/mailpit.key.new"
mv -f "$out/mailpit.key.new" "$out/mailpit.key"
say "built in $SECONDS s"
