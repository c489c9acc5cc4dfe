//! Sensors from `/sys/class/hwmon`: temperatures, fans, voltages, currents, power.
//!
//! A chip's directory has files such as `temp1_input`, `temp1_crit`, `fan2_alarm`:
//! type, number and element; values are thousandths (voltage, current,
//! temperature) or millionths (power, energy). The numbers of `hwmonN` change
//! with every boot, so a chip is named after its device. A single sensor that
//! cannot be read is normal and left out.
//!
//! The chip `drivetemp` asks the disk, and many disks take that as a reason not to
//! sleep. So a disk is asked every half hour, and only while it works: when its
//! counts of requests moved since the look before. In between the reading is
//! repeated; the one of a disk that sleeps is not, because it says nothing of now.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::source::{names_in, number, read_trimmed};
use super::{CollectError, Collector, Roots, Tick};
use crate::base::time::Monotonic;
use crate::model::frame::Frame;
use crate::model::series::{Kind, is_metric_name};

const TYPES: [&str; 13] = [
    "vrm",
    "beep_enable",
    "update_interval",
    "in",
    "cpu",
    "fan",
    "pwm",
    "temp",
    "curr",
    "power",
    "energy",
    "humidity",
    "intrusion",
];

/// Between two readings of a disk.
const DRIVE_EVERY: Duration = Duration::from_secs(30 * 60);

/// A sensor's elements by name, with the text of their files.
type Sensors = BTreeMap<(String, u32), BTreeMap<String, String>>;

/// One series of a sensor.
#[derive(Clone)]
struct Reading {
    family: String,
    kind: Kind,
    help: String,
    chip: String,
    sensor: String,
    /// The third label, where there is one.
    extra: Option<(&'static str, String)>,
    value: f64,
}

/// See the module.
pub struct HwmonCollector {
    hwmon: PathBuf,
    /// Disks by the name of their directory.
    drives: BTreeMap<String, Drive>,
}

/// A chip that asks a disk.
struct Drive {
    /// Finished requests at the last look.
    requests: Option<u64>,
    /// When it was asked, and what it said.
    read: Option<(Monotonic, Vec<Reading>)>,
}

impl HwmonCollector {
    pub fn new(roots: &Roots) -> Self {
        Self { hwmon: roots.sysfs.join("class/hwmon"), drives: BTreeMap::new() }
    }

    /// The readings of a disk, new ones when it is time and the disk is awake.
    fn read_drive(&mut self, name: &str, now: Monotonic, readings: &mut Vec<Reading>) {
        let dir = self.hwmon.join(name);
        let requests = requests(&dir);
        let fresh = Drive { requests, read: None };
        let drive = self.drives.entry(name.to_owned()).or_insert(fresh);
        let awake = requests.is_some() && requests != drive.requests;
        drive.requests = requests;
        drive.read.take_if(|(at, _)| now.since(*at) >= DRIVE_EVERY);
        if drive.read.is_none() && awake {
            let mut found = Vec::new();
            read_chip(&dir, &mut found);
            drive.read = Some((now, found));
        }
        readings.extend(drive.read.iter().flat_map(|(_, readings)| readings).cloned());
    }
}

/// Reads and writes the disk of a chip has finished since the boot.
fn requests(dir: &Path) -> Option<u64> {
    let block = dir.join("device/block");
    let disk = names_in(&block).ok()?.into_iter().next()?;
    let stat = read_trimmed(&block.join(disk).join("stat"))?;
    let mut fields = stat.split_ascii_whitespace().map(|field| field.parse::<u64>().unwrap_or(0));
    Some(fields.next()?.wrapping_add(fields.nth(3)?))
}

/// Small letters, digits, `:` and `_`; everything else becomes `_`, none at the ends.
fn clean(text: &str) -> String {
    let mapped: String = text
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() || c == ':' { c } else { '_' })
        .collect();
    mapped.trim_matches('_').to_owned()
}

/// `temp1_crit_alarm` is `temp`, 1, `crit_alarm`.
fn split(file: &str) -> Option<(&str, u32, &str)> {
    let digits = file.find(|c: char| c.is_ascii_digit());
    let Some(start) = digits.filter(|start| *start > 0) else {
        return TYPES.into_iter().find(|kind| *kind == file).map(|kind| (kind, 0, ""));
    };
    let (kind, rest) = file.split_at(start);
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (number, rest) = rest.split_at(end);
    let element = if rest.is_empty() { "" } else { rest.strip_prefix('_')? };
    TYPES.contains(&kind).then_some((kind, number.parse().ok()?, element))
}

fn read_sensors(dir: &Path, sensors: &mut Sensors) {
    for file in names_in(dir).unwrap_or_default() {
        let Some((kind, number, element)) = split(&file) else { continue };
        if let Some(text) = read_trimmed(&dir.join(&file)) {
            sensors.entry((kind.to_owned(), number)).or_default().insert(element.to_owned(), text);
        }
    }
}

