#!/usr/bin/env bash
# Compiles the program of the image: the same bytes wherever the checkout and Cargo's home lie.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo_home=${CARGO_HOME:-$HOME/.cargo}
# Relocations packed: a megabyte less to read, and to keep in memory, at every start. The C library of the image knows how (glibc 2.36).
export RUSTFLAGS="--remap-path-prefix=$PWD=/src --remap-path-prefix=$cargo_home=/cargo -Clink-arg=-Wl,-z,pack-relative-relocs"
export CFLAGS="-ffile-prefix-map=$PWD=/src -ffile-prefix-map=$cargo_home=/cargo"
# Build scripts run again when it changes, which it would with each commit. The C code here has no date in it.
export SOURCE_DATE_EPOCH=0
exec cargo build --locked --profile dist --bin switchboard
