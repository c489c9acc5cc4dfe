//! Network softirq work of each processor, from `/proc/net/softnet_stat`.
//!
//! Hexadecimal columns: processed, dropped, times squeezed; newer kernels have the
//! processor's number as the thirteenth, older ones have a line per processor.

use super::source::{Source, fields};
use super::{CollectError, Collector, Roots, Tick};
use crate::model::frame::Frame;

const FAMILIES: [(&str, &str); 3] = [
    ("node_softnet_processed_total", "Number of processed packets"),
    ("node_softnet_dropped_total", "Number of dropped packets"),
    ("node_softnet_times_squeezed_total", "Number of times processing packets ran out of quota"),
];
const CPU_COLUMN: usize = 12;

/// See the module.
pub struct SoftnetCollector {
    stat: Source,
    rows: Vec<(String, [f64; 3])>,
}

impl SoftnetCollector {
    pub fn new(roots: &Roots) -> Self {
        Self { stat: Source::new(roots.procfs.join("net/softnet_stat")), rows: Vec::new() }
    }
}

impl Collector for SoftnetCollector {
    fn name(&self) -> &'static str {
        "softnet"
    }

    fn collect(&mut self, _tick: Tick, frame: &mut Frame) -> Result<(), CollectError> {
        self.rows.clear();
        let hexadecimal = |text: &str| u32::from_str_radix(text, 16).ok();
        for (at, line) in self.stat.text()?.lines().enumerate() {
            let mut values = fields(line).map_while(hexadecimal);
            let (Some(processed), Some(dropped), Some(squeezed)) =
                (values.next(), values.next(), values.next())
            else {
                continue;
            };
            let cpu = values.nth(CPU_COLUMN - 3).map_or(at as u64, u64::from);
            self.rows.push((cpu.to_string(), [processed, dropped, squeezed].map(f64::from)));
        }
        self.rows.dedup_by(|a, b| a.0 == b.0);
        for (at, (name, help)) in FAMILIES.into_iter().enumerate() {
            frame.counter(name, help);
            for (cpu, values) in &self.rows {
                frame.push(&[("cpu", cpu)], values[at]);
            }
        }
        Ok(())
    }
}
