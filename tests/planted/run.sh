#!/usr/bin/env bash
# Plants bugs that operators had, one at a time, and says which rule of the played worlds finds each. The bugs are one patch, each behind a name, so
# that they are compiled once, in a worktree of their own.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
tree=$root/target/planted
git worktree remove --force "$tree" 2>/dev/null || true
git worktree add --quiet --detach "$tree" HEAD
trap 'git -C "$root" worktree remove --force "$tree"' EXIT
cd "$tree"
git apply --3way "$root/tests/planted/bugs.patch"
export CARGO_TARGET_DIR=$root/target YEAR_WHOLE=1
cargo test --quiet --lib --no-run
survived=0
bugs=$(grep -oP '^\+.*planted\("\K[a-z0-9-]+' "$root/tests/planted/bugs.patch" | sort -u)
for bug in ${1:-$bugs}; do
  if said=$(PLANTED=$bug cargo test --quiet --lib tests::year 2>&1); then
    echo "$bug: NOT FOUND"
    survived=$((survived + 1))
  else
    echo "$bug: $(grep -oPm1 '^ +"\K[a-z-]+(?=: )' <<<"$said" || echo 'A again differs')"
  fi
done
echo "$survived were not found"
