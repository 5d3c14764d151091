# Sourced by the scripts that build the tests' tools out of Go modules into target/tools: builds nothing that is there already of the versions
# that go.mod names, one build at a time. Between `begin` and `finish` the script puts its programs into $work.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$(cd "$here/../.." && pwd)/target/tools

say() { printf '%s: %s\n' "$what" "$*" >&2; }

key() { sha256sum -- go.mod go.sum build.sh "$here/go-tools.sh" | sed 's/ .*//' | sha256sum | cut -d' ' -f1; }

built() {
    local program
    for program in "${programs[@]}"; do [[ -x $out/$program ]] || return 1; done
    [[ -f $out/$key_file && $(<"$out/$key_file") == "$(key)" ]]
}

# Ends the script when all is built. Otherwise it waits for another build, and makes $work.
begin() { # WHAT MODULE KEY-FILE PROGRAM...
    what=$1 key_file=$3
    cd "$2"
    shift 3
    programs=("$@")
    if built; then exit 0; fi
    mkdir -p "$out"
    exec 9>"$out/$key_file.lock"
    if ! flock --nonblock 9; then
        say "another build is under way, waiting for it"
        flock 9
    fi
    if built; then exit 0; fi # the other build made it
    command -v go >/dev/null || { say "Go is needed (https://go.dev/dl), version $(awk '$1 == "go" { print $2 }' go.mod) or newer"; exit 1; }
    export CGO_ENABLED=0 GOFLAGS="${GOFLAGS:-} -mod=readonly"
    export GOGC="${GOGC:-400}" GOMEMLIMIT="${GOMEMLIMIT:-2GiB}" # see tests/cluster/build.sh, and for -dwarf=false
    work=$(mktemp -d "$out/build.XXXXXX")
    trap 'rm -rf "$work"' EXIT
}

finish() {
    local program
    for program in "${programs[@]}"; do mv -f "$work/$program" "$out/"; done
    key >"$out/$key_file.new"
    mv -f "$out/$key_file.new" "$out/$key_file"
    say "built in $SECONDS s"
}
