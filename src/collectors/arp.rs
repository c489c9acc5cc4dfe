//! Neighbours known by ARP on each device, from `/proc/net/arp`.

use std::collections::BTreeMap;

use super::source::{Source, fields};
use super::{CollectError, Collector, Roots, Tick};
use crate::model::frame::Frame;

/// See the module.
pub struct ArpCollector {
    arp: Source,
}

impl ArpCollector {
    pub fn new(roots: &Roots) -> Self {
        Self { arp: Source::new(roots.procfs.join("net/arp")) }
    }
}

impl Collector for ArpCollector {
    fn name(&self) -> &'static str {
        "arp"
    }

    fn collect(&mut self, _tick: Tick, frame: &mut Frame) -> Result<(), CollectError> {
        let text = self.arp.text()?;
        let mut entries = BTreeMap::<&str, f64>::new();
        for device in text.lines().skip(1).filter_map(|line| fields(line).nth(5)) {
            *entries.entry(device).or_default() += 1.0;
        }
        frame.gauge("node_arp_entries", "ARP entries by device");
        for (device, count) in entries {
            frame.push(&[("device", device)], count);
        }
        Ok(())
    }
}
