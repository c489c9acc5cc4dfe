//! Block devices from `/proc/diskstats`, without partitions, RAM disks and loops.
//!
//! Sectors are 512 bytes whatever the device says, times are milliseconds. Old
//! kernels have 14 columns, 4.18 added discards (18), 5.5 flushes (20); what a
//! kernel does not count is absent. Labels of a device come from the udev
//! database, read when the device is first seen.

use std::path::{Path, PathBuf};

use super::source::{Source, fields, malformed, number, read_trimmed};
use super::{CollectError, Collector, Roots, Tick};
use crate::model::frame::Frame;
use crate::model::series::Kind;

const SECTOR: f64 = 512.0;
/// Milliseconds to seconds, multiplied as node_exporter does.
const MILLI: f64 = 1.0 / 1000.0;

/// Name, kind, help and scale of the columns behind the device's name.
const COLUMNS: [(&str, Kind, &str, f64); 17] = [
    ("reads_completed_total", Kind::Counter, "The total number of reads completed successfully.", 1.0),
    ("reads_merged_total", Kind::Counter, "The total number of reads merged.", 1.0),
    ("read_bytes_total", Kind::Counter, "The total number of bytes read successfully.", SECTOR),
    ("read_time_seconds_total", Kind::Counter, "The total number of seconds spent by all reads.", MILLI),
    ("writes_completed_total", Kind::Counter, "The total number of writes completed successfully.", 1.0),
    ("writes_merged_total", Kind::Counter, "The number of writes merged.", 1.0),
    ("written_bytes_total", Kind::Counter, "The total number of bytes written successfully.", SECTOR),
    (
        "write_time_seconds_total",
        Kind::Counter,
        "This is the total number of seconds spent by all writes.",
        MILLI,
    ),
    ("io_now", Kind::Gauge, "The number of I/Os currently in progress.", 1.0),
    ("io_time_seconds_total", Kind::Counter, "Total seconds spent doing I/Os.", MILLI),
    ("io_time_weighted_seconds_total", Kind::Counter, "The weighted # of seconds spent doing I/Os.", MILLI),
    ("discards_completed_total", Kind::Counter, "The total number of discards completed successfully.", 1.0),
    ("discards_merged_total", Kind::Counter, "The total number of discards merged.", 1.0),
    ("discarded_sectors_total", Kind::Counter, "The total number of sectors discarded successfully.", 1.0),
    (
        "discard_time_seconds_total",
        Kind::Counter,
        "This is the total number of seconds spent by all discards.",
        MILLI,
    ),
    ("flush_requests_total", Kind::Counter, "The total number of flush requests completed successfully", 1.0),
    (
        "flush_requests_time_seconds_total",
        Kind::Counter,
        "This is the total number of seconds spent by all flush requests.",
        MILLI,
    ),
];
/// The columns every kernel has.
const LEAST: usize = 11;

struct Disk {
    name: String,
    /// Device number as in the file, `254:0`.
    number: String,
    info: Info,
    values: [f64; 17],
    columns: usize,
}

/// Values of the labels of `node_disk_info`.
#[derive(Default)]
struct Info {
    model: String,
    path: String,
    revision: String,
    serial: String,
    wwn: String,
}

/// See the module.
pub struct DiskstatsCollector {
    diskstats: Source,
    udev: PathBuf,
    disks: Vec<Disk>,
}

impl DiskstatsCollector {
    pub fn new(roots: &Roots) -> Self {
        Self {
            diskstats: Source::new(roots.procfs.join("diskstats")),
            udev: roots.rootfs.join("run/udev/data"),
            disks: Vec::new(),
        }
    }

    fn read(&mut self) -> Result<(), CollectError> {
        let text = self.diskstats.text()?;
        let (mut count, mut understood) = (0, text.trim().is_empty());
        for line in text.lines() {
            let mut fields = fields(line);
            let (Some(major), Some(minor), Some(name)) = (fields.next(), fields.next(), fields.next()) else {
                continue;
            };
            let mut values = [0.0; 17];
            let mut columns = 0;
            for value in fields.map_while(number).take(values.len()) {
                values[columns] = value * COLUMNS[columns].3;
                columns += 1;
            }
            if columns < LEAST {
                continue;
            }
            understood = true;
            if is_excluded(name) {
                continue;
            }
            let same = |disk: &Disk| {
                disk.name == name && disk.number.split_once(':').is_some_and(|both| both == (major, minor))
            };
            match self.disks.get_mut(count) {
                Some(disk) if same(disk) => (disk.values, disk.columns) = (values, columns),
                _ => {
                    self.disks.truncate(count);
                    let number = format!("{major}:{minor}");
                    let info = Info::read(&self.udev, &number);
                    self.disks.push(Disk { name: name.to_owned(), number, info, values, columns });
                }
            }
            count += 1;
        }
        self.disks.truncate(count);
        if understood { Ok(()) } else { Err(malformed(self.diskstats.path(), "lines of 14 columns or more")) }
    }
}