/// After the device (`platform_coretemp_0`), else the name the driver gives, else `hwmonN`.
fn chip_name(dir: &Path) -> Option<String> {
    let device = std::fs::canonicalize(dir.join("device")).ok();
    let from_device = device.and_then(|device| {
        let part = |path: &Path| clean(&path.file_name().unwrap_or_default().to_string_lossy());
        let (name, bus) = (part(&device), device.parent().map(part).unwrap_or_default());
        match (bus.is_empty(), name.is_empty()) {
            (_, true) => None,
            (true, false) => Some(name),
            (false, false) => Some(format!("{bus}_{name}")),
        }
    });
    let usable = |name: String| if name.is_empty() { None } else { Some(name) };
    from_device
        .or_else(|| usable(clean(&read_trimmed(&dir.join("name"))?)))
        .or_else(|| usable(clean(&dir.file_name()?.to_string_lossy())))
}

fn read_chip(dir: &Path, readings: &mut Vec<Reading>) {
    let Some(chip) = chip_name(dir) else { return };
    let mut sensors = Sensors::new();
    read_sensors(dir, &mut sensors);
    // Old drivers have their files at the device.
    read_sensors(&dir.join("device"), &mut sensors);
    let reading = |family: &str, help: &str, sensor: &str, value: f64| Reading {
        family: family.to_owned(),
        kind: Kind::Gauge,
        help: help.to_owned(),
        chip: chip.clone(),
        sensor: sensor.to_owned(),
        extra: None,
        value,
    };
    let name = read_trimmed(&dir.join("name")).map(|name| clean(&name)).filter(|name| !name.is_empty());
    if let Some(name) = name {
        let help = "Annotation metric for human-readable chip names";
        readings.push(Reading {
            extra: Some(("chip_name", name)),
            ..reading("node_hwmon_chip_names", help, "", 1.0)
        });
    }
    for ((kind, number), elements) in &sensors {
        let sensor = format!("{kind}{number}");
        if let Some(label) = elements.get("label") {
            let help = "Label for given chip and sensor";
            readings.push(Reading {
                extra: Some(("label", label.clone())),
                ..reading("node_hwmon_sensor_label", help, &sensor, 1.0)
            });
        }
        for (element, text) in elements.iter().filter(|(element, _)| *element != "label") {
            let Some(value) = self::number(text) else { continue };
            let has_plain = elements.contains_key("");
            let series = name_of(kind, element, has_plain);
            let Some((family, unit, help, scale)) = series else { continue };
            let family = format!("{family}{unit}");
            if !is_metric_name(&family) {
                continue;
            }
            let kind = if kind == "energy" && unit == "_joule_total" { Kind::Counter } else { Kind::Gauge };
            readings.push(Reading { kind, ..reading(&family, &help, &sensor, value * scale) });
        }
    }
}

/// Family without and with unit, help, scale.
fn name_of(kind: &str, element: &str, has_plain: bool) -> Option<(String, &'static str, String, f64)> {
    const MILLI: f64 = 0.001;
    const MICRO: f64 = 1.0 / 1_000_000.0;
    let fixed = |name: &str, help: &str, scale| Some((name.to_owned(), "", help.to_owned(), scale));
    match kind {
        "beep_enable" => return fixed("node_hwmon_beep_enabled", "Hardware beep enabled", 1.0),
        "vrm" => return fixed("node_hwmon_voltage_regulator_version", "Hardware voltage regulator", 1.0),
        "update_interval" => {
            let name = "node_hwmon_update_interval_seconds";
            return fixed(name, "Hardware monitor update interval", MILLI);
        }
        _ => {}
    }
    let mut name = format!("node_hwmon_{kind}");
    match element {
        "" => {}
        // The input is the value itself, unless there is a file without an element as well.
        "input" if has_plain => name.push_str("_input"),
        "input" => {}
        other => {
            name.push('_');
            name.push_str(&clean(other));
        }
    }
    let (unit, help, scale) = match (kind, element) {
        (_, "fault" | "alarm") => ("", format!("Hardware sensor {element} status ({kind})"), 1.0),
        (_, "beep") => ("_enabled", String::from("Hardware monitor sensor has beeping enabled"), 1.0),
        ("in" | "cpu", _) => ("_volts", format!("Hardware monitor for voltage ({element})"), MILLI),
        ("temp", "type") => ("", format!("Hardware monitor {kind} element {element}"), 1.0),
        ("temp", _) => {
            let element = if element.is_empty() { "input" } else { element };
            ("_celsius", format!("Hardware monitor for temperature ({element})"), MILLI)
        }
        ("curr", _) => ("_amps", format!("Hardware monitor for current ({element})"), MILLI),
        ("energy", _) => {
            ("_joule_total", format!("Hardware monitor for joules used so far ({element})"), MICRO)
        }
        ("power", "accuracy") => {
            ("", String::from("Hardware monitor power meter accuracy, as a ratio"), MICRO)
        }
        ("power", "average_interval" | "average_interval_min" | "average_interval_max") => {
            ("_seconds", format!("Hardware monitor power usage update interval ({element})"), MILLI)
        }
        ("power", _) => ("_watt", format!("Hardware monitor for power usage in watts ({element})"), MICRO),
        ("humidity", _) => {
            let help = "Hardware monitor for humidity, as a ratio (multiply with 100.0 to get the humidity as a percentage)";
            ("", format!("{help} ({element})"), MICRO)
        }
        ("fan", "input" | "min" | "max" | "target") => {
            ("_rpm", format!("Hardware monitor for fan revolutions per minute ({element})"), 1.0)
        }
        _ => ("", format!("Hardware monitor {kind} element {element}"), 1.0),
    };
    Some((name, unit, help, scale))
}

