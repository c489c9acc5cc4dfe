//! Traffic of the network devices from `/proc/net/dev`, without the loopback.
//!
//! That file sums the kernel's finer counters as node_exporter does; packets no
//! protocol wanted are only in sysfs.

use super::source::{Source, fields, malformed, number};
use super::{CollectError, Collector, Roots, Tick};
use crate::model::frame::Frame;

/// Columns of the file, then name and help of the family.
const COLUMNS: [(&str, &str); 16] = [
    ("node_network_receive_bytes_total", "Network device statistic receive_bytes."),
    ("node_network_receive_packets_total", "Network device statistic receive_packets."),
    ("node_network_receive_errs_total", "Network device statistic receive_errs."),
    ("node_network_receive_drop_total", "Network device statistic receive_drop."),
    ("node_network_receive_fifo_total", "Network device statistic receive_fifo."),
    ("node_network_receive_frame_total", "Network device statistic receive_frame."),
    ("node_network_receive_compressed_total", "Network device statistic receive_compressed."),
    ("node_network_receive_multicast_total", "Network device statistic receive_multicast."),
    ("node_network_transmit_bytes_total", "Network device statistic transmit_bytes."),
    ("node_network_transmit_packets_total", "Network device statistic transmit_packets."),
    ("node_network_transmit_errs_total", "Network device statistic transmit_errs."),
    ("node_network_transmit_drop_total", "Network device statistic transmit_drop."),
    ("node_network_transmit_fifo_total", "Network device statistic transmit_fifo."),
    ("node_network_transmit_colls_total", "Network device statistic transmit_colls."),
    ("node_network_transmit_carrier_total", "Network device statistic transmit_carrier."),
    ("node_network_transmit_compressed_total", "Network device statistic transmit_compressed."),
];
const NO_HANDLER: (&str, &str) =
    ("node_network_receive_nohandler_total", "Network device statistic receive_nohandler.");

struct Device {
    name: String,
    counters: [f64; 16],
    no_handler: Source,
}

/// See the module.
pub struct NetdevCollector {
    dev: Source,
    class: std::path::PathBuf,
    devices: Vec<Device>,
}

impl NetdevCollector {
    pub fn new(roots: &Roots) -> Self {
        Self {
            dev: Source::new(roots.procfs.join("net/dev")),
            class: roots.sysfs.join("class/net"),
            devices: Vec::new(),
        }
    }

    fn read(&mut self) -> Result<(), CollectError> {
        let text = self.dev.text()?;
        let mut count = 0;
        let mut header = false;
        for line in text.lines() {
            // A device name may hold a colon itself (an alias), never behind a blank.
            let Some((name, rest)) = line.trim_start().rsplit_once(':') else {
                header |= line.contains('|');
                continue;
            };
            if name == "lo" || name.contains('/') || name.is_empty() {
                continue;
            }
            let mut counters = [0.0; 16];
            let mut values = fields(rest);
            let complete = counters.iter_mut().all(|slot| match values.next().and_then(number) {
                Some(value) => {
                    *slot = value;
                    true
                }
                None => false,
            });
            if !complete {
                continue;
            }
            match self.devices.get_mut(count) {
                Some(device) if device.name == name => device.counters = counters,
                _ => {
                    self.devices.truncate(count);
                    let file = self.class.join(name).join("statistics/rx_nohandler");
                    let no_handler = Source::new(file);
                    self.devices.push(Device { name: name.to_owned(), counters, no_handler });
                }
            }
            count += 1;
        }
        self.devices.truncate(count);
        if header { Ok(()) } else { Err(malformed(self.dev.path(), "a header with columns between `|`")) }
    }
}

impl Collector for NetdevCollector {
    fn name(&self) -> &'static str {
        "netdev"
    }

    fn collect(&mut self, _tick: Tick, frame: &mut Frame) -> Result<(), CollectError> {
        self.read()?;
        for (at, (name, help)) in COLUMNS.into_iter().enumerate() {
            frame.counter(name, help);
            for device in &self.devices {
                frame.push(&[("device", &device.name)], device.counters[at]);
            }
        }
        frame.counter(NO_HANDLER.0, NO_HANDLER.1);
        for device in &mut self.devices {
            if let Ok(value) = device.no_handler.number() {
                frame.push(&[("device", &device.name)], value);
            }
        }
        Ok(())
    }
}
