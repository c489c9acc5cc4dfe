#!/usr/bin/env bash
# Asks the agent what its OpenAPI document allows and what it does not, with random values,
# and checks that every answer is one that the document describes and holds no secret.
#
#   tests/fuzz_api.sh [CASES] [BINARY]     2000 cases on the debug binary
#
# Half of the cases come with the key of an administrator, half with nothing. The agent
# runs in a mount, network and process namespace of its own in which only its folder can
# be written: restore, restart of services and probes of other hosts are in the document.
# FUZZ_SEED repeats a run; FUZZ_KEEP names a folder for the logs and reports.
set -euo pipefail
cd "$(dirname "$0")/.."

version=4.32.5
cases=${1:-2000}
binary=${2:-}
tools=${HOLDFAST_TEST_TOOLS:-$HOME/.cache/holdfast-tests}/schemathesis

if [ -z "${FUZZ_INSIDE:-}" ]; then
    if ! "$tools/bin/st" --version 2>/dev/null | grep -qF "$version"; then
        echo "== installing schemathesis $version (once)"
        python3 -m venv --clear "$tools"
        "$tools/bin/pip" install -q --only-binary :all: "schemathesis==$version"
    fi
    if [ -z "$binary" ]; then
        cargo build --locked
        binary=${CARGO_TARGET_DIR:-target}/debug/holdfast
    fi
    folder=${FUZZ_KEEP:-$(mktemp -d)}
    mkdir -p "$folder"
    folder=$(realpath "$folder")
    [ -n "${FUZZ_KEEP:-}" ] || trap 'rm -rf "$folder"' EXIT
    [ "$(id -u)" = 0 ] && user=() || user=(--user --map-root-user)
    FUZZ_INSIDE=1 FUZZ_FOLDER=$folder unshare "${user[@]}" --mount --net --pid --fork --kill-child --mount-proc \
        bash "$PWD/tests/fuzz_api.sh" "$cases" "$(realpath "$binary")"
    exit
fi

folder=$FUZZ_FOLDER
tree=$PWD
ip link set lo up
mount -t tmpfs none /run # Without the bus of the system: no unit can be restarted.
mount --bind "$folder" "$folder"
while read -r _ place kind _; do
    case $kind in proc | sysfs | devtmpfs | devpts | mqueue | cgroup*) continue ;; esac
    [ "$place" = "$folder" ] || mount -o remount,bind,ro "$place" 2>/dev/null || true
done </proc/mounts
if touch "$tree/tests/fuzz_api.probe" 2>/dev/null; then
    rm -f "$tree/tests/fuzz_api.probe"
    echo "tests/fuzz_api.sh: the tree can be written inside the sandbox" >&2
    exit 1
fi

# What must not come back in any answer or log.
secret() { head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n'; }
key=$(secret) password=$(secret) object=$(secret) hook=$(secret) mail=$(secret)
printf '%s\n' "$key" "$password" "$object" "$hook" "$mail" >"$folder/secrets"
cat >"$folder/holdfast.toml" <<CONFIG
[[target.postgres]]
name = "main-db"
host = "127.0.0.1"
port = 1
user = "app"
password = "$password"

[[target.object_store]]
name = "objects"
endpoint = "http://127.0.0.1:1"
bucket = "data"
access_key_id = "id"
secret_access_key = "$object"

[[channel.webhook]]
name = "hook"
url = "http://127.0.0.1:1/"
secret_headers = "X-Key: $hook"

[[channel.email]]
name = "mail"
host = "127.0.0.1"
port = 1
from = "holdfast@example.org"
to = ["ops@example.org"]
user = "ops"
password = "$mail"

[[check]]
name = "nightly"
CONFIG

# The environment goes above what the API may change, so that the fuzzer does not lock itself out.
export HOLDFAST_AUTH_ADMIN_KEY=$key HOLDFAST_AUTH_ANONYMOUS=read HOLDFAST_ADMIN_ENABLED=true HOLDFAST_METRICS_ENABLED=true
cd "$folder"
rm -rf data cases waits
touch cases waits
mkfifo -m 600 said 2>/dev/null || true
"$binary" run --config "$folder/holdfast.toml" --data-dir "$folder/data" --listen 127.0.0.1:3003 >said 2>agent.log &
agent=$!
word=
while [ "$word" != ready ]; do
    read -r word _ || { cat agent.log >&2; exit 1; }
done <said
# The agent says more when it starts again.
cat said >/dev/null &
unset HOLDFAST_AUTH_ADMIN_KEY

export FUZZ_URL=http://127.0.0.1:3003 SCHEMATHESIS_HOOKS=hooks PYTHONDONTWRITEBYTECODE=1
export PYTHONPATH=$tree/tests/fuzz HOME=$folder
checks=status_code_conformance,content_type_conformance,response_schema_conformance
checks+=,response_headers_conformance,no_secret,no_failure

failed=0
# Runs schemathesis until $2 cases are asked: `fuzz NAME CASES OPTIONS...`
fuzz() {
    local name=$1 goal=$2 round=0 before now operations
    shift 2
    operations=$(grep -c '"operationId"' "$tree/openapi.json")
    before=$(wc -l <cases)
    while now=$(($(wc -l <cases) - before)) && [ "$now" -lt "$goal" ]; do
        round=$((round + 1))
        local more=$(((goal - now) / operations + 1))
        "$tools/bin/st" run "$tree/openapi.json" --url "$FUZZ_URL" --checks "$checks" --max-examples "$more" \
            --phases "${FUZZ_PHASES:-coverage,fuzzing}" --mode all --continue-on-failure --no-color --warnings off --suppress-health-check all \
            --request-timeout 60 --generation-database none ${FUZZ_SEED:+--seed "$FUZZ_SEED"} "$@" \
            >"$name.$round.txt" 2>&1 || { failed=1; cat "$name.$round.txt"; }
        [ "$(($(wc -l <cases) - before))" -gt "$now" ] || { echo "no case was asked" >&2; exit 1; }
    done
    echo "$name: $now cases"
}
fuzz admin $((cases / 2)) -H "Authorization: Bearer $key"
fuzz nobody $((cases - cases / 2))

echo "answers by status:"
cut -d' ' -f1 cases | sort | uniq -c
if ! kill -0 "$agent"; then
    echo "the agent ended" >&2
    failed=1
fi
if grep -n panicked agent.log >&2; then failed=1; fi
while read -r secret; do
    # The file of the configuration is where they are from.
    if grep -rlF --exclude-dir=.hypothesis -- "$secret" data agent.log >&2; then
        echo "a secret is in the files above" >&2
        failed=1
    fi
done <secrets
kill "$agent"
wait "$agent" || true
exit "$failed"
