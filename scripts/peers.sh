#!/bin/sh
# peers.sh makes sure of what `make bench` compares with: entr and GNU parallel.
set -eu

for program in entr parallel; do
	command -v "$program" >/dev/null || "$(dirname "$0")/apt.sh" "$program"
done
