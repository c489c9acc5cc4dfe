//! Properties of the network devices from `/sys/class/net`.
//!
//! Two dozen small files per device, most of which never change: they are read
//! every fifteen seconds. A file that refuses to be read (the carrier of a device
//! that is down) is a property the device does not have.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::source::{names_in, read_trimmed};
use super::{CollectError, Collector, Roots, Tick};
use crate::model::frame::Frame;
use crate::model::series::Kind;

/// File, name of the series and in its help.
const PROPERTIES: [(&str, &str); 17] = [
    ("addr_assign_type", "address_assign_type"),
    ("carrier", "carrier"),
    ("carrier_changes", "carrier_changes_total"),
    ("carrier_down_count", "carrier_down_changes_total"),
    ("carrier_up_count", "carrier_up_changes_total"),
    ("dev_id", "device_id"),
    ("dormant", "dormant"),
    ("flags", "flags"),
    ("ifindex", "iface_id"),
    ("iflink", "iface_link"),
    ("link_mode", "iface_link_mode"),
    ("mtu", "mtu_bytes"),
    ("name_assign_type", "name_assign_type"),
    ("netdev_group", "net_dev_group"),
    ("speed", "speed_bytes"),
    ("tx_queue_len", "transmit_queue_length"),
    ("type", "protocol_type"),
];
const INFO: [&str; 5] = ["address", "broadcast", "duplex", "ifalias", "operstate"];

/// See the module.
pub struct NetclassCollector {
    class: PathBuf,
}

impl NetclassCollector {
    pub fn new(roots: &Roots) -> Self {
        Self { class: roots.sysfs.join("class/net") }
    }
}

/// Decimal, or hexadecimal with `0x`.
fn integer(text: &str) -> Option<f64> {
    match text.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16).ok().map(|value| value as f64),
        None => text.parse::<i64>().ok().map(|value| value as f64),
    }
}

fn property(dir: &Path, file: &str) -> Option<f64> {
    let value = integer(&read_trimmed(&dir.join(file))?)?;
    // Megabits; -1 when the driver does not know.
    Some(if file == "speed" { value * 1_000_000.0 / 8.0 } else { value })
}

impl Collector for NetclassCollector {
    fn name(&self) -> &'static str {
        "netclass"
    }

    fn every(&self) -> Duration {
        Duration::from_secs(15)
    }

    fn collect(&mut self, _tick: Tick, frame: &mut Frame) -> Result<(), CollectError> {
        let names = names_in(&self.class)?;
        // Files such as `bonding_masters` are no devices.
        let devices: Vec<_> = names
            .into_iter()
            .map(|name| (self.class.join(&name), name))
            .filter(|(dir, _)| dir.is_dir())
            .collect();
        if devices.is_empty() {
            return Err(CollectError::Absent);
        }
        frame.gauge("node_network_up", "Value is 1 if operstate is 'up', 0 otherwise.");
        for (dir, name) in &devices {
            let up = read_trimmed(&dir.join("operstate")).is_some_and(|state| state == "up");
            frame.push(&[("device", name)], f64::from(u8::from(up)));
        }
        let help = "Non-numeric data from /sys/class/net/<iface>, value is always 1.";
        frame.gauge("node_network_info", help);
        for (dir, name) in &devices {
            let [address, broadcast, duplex, alias, state] =
                INFO.map(|file| read_trimmed(&dir.join(file)).unwrap_or_default());
            let labels = [
                ("address", address.as_str()),
                ("broadcast", &broadcast),
                ("device", name),
                ("duplex", &duplex),
                ("ifalias", &alias),
                ("operstate", &state),
            ];
            frame.push(&labels, 1.0);
        }
        for (file, name) in PROPERTIES {
            let kind = if name.ends_with("_total") { Kind::Counter } else { Kind::Gauge };
            let family = format!("node_network_{name}");
            frame.family(&family, kind, format!("Network device property: {name}"));
            for (dir, name) in &devices {
                if let Some(value) = property(dir, file) {
                    frame.push(&[("device", name)], value);
                }
            }
        }
        Ok(())
    }
}
