//! Counts of the whole kernel from `/proc/stat`: interrupts, context switches,
//! forks, runnable and blocked processes, boot time.

use super::source::{Source, fields, malformed, next_number};
use super::{CollectError, Collector, Roots, Tick};
use crate::model::frame::Frame;
use crate::model::series::Kind;

/// First word of the line, then name, kind and help of the family.
const LINES: [(&str, &str, Kind, &str); 6] = [
    ("intr", "node_intr_total", Kind::Counter, "Total number of interrupts serviced."),
    ("ctxt", "node_context_switches_total", Kind::Counter, "Total number of context switches."),
    ("btime", "node_boot_time_seconds", Kind::Gauge, "Node boot time, in unixtime."),
    ("processes", "node_forks_total", Kind::Counter, "Total number of forks."),
    ("procs_running", "node_procs_running", Kind::Gauge, "Number of processes in runnable state."),
    (
        "procs_blocked",
        "node_procs_blocked",
        Kind::Gauge,
        "Number of processes blocked waiting for I/O to complete.",
    ),
];

/// See the module.
pub struct StatCollector {
    stat: Source,
}

impl StatCollector {
    pub fn new(roots: &Roots) -> Self {
        Self { stat: Source::new(roots.procfs.join("stat")) }
    }
}

impl Collector for StatCollector {
    fn name(&self) -> &'static str {
        "stat"
    }

    fn collect(&mut self, _tick: Tick, frame: &mut Frame) -> Result<(), CollectError> {
        let mut found = false;
        for line in self.stat.text()?.lines() {
            if line.starts_with("cpu") {
                continue;
            }
            let mut fields = fields(line);
            let Some(word) = fields.next() else { continue };
            let Some((_, name, kind, help)) = LINES.iter().find(|known| known.0 == word) else { continue };
            let Some(value) = next_number(&mut fields) else { continue };
            frame.family(name, *kind, *help).push(&[], value);
            found = true;
        }
        if found { Ok(()) } else { Err(malformed(self.stat.path(), "the lines `ctxt` and `btime`")) }
    }
}
