//! The server itself.

use super::{ALL, Pace, Query, family};
use crate::model::series::Kind::{Counter, Gauge};

/// See the module.
pub const QUERIES: &[Query] = &[
    Query {
        pace: Pace::Quick,
        versions: ALL,
        sql: "select extract(epoch from pg_postmaster_start_time()) as start_time, \
             current_setting('max_connections')::int as max_connections, \
             current_setting('superuser_reserved_connections')::int as superuser_reserved_connections",
        labels: &[],
        families: &[
            family(
                "start_time",
                "pg_postmaster_start_time_seconds",
                Gauge,
                "Time at which postmaster started",
            ),
            family(
                "max_connections",
                "pg_settings_max_connections",
                Gauge,
                "Sets the maximum number of concurrent connections.",
            ),
            family(
                "superuser_reserved_connections",
                "pg_settings_superuser_reserved_connections",
                Gauge,
                "Sets the number of connection slots reserved for superusers.",
            ),
        ],
    },
    Query {
        pace: Pace::Quick,
        versions: ALL,
        // Three numbers, as the exporter's version library writes them.
        sql: "select substring(current_setting('server_version') from '^[0-9.]+') || '.0' as short_version, \
             version() as version, 1 as static",
        labels: &["short_version", "version"],
        families: &[family("static", "pg_static", Gauge, "Version string as reported by postgres")],
    },
    Query {
        pace: Pace::Quick,
        versions: (0, 170_000),
        sql: "select checkpoints_timed, checkpoints_req, checkpoint_write_time, checkpoint_sync_time, buffers_checkpoint, buffers_clean, maxwritten_clean, buffers_backend, buffers_backend_fsync, buffers_alloc from pg_stat_bgwriter",
        labels: &[],
        families: &[
            family(
                "checkpoints_timed",
                "pg_stat_bgwriter_checkpoints_timed_total",
                Counter,
                "Number of scheduled checkpoints that have been performed",
            ),
            family(
                "checkpoints_req",
                "pg_stat_bgwriter_checkpoints_req_total",
                Counter,
                "Number of requested checkpoints that have been performed",
            ),
            family(
                "checkpoint_write_time",
                "pg_stat_bgwriter_checkpoint_write_time_total",
                Counter,
                "Total amount of time that has been spent in the portion of checkpoint processing where files are written to disk, in milliseconds",
            ),
            family(
                "checkpoint_sync_time",
                "pg_stat_bgwriter_checkpoint_sync_time_total",
                Counter,
                "Total amount of time that has been spent in the portion of checkpoint processing where files are synchronized to disk, in milliseconds",
            ),
            family(
                "buffers_checkpoint",
                "pg_stat_bgwriter_buffers_checkpoint_total",
                Counter,
                "Number of buffers written during checkpoints",
            ),
            family(
                "buffers_clean",
                "pg_stat_bgwriter_buffers_clean_total",
                Counter,
                "Number of buffers written by the background writer",
            ),
            family(
                "maxwritten_clean",
                "pg_stat_bgwriter_maxwritten_clean_total",
                Counter,
                "Number of times the background writer stopped a cleaning scan because it had written too many buffers",
            ),
            family(
                "buffers_backend",
                "pg_stat_bgwriter_buffers_backend_total",
                Counter,
                "Number of buffers written directly by a backend",
            ),
            family(
                "buffers_backend_fsync",
                "pg_stat_bgwriter_buffers_backend_fsync_total",
                Counter,
                "Number of times a backend had to execute its own fsync call",
            ),
            family(
                "buffers_alloc",
                "pg_stat_bgwriter_buffers_alloc_total",
                Counter,
                "Number of buffers allocated",
            ),
        ],
    },
    Query {
        pace: Pace::Quick,
        versions: (170_000, u32::MAX),
        sql: "select buffers_clean, maxwritten_clean, buffers_alloc from pg_stat_bgwriter",
        labels: &[],
        families: &[
            family(
                "buffers_clean",
                "pg_stat_bgwriter_buffers_clean_total",
                Counter,
                "Number of buffers written by the background writer",
            ),
            family(
                "maxwritten_clean",
                "pg_stat_bgwriter_maxwritten_clean_total",
                Counter,
                "Number of times the background writer stopped a cleaning scan because it had written too many buffers",
            ),
            family(
                "buffers_alloc",
                "pg_stat_bgwriter_buffers_alloc_total",
                Counter,
                "Number of buffers allocated",
            ),
        ],
    },
    Query {
        pace: Pace::Quick,
        versions: (170_000, u32::MAX),
        sql: "select num_timed, num_requested, restartpoints_timed, restartpoints_req, restartpoints_done, write_time, sync_time, buffers_written from pg_stat_checkpointer",
        labels: &[],
        families: &[
            family(
                "num_timed",
                "pg_stat_checkpointer_num_timed_total",
                Counter,
                "Number of scheduled checkpoints due to timeout",
            ),
            family(
                "num_requested",
                "pg_stat_checkpointer_num_requested_total",
                Counter,
                "Number of requested checkpoints that have been performed",
            ),
            family(
                "restartpoints_timed",
                "pg_stat_checkpointer_restartpoints_timed_total",
                Counter,
                "Number of scheduled restartpoints due to timeout or after a failed attempt to perform it",
            ),
            family(
                "restartpoints_req",
                "pg_stat_checkpointer_restartpoints_req_total",
                Counter,
                "Number of requested restartpoints",
            ),
            family(
                "restartpoints_done",
                "pg_stat_checkpointer_restartpoints_done_total",
                Counter,
                "Number of restartpoints that have been performed",
            ),
            family(
                "write_time",
                "pg_stat_checkpointer_write_time_total",
                Counter,
                "Total amount of time that has been spent in the portion of processing checkpoints and restartpoints where files are written to disk, in milliseconds",
            ),
            family(
                "sync_time",
                "pg_stat_checkpointer_sync_time_total",
                Counter,
                "Total amount of time that has been spent in the portion of processing checkpoints and restartpoints where files are synchronized to disk, in milliseconds",
            ),
            family(
                "buffers_written",
                "pg_stat_checkpointer_buffers_written_total",
                Counter,
                "Number of buffers written during checkpoints and restartpoints",
            ),
        ],
    },
    Query {
        pace: Pace::Quick,
        versions: ALL,
        sql: "select archived_count, failed_count, extract(epoch from now() - last_archived_time) as last_archive_age from pg_stat_archiver",
        labels: &[],
        families: &[
            family(
                "archived_count",
                "pg_stat_archiver_archived_count",
                Counter,
                "Number of WAL files that have been successfully archived",
            ),
            family(
                "failed_count",
                "pg_stat_archiver_failed_count",
                Counter,
                "Number of failed attempts for archiving WAL files",
            ),
            family(
                "last_archive_age",
                "pg_stat_archiver_last_archive_age",
                Gauge,
                "Time in seconds since last WAL segment was successfully archived",
            ),
        ],
    },
    Query {
        pace: Pace::Slow,
        versions: (100_000, u32::MAX),
        sql: "select count(*) as segments, sum(size) as size from pg_ls_waldir()",
        labels: &[],
        families: &[
            family("segments", "pg_wal_segments", Gauge, "Number of WAL segments"),
            family("size", "pg_wal_size_bytes", Gauge, "Total size of WAL segments"),
        ],
    },
];
