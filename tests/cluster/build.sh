#!/usr/bin/env bash
# Builds the test control plane into target/cluster/cluster, unless the one there is already built from these very
# sources. Needs Go and a module proxy. The first build takes some minutes, and tells how far it is.
set -euo pipefail

module=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$(cd "$module/../.." && pwd)/target/cluster
binary=$out/cluster

cd "$module"
key=$(sha256sum -- *.go go.mod go.sum build.sh | sha256sum | cut -d' ' -f1)
built() { [[ -x $binary && -f $out/key && $(<"$out/key") == "$key" ]]; }

built && exit 0

say() { printf 'test control plane: %s\n' "$*" >&2; }

mkdir -p "$out"
exec 9>"$out/lock"
if ! flock --nonblock 9; then
    say "another build is under way, waiting for it"
    flock 9
fi
built && exit 0 # the other build made it

command -v go >/dev/null || { say "Go is needed (https://go.dev/dl), version $(awk '$1 == "go" { print $2 }' go.mod) or newer"; exit 1; }

export CGO_ENABLED=0 GOFLAGS="${GOFLAGS:-} -mod=readonly"
work=$(mktemp -d "$out/build.XXXXXX")
task=
self=$(awk '$1 == "module" { print $2 }' go.mod) # the last package, and named when nothing is left but the linker
trap '[[ -z $task ]] || kill "$task" 2>/dev/null || true; rm -rf "$work"' EXIT

# Runs a command in the background and tells every few seconds how many lines its log has.
watch() { # WHAT TOTAL COMMAND...
    local what=$1 total=$2 started=$SECONDS next=2
    shift 2
    "$@" >"$work/out" 2>"$work/log" 9>&- &
    task=$!
    while kill -0 "$task" 2>/dev/null; do
        sleep 0.5
        if ((SECONDS - started >= next)); then
            next=$((SECONDS - started + 5))
            if [[ $(tail -n 1 "$work/log") == "$self" ]]; then
                say "linking, $((SECONDS - started)) s"
            else
                say "$what: $(wc -l <"$work/log")$total, $((SECONDS - started)) s"
            fi
        fi
    done
    if ! wait "$task"; then
        task=
        grep -v '^go: downloading ' "$work/log" | tail -n 40 >&2 || true
        say "failed: $what"
        exit 1
    fi
    task=
}

watch "modules downloaded" "" go list -deps .
packages=$(wc -l <"$work/out")

# Without these the server would call itself v0.0.0-master.
version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
date=$(go list -m -f '{{with .Time}}{{.Format "2006-01-02T15:04:05Z07:00"}}{{end}}' k8s.io/kubernetes)
IFS=. read -r major minor _ <<<"${version#v}"
flags="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    for setting in gitVersion="$version" gitMajor="$major" gitMinor="$minor" gitTreeState=clean gitCommit= buildDate="$date"; do
        flags+=" -X $package.$setting"
    done
done

say "building Kubernetes $version; packages that Go's cache holds already are not built again"
watch "packages built" " of $packages at most" go build -v -trimpath -ldflags "$flags" -o "$work/cluster" .

mv -f "$work/cluster" "$binary"
printf '%s\n' "$key" >"$out/key.new"
mv -f "$out/key.new" "$out/key"
say "built in $SECONDS s: $(du -h "$binary" | cut -f1)"
