#!/usr/bin/env bash
# Builds the tools that the chart's tests need, helm and kubeconform, into target/tools, unless those there are already of the versions
# that go.mod names. Needs Go and a module proxy; about three minutes on two cores the first time.
set -euo pipefail

module=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$(cd "$module/../.." && pwd)/target/tools

cd "$module"
key=$(sha256sum -- go.mod go.sum build.sh | sha256sum | cut -d' ' -f1)
built() { [[ -x $out/helm && -x $out/kubeconform && -f $out/key && $(<"$out/key") == "$key" ]]; }

built && exit 0

say() { printf 'chart tools: %s\n' "$*" >&2; }

mkdir -p "$out"
exec 9>"$out/lock"
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

say "building helm $(go list -m -f '{{.Version}}' helm.sh/helm/v4) and kubeconform $(go list -m -f '{{.Version}}' github.com/yannh/kubeconform), some minutes the first time"
version=helm.sh/helm/v4/internal/version.version=$(go list -m -f '{{.Version}}' helm.sh/helm/v4)
go build -trimpath -gcflags=all=-dwarf=false -ldflags "-s -w -X $version" -o "$work/" helm.sh/helm/v4/cmd/helm github.com/yannh/kubeconform/cmd/kubeconform

mv -f "$work/helm" "$work/kubeconform" "$out/"
printf '%s\n' "$key" >"$out/key.new"
mv -f "$out/key.new" "$out/key"
say "built in $SECONDS s"
