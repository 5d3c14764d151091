#!/usr/bin/env bash
# Builds the test control plane into target/cluster/cluster, unless the one there is already built from these very sources; with the word
# `node`, what a node needs as well, into target/cluster/node. With CONTROL_PLANE=quick a first build goes without the compiler's optimisation:
# a third less to wait for, which the quick start wants, for a slower API server, which tests and benches do not. Needs Go and a module proxy.
# The first build takes some minutes, and tells how far it is: on stderr, or in the file that PROGRESS names, as DONE, TOTAL and what is being
# done. `build.sh --built` only tells by its exit code whether there is nothing to build.
set -euo pipefail

module=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$(cd "$module/../.." && pwd)/target/cluster
cd "$module"

binaries=(cluster)
[[ ${1:-} != node ]] || binaries+=(node)
quick='' tags=()
[[ ${CONTROL_PLANE:-} != quick ]] || quick=yes tags=(-tags quick)
packages_of() { if [[ $1 == node ]]; then echo ./node; else echo .; fi; }
sources_of() { if [[ $1 == node ]]; then echo node/*.go; else echo ./*.go; fi; }
key_of() { # shellcheck disable=SC2046 # names without spaces
    sha256sum -- $(sources_of "$1") go.mod go.sum build.sh | sha256sum | cut -d' ' -f1
}
built() {
    [[ -x $out/$1 && -f $out/$1.key ]] || return 1
    local found key
    found=$(<"$out/$1.key") key=$(key_of "$1")
    [[ $found == "$key" || -n $quick && $found == "quick $key" ]]
}
all_built() {
    local binary
    for binary in "${binaries[@]}"; do built "$binary" || return 1; done
}

all_built && exit 0
[[ ${1:-} != --built ]] || exit 1

say() { printf 'test control plane: %s\n' "$*" >&2; }

mkdir -p "$out"
exec 9>"$out/lock"
if ! flock --nonblock 9; then
    say "another build is under way, waiting for it"
    flock 9
fi
all_built && exit 0 # the other build made it

command -v go >/dev/null || { say "Go is needed (https://go.dev/dl), version $(awk '$1 == "go" { print $2 }' go.mod) or newer"; exit 1; }

export CGO_ENABLED=0 GOFLAGS="${GOFLAGS:-} -mod=readonly"
# The compiler ends before the garbage matters: on four large packages this took 14.4 processor seconds instead of 17.1.
export GOGC="${GOGC:-1000}" GOMEMLIMIT="${GOMEMLIMIT:-2GiB}"
work=$(mktemp -d "$out/build.XXXXXX")
task=
trap '[[ -z $task ]] || kill "$task" 2>/dev/null || true; rm -rf "$work"' EXIT

# How far it is: where nobody looks at a file, a line now and then.
tell() { # DONE TOTAL WHAT
    if [[ -n ${PROGRESS:-} ]]; then
        printf '%s %s %s\n' "$@" >"$PROGRESS.new" && mv -f "$PROGRESS.new" "$PROGRESS"
    elif ((SECONDS >= next)); then
        next=$((SECONDS + 5))
        say "$3: $1$([[ $2 == 0 ]] || echo " of $2 at most"), $SECONDS s"
    fi
}
next=2

# Runs a command in the background and tells how many lines its log has.
watch() { # WHAT TOTAL LAST COMMAND...
    local what=$1 total=$2 last=$3
    shift 3
    "$@" >"$work/out" 2>"$work/log" 9>&- &
    task=$!
    while kill -0 "$task" 2>/dev/null; do
        sleep 0.5
        if [[ -n $last && $(tail -n 1 "$work/log") == "$last" ]]; then # named when nothing is left but the linker
            tell "$(wc -l <"$work/log")" "$total" linking
        else
            tell "$(wc -l <"$work/log")" "$total" "$what"
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

todo=()
for binary in "${binaries[@]}"; do built "$binary" || todo+=("$binary"); done
packages=()
for binary in "${todo[@]}"; do packages+=("$(packages_of "$binary")"); done
watch "modules downloaded" 0 "" go list "${tags[@]}" -deps "${packages[@]}"
total=$(wc -l <"$work/out")

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

[[ -n ${PROGRESS:-} ]] || say "building Kubernetes $version; packages that Go's cache holds already are not built again"
self=$(awk '$1 == "module" { print $2 }' go.mod)
[[ ${todo[-1]} != node ]] || self+=/node
# -dwarf=false as the linker would leave out what only a debugger reads. tests/tools builds with the same flags and so out of the same cache.
compile="-dwarf=false"
[[ -z $quick ]] || compile+=" -N -l"
watch "packages built" "$total" "$self" go build "${tags[@]}" -v -trimpath "-gcflags=all=$compile" -ldflags "$flags" -o "$work/" "${packages[@]}"

for binary in "${todo[@]}"; do
    mv -f "$work/$binary" "$out/$binary"
    echo "${quick:+quick }$(key_of "$binary")" >"$out/$binary.key.new"
    mv -f "$out/$binary.key.new" "$out/$binary.key"
    [[ -n ${PROGRESS:-} ]] || say "built $binary in $SECONDS s: $(du -h "$out/$binary" | cut -f1)"
done
