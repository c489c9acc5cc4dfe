//! The figures of `INFO`, under redis_exporter's names.
//!
//! A field that a server does not have gives no series.

use std::collections::BTreeMap;

use crate::model::frame::Frame;
use crate::model::series::Kind::{self, Counter, Gauge};

/// Field of `INFO`, name of the series, kind.
const FIELDS: [(&str, &str, Kind); 29] = [
    ("uptime_in_seconds", "redis_uptime_in_seconds", Gauge),
    ("connected_clients", "redis_connected_clients", Gauge),
    ("blocked_clients", "redis_blocked_clients", Gauge),
    ("maxclients", "redis_max_clients", Gauge),
    ("used_memory", "redis_memory_used_bytes", Gauge),
    ("used_memory_rss", "redis_memory_used_rss_bytes", Gauge),
    ("used_memory_peak", "redis_memory_used_peak_bytes", Gauge),
    ("maxmemory", "redis_memory_max_bytes", Gauge),
    ("mem_fragmentation_ratio", "redis_mem_fragmentation_ratio", Gauge),
    ("loading", "redis_loading_dump_file", Gauge),
    ("rdb_changes_since_last_save", "redis_rdb_changes_since_last_save", Gauge),
    ("rdb_last_save_time", "redis_rdb_last_save_timestamp_seconds", Gauge),
    ("rdb_last_bgsave_status", "redis_rdb_last_bgsave_status", Gauge),
    ("rdb_last_bgsave_time_sec", "redis_rdb_last_bgsave_duration_sec", Gauge),
    ("aof_enabled", "redis_aof_enabled", Gauge),
    ("aof_last_bgrewrite_status", "redis_aof_last_bgrewrite_status", Gauge),
    ("aof_last_write_status", "redis_aof_last_write_status", Gauge),
    ("connected_slaves", "redis_connected_slaves", Gauge),
    ("master_link_status", "redis_master_link_up", Gauge),
    ("master_last_io_seconds_ago", "redis_master_last_io_seconds_ago", Gauge),
    ("total_connections_received", "redis_connections_received_total", Counter),
    ("total_commands_processed", "redis_commands_processed_total", Counter),
    ("rejected_connections", "redis_rejected_connections_total", Counter),
    ("expired_keys", "redis_expired_keys_total", Counter),
    ("evicted_keys", "redis_evicted_keys_total", Counter),
    ("keyspace_hits", "redis_keyspace_hits_total", Counter),
    ("keyspace_misses", "redis_keyspace_misses_total", Counter),
    ("total_net_input_bytes", "redis_net_input_bytes_total", Counter),
    ("total_net_output_bytes", "redis_net_output_bytes_total", Counter),
];

/// Appends the series of an answer to `INFO`.
pub fn write(info: &str, target: &str, frame: &mut Frame) {
    let fields = || info.lines().filter_map(|line| line.trim_end().split_once(':'));
    for (field, name, kind) in FIELDS {
        let value = fields().find(|(known, _)| *known == field).and_then(|(_, text)| number(text));
        if let Some(value) = value {
            frame.family(name, kind, format!("{field} of INFO.")).push(&[("target", target)], value);
        }
    }
    // By name, so that one that is told twice is there once.
    let databases: BTreeMap<&str, [f64; 2]> =
        fields().filter_map(|(field, text)| database(field, text)).collect();
    for (name, help, which) in [
        ("redis_db_keys", "Total number of keys by DB", 0),
        ("redis_db_keys_expiring", "Total number of expiring keys by DB", 1),
    ] {
        frame.gauge(name, help);
        for (db, counts) in &databases {
            frame.push(&[("db", *db), ("target", target)], counts[which]);
        }
    }
}

/// Numbers as they are; of the words `ok` and `up` are 1, others 0.
fn number(text: &str) -> Option<f64> {
    match text {
        "ok" | "up" => Some(1.0),
        "err" | "fail" | "down" => Some(0.0),
        _ => text.parse::<f64>().ok().filter(|value| value.is_finite()),
    }
}

/// Databases that have series of their own; Redis has 16 unless told otherwise.
const DATABASES: u32 = 64;

/// `db0` and `keys=1,expires=0,avg_ttl=0`.
fn database<'a>(field: &'a str, text: &str) -> Option<(&'a str, [f64; 2])> {
    let number_of = field.strip_prefix("db")?.parse::<u32>().ok()?;
    // A server chooses the text: no other spelling and no further number becomes a label.
    if number_of >= DATABASES || field != format!("db{number_of}") {
        return None;
    }
    let of = |name: &str| {
        let mut pairs = text.split(',').filter_map(|pair| pair.split_once('='));
        pairs.find(|(known, _)| *known == name).and_then(|(_, value)| number(value))
    };
    Some((field, [of("keys")?, of("expires")?]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_figure_is_passed_over() {
        let info = "# Memory\r\nused_memory:1024\r\nmaxmemory:x\r\nrdb_last_bgsave_status:err\r\n\
                    db0:keys=3,expires=1,avg_ttl=0\r\ndb1:keys=3\r\ndbsize:keys=1,expires=1\r\ndb00:keys=1,expires=1\r\ndb64:keys=1,expires=1\r\nnonsense\r\n::\r\n";
        let mut frame = Frame::new();
        write(info, "r", &mut frame);
        let all: Vec<_> = frame.iter().map(|sample| (sample.key.to_owned(), sample.value)).collect();
        let expected = [
            ("redis_memory_used_bytes{target=\"r\"}", 1024.0),
            ("redis_rdb_last_bgsave_status{target=\"r\"}", 0.0),
            ("redis_db_keys{db=\"db0\",target=\"r\"}", 3.0),
            ("redis_db_keys_expiring{db=\"db0\",target=\"r\"}", 1.0),
        ];
        assert_eq!(all, expected.map(|(key, value)| (key.to_owned(), value)));
    }
}
