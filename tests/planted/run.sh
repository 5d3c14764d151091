#!/usr/bin/env bash
# Plants bugs that operators had, one at a time, and says which rule of the played worlds, or of the histories, finds each. The bugs are one patch, each
# behind a name, so that they are compiled once, in a worktree of their own.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
tree=$root/target/planted
git worktree remove --force "$tree" 2>/dev/null || true
git worktree add --quiet --detach "$tree" HEAD
trap 'git -C "$root" worktree remove --force "$tree"' EXIT
cd "$tree"
git apply --3way "$root/tests/planted/bugs.patch"
# Another version: in the target folder that they share cargo would take what is built here for what the repository is built to.
sed -i '0,/^version = "/s/^version = "[^"]*/&-planted/' Cargo.toml
export CARGO_TARGET_DIR=$root/target YEAR_WHOLE=1 HISTORY_SECONDS=20
built=$(cargo test --lib --no-run --message-format=json | jq -r 'select(.reason == "compiler-artifact" and .target.name == "switchboard" and .executable) | .executable')
survived=0
bugs=$(grep -oP '^\+.*planted\("\K[a-z0-9-]+' "$root/tests/planted/bugs.patch" | sort -u)
for bug in ${1:-$bugs}; do
  ended=0
  said=$(PLANTED=$bug timeout 1800 "$built" --quiet tests::year two_replicas_lose 2>&1) || ended=$?
  if [ $ended -eq 0 ]; then
    echo "$bug: NOT FOUND"
    survived=$((survived + 1))
  elif [ $ended -eq 124 ]; then
    echo "$bug: a world did not end"
  else
    echo "$bug: $(grep -oPm1 '^( +"\K[a-z-]+|\K[A-Z]\w+)(?=: )' <<<"$said" || echo 'A again differs')"
  fi
done
echo "$survived were not found"
