#!/usr/bin/env bash
# The long runs: what tests/run.sh does a few times, in large numbers, on the
# optimised binary. Takes about an hour.
#
#   tests/campaign.sh [kills] [kills under alerts] [failovers] [schedules] [cases]
set -euo pipefail
cd "$(dirname "$0")/.."

kills=${1:-100}
./install.sh build
binary=$PWD/${CARGO_TARGET_DIR:-target}/static/holdfast
case ${CARGO_TARGET_DIR:-target} in /*) binary=$CARGO_TARGET_DIR/static/holdfast ;; esac
echo "== kill -9 at $kills random moments under load"
HOLDFAST_KILLS=$kills HOLDFAST_SEED=${HOLDFAST_SEED:-$RANDOM} HOLDFAST_BINARY=$binary \
    cargo test --locked --test it -- --nocapture kill::
alert_kills=${2:-1000}
echo "== kill -9 at $alert_kills random moments while alerts are told to receivers in a bad mood"
HOLDFAST_ALERT_KILLS=$alert_kills HOLDFAST_SEED=${HOLDFAST_SEED:-$RANDOM} HOLDFAST_BINARY=$binary \
    cargo test --locked --test it -- --nocapture alert_kill::
failovers=${3:-20}
echo "== each failure of a failover group $failovers times, on real servers"
HOLDFAST_FAILOVERS=$failovers HOLDFAST_SEED=${HOLDFAST_SEED:-$RANDOM} HOLDFAST_BINARY=$binary \
    cargo test --locked --test it -- --nocapture --test-threads=1 failover::
echo "== hosts that vanish with their packets and disks that are full, $failovers times each, and what is refused"
HOLDFAST_FAILOVERS=$failovers HOLDFAST_BINARY=$binary \
    cargo test --locked --test it -- --nocapture --test-threads=1 failover_cut:: failover_disk:: failover_refused::
echo "== a switchover, a killed primary and its return with other versions of PostgreSQL"
tests/versions.sh "$binary"
echo "== stored data: many more random cases"
PROPTEST_CASES=2000 cargo test --locked --lib -- store::
schedules=${4:-100000}
echo "== failover groups: $schedules simulated schedules of each kind, and the whole small scope"
HOLDFAST_SCHEDULES=$schedules HOLDFAST_SMALL_SCOPE=1 cargo test --locked --release --test sim -- --nocapture
cases=${5:-10000}
echo "== at least $cases requests made from the API's document, with and without credentials"
tests/fuzz_api.sh "$cases" "$binary"
