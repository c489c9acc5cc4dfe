#!/bin/sh
# Builds holdfast as one static file, or builds and starts it.
#
#   ./install.sh build            leaves ./target/static/holdfast
#   ./install.sh run [ARGUMENT..] builds and starts the agent on its embedded default
#   ./install.sh help
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
cd "$here"

say() { printf '%s\n' "$*" >&2; }
fail() { say "install.sh: $*"; exit 1; }

need() {
    command -v "$1" >/dev/null 2>&1 || fail "$1 is missing: $2"
}

# The target triple of this machine, or the one asked for with HOLDFAST_TARGET.
triple() {
    if [ -n "${HOLDFAST_TARGET:-}" ]; then
        printf '%s' "$HOLDFAST_TARGET"
    else
        rustc -vV | sed -n 's/^host: //p'
    fi
}

# Whether a program linked with the given flags works here. Which linker rustc brings,
# and whether the static C library applies packed relocations, differs between
# machines; the program is started because a C library that does not dies at once.
works() {
    probe=$(mktemp -d)
    if printf 'fn main() {}' | rustc --target "$target" --crate-name probe -C target-feature=+crt-static \
        "$@" -o "$probe/probe" - >/dev/null 2>&1 && "$probe/probe" >/dev/null 2>&1; then
        rm -rf "$probe"
    else
        rm -rf "$probe"
        return 1
    fi
}

build() {
    need cargo "install Rust 1.95 or newer"
    need cc "install a C compiler (Debian: apt-get install gcc libc6-dev)"
    need npm "install Node.js 20 or newer with npm, which bundles the page"
    target=$(triple)
    out=${CARGO_TARGET_DIR:-target}
    # With --target given, build scripts and macros keep their dynamic C library;
    # the getrandom setting makes the binary run where there is no /dev.
    flags='-C target-feature=+crt-static --cfg getrandom_backend="linux_getrandom"'
    # Only for size: equal functions once, and relocations as a bitmap.
    for flag in -Clink-arg=-Wl,--icf=all -Clink-arg=-Wl,--pack-dyn-relocs=relr; do
        if works "$flag"; then
            flags="$flags $flag"
        fi
    done
    say "building for $target (the first time takes some minutes)"
    RUSTFLAGS="$flags${RUSTFLAGS:+ $RUSTFLAGS}" cargo build --release --locked --target "$target"
    mkdir -p "$out/static"
    cp -f "$out/$target/release/holdfast" "$out/static/holdfast"
    say "built $out/static/holdfast ($(wc -c <"$out/static/holdfast") bytes)"
}

case "${1:-help}" in
    build)
        build
        ;;
    run)
        shift
        build
        exec "${CARGO_TARGET_DIR:-target}/static/holdfast" run "$@"
        ;;
    help | -h | --help)
        sed -n '2,6s/^# \{0,1\}//p' "$0"
        ;;
    *)
        fail "unknown command \`$1\`: expected build, run or help"
        ;;
esac
