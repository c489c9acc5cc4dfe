#!/usr/bin/env bash
# Drives the page of the real agent in a real browser.
#
#   tests/browser.sh [FOLDER]     screenshots go to FOLDER when one is given
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$(mktemp -d)
trap 'kill "${agent:-}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$folder"' EXIT

cargo build --locked
(cd web && npm ci --no-audit --no-fund --silent)
mkfifo "$folder/said"
"${CARGO_TARGET_DIR:-target}/debug/holdfast" run --data-dir "$folder/data" --listen 127.0.0.1:0 \
    >"$folder/said" 2>"$folder/log" &
agent=$!
url=
while read -r word value; do
    case $word in
        page) url=${value%/ui/} ;;
        ready) break ;;
    esac
done <"$folder/said"
[ -n "$url" ] || { cat "$folder/log" >&2; exit 1; }
HOLDFAST_URL=$url HOLDFAST_TOKEN_FILE=$folder/data/admin.token npm --prefix web run --silent test:browser -- "${1:-$folder/shots}"
