#!/usr/bin/env bash
# Runs the e2e: on a node that is started here and leaves no trace (as root on Linux), or on the cluster of E2E_KUBECONFIG with
# the images IMAGE and SIMULATOR_IMAGE that its nodes can pull. Further arguments go to the program.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=target/image

if [[ -n ${E2E_KUBECONFIG:-} ]]; then tests/cluster/build.sh; else tests/cluster/build.sh node; fi
tests/tools/build.sh
cargo build --quiet --example e2e
program=(target/debug/examples/e2e --helm target/tools/helm)

if [[ -n ${E2E_KUBECONFIG:-} ]]; then
    : "${IMAGE:?the image under test, as the nodes can pull it}" "${SIMULATOR_IMAGE:?the simulator, as the nodes can pull it}"
    SWITCHBOARD_TEST_KUBECONFIG=$(realpath "$E2E_KUBECONFIG") exec "${program[@]}" --image "$IMAGE" --simulator-image "$SIMULATOR_IMAGE" "$@"
fi

[[ $(uname) == Linux && $EUID == 0 ]] || { echo "e2e: a node of its own needs root on Linux; or name a cluster: make e2e KUBECONFIG=FILE IMAGE=..." >&2; exit 1; }
for tool in containerd runc nft; do
    command -v $tool >/dev/null || { echo "e2e: no $tool (apt-get install containerd runc containernetworking-plugins nftables conntrack)" >&2; exit 1; }
done

image/build.sh
tests/e2e/images/build.sh
if [[ -n ${PREVIOUS:-} ]]; then
    tests/e2e/images/previous.sh "$PREVIOUS"
    set -- --previous-image localhost/switchboard:previous --previous-chart target/previous/source/charts/switchboard \
        --archive target/previous/switchboard.oci.tar "$@"
fi
exec target/cluster/cluster room -- "${program[@]}" \
    --image "$(<$out/name)" --simulator-image switchboard.test/salesforce-simulator:1 \
    --archive $out/switchboard.oci.tar --archive $out/simulator.oci.tar --archive $out/pause.oci.tar "$@"
