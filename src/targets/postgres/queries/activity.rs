//! Connections and locks, by database.

use super::{ALL, Pace, Query, family};
use crate::model::series::Kind::Gauge;

/// See the module.
pub const QUERIES: &[Query] = &[
    Query {
        pace: Pace::Quick,
        versions: ALL,
        sql: "with databases as (select oid, datname from pg_database where datallowconn order by oid limit 32), \
             states as (select unnest(array['active', 'idle', 'idle in transaction', \
             'idle in transaction (aborted)', 'fastpath function call', 'disabled']) as state), \
             activity as (select datid, state, count(*) as count, \
             max(extract(epoch from now() - xact_start)) as max_tx_duration \
             from pg_stat_activity where datid is not null group by datid, state) \
             select datname, states.state, coalesce(count, 0) as count, coalesce(max_tx_duration, 0) as max_tx_duration \
             from databases cross join states left join activity \
             on activity.datid = databases.oid and activity.state = states.state",
        labels: &["datname", "state"],
        families: &[
            family("count", "pg_stat_activity_count", Gauge, "number of connections in this state"),
            family(
                "max_tx_duration",
                "pg_stat_activity_max_tx_duration",
                Gauge,
                "max duration in seconds any active transaction has been running",
            ),
        ],
    },
    Query {
        pace: Pace::Quick,
        versions: ALL,
        sql: "with databases as (select oid, datname from pg_database where datallowconn order by oid limit 32), \
             modes as (select unnest(array['accesssharelock', 'rowsharelock', 'rowexclusivelock', \
             'shareupdateexclusivelock', 'sharelock', 'sharerowexclusivelock', 'exclusivelock', \
             'accessexclusivelock', 'sireadlock']) as mode), \
             locks as (select database, lower(mode) as mode, count(*) as count from pg_locks \
             where database is not null group by database, lower(mode)) \
             select datname, modes.mode, coalesce(count, 0) as count from databases cross join modes \
             left join locks on locks.database = databases.oid and locks.mode = modes.mode",
        labels: &["datname", "mode"],
        families: &[family("count", "pg_locks_count", Gauge, "Number of locks")],
    },
];
