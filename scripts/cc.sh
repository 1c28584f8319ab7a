#!/bin/sh
# cc.sh makes sure that there is a C compiler, which `go test -race` needs.
set -eu

command -v "$(go env CC)" >/dev/null || exec "$(dirname "$0")/apt.sh" gcc libc6-dev
