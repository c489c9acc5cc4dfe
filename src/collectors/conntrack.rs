//! Connection tracking: entries, their limit, and what went wrong.
//!
//! `/proc/net/stat/nf_conntrack` has a header and one line of hexadecimal counters
//! per processor; the columns differ between kernels, so they are found by name.
//! What a kernel does not count any more is 0, as node_exporter has it.

use super::source::{Source, fields};
use super::{CollectError, Collector, Roots, Tick};
use crate::model::frame::Frame;

/// Column, name, help.
const COLUMNS: [(&str, &str, &str); 8] = [
    ("drop", "node_nf_conntrack_stat_drop", "Number of packets dropped due to conntrack failure."),
    (
        "early_drop",
        "node_nf_conntrack_stat_early_drop",
        "Number of dropped conntrack entries to make room for new ones, if maximum table size was reached.",
    ),
    ("found", "node_nf_conntrack_stat_found", "Number of searched entries which were successful."),
    (
        "ignore",
        "node_nf_conntrack_stat_ignore",
        "Number of packets seen which are already connected to a conntrack entry.",
    ),
    ("insert", "node_nf_conntrack_stat_insert", "Number of entries inserted into the list."),
    (
        "insert_failed",
        "node_nf_conntrack_stat_insert_failed",
        "Number of entries for which list insertion was attempted but failed.",
    ),
    ("invalid", "node_nf_conntrack_stat_invalid", "Number of packets seen which can not be tracked."),
    (
        "search_restart",
        "node_nf_conntrack_stat_search_restart",
        "Number of conntrack table lookups which had to be restarted due to hashtable resizes.",
    ),
];

/// See the module.
pub struct ConntrackCollector {
    count: Source,
    limit: Source,
    stat: Source,
}

impl ConntrackCollector {
    pub fn new(roots: &Roots) -> Self {
        let netfilter = roots.procfs.join("sys/net/netfilter");
        Self {
            count: Source::new(netfilter.join("nf_conntrack_count")),
            limit: Source::new(netfilter.join("nf_conntrack_max")),
            stat: Source::new(roots.procfs.join("net/stat/nf_conntrack")),
        }
    }
}

impl Collector for ConntrackCollector {
    fn name(&self) -> &'static str {
        "conntrack"
    }

    fn collect(&mut self, _tick: Tick, frame: &mut Frame) -> Result<(), CollectError> {
        frame
            .gauge(
                "node_nf_conntrack_entries",
                "Number of currently allocated flow entries for connection tracking.",
            )
            .push(&[], self.count.number()?)
            .gauge("node_nf_conntrack_entries_limit", "Maximum size of connection tracking table.")
            .push(&[], self.limit.number()?);
        let text = match self.stat.text() {
            Ok(text) => text,
            // Kernels may leave the statistics out.
            Err(CollectError::Absent) => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut lines = text.lines();
        let header: Vec<&str> = lines.next().map(|line| fields(line).collect()).unwrap_or_default();
        let mut sums = [0.0; COLUMNS.len()];
        for line in lines {
            for (name, value) in header.iter().zip(fields(line)) {
                let column = COLUMNS.iter().position(|(column, _, _)| column == name);
                if let Some((column, value)) = column.zip(u64::from_str_radix(value, 16).ok()) {
                    sums[column] += value as f64;
                }
            }
        }
        for ((_, name, help), sum) in COLUMNS.into_iter().zip(sums) {
            frame.gauge(name, help).push(&[], sum);
        }
        Ok(())
    }
}
