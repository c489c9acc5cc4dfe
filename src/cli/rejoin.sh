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
# One run at a time: the agent gives a hook up after its time, and what it began here goes
# on. The lock is that of this shell; the server that it starts does not hold it.
command -v flock >/dev/null || { echo "there is no flock on the host of $member, expected util-linux" >&2; exit 2; }
exec 9>>"$data.rejoin"
flock -n 9 || { echo "an earlier rejoin of $member still runs on its host (it holds $data.rejoin), try again later" >&2; exit 75; }
# Where an earlier run was killed while it exchanged the directories.
if [ ! -e "$data" ]; then
    if [ -e "$data.new/rejoin.copied" ]; then as mv "$data.new" "$data"
    elif [ -e "$data.old" ]; then as mv "$data.old" "$data"
    else echo "there is no $data, and no copy of it to go on from" >&2; exit 2; fi
fi
ctl() { as "$programs/pg_ctl" -D "$data" -s -w "\$@" </dev/null >/dev/null 2>&1 9>&-; }
ctl -m fast -t 20 stop || ctl -m immediate -t 20 stop || true
# A pid file that is left belongs to a server that was killed, or to one that runs.
if [ -e "$data/postmaster.pid" ]; then
    pid=\$(head -n 1 "$data/postmaster.pid" | tr -dc 0-9)
    if [ -n "\$pid" ] && [ -d "/proc/\$pid" ]; then
        # The number may be that of another process by now; who cannot tell takes it for the server.
        cwd=\$(readlink "/proc/\$pid/cwd" || readlink -f "$data")
        if [ "\$cwd" = "\$(readlink -f "$data")" ]; then
            echo "the server of $member does not stop: process \$pid runs in $data" >&2
            exit 1
        fi
    fi
    as rm -f "$data/postmaster.pid"
fi
source="host=$head_host port=$head_port user=$account"
# A whole copy of this primary that was only to be put in its place needs nothing more.
if [ "\$(cat "$data/rejoin.copied" 2>/dev/null)" != "$primary" ] &&
    ! as "$programs/pg_rewind" -D "$data" --source-server="\$source dbname=postgres" -R; then
    echo "pg_rewind failed, the primary is copied anew" >&2
    as rm -rf "$data.new"
    as "$programs/pg_basebackup" -D "$data.new" -d "\$source" -X stream -c fast -R
    as sh -c "echo '$primary' >'$data.new/rejoin.copied'"
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
as rm -f "$data/rejoin.copied"
# pg_rewind takes the slots away; the others need theirs when this one is promoted.
for other in $others; do
    as "$programs/psql" -XAtq -p $port -h "$host" -U "$account" -d postgres -c \
        "select pg_create_physical_replication_slot('slot_\$other') where not exists (select from pg_replication_slots where slot_name = 'slot_\$other')" || true
done
SCRIPT
