#!/usr/bin/env bash
# Installs what the tests need and runs all of them.
#
#   tests/run.sh            everything
#   tests/run.sh rust       format, lints, unit and integration tests
#   tests/run.sh web        type check and unit tests of the page
#   tests/run.sh browser    the page in a real browser, against the real agent
#   tests/run.sh fuzz       the API with values made from its document, about a minute and a half
#
# Servers that Debian does not have are built or installed once into HOLDFAST_TEST_TOOLS
# (default ~/.cache/holdfast-tests) and kept there.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=${HOLDFAST_TEST_TOOLS:-$HOME/.cache/holdfast-tests}
export HOLDFAST_TEST_TOOLS=$tools
# Long test builds on a small machine: no incremental data in a clean clone.
if [ -n "${CI:-}" ]; then export CARGO_INCREMENTAL=0; fi

say() { printf '\n== %s\n' "$*"; }

packages() {
    local wanted=(postgresql redis-server redis-tools procps python3-venv prometheus-node-exporter prometheus prometheus-alertmanager chromium openssl e2fsprogs util-linux iproute2) missing=()
    for package in "${wanted[@]}"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
    done
    if [ ${#missing[@]} -gt 0 ]; then
        say "installing ${missing[*]}"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    fi
}

# One tool from crates.io, built once.
tool() {
    local name=$1 crate=$2 version=$3
    if [ ! -x "$tools/bin/$name" ]; then
        say "building $crate $version (once)"
        cargo install "$crate" --version "$version" --locked --root "$tools"
    fi
}

# The official gRPC server with its health service, installed once.
grpc_server() {
    if ! "$tools/grpc/bin/python" -c 'import grpc_health' 2>/dev/null; then
        say "installing grpcio (once)"
        python3 -m venv --clear "$tools/grpc"
        "$tools/grpc/bin/pip" install -q --only-binary :all: grpcio==1.85.3 grpcio-health-checking==1.85.1
    fi
}

# A mail server in Python, installed once.
mail_server() {
    if ! "$tools/smtp/bin/python" -c 'import aiosmtpd' 2>/dev/null; then
        say "installing aiosmtpd (once)"
        python3 -m venv --clear "$tools/smtp"
        "$tools/smtp/bin/pip" install -q --only-binary :all: aiosmtpd==1.4.6
    fi
}

rust() {
    say "format"
    # cargo fmt follows modules; this also sees files that a macro declares.
    git ls-files '*.rs' | xargs rustfmt --check --edition 2024
    say "lints"
    cargo clippy --locked --all-targets -- -D warnings
    say "licences and duplicates"
    "$tools/bin/cargo-deny" --log-level error check licenses bans sources
    say "unit and integration tests"
    cargo test --locked
}

web() {
    say "page"
    (cd web && npm ci --no-audit --no-fund --silent && npm run --silent check && npm test --silent)
}

browser() {
    say "browser"
    tests/browser.sh
}

fuzz() {
    say "API"
    FUZZ_PHASES=coverage tests/fuzz_api.sh 2000
}

packages
tool garage garage 2.5.0
tool cargo-deny cargo-deny 0.20.2
grpc_server
mail_server
case "${1:-all}" in
    rust | web | browser | fuzz) "$1" ;;
    all)
        rust
        web
        browser
        fuzz
        ;;
    *)
        echo "tests/run.sh: unknown part \`$1\`: expected rust, web, browser or fuzz" >&2
        exit 2
        ;;
esac