impl Collector for HwmonCollector {
    fn name(&self) -> &'static str {
        "hwmon"
    }

    /// A sensor behind a slow bus takes milliseconds to read.
    fn every(&self) -> Duration {
        Duration::from_secs(5)
    }

    fn collect(&mut self, tick: Tick, frame: &mut Frame) -> Result<(), CollectError> {
        let mut readings = Vec::new();
        let names = names_in(&self.hwmon)?;
        self.drives.retain(|name, _| names.binary_search(name).is_ok());
        for name in names {
            let dir = self.hwmon.join(&name);
            if read_trimmed(&dir.join("name")).is_some_and(|chip| chip == "drivetemp") {
                self.read_drive(&name, tick.monotonic, &mut readings);
            } else {
                read_chip(&dir, &mut readings);
            }
        }
        if readings.is_empty() && self.drives.is_empty() {
            return Err(CollectError::Absent);
        }
        readings.sort_by(|a, b| a.family.cmp(&b.family));
        let mut family = String::new();
        for reading in readings {
            if reading.family != family {
                frame.family(&reading.family, reading.kind, reading.help);
                family = reading.family;
            }
            let sensor = ("sensor", reading.sensor.as_str());
            let chip = ("chip", reading.chip.as_str());
            match &reading.extra {
                Some((name, value)) => frame.push(&[chip, (name, value.as_str()), sensor], reading.value),
                None => frame.push(&[chip, sensor], reading.value),
            };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_split_into_type_number_element() {
        assert_eq!(split("temp1_crit_alarm"), Some(("temp", 1, "crit_alarm")));
        assert_eq!(split("in0"), Some(("in", 0, "")));
        assert_eq!(split("update_interval"), Some(("update_interval", 0, "")));
        for other in ["name", "uevent", "1temp", "temp", "temp99999999999_input", "power", "tempx1_input"] {
            assert!(split(other).is_none_or(|(kind, _, _)| kind == other), "{other}");
        }
    }

    #[test]
    fn a_disk_is_asked_every_half_hour_and_only_while_it_works() {
        use crate::collectors::testing::{Tree, tick_at, value};
        let tree = Tree::new();
        tree.write("sys/class/hwmon/hwmon0/name", "drivetemp\n");
        let look = |collector: &mut HwmonCollector, at: u64, requests: u64, temperature: u64| {
            tree.write("sys/class/hwmon/hwmon0/temp1_input", &temperature.to_string());
            let stat = format!("{requests} 0 0 0 7 0 0 0 0 0 0\n");
            tree.write("sys/class/hwmon/hwmon0/device/block/sda/stat", &stat);
            let mut frame = Frame::new();
            collector.collect(tick_at(at), &mut frame).unwrap();
            value(&frame, "node_hwmon_temp_celsius{chip=\"hwmon0_device\",sensor=\"temp1\"}")
        };
        let mut collector = HwmonCollector::new(&tree.roots());
        assert_eq!(look(&mut collector, 0, 100, 30_000), None, "not at the start: it may sleep");
        assert_eq!(look(&mut collector, 5, 100, 30_000), None);
        assert_eq!(look(&mut collector, 10, 101, 30_000), Some(30.0));
        assert_eq!(look(&mut collector, 15, 102, 31_000), Some(30.0), "repeated, not asked");
        assert_eq!(look(&mut collector, 1810, 102, 32_000), None, "asleep when it is time");
        assert_eq!(look(&mut collector, 1815, 103, 33_000), Some(33.0));
    }

    #[test]
    fn names_have_no_characters_a_label_would_not_want() {
        assert_eq!(clean("coretemp.0"), "coretemp_0");
        assert_eq!(clean("-Core #1-"), "core__1");
    }
}
