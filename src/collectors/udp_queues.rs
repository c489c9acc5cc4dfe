//! Bytes waiting in UDP sockets, from `/proc/net/udp` and `/proc/net/udp6`.
//!
//! The kernel walks its whole hash table for these files, which takes
//! milliseconds: they are read every fifteen seconds.

use std::time::Duration;

use super::source::{Source, fields};
use super::{CollectError, Collector, Roots, Tick};
use crate::model::frame::Frame;

const VERSIONS: [(&str, &str); 2] = [("v4", "udp"), ("v6", "udp6")];

/// See the module.
pub struct UdpQueuesCollector {
    files: [Source; 2],
}

impl UdpQueuesCollector {
    pub fn new(roots: &Roots) -> Self {
        Self { files: VERSIONS.map(|(_, name)| Source::new(roots.procfs.join("net").join(name))) }
    }
}

impl Collector for UdpQueuesCollector {
    fn name(&self) -> &'static str {
        "udp_queues"
    }

    fn every(&self) -> Duration {
        Duration::from_secs(15)
    }

    fn collect(&mut self, _tick: Tick, frame: &mut Frame) -> Result<(), CollectError> {
        frame
            .gauge("node_udp_queues", "Number of allocated memory in the kernel for UDP datagrams in bytes.");
        let mut answered = false;
        for (file, (version, _)) in self.files.iter_mut().zip(VERSIONS) {
            let text = match file.text() {
                Ok(text) => text,
                Err(CollectError::Absent) => continue,
                Err(error) => return Err(error),
            };
            answered = true;
            let (mut sending, mut receiving) = (0.0, 0.0);
            // The fifth column is `tx:rx`, hexadecimal.
            for queues in text.lines().skip(1).filter_map(|line| fields(line).nth(4)) {
                let bytes = |text| u64::from_str_radix(text, 16).ok();
                let Some((tx, rx)) = queues.split_once(':') else { continue };
                if let Some((tx, rx)) = bytes(tx).zip(bytes(rx)) {
                    sending += tx as f64;
                    receiving += rx as f64;
                }
            }
            frame
                .push(&[("ip", version), ("queue", "rx")], receiving)
                .push(&[("ip", version), ("queue", "tx")], sending);
        }
        if answered { Ok(()) } else { Err(CollectError::Absent) }
    }
}
