//! The host in a few figures, out of the frame of one tick and the tick before.
//!
//! A rate needs two ticks, and a counter that went back gives none. What is
//! collected less often than every tick (temperatures) stays for a minute.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::time::Monotonic;
use crate::collectors::Tick;
use crate::model::frame::{Frame, FrameSample};
use crate::model::host::HostSummary;

/// Devices whose traffic is counted at the device below or above them as well.
const STACKED_NETWORK: [&str; 14] = [
    "lo", "veth", "docker", "br", "virbr", "ifb", "tun", "tap", "cni", "flannel", "cali", "bond", "wg",
    "vlan",
];
const STACKED_DISKS: [&str; 7] = ["dm-", "md", "zram", "ram", "loop", "sr", "drbd"];
const MEMORY_FILESYSTEMS: [&str; 4] = ["tmpfs", "ramfs", "overlay", "squashfs"];
const KEEP: Duration = Duration::from_secs(60);

/// Whether the disk of that name is one of its own: no layer over others, no memory.
pub fn is_own_disk(device: &str) -> bool {
    !STACKED_DISKS.iter().any(|prefix| device.starts_with(prefix))
}

/// See the module.
#[derive(Default)]
pub struct Summarizer {
    last: Option<(Monotonic, Totals)>,
    temperature: Option<(Monotonic, f64)>,
}

/// Counters added up over all devices of the host.
#[derive(Default, Clone, Copy)]
struct Totals {
    cpu_busy: Option<f64>,
    cpu_all: Option<f64>,
    disk_read: Option<f64>,
    disk_written: Option<f64>,
    received: Option<f64>,
    transmitted: Option<f64>,
    waited_cpu: Option<f64>,
    waited_io: Option<f64>,
    waited_memory: Option<f64>,
}

/// Figures of one filesystem, bytes.
#[derive(Default, Clone, Copy)]
struct Disk {
    size: f64,
    free: f64,
    available: f64,
}

/// What one pass over the frame gathers.
#[derive(Default)]
struct Pass<'a> {
    totals: Totals,
    summary: HostSummary,
    available: Option<f64>,
    swap_free: Option<f64>,
    boot: Option<f64>,
    temperature: Option<f64>,
    disks: BTreeMap<&'a str, Disk>,
}

impl Summarizer {
    /// The figures of this tick.
    pub fn summarize(&mut self, now: Tick, frame: &Frame) -> HostSummary {
        let mut pass = Pass::default();
        for sample in frame.iter() {
            pass.take(sample);
        }
        if let Some(celsius) = pass.temperature {
            self.temperature = Some((now.monotonic, celsius));
        }
        self.temperature = self.temperature.filter(|(at, _)| now.monotonic.since(*at) < KEEP);
        let mut summary = pass.finish();
        summary.collected_at_ms = now.at.millis();
        summary.temperature_celsius_max = self.temperature.map(|(_, celsius)| celsius);
        summary.uptime_seconds = pass.boot.map(|boot| (now.at.seconds() - boot).max(0.0));
        if let Some((then, before)) = self.last.replace((now.monotonic, pass.totals)) {
            let seconds = now.monotonic.since(then).as_secs_f64();
            rates(&mut summary, &before, &pass.totals, seconds);
        }
        summary
    }
}

/// The shares as series of their own: from the counters and sizes that they are made of,
/// nobody could say them without reading every core and every filesystem again. Two places
/// after the point are all they are good for.
pub fn write(summary: &HostSummary, frame: &mut Frame) {
    let shares = [
        ("cpu", summary.cpu_usage_percent, "Share of the last tick in which the cores were busy."),
        ("memory", summary.memory_usage_percent, "Share of the memory that is in use."),
        ("disk", summary.disk_usage_percent, "Share of all real filesystems that is in use."),
    ];
    for (name, share, help) in shares {
        let Some(share) = share else { continue };
        let rounded = (share * 100.0).round() / 100.0;
        frame.gauge(&format!("holdfast_host_{name}_usage_percent"), help).push(&[], rounded);
    }
}

