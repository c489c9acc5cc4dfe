//! Replication, seen from a primary and from a standby.

use super::{Pace, Query, family};
use crate::model::series::Kind::Gauge;

/// See the module.
pub const QUERIES: &[Query] = &[
    Query {
        pace: Pace::Quick,
        versions: (100_000, u32::MAX),
        sql: "select case when not pg_is_in_recovery() then 0 \
             when pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() then 0 \
             else greatest(0, extract(epoch from now() - pg_last_xact_replay_timestamp())) end as lag, \
             pg_is_in_recovery() as is_replica, \
             case when pg_is_in_recovery() then greatest(0, extract(epoch from now() - pg_last_xact_replay_timestamp())) end as last_replay",
        labels: &[],
        families: &[
            family("lag", "pg_replication_lag_seconds", Gauge, "Replication lag behind master in seconds"),
            family("is_replica", "pg_replication_is_replica", Gauge, "Indicates if the server is a replica"),
            family(
                "last_replay",
                "pg_replication_last_replay_seconds",
                Gauge,
                "Age of last transaction replay in seconds",
            ),
        ],
    },
    Query {
        pace: Pace::Quick,
        versions: (100_000, u32::MAX),
        sql: "select application_name, client_addr, state, \
             pg_wal_lsn_diff(position, '0/0') as current_bytes, min(pg_wal_lsn_diff(position, replay_lsn)) as lag_bytes \
             from pg_stat_replication, (select case when pg_is_in_recovery() then pg_last_wal_receive_lsn() \
             else pg_current_wal_lsn() end as position) as here where state is not null \
             group by application_name, client_addr, state, position order by 1, 2, 3 limit 64",
        labels: &["application_name", "client_addr", "state"],
        families: &[
            family(
                "current_bytes",
                "pg_stat_replication_pg_current_wal_lsn_bytes",
                Gauge,
                "WAL position in bytes",
            ),
            family(
                "lag_bytes",
                "pg_stat_replication_pg_wal_lsn_diff",
                Gauge,
                "Lag in bytes between master and slave",
            ),
        ],
    },
    Query {
        pace: Pace::Quick,
        versions: (100_000, u32::MAX),
        sql: "select slot_name, database, active, \
             pg_wal_lsn_diff(case when pg_is_in_recovery() then pg_last_wal_receive_lsn() \
             else pg_current_wal_lsn() end, restart_lsn) as lag_bytes \
             from pg_replication_slots order by slot_name limit 64",
        labels: &["slot_name", "database"],
        families: &[
            family("active", "pg_replication_slots_active", Gauge, "Flag indicating if the slot is active"),
            family("lag_bytes", "pg_replication_slots_pg_wal_lsn_diff", Gauge, "Replication lag in bytes"),
        ],
    },
];
