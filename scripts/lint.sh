#!/bin/sh
# lint.sh checks what no test runs: the form of the Go files, that every platform
# builds, that go.mod is what the code needs, and the shell scripts.
set -eu
cd "$(dirname "$0")/.."

failed=0
fail() {
	echo "toxrun: lint: $*" >&2
	failed=1
}

unformatted=$(gofmt -l .)
[ -z "$unformatted" ] || fail "gofmt -w is needed for: $unformatted"

for os in linux darwin windows; do
	for arch in amd64 arm64; do
		export GOOS=$os GOARCH=$arch CGO_ENABLED=0
		go build ./... || fail "go build for $os/$arch"
		go vet ./... || fail "go vet for $os/$arch"
	done
done
unset GOOS GOARCH CGO_ENABLED

go mod tidy -diff || fail "go mod tidy is needed"
go mod verify >/dev/null || fail "go mod verify"

for script in scripts/*.sh .ci/run; do
	shell=$(sed -n '1s|.*[/ ]||p' "$script")
	"$shell" -n "$script" || fail "$script"
	if command -v shellcheck >/dev/null; then
		shellcheck "$script" || fail "shellcheck $script"
	fi
done

exit $failed