fn rates(summary: &mut HostSummary, before: &Totals, now: &Totals, seconds: f64) {
    let rate = |before: Option<f64>, now: Option<f64>| {
        let change = now? - before?;
        (change >= 0.0 && seconds > 0.0).then(|| change / seconds)
    };
    let share = |before, now| rate(before, now).map(|share| (share * 100.0).min(100.0));
    summary.disk_read_bytes_per_second = rate(before.disk_read, now.disk_read);
    summary.disk_written_bytes_per_second = rate(before.disk_written, now.disk_written);
    summary.network_receive_bytes_per_second = rate(before.received, now.received);
    summary.network_transmit_bytes_per_second = rate(before.transmitted, now.transmitted);
    summary.pressure_cpu_percent = share(before.waited_cpu, now.waited_cpu);
    summary.pressure_io_percent = share(before.waited_io, now.waited_io);
    summary.pressure_memory_percent = share(before.waited_memory, now.waited_memory);
    let all = rate(before.cpu_all, now.cpu_all).filter(|all| *all > 0.0);
    let busy = rate(before.cpu_busy, now.cpu_busy);
    summary.cpu_usage_percent = all.zip(busy).map(|(all, busy)| (busy / all * 100.0).clamp(0.0, 100.0));
}

impl<'a> Pass<'a> {
    fn take(&mut self, sample: FrameSample<'a>) {
        let FrameSample { key, value, .. } = sample;
        let summary = &mut self.summary;
        let totals = &mut self.totals;
        match sample.family {
            "node_load1" => summary.load1 = Some(value),
            "node_load5" => summary.load5 = Some(value),
            "node_load15" => summary.load15 = Some(value),
            "node_memory_MemTotal_bytes" => summary.memory_total_bytes = Some(value as u64),
            "node_memory_MemAvailable_bytes" => self.available = Some(value),
            "node_memory_SwapTotal_bytes" => summary.swap_total_bytes = Some(value as u64),
            "node_memory_SwapFree_bytes" => self.swap_free = Some(value),
            "node_boot_time_seconds" => self.boot = Some(value),
            "node_cpu_seconds_total" => {
                add(&mut totals.cpu_all, value);
                let idle = matches!(label(key, "mode"), "idle" | "iowait");
                add(&mut totals.cpu_busy, if idle { 0.0 } else { value });
            }
            "node_disk_read_bytes_total" if is_own(key, &STACKED_DISKS) => add(&mut totals.disk_read, value),
            "node_disk_written_bytes_total" if is_own(key, &STACKED_DISKS) => {
                add(&mut totals.disk_written, value);
            }
            "node_network_receive_bytes_total" if is_own(key, &STACKED_NETWORK) => {
                add(&mut totals.received, value);
            }
            "node_network_transmit_bytes_total" if is_own(key, &STACKED_NETWORK) => {
                add(&mut totals.transmitted, value);
            }
            "node_pressure_cpu_waiting_seconds_total" => totals.waited_cpu = Some(value),
            "node_pressure_io_waiting_seconds_total" => totals.waited_io = Some(value),
            "node_pressure_memory_waiting_seconds_total" => totals.waited_memory = Some(value),
            "node_hwmon_temp_celsius" | "node_thermal_zone_temp" => {
                self.temperature = Some(self.temperature.map_or(value, |warmest| warmest.max(value)));
            }
            "node_filesystem_size_bytes" => self.disk(key, |disk| disk.size = disk.size.max(value)),
            "node_filesystem_free_bytes" => self.disk(key, |disk| disk.free = disk.free.max(value)),
            "node_filesystem_avail_bytes" => {
                self.disk(key, |disk| disk.available = disk.available.max(value));
            }
            _ => {}
        }
    }

    /// One device is one disk, however often it is mounted; the datasets of one
    /// ZFS pool share its space.
    fn disk(&mut self, key: &'a str, set: impl FnOnce(&mut Disk)) {
        let kind = label(key, "fstype");
        if MEMORY_FILESYSTEMS.contains(&kind) {
            return;
        }
        let device = label(key, "device");
        let device = if kind == "zfs" { device.split('/').next().unwrap_or(device) } else { device };
        set(self.disks.entry(device).or_default());
    }

    fn finish(&self) -> HostSummary {
        let mut summary = self.summary.clone();
        let percent = |used: f64, of: f64| (of > 0.0).then(|| (used / of * 100.0).clamp(0.0, 100.0));
        if let (Some(total), Some(available)) = (summary.memory_total_bytes, self.available) {
            let used = (total as f64 - available).max(0.0);
            summary.memory_used_bytes = Some(used as u64);
            summary.memory_usage_percent = percent(used, total as f64);
        }
        if let (Some(total), Some(free)) = (summary.swap_total_bytes, self.swap_free) {
            summary.swap_used_bytes = Some((total as f64 - free).max(0.0) as u64);
        }
        if !self.disks.is_empty() {
            let total: f64 = self.disks.values().map(|disk| disk.size).sum();
            let used: f64 = self.disks.values().map(|disk| (disk.size - disk.free).max(0.0)).sum();
            let available: f64 = self.disks.values().map(|disk| disk.available).sum();
            summary.disk_total_bytes = Some(total as u64);
            summary.disk_used_bytes = Some(used as u64);
            summary.disk_available_bytes = Some(available as u64);
            summary.disk_usage_percent = percent(used, used + available);
        }
        summary
    }
}