/// node_exporter's default: `^(ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$`.
fn is_excluded(name: &str) -> bool {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    if stem.len() == name.len() {
        return false;
    }
    if matches!(stem, "ram" | "loop" | "fd") {
        return true;
    }
    let drive = stem.strip_suffix(|c: char| c.is_ascii_lowercase());
    if matches!(drive, Some("hd" | "sd" | "vd" | "xvd")) {
        return true;
    }
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let namespace = stem.strip_prefix("nvme").and_then(|rest| rest.strip_suffix('p'));
    namespace.and_then(|both| both.split_once('n')).is_some_and(|(a, b)| digits(a) && digits(b))
}

impl Info {
    /// The properties udev keeps of the device, in lines `E:NAME=value`.
    fn read(udev: &Path, number: &str) -> Self {
        let digits = number.bytes().all(|b| b.is_ascii_digit() || b == b':');
        let text = if digits { read_trimmed(&udev.join(format!("b{number}"))) } else { None };
        let text = text.unwrap_or_default();
        let property = |name: &str| {
            text.lines()
                .filter_map(|line| line.strip_prefix("E:")?.split_once('='))
                .find(|(key, value)| *key == name && !value.is_empty())
                .map(|(_, value)| value.to_owned())
        };
        let serials = ["SCSI_IDENT_SERIAL", "ID_SERIAL_SHORT"];
        Self {
            model: property("ID_MODEL").unwrap_or_default(),
            path: property("ID_PATH").unwrap_or_default(),
            revision: property("ID_REVISION").unwrap_or_default(),
            serial: serials.into_iter().find_map(property).unwrap_or_default(),
            wwn: property("ID_WWN").unwrap_or_default(),
        }
    }
}

impl Collector for DiskstatsCollector {
    fn name(&self) -> &'static str {
        "diskstats"
    }

    fn collect(&mut self, _tick: Tick, frame: &mut Frame) -> Result<(), CollectError> {
        self.read()?;
        frame.gauge("node_disk_info", "Info of /sys/block/<block_device>.");
        for disk in &self.disks {
            let (major, minor) = disk.number.split_once(':').unwrap_or_default();
            let labels = [
                ("device", disk.name.as_str()),
                ("major", major),
                ("minor", minor),
                ("model", &disk.info.model),
                ("path", &disk.info.path),
                ("revision", &disk.info.revision),
                ("serial", &disk.info.serial),
                ("wwn", &disk.info.wwn),
            ];
            frame.push(&labels, 1.0);
        }
        for (at, (name, kind, help, _)) in COLUMNS.into_iter().enumerate() {
            if !self.disks.iter().any(|disk| disk.columns > at) {
                break;
            }
            let mut full = String::from("node_disk_");
            full.push_str(name);
            frame.family(&full, kind, help);
            for disk in self.disks.iter().filter(|disk| disk.columns > at) {
                frame.push(&[("device", &disk.name)], disk.values[at]);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::testing::{self, Tree};

    #[test]
    fn partitions_and_memory_devices_are_left_out() {
        for excluded in ["ram0", "loop12", "fd0", "sda1", "vdb10", "xvda1", "nvme0n1p2", "hdc3"] {
            assert!(is_excluded(excluded), "{excluded}");
        }
        for kept in ["sda", "sdaa1", "nvme0n1", "dm-0", "md127", "zram0", "mmcblk0p1", "sr0", "nvmexn1p1"] {
            assert!(!is_excluded(kept), "{kept}");
        }
    }

    #[test]
    fn columns_a_kernel_does_not_have_are_absent() {
        let tree = Tree::new();
        tree.write(
            "proc/diskstats",
            "8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n8 16 sdb 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15\n8 1 sda1 1\n",
        );
        tree.write("root/run/udev/data/b8:16", "S:disk\nE:ID_MODEL=Fast Disk\nE:ID_SERIAL_SHORT=abc\n");
        let frame = testing::collect(&mut DiskstatsCollector::new(&tree.roots())).unwrap();
        assert_eq!(testing::value(&frame, "node_disk_read_bytes_total{device=\"sda\"}"), Some(1536.0));
        assert_eq!(testing::value(&frame, "node_disk_discards_completed_total{device=\"sda\"}"), None);
        assert_eq!(testing::value(&frame, "node_disk_discards_completed_total{device=\"sdb\"}"), Some(12.0));
        let info =
            "node_disk_info{device=\"sdb\",major=\"8\",minor=\"16\",model=\"Fast Disk\",serial=\"abc\"}";
        assert_eq!(testing::value(&frame, info), Some(1.0));
        assert_eq!(frame.len(), 2 + 11 + 15);
    }
}
