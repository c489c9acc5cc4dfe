//! The kernel's entropy pool, from `/proc/sys/kernel/random`.

use super::source::Source;
use super::{CollectError, Collector, Roots, Tick};
use crate::model::frame::Frame;

/// See the module.
pub struct EntropyCollector {
    available: Source,
    pool: Source,
}

impl EntropyCollector {
    pub fn new(roots: &Roots) -> Self {
        let dir = roots.procfs.join("sys/kernel/random");
        Self { available: Source::new(dir.join("entropy_avail")), pool: Source::new(dir.join("poolsize")) }
    }
}

impl Collector for EntropyCollector {
    fn name(&self) -> &'static str {
        "entropy"
    }

    fn collect(&mut self, _tick: Tick, frame: &mut Frame) -> Result<(), CollectError> {
        frame
            .gauge("node_entropy_available_bits", "Bits of available entropy.")
            .push(&[], self.available.number()?)
            .gauge("node_entropy_pool_size_bits", "Bits of entropy pool.")
            .push(&[], self.pool.number()?);
        Ok(())
    }
}
