//! What holds for every registered collector.

use std::collections::BTreeSet;
use std::path::Path;

use super::testing::{self, fixture};
use super::*;
use crate::model::series::{is_label_name, is_metric_name, labels_of, name_of};

/// The clock needs no file.
const NEEDS_NO_FILE: [&str; 1] = ["time"];

/// Panics on a sample that no store or reader would take.
fn check_samples(name: &str, frame: &Frame) {
    let mut keys = BTreeSet::new();
    for sample in frame.iter() {
        assert!(is_metric_name(name_of(sample.key)), "{name}: {}", sample.key);
        assert!(is_metric_name(sample.family) && sample.key.starts_with(sample.family), "{}", sample.family);
        assert!(labels_of(sample.key).iter().all(|(label, _)| is_label_name(label)), "{}", sample.key);
        assert!(sample.value.is_finite(), "{name}: {} {}", sample.key, sample.value);
        assert!(!sample.help.is_empty(), "{}", sample.key);
        keys.insert(sample.key);
    }
}

#[test]
fn every_kind_is_documented_and_named_once() {
    let roots = fixture("typical");
    let mut names = BTreeSet::new();
    for kind in REGISTERED {
        assert_eq!(kind.make(&roots).name(), kind.name);
        assert!(names.insert(kind.name), "{} twice", kind.name);
        assert!(kind.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b.is_ascii_digit()));
        assert!(kind.about.len() > 8 && !kind.about.ends_with('.'), "{}", kind.about);
    }
}

#[test]
fn on_a_host_without_anything_all_is_absent() {
    let tree = testing::Tree::new();
    for kind in REGISTERED.iter().filter(|kind| !NEEDS_NO_FILE.contains(&kind.name)) {
        let result = testing::collect(&mut *kind.make(&tree.roots()));
        assert!(matches!(result, Err(CollectError::Absent)), "{}: {result:?}", kind.name);
    }
}

#[test]
fn on_a_typical_host_all_have_samples_and_no_series_comes_twice() {
    let mut seen = BTreeSet::new();
    for mut collector in all(&fixture("typical")) {
        let name = collector.name();
        let frame = testing::collect(&mut *collector).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!frame.is_empty(), "{name}");
        check_samples(name, &frame);
        for sample in frame.iter() {
            assert!(seen.insert(sample.key.to_owned()), "{} twice", sample.key);
        }
        let again = testing::collect(&mut *collector).unwrap();
        assert_eq!(again.len(), frame.len(), "{name}: the second run differs");
    }
}

#[test]
fn a_minimal_host_has_what_it_has() {
    let states: Vec<_> = all(&fixture("minimal"))
        .iter_mut()
        .filter_map(|collector| testing::collect(&mut **collector).ok().map(|_| collector.name()))
        .collect();
    assert_eq!(states, ["cpu", "stat", "loadavg", "meminfo", "filesystem", "time"]);
}

#[test]
fn hostile_files_are_answered_with_samples_or_an_error() {
    for mut collector in all(&fixture("hostile")) {
        if let Ok(frame) = testing::collect(&mut *collector) {
            check_samples(collector.name(), &frame);
        }
    }
}

/// xorshift: the same bytes in every run.
struct Noise(u64);

impl Noise {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below.max(1) as u64) as usize
    }

    fn spoil(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.next(4) {
            let at = self.next(bytes.len() + 1);
            match self.next(6) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, self.next(256) as u8),
                2 => bytes.splice(at..at, *b"18446744073709551616").for_each(drop),
                3 => bytes.splice(at..at, *b"\n: [(\" \\").for_each(drop),
                4 if at < bytes.len() => drop(bytes.remove(at)),
                _ if at < bytes.len() => bytes[at] = self.next(256) as u8,
                _ => {}
            }
        }
    }
}

/// Copies a tree, each file spoiled; links stay.
fn copy_spoiled(from: &Path, to: &Path, noise: &mut Noise) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        let kind = entry.file_type().unwrap();
        if kind.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(entry.path()).unwrap(), target).unwrap();
        } else if kind.is_dir() {
            copy_spoiled(&entry.path(), &target, noise);
        } else {
            let mut bytes = std::fs::read(entry.path()).unwrap();
            noise.spoil(&mut bytes);
            std::fs::write(target, bytes).unwrap();
        }
    }
}

