#!/usr/bin/env bash
# Plays the changes that cargo-mutants lists (.cargo/mutants.toml) and says which no unit test notices. They are compiled once, in a worktree of their own;
# how each ended is in target/mutants.txt. Arguments are those of the program (src/main.rs): --only TEXT, --sample NUMBER --seed NUMBER, --again.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
tree=$root/target/mutants
git worktree remove --force "$tree" 2>/dev/null || true
git worktree add --quiet --detach "$tree" HEAD
trap 'git -C "$root" worktree remove --force "$tree"' EXIT
cd "$tree"
cargo mutants --list --json >"$root/target/mutants.json"
# The rooms whose tests are asked: what follows `--` for cargo-mutants.
mapfile -t rooms < <(sed -n '/^additional_cargo_test_args/,/^]/s/^ *"\([a-z_:]*::\)",$/\1/p' .cargo/mutants.toml)
# Another version: in the target folder that they share cargo would take what is built here for what the repository is built to.
sed -i '0,/^version = "/s/^version = "[^"]*/&-mutants/' Cargo.toml
export CARGO_TARGET_DIR=$root/target
cargo run --quiet --manifest-path "$root/Cargo.toml" -p switchboard-mutants -- "$tree" \
  --list "$root/target/mutants.json" --report "$root/target/mutants.txt" --jobs "${JOBS:-2}" "$@" -- "${rooms[@]}"
