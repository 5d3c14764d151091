#!/usr/bin/env bash
# Builds what the quick start runs and nothing else, with one display of how far all of that is, and runs it: `make quickstart`.
# KUBECONFIG_FILE names a cluster that is there already; further arguments go to the program.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# Processor seconds of a first build, as measured together: the parts of the display have their lengths from here, and so has the guess of the time.
control_plane_costs=650
program_costs=600

export CONTROL_PLANE=quick # here and when the program looks again: it has nothing to do that optimised code would notice
program=target/debug/examples/quickstart
cores=$(nproc)
say() { printf 'quick start: %s\n' "$*"; }
need() { command -v "$1" >/dev/null || { say "$2" >&2; exit 1; }; }

if [[ -n ${KUBECONFIG_FILE:-} ]]; then
    [[ -r $KUBECONFIG_FILE ]] || { say "cannot read the kubeconfig $KUBECONFIG_FILE" >&2; exit 1; }
    set -- --kubeconfig "$(realpath "$KUBECONFIG_FILE")" "$@"
    control_plane_costs=0
elif tests/cluster/build.sh --built; then
    control_plane_costs=0
fi
first=yes
[[ ! -x $program || ! -x target/debug/switchboard ]] || first=

# What is going to happen.
((control_plane_costs == 0)) || need go "Go is needed for the control plane (https://go.dev/dl); or name a cluster: make quickstart KUBECONFIG=FILE"
need cargo "Rust is needed (https://rustup.rs)"
[[ -n $first ]] || program_costs=0
about() { # processor seconds; more than eight cores find little to do side by side
    local minutes=$((($1 / (cores < 8 ? cores : 8) + 59) / 60))
    printf 'about %s minute%s' "$minutes" "$([[ $minutes == 1 ]] || echo s)"
}
costs=$((control_plane_costs + program_costs))
if ((costs > 0)); then
    say "first comes a build, $(about $costs) on the $cores core(s) here; it is kept under target/:"
    ((control_plane_costs == 0)) || say "  - a control plane out of upstream Kubernetes and etcd, in Go ($(about $control_plane_costs))"
    ((program_costs == 0)) || say "  - Switchboard and a played Salesforce, in Rust ($(about $program_costs))"
    say "then it starts, which takes half a minute, as every later start does."
else
    say "everything is built already; what has changed since is built anew. Then it starts, which takes half a minute."
fi

work=$(mktemp -d)
jobs=()
stop() {
    ((${#jobs[@]} == 0)) || kill "${jobs[@]}" 2>/dev/null || true
    wait || true
    rm -rf "$work"
}
trap stop EXIT
trap 'exit 130' INT TERM HUP

# Behind the program where both want a core: the last and largest crate of the program keeps only one busy.
build_control_plane() { PROGRESS=$work/control-plane nice -n 2 tests/cluster/build.sh; }
build_program() {
    # Every crate is told of once, when its turn comes.
    cargo tree --quiet --package switchboard --edges normal,build,dev --prefix none --format '{p}' | sort -u | wc -l >"$work/crates"
    # In one go: apart from the example, the program would be built with other features, and much of it twice. The played Salesforce has a few
    # records here and need not be optimised, which the tests want; nothing else depends on it.
    CARGO_TERM_COLOR=never exec cargo build --config 'profile.dev.package.salesforce-simulator.opt-level=0' \
        --bin switchboard --example quickstart
}
begin() { # NAME
    "build_$1" >"$work/$1.log" 2>&1 &
    jobs+=($!)
    names[$!]=$1
}
declare -A names

control_plane_parts() { # thousandths that are done, and in words
    local done total what
    read -r done total what 2>/dev/null <"$work/control-plane" || { echo "0 control plane: begins"; return; }
    if [[ $what == linking ]]; then
        echo "980 control plane: linking"
    elif ((total == 0)); then
        echo "0 control plane: $what: $done"
    else
        echo "$((done * 970 / total)) control plane: $done of $total packages"
    fi
}
program_parts() {
    local done total
    done=$(grep -c '^ *Compiling ' "$work/program.log" 2>/dev/null || true)
    read -r total 2>/dev/null <"$work/crates" || total=0
    if ((total == 0 || done == 0)); then
        echo "0 program: begins"
    else
        echo "$((done * 950 / (done > total ? done : total))) program: $done of $total crates"
    fi
}

# One line that changes, or one now and then where nobody looks at a terminal.
next=10
show() { # PERCENT WHAT
    local line left=
    ((SECONDS < 20 || $1 < 5 || $1 > 99)) || left=", about $(((SECONDS * (100 - $1) / $1 + 59) / 60)) min to go"
    line=$(printf '[%3d %%] %d:%02d%s | %s' "$1" $((SECONDS / 60)) $((SECONDS % 60)) "$left" "$2")
    if [[ -t 1 ]]; then
        printf '\r\033[K%.*s' "$(($(tput cols 2>/dev/null || echo 80) - 1))" "$line"
    elif ((SECONDS >= next)); then
        next=$((SECONDS + 10))
        printf '%s\n' "$line"
    fi
}
declare -A finished=()
look() {
    local parts done=0 what=""
    for name in control_plane program; do
        local costs_of=${name}_costs
        ((${!costs_of} > 0)) || continue
        if [[ -n ${finished[$name]:-} ]]; then
            parts="1000"
        else
            parts=$("${name}_parts")
            what+="${what:+; }${parts#* }"
        fi
        done=$((done + ${parts%% *} * ${!costs_of} / 10))
    done
    show $((costs > 0 ? done / costs : 0)) "$what"
}
# Waits for the builds that have begun. Without a first build there is nothing to show: seconds at most.
await() {
    local pid
    while ((${#jobs[@]} > 0)); do
        for at in "${!jobs[@]}"; do
            pid=${jobs[at]}
            kill -0 "$pid" 2>/dev/null && continue
            unset "jobs[at]"
            if ! wait "$pid"; then
                [[ ! -t 1 ]] || echo
                tail -n 40 "$work/${names[$pid]}.log" >&2
                say "the build has failed: what it said stands above" >&2
                exit 1
            fi
            finished[${names[$pid]}]=yes
        done
        ((costs == 0)) || look
        sleep 0.5
    done
}

# Side by side they fill each other's gaps (downloads, the linkers, what waits for one large package) where there is memory for both.
memory=$(awk '/^MemAvailable/ { print int($2 / 1048576) }' /proc/meminfo 2>/dev/null || echo 0)
if ((control_plane_costs > 0)); then
    begin control_plane
    ((cores >= 2 && memory >= 6)) || await
fi
begin program
await
if ((costs > 0)); then
    [[ ! -t 1 ]] || printf '\r\033[K'
    printf '[100 %%] built in %d:%02d\n' $((SECONDS / 60)) $((SECONDS % 60))
fi
rm -rf "$work"
trap - EXIT INT TERM HUP
exec "$program" "$@"
