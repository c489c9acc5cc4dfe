//! Databases and the schemas of the one that is connected to.

use super::{ALL, Pace, Query, family};
use crate::model::series::Kind::{Counter, Gauge};

/// See the module.
pub const QUERIES: &[Query] = &[
    Query {
        pace: Pace::Quick,
        versions: ALL,
        sql: "select datid, datname, numbackends, xact_commit, xact_rollback, blks_read, blks_hit, tup_returned, tup_fetched, tup_inserted, tup_updated, tup_deleted, conflicts, temp_files, temp_bytes, deadlocks, blk_read_time, blk_write_time from pg_stat_database where datname is not null order by datid limit 32",
        labels: &["datid", "datname"],
        families: &[
            family(
                "numbackends",
                "pg_stat_database_numbackends",
                Gauge,
                "Number of backends currently connected to this database.",
            ),
            family(
                "xact_commit",
                "pg_stat_database_xact_commit",
                Counter,
                "Number of transactions in this database that have been committed",
            ),
            family(
                "xact_rollback",
                "pg_stat_database_xact_rollback",
                Counter,
                "Number of transactions in this database that have been rolled back",
            ),
            family(
                "blks_read",
                "pg_stat_database_blks_read",
                Counter,
                "Number of disk blocks read in this database",
            ),
            family(
                "blks_hit",
                "pg_stat_database_blks_hit",
                Counter,
                "Number of times disk blocks were found already in the buffer cache",
            ),
            family(
                "tup_returned",
                "pg_stat_database_tup_returned",
                Counter,
                "Number of rows returned by queries in this database",
            ),
            family(
                "tup_fetched",
                "pg_stat_database_tup_fetched",
                Counter,
                "Number of rows fetched by queries in this database",
            ),
            family(
                "tup_inserted",
                "pg_stat_database_tup_inserted",
                Counter,
                "Number of rows inserted by queries in this database",
            ),
            family(
                "tup_updated",
                "pg_stat_database_tup_updated",
                Counter,
                "Number of rows updated by queries in this database",
            ),
            family(
                "tup_deleted",
                "pg_stat_database_tup_deleted",
                Counter,
                "Number of rows deleted by queries in this database",
            ),
            family(
                "conflicts",
                "pg_stat_database_conflicts",
                Counter,
                "Number of queries canceled due to conflicts with recovery in this database.",
            ),
            family(
                "temp_files",
                "pg_stat_database_temp_files",
                Counter,
                "Number of temporary files created by queries in this database.",
            ),
            family(
                "temp_bytes",
                "pg_stat_database_temp_bytes",
                Counter,
                "Total amount of data written to temporary files by queries in this database.",
            ),
            family(
                "deadlocks",
                "pg_stat_database_deadlocks",
                Counter,
                "Number of deadlocks detected in this database",
            ),
            family(
                "blk_read_time",
                "pg_stat_database_blk_read_time",
                Counter,
                "Time spent reading data file blocks by backends in this database, in milliseconds",
            ),
            family(
                "blk_write_time",
                "pg_stat_database_blk_write_time",
                Counter,
                "Time spent writing data file blocks by backends in this database, in milliseconds",
            ),
        ],
    },
    Query {
        pace: Pace::Quick,
        versions: (140_000, u32::MAX),
        sql: "select datid, datname, checksum_failures, active_time / 1000 as active_seconds \
             from pg_stat_database where datname is not null order by datid limit 32",
        labels: &["datid", "datname"],
        families: &[
            family(
                "checksum_failures",
                "pg_stat_database_checksum_failures",
                Counter,
                "Number of data page checksum failures detected in this database; absent without checksums",
            ),
            family(
                "active_seconds",
                "pg_stat_database_active_time_seconds_total",
                Counter,
                "Time spent executing SQL statements in this database, in seconds",
            ),
        ],
    },
    Query {
        pace: Pace::Slow,
        versions: ALL,
        sql: "select datname, case when has_database_privilege(oid, 'connect') \
             or pg_has_role(current_user, 'pg_read_all_stats', 'member') then pg_database_size(oid) end as size_bytes, \
             nullif(datconnlimit, -1) as connection_limit, age(datfrozenxid) as age, mxid_age(datminmxid) as mxid_age \
             from pg_database where not datistemplate order by oid limit 32",
        labels: &["datname"],
        families: &[
            family("size_bytes", "pg_database_size_bytes", Gauge, "Disk space used by the database"),
            family(
                "connection_limit",
                "pg_database_connection_limit",
                Gauge,
                "Connection limit set for the database",
            ),
            family(
                "age",
                "pg_database_wraparound_age_datfrozenxid_seconds",
                Gauge,
                "Age of the oldest transaction ID that has not been frozen.",
            ),
            family(
                "mxid_age",
                "pg_database_wraparound_age_datminmxid_seconds",
                Gauge,
                "Age of the oldest multi-transaction ID that has been replaced with a transaction ID.",
            ),
        ],
    },
    Query {
        pace: Pace::Slow,
        versions: ALL,
        sql: "with relations as (select oid, relnamespace, reltuples from pg_class \
             where relkind in ('r', 'm') and relpersistence <> 't' order by relpages desc limit 2000) \
             select current_database() as datname, nspname as schema, \
             coalesce(sum(pg_total_relation_size(relations.oid)), 0) as bytes, \
             coalesce(sum(greatest(reltuples, 0)), 0) as tuples, count(relations.oid) as tables \
             from pg_namespace left join relations on relnamespace = pg_namespace.oid \
             where nspname not in ('pg_catalog', 'information_schema', 'pg_toast') \
             and nspname not like 'pg\\_temp\\_%' and nspname not like 'pg\\_toast\\_temp\\_%' \
             group by nspname order by bytes desc limit 100",
        labels: &["datname", "schema"],
        families: &[
            family(
                "bytes",
                "holdfast_pg_schema_size_bytes",
                Gauge,
                "Disk space used by the tables of the schema with their indexes, in bytes; the 2,000 largest tables of the database count.",
            ),
            family(
                "tuples",
                "holdfast_pg_schema_rows",
                Gauge,
                "Rows in the tables of the schema, as the planner last estimated.",
            ),
            family(
                "tables",
                "holdfast_pg_schema_tables",
                Gauge,
                "Tables and materialized views in the schema.",
            ),
        ],
    },
];
