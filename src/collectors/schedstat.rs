//! Time each processor ran tasks and tasks waited for it, from `/proc/schedstat`.
//!
//! The last three numbers of a `cpuN` line: nanoseconds running, nanoseconds
//! waiting, timeslices. Many kernels are built without.

use super::source::{Source, fields, number};
use super::{CollectError, Collector, Roots, Tick};
use crate::model::frame::Frame;

const FAMILIES: [(&str, &str, f64); 3] = [
    ("node_schedstat_running_seconds_total", "Number of seconds CPU spent running a process.", 1e9),
    (
        "node_schedstat_waiting_seconds_total",
        "Number of seconds spent by processing waiting for this CPU.",
        1e9,
    ),
    ("node_schedstat_timeslices_total", "Number of timeslices executed by CPU.", 1.0),
];

/// See the module.
pub struct SchedstatCollector {
    schedstat: Source,
    rows: Vec<(String, [f64; 3])>,
}

impl SchedstatCollector {
    pub fn new(roots: &Roots) -> Self {
        Self { schedstat: Source::new(roots.procfs.join("schedstat")), rows: Vec::new() }
    }
}

impl Collector for SchedstatCollector {
    fn name(&self) -> &'static str {
        "schedstat"
    }

    fn collect(&mut self, _tick: Tick, frame: &mut Frame) -> Result<(), CollectError> {
        self.rows.clear();
        for line in self.schedstat.text()?.lines() {
            let Some(rest) = line.strip_prefix("cpu") else { continue };
            let mut fields = fields(rest);
            let Some(cpu) = fields.next() else { continue };
            let mut values = fields.skip(6).map_while(number);
            if let (Some(running), Some(waiting), Some(slices)) =
                (values.next(), values.next(), values.next())
            {
                self.rows.push((cpu.to_owned(), [running, waiting, slices]));
            }
        }
        for (at, (name, help, scale)) in FAMILIES.into_iter().enumerate() {
            frame.counter(name, help);
            for (cpu, values) in &self.rows {
                frame.push(&[("cpu", cpu)], values[at] / scale);
            }
        }
        Ok(())
    }
}