/// Thousands of small files need no disk.
fn in_memory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

#[test]
fn no_bytes_in_the_files_make_a_collector_panic() {
    let typical = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/host/typical");
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    for _ in 0..40 {
        let dir = in_memory();
        copy_spoiled(&typical, dir.path(), &mut noise);
        for mut collector in all(&testing::roots_below(dir.path())) {
            if let Ok(frame) = testing::collect(&mut *collector) {
                check_samples(collector.name(), &frame);
            }
        }
    }
}

#[test]
fn sensors_of_a_typical_host_have_the_names_of_node_exporter() {
    let mut all = Frame::new();
    for mut collector in super::all(&fixture("typical")) {
        all.append(&testing::collect(&mut *collector).unwrap());
    }
    for (key, value) in [
        ("node_hwmon_temp_celsius{chip=\"platform_coretemp_0\",sensor=\"temp1\"}", 42.0),
        ("node_hwmon_temp_crit_alarm_celsius{chip=\"platform_coretemp_0\",sensor=\"temp1\"}", 0.0),
        ("node_hwmon_chip_names{chip=\"platform_coretemp_0\",chip_name=\"coretemp\"}", 1.0),
        (
            "node_hwmon_sensor_label{chip=\"platform_coretemp_0\",label=\"Package id 0\",sensor=\"temp1\"}",
            1.0,
        ),
        ("node_hwmon_temp_celsius{chip=\"acpitz\",sensor=\"temp1\"}", 27.8),
        ("node_hwmon_fan_rpm{chip=\"platform_nct6775_656\",sensor=\"fan1\"}", 1098.0),
        ("node_hwmon_fan_alarm{chip=\"platform_nct6775_656\",sensor=\"fan1\"}", 1.0),
        ("node_hwmon_fan_beep_enabled{chip=\"platform_nct6775_656\",sensor=\"fan1\"}", 0.0),
        ("node_hwmon_in_volts{chip=\"platform_nct6775_656\",sensor=\"in0\"}", 1.312),
        ("node_hwmon_pwm{chip=\"platform_nct6775_656\",sensor=\"pwm1\"}", 153.0),
        ("node_hwmon_power_watt{chip=\"platform_nct6775_656\",sensor=\"power1\"}", 25.0),
        ("node_hwmon_power_average_interval_seconds{chip=\"platform_nct6775_656\",sensor=\"power1\"}", 1.0),
        ("node_hwmon_energy_joule_total{chip=\"platform_nct6775_656\",sensor=\"energy1\"}", 9.0),
        (
            "node_hwmon_update_interval_seconds{chip=\"platform_nct6775_656\",sensor=\"update_interval0\"}",
            2.0,
        ),
        ("node_hwmon_beep_enabled{chip=\"platform_nct6775_656\",sensor=\"beep_enable0\"}", 0.0),
        ("node_hwmon_intrusion_alarm{chip=\"platform_nct6775_656\",sensor=\"intrusion0\"}", 1.0),
        ("node_thermal_zone_temp{type=\"x86_pkg_temp\",zone=\"0\"}", 44.0),
        ("node_cooling_device_max_state{name=\"0\",type=\"Processor\"}", 3.0),
        ("node_md_disks{device=\"md1\",state=\"failed\"}", 1.0),
        ("node_md_state{device=\"md1\",state=\"recovering\"}", 1.0),
        ("node_disk_io_time_seconds_total{device=\"sda\"}", 14168.0 * (1.0 / 1000.0)),
        ("node_filesystem_readonly{device=\"/dev/sdb1\",fstype=\"ext4\",mountpoint=\"/srv/archive\"}", 1.0),
        ("node_network_receive_nohandler_total{device=\"eth0\"}", 17.0),
        ("node_network_transmit_bytes_total{device=\"vlan.10\"}", 30.0),
        ("node_pressure_io_stalled_seconds_total", 5_054_586.0 / 1000.0 / 1000.0),
        ("process_open_fds", 4.0),
        ("process_resident_memory_bytes", 3900.0 * 4096.0),
        ("holdfast_process_written_bytes_total", 1_052_672.0),
    ] {
        let found = testing::value(&all, key);
        let near = found.is_some_and(|found| (found - value).abs() <= 1e-9 * value.abs());
        assert!(near, "{key}: {found:?}, expected {value}");
    }
}