fn add(total: &mut Option<f64>, value: f64) {
    *total = Some(total.unwrap_or(0.0) + value);
}

fn is_own(key: &str, stacked: &[&str]) -> bool {
    let device = label(key, "device");
    // A dot is a VLAN on another device.
    !device.contains('.') && !stacked.iter().any(|prefix| device.starts_with(prefix))
}

/// A label's value as it stands in the key, escapes and all; empty when missing.
fn label<'a>(key: &'a str, name: &str) -> &'a str {
    let mut rest = key;
    while let Some(at) = rest.find(name) {
        let (before, after) = (&rest[..at], &rest[at + name.len()..]);
        if let (true, Some(value)) = (before.ends_with(['{', ',']), after.strip_prefix("=\"")) {
            return value.split_once('"').map_or(value, |(value, _)| value);
        }
        rest = after;
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Timestamp;

    fn tick(seconds: u64) -> Tick {
        Tick {
            at: Timestamp(1_000_000 + seconds as i64 * 1000),
            monotonic: Monotonic(Duration::from_secs(seconds)),
        }
    }

    fn frame(scale: f64) -> Frame {
        let mut frame = Frame::new();
        frame.counter("node_cpu_seconds_total", "");
        frame.push(&[("cpu", "0"), ("mode", "idle")], 3.0 * scale);
        frame.push(&[("cpu", "0"), ("mode", "user")], scale);
        frame.counter("node_disk_read_bytes_total", "");
        frame.push(&[("device", "sda")], 100.0 * scale).push(&[("device", "dm-0")], 90.0 * scale);
        frame.gauge("node_memory_MemTotal_bytes", "").push(&[], 1000.0);
        frame.gauge("node_memory_MemAvailable_bytes", "").push(&[], 750.0);
        for (name, value) in [("size", 100.0), ("free", 60.0), ("avail", 40.0)] {
            frame.gauge(&format!("node_filesystem_{name}_bytes"), "");
            for mount in ["/", "/again"] {
                frame.push(&[("device", "/dev/sda1"), ("fstype", "ext4"), ("mountpoint", mount)], value);
            }
            frame.push(&[("device", "tmpfs"), ("fstype", "tmpfs"), ("mountpoint", "/tmp")], 5.0);
        }
        frame
    }

    #[test]
    fn rates_need_two_ticks_and_devices_count_once() {
        let mut summarizer = Summarizer::default();
        let first = summarizer.summarize(tick(0), &frame(1.0));
        assert_eq!((first.cpu_usage_percent, first.disk_read_bytes_per_second), (None, None));
        assert_eq!(first.memory_usage_percent, Some(25.0));
        assert_eq!((first.disk_total_bytes, first.disk_used_bytes), (Some(100), Some(40)));
        assert_eq!(first.disk_usage_percent, Some(50.0));
        assert_eq!(first.load1, None);

        let second = summarizer.summarize(tick(2), &frame(2.0));
        assert_eq!(second.cpu_usage_percent, Some(25.0));
        assert_eq!(second.disk_read_bytes_per_second, Some(50.0));

        let restarted = summarizer.summarize(tick(3), &frame(0.5));
        assert_eq!(restarted.disk_read_bytes_per_second, None);
    }

    #[test]
    fn a_temperature_stays_for_a_minute() {
        let mut summarizer = Summarizer::default();
        let mut warm = Frame::new();
        warm.gauge("node_thermal_zone_temp", "").push(&[("zone", "0")], 40.0).push(&[("zone", "1")], 55.5);
        assert_eq!(summarizer.summarize(tick(0), &warm).temperature_celsius_max, Some(55.5));
        assert_eq!(summarizer.summarize(tick(30), &Frame::new()).temperature_celsius_max, Some(55.5));
        assert_eq!(summarizer.summarize(tick(61), &Frame::new()).temperature_celsius_max, None);
    }
}
