#!/usr/bin/env bash
# checkov over what the chart renders for each set of values: no finding without a reason in scan-reasons.tsv, and no reason without a
# finding. Needs Python 3 with venv and the package index; the first run installs checkov below target/checkov (about a minute).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

version=3.3.30
venv=target/checkov/$version
if [[ ! -x $venv/bin/checkov ]]; then
    echo "installing checkov $version" >&2
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "checkov==$version" || { rm -rf "$venv"; exit 1; }
fi

tests/tools/build.sh
rendered=$(mktemp -d)
trap 'rm -rf "$rendered"' EXIT
for values in charts/switchboard/ci/*-values.yaml; do
    target/tools/helm template switchboard charts/switchboard --namespace switchboard --set keys.generate=true --values "$values" \
        >"$rendered/$(basename "$values" -values.yaml).yaml"
done

# It ends with 1 where it found anything; what counts is decided below.
"$venv/bin/checkov" --directory "$rendered" --framework kubernetes --skip-download --output json --compact --quiet >"$rendered/findings" || true
"$venv/bin/python" - tests/chart/scan-reasons.tsv "$rendered/findings" <<'END'
import json, re, sys

reasons = [line.rstrip("\n").split("\t") for line in open(sys.argv[1]) if line.strip() and not line.startswith("#")]
report = json.load(open(sys.argv[2]))
used, unexplained = set(), []
for finding in report["results"]["failed_checks"]:
    found = [n for n, (check, resource, _) in enumerate(reasons)
             if check == finding["check_id"] and re.fullmatch(resource, finding["resource"])]
    used.update(found)
    if not found:
        unexplained.append(f'{finding["check_id"]} {finding["check_name"]}: {finding["resource"]} in {finding["file_path"]}')
for finding in sorted(set(unexplained)):
    print("not explained:", finding)
idle = [reasons[n][:2] for n in range(len(reasons)) if n not in used]
for reason in idle:
    print("explains nothing any more:", *reason)
passed = report["summary"]["passed"]
print(f"checkov: {passed} checks passed, {len(used)} reasons used")
sys.exit(bool(unexplained or idle or passed < 100))
END
