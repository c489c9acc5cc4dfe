//! Temperatures and cooling devices from `/sys/class/thermal`.
//!
//! A zone that is switched off refuses to be read; it is left out.

use std::path::PathBuf;
use std::time::Duration;

use super::source::{names_in, read_number, read_trimmed};
use super::{CollectError, Collector, Roots, Tick};
use crate::model::frame::Frame;

/// See the module.
pub struct ThermalZoneCollector {
    thermal: PathBuf,
}

impl ThermalZoneCollector {
    pub fn new(roots: &Roots) -> Self {
        Self { thermal: roots.sysfs.join("class/thermal") }
    }
}

impl Collector for ThermalZoneCollector {
    fn name(&self) -> &'static str {
        "thermal_zone"
    }

    /// Reading a zone may ask the firmware, which takes milliseconds.
    fn every(&self) -> Duration {
        Duration::from_secs(5)
    }

    fn collect(&mut self, _tick: Tick, frame: &mut Frame) -> Result<(), CollectError> {
        let names = names_in(&self.thermal)?;
        let thermal = &self.thermal;
        let of = |prefix: &'static str| {
            names.iter().filter_map(move |name: &String| {
                let number = name.strip_prefix(prefix)?;
                let kind = read_trimmed(&thermal.join(name).join("type"))?;
                Some((thermal.join(name), number, kind))
            })
        };
        let before = frame.len();
        frame.gauge("node_thermal_zone_temp", "Zone temperature in Celsius");
        for (dir, number, kind) in of("thermal_zone") {
            if let Some(millidegrees) = read_number(&dir.join("temp")) {
                frame.push(&[("type", &kind), ("zone", number)], millidegrees / 1000.0);
            }
        }
        let states = [
            ("node_cooling_device_cur_state", "cur_state", "Current throttle state of the cooling device"),
            ("node_cooling_device_max_state", "max_state", "Maximum throttle state of the cooling device"),
        ];
        for (family, file, help) in states {
            frame.gauge(family, help);
            for (dir, number, kind) in of("cooling_device") {
                if let Some(state) = read_number(&dir.join(file)) {
                    frame.push(&[("name", number), ("type", &kind)], state);
                }
            }
        }
        if frame.len() == before { Err(CollectError::Absent) } else { Ok(()) }
    }
}
