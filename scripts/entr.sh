#!/bin/sh
# entr.sh makes sure of entr, which `make bench` compares watch with.
set -eu

command -v entr >/dev/null || exec "$(dirname "$0")/apt.sh" entr
