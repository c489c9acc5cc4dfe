#!/bin/sh
# Makes a superseded Postgres server a standby of the primary again: a rejoin hook for
# holdfast. Save it, make it executable, fill in the members below, and name it:
#
#   rejoin_hook = ["/etc/holdfast/rejoin", "{member}", "{primary}"]
#
# It stops the server if it runs, rewinds it with pg_rewind, or copies the primary anew
# where that fails, and starts it. Exit status 0 says that it runs as a standby.
set -eu

# One line per member: name, host and port as the other members reach it, how to get a
# shell on its host (`local`, or an account for ssh), its data directory, the folder of
# pg_rewind, and the account that the server runs as.
members() {
    cat <<'TABLE'
pg1 10.0.0.1 5432 root@10.0.0.1 /var/lib/postgresql/15/main /usr/lib/postgresql/15/bin postgres
pg2 10.0.0.2 5432 root@10.0.0.2 /var/lib/postgresql/15/main /usr/lib/postgresql/15/bin postgres
TABLE
}
# The account for pg_rewind and replication; its password belongs into ~/.pgpass of the
# account that the server runs as.
account=replicator

lookup() { members | sed -n "s/^$1 //p"; }
member=$1
primary=$2
own=$(lookup "$member")
head=$(lookup "$primary")
[ -n "$own" ] && [ -n "$head" ] || { echo "$0: $member or $primary is not in the table of members" >&2; exit 2; }
others=$(members | cut -d' ' -f1 | grep -vx "$member" | tr '\n' ' ')
# shellcheck disable=SC2086
set -- $own
host=$1 port=$2 shell=$3 data=$4 programs=$5 user=$6
# shellcheck disable=SC2086
set -- $head
head_host=$1 head_port=$2

remote() {
    if [ "$shell" = local ]; then sh -s; else ssh -o BatchMode=yes -o ConnectTimeout=5 "$shell" sh -s; fi
}

remote <<SCRIPT
set -eu
as() { if [ "\$(id -un)" = "$user" ]; then "\$@"; else setpriv --reuid="$user" --regid="\$(id -g "$user")" --init-groups "\$@"; fi; }
cd /
ctl() { as "$programs/pg_ctl" -D "$data" -s -w "\$@" </dev/null >/dev/null 2>&1; }
ctl -m fast -t 20 stop || ctl -m immediate -t 20 stop || true
source="host=$head_host port=$head_port user=$account"
as rm -f "$data/postmaster.pid"
if ! as "$programs/pg_rewind" -D "$data" --source-server="\$source dbname=postgres" -R; then
    echo "pg_rewind failed, the primary is copied anew" >&2
    as rm -rf "$data.new"
    as "$programs/pg_basebackup" -D "$data.new" -d "\$source" -X stream -c fast -R
    as rm -rf "$data.old"
    as mv "$data" "$data.old"
    as mv "$data.new" "$data"
fi
as sh -c "cat >>'$data/postgresql.auto.conf'" <<SETTINGS
port = $port
primary_conninfo = '\$source application_name=$member'
primary_slot_name = 'slot_$member'
cluster_name = '$member'
SETTINGS
ctl -l "$data/rejoin.log" -t 60 start
# pg_rewind takes the slots away; the others need theirs when this one is promoted.
for other in $others; do
    as "$programs/psql" -XAtq -p $port -h "$host" -U "$account" -d postgres -c \
        "select pg_create_physical_replication_slot('slot_\$other') where not exists (select from pg_replication_slots where slot_name = 'slot_\$other')" || true
done
SCRIPT
