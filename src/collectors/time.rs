//! The clock: system time, zone offset, clock sources.
//!
//! The time is that of the tick, which the samples carry as well.

use std::path::{Path, PathBuf};

use super::source::{Source, fields, names_in};
use super::{CollectError, Collector, Roots, Tick};
use crate::model::frame::Frame;

struct ClockSource {
    /// Number of the device, the `0` of `clocksource0`.
    device: String,
    available: Source,
    current: Source,
}

/// See the module.
pub struct TimeCollector {
    zone: jiff::tz::TimeZone,
    sources: Vec<ClockSource>,
}

impl TimeCollector {
    pub fn new(roots: &Roots) -> Self {
        let zone = std::fs::read(local_time(&roots.rootfs)).ok();
        let zone = zone.and_then(|bytes| jiff::tz::TimeZone::tzif("local", &bytes).ok());
        Self { zone: zone.unwrap_or(jiff::tz::TimeZone::UTC), sources: clock_sources(&roots.sysfs) }
    }
}

/// `/etc/localtime`; a link with an absolute target stays below the root.
fn local_time(rootfs: &Path) -> PathBuf {
    let file = rootfs.join("etc/localtime");
    match std::fs::read_link(&file) {
        Ok(target) if target.is_absolute() => rootfs.join(target.strip_prefix("/").unwrap_or(&target)),
        _ => file,
    }
}

fn clock_sources(sysfs: &Path) -> Vec<ClockSource> {
    let dir = sysfs.join("devices/system/clocksource");
    let names = names_in(&dir).unwrap_or_default();
    let numbered = names.iter().filter_map(|name| Some((name, name.strip_prefix("clocksource")?)));
    numbered
        .map(|(name, device)| ClockSource {
            device: device.to_owned(),
            available: Source::new(dir.join(name).join("available_clocksource")),
            current: Source::new(dir.join(name).join("current_clocksource")),
        })
        .collect()
}

impl Collector for TimeCollector {
    fn name(&self) -> &'static str {
        "time"
    }

    fn collect(&mut self, tick: Tick, frame: &mut Frame) -> Result<(), CollectError> {
        frame
            .gauge("node_time_seconds", "System time in seconds since epoch (1970).")
            .push(&[], tick.at.seconds());
        let now = jiff::Timestamp::from_millisecond(tick.at.millis()).unwrap_or_default();
        let zone = self.zone.to_offset_info(now);
        frame
            .gauge("node_time_zone_offset_seconds", "System time zone offset in seconds.")
            .push(&[("time_zone", zone.abbreviation())], f64::from(zone.offset().seconds()));
        frame.gauge(
            "node_time_clocksource_available_info",
            "Available clocksources read from '/sys/devices/system/clocksource'.",
        );
        for source in &mut self.sources {
            let Ok(names) = source.available.text() else { continue };
            for name in fields(&names) {
                frame.push(&[("clocksource", name), ("device", &source.device)], 1.0);
            }
        }
        frame.gauge(
            "node_time_clocksource_current_info",
            "Current clocksource read from '/sys/devices/system/clocksource'.",
        );
        for source in &mut self.sources {
            let Ok(name) = source.current.text() else { continue };
            frame.push(&[("clocksource", name.trim()), ("device", &source.device)], 1.0);
        }
        Ok(())
    }
}
