//! Load averages from `/proc/loadavg`.

use super::source::{Source, fields, malformed, next_number};
use super::{CollectError, Collector, Roots, Tick};
use crate::model::frame::Frame;

const FAMILIES: [(&str, &str); 3] = [
    ("node_load1", "1m load average."),
    ("node_load5", "5m load average."),
    ("node_load15", "15m load average."),
];

/// See the module.
pub struct LoadavgCollector {
    loadavg: Source,
}

impl LoadavgCollector {
    pub fn new(roots: &Roots) -> Self {
        Self { loadavg: Source::new(roots.procfs.join("loadavg")) }
    }
}

impl Collector for LoadavgCollector {
    fn name(&self) -> &'static str {
        "loadavg"
    }

    fn collect(&mut self, _tick: Tick, frame: &mut Frame) -> Result<(), CollectError> {
        let text = self.loadavg.text()?.into_owned();
        let mut fields = fields(&text);
        for (name, help) in FAMILIES {
            let value = next_number(&mut fields)
                .ok_or_else(|| malformed(self.loadavg.path(), "three load averages"))?;
            frame.gauge(name, help).push(&[], value);
        }
        Ok(())
    }
}
