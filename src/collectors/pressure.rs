//! Pressure stall information from `/proc/pressure`.
//!
//! The kernel counts microseconds in which some task waited, or all of them did.
//! Kernels without it, or with `psi=0`, have no file or refuse to read it.

use super::source::{Source, fields, malformed, number};
use super::{CollectError, Collector, Roots, Tick};
use crate::model::frame::Frame;

struct Resource {
    file: &'static str,
    some: (&'static str, &'static str),
    /// Not reported for the processors: there the kernel shows a zero that means nothing.
    full: Option<(&'static str, &'static str)>,
}

const RESOURCES: [Resource; 3] = [
    Resource {
        file: "cpu",
        some: (
            "node_pressure_cpu_waiting_seconds_total",
            "Total time in seconds that processes have waited for CPU time",
        ),
        full: None,
    },
    Resource {
        file: "io",
        some: (
            "node_pressure_io_waiting_seconds_total",
            "Total time in seconds that processes have waited due to IO congestion",
        ),
        full: Some((
            "node_pressure_io_stalled_seconds_total",
            "Total time in seconds no process could make progress due to IO congestion",
        )),
    },
    Resource {
        file: "memory",
        some: (
            "node_pressure_memory_waiting_seconds_total",
            "Total time in seconds that processes have waited for memory",
        ),
        full: Some((
            "node_pressure_memory_stalled_seconds_total",
            "Total time in seconds no process could make progress due to memory congestion",
        )),
    },
];

/// See the module.
pub struct PressureCollector {
    files: [Source; 3],
}

impl PressureCollector {
    pub fn new(roots: &Roots) -> Self {
        let dir = roots.procfs.join("pressure");
        Self { files: RESOURCES.map(|resource| Source::new(dir.join(resource.file))) }
    }
}

impl Collector for PressureCollector {
    fn name(&self) -> &'static str {
        "pressure"
    }

    fn collect(&mut self, _tick: Tick, frame: &mut Frame) -> Result<(), CollectError> {
        for (source, resource) in self.files.iter_mut().zip(&RESOURCES) {
            let mut found = false;
            for line in source.text()?.lines() {
                let mut fields = fields(line);
                let family = match fields.next() {
                    Some("some") => Some(resource.some),
                    Some("full") => resource.full,
                    _ => None,
                };
                let total = fields.find_map(|field| number(field.strip_prefix("total=")?));
                if let (Some((name, help)), Some(total)) = (family, total) {
                    // Divided twice, as node_exporter does: the last digit differs otherwise.
                    frame.counter(name, help).push(&[], total / 1000.0 / 1000.0);
                    found = true;
                }
            }
            if !found {
                return Err(malformed(source.path(), "a line `some ... total=1`"));
            }
        }
        Ok(())
    }
}
