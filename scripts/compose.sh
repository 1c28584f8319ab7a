#!/bin/sh
# compose.sh makes sure that `docker compose` works. Where it does not, Compose is
# built from the Go module proxy into the CLI's plugins, which takes minutes; where
# that can't be, root gets Debian's docker-compose.
set -eu

version=v2.40.3 # the last that can be built with go get: Compose 5 can't

say() { echo "toxrun: $*" >&2; }

if docker compose version >/dev/null 2>&1; then exit 0; fi

scripts=$(cd "$(dirname "$0")" && pwd)
plugins=${DOCKER_CONFIG:-$HOME/.docker}/cli-plugins
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# build: leaves Compose in $tmp/docker-compose. Its module is a scratch one, so
# that its 200 dependencies stay out of ours.
build() {
	cd "$tmp"
	export GOWORK=off GOFLAGS=-mod=mod CGO_ENABLED=0
	go mod init scratch &&
		go get -tool "github.com/docker/compose/v2/cmd@$version" &&
		go build -trimpath -o docker-compose \
			-ldflags "-s -w -X github.com/docker/compose/v2/internal.Version=$version" \
			github.com/docker/compose/v2/cmd
}

if command -v go >/dev/null; then
	say "docker compose is missing: building Compose $version, about 3 minutes"
	if (build) >"$tmp/log" 2>&1 </dev/null; then
		mkdir -p "$plugins"
		mv "$tmp/docker-compose" "$plugins/docker-compose.$$"
		mv "$plugins/docker-compose.$$" "$plugins/docker-compose"
		docker compose version >/dev/null
		say "put Compose $version into $plugins"
		exit 0
	fi
	tail -n 5 "$tmp/log" >&2
	say "Compose can't be built here"
fi

if ! command -v docker-compose >/dev/null; then
	"$scripts/apt.sh" docker-compose
fi
if ! docker compose version >/dev/null 2>&1; then
	say "going on with docker-compose $(docker-compose version --short): some tests need docker compose 2"
fi
