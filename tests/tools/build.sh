#!/usr/bin/env bash
# Builds the tools that the chart's tests need, helm and kubeconform, into target/tools, unless those there are already of the versions
# that go.mod names. Needs Go and a module proxy; about three minutes on two cores the first time.
set -euo pipefail

module=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=go-tools.sh
source "$module/go-tools.sh"
begin "chart tools" "$module" key helm kubeconform

say "building helm $(go list -m -f '{{.Version}}' helm.sh/helm/v4) and kubeconform $(go list -m -f '{{.Version}}' github.com/yannh/kubeconform), some minutes the first time"
version=helm.sh/helm/v4/internal/version.version=$(go list -m -f '{{.Version}}' helm.sh/helm/v4)
go build -trimpath -gcflags=all=-dwarf=false -ldflags "-s -w -X $version" -o "$work/" helm.sh/helm/v4/cmd/helm github.com/yannh/kubeconform/cmd/kubeconform
finish
