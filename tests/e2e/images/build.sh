#!/usr/bin/env bash
# Builds the images that only the e2e needs into target/image/: pause, without which a node runs no pod, and the Salesforce simulator.
set -euo pipefail
cd "$(dirname "$0")/../../.."
out=target/image
mkdir -p "$out"
here=tests/e2e/images

if [[ ! $out/pause.oci.tar -nt $here/pause.c ]]; then
    rm -rf "$out/pause"
    mkdir -p "$out/pause"
    "${CC:-cc}" -static -Os -s -o "$out/pause/pause" "$here/pause.c"
    printf 'FROM scratch\nCOPY --from=rootfs / /\nUSER 65532:65532\nENTRYPOINT ["/pause"]\n' >"$out/pause.Dockerfile"
    image/pack.sh "$out/pause.Dockerfile" "$out/pause" switchboard.test/pause:1 "$out/pause.oci.tar"
fi

cargo build --quiet --example salesforce-simulator
simulator=target/debug/examples/salesforce-simulator
if [[ ! $out/simulator.oci.tar -nt $simulator ]]; then
    strip -o "$out/salesforce-simulator" "$simulator"
    image/rootfs.sh "$out/salesforce-simulator" "$out/simulator"
    printf 'FROM scratch\nCOPY --from=rootfs / /\nUSER 65532:65532\nENTRYPOINT ["/usr/bin/salesforce-simulator"]\n' >"$out/simulator.Dockerfile"
    image/pack.sh "$out/simulator.Dockerfile" "$out/simulator" switchboard.test/salesforce-simulator:1 "$out/simulator.oci.tar"
fi
