#!/usr/bin/env bash
# Builds the mail server of the tests, mailpit, into target/tools, unless the one there is already of the version that go.mod names. It is a
# module of its own, so that neither it nor helm is built again for the other's sake. Needs Go and a module proxy; about 105 processor seconds
# from nothing.
set -euo pipefail

module=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../go-tools.sh
source "$module/../go-tools.sh"
begin "mail server" "$module" mailpit.key mailpit

say "building mailpit $(go list -m -f '{{.Version}}' github.com/axllent/mailpit), a minute or two the first time"
go build -trimpath -gcflags=all=-dwarf=false -ldflags "-s -w" -o "$work/" github.com/axllent/mailpit
finish
