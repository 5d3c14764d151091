#!/usr/bin/env bash
# tests/fuzz/run.sh [TARGET...] fuzzes what reads text from outside: each target for FUZZ_SECONDS (600), two at once (FUZZ_JOBS).
# What is found lies in target/fuzz/found/TARGET; KEEP=1 adds new inputs that reach more code to tests/fuzz/corpus. README.md tells more.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
seconds=${FUZZ_SECONDS:-600}
work=$PWD/target/fuzz
triple=$(rustc +nightly -vV | sed -n 's/^host: //p')

# As cargo-fuzz builds: counters and comparisons for libFuzzer, in everything that is linked. No sanitizer: there is no unsafe code of ours,
# and its shadow would hide what memory is taken.
export CARGO_TARGET_DIR=$work/build CARGO_PROFILE_RELEASE_LTO=off
RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
  -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares" \
  cargo +nightly build --release --locked --manifest-path tests/fuzz/Cargo.toml --target "$triple"
program=$work/build/$triple/release/fuzz

targets=("$@")
((${#targets[@]})) || mapfile -t targets < <(ls tests/fuzz/corpus)

# The longest input that is tried: longer ones find no more and take longer.
longest() {
  case $1 in
    body | composite | rest | soap | spec | webhook) echo 65536 ;;
    certificate | oauth | secret | settings) echo 16384 ;;
    *) echo 4096 ;;
  esac
}

fuzz() {
  local target=$1 grown=$work/grown/$1 found=$work/found/$1
  mkdir -p "$grown" "$found"
  # The limits of each input (100 ms, 64 MiB) are in fuzz.rs; these are for what never comes back.
  FUZZ_TARGET=$target "$program" "$grown" "tests/fuzz/corpus/$target" -max_total_time="$seconds" -max_len="$(longest "$target")" \
    -timeout=5 -rss_limit_mb=1024 -artifact_prefix="$found/" -print_final_stats=1 >"$work/$target.log" 2>&1 ||
    { echo "$target: FAILED"; grep -m3 -A2 'panicked\|ERROR: libFuzzer' "$work/$target.log" || tail -5 "$work/$target.log"; ls "$found"; return 1; }
  echo "$target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$work/$target.log") inputs in $seconds s, nothing found"
  [[ -z ${KEEP:-} ]] || keep "$target"
}

# Of what was grown, the short inputs that reach code which the corpus does not reach.
keep() {
  local target=$1 short=$work/short/$1
  rm -rf "$short" && mkdir -p "$short"
  find "$work/grown/$target" -type f -size -3k -exec cp -t "$short" {} +
  FUZZ_TARGET=$target "$program" -merge=1 -max_len=2048 "tests/fuzz/corpus/$target" "$short" >/dev/null 2>&1
}

failed=0
running=0
for target in "${targets[@]}"; do
  ((running < ${FUZZ_JOBS:-2})) || { wait -n || failed=1; running=$((running - 1)); }
  fuzz "$target" &
  running=$((running + 1))
done
while ((running--)); do wait -n || failed=1; done
exit $failed
