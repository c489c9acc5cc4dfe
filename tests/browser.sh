#!/usr/bin/env bash
# Drives the page of the real agent in a real browser.
#
#   tests/browser.sh [FOLDER [PART ...]]     screenshots go to FOLDER when one is given
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --locked
(cd web && npm ci --no-audit --no-fund --silent)
exec npm --prefix web run --silent test:browser -- "$PWD/${CARGO_TARGET_DIR:-target}/debug/holdfast" "${@:--}"
