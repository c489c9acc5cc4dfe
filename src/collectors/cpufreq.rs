//! Clock frequencies of the processors, from `/sys/devices/system/cpu`.
//!
//! The files hold kilohertz. Asking for the frequency of now may wake the
//! processor, so it is asked every five seconds.

use std::path::PathBuf;
use std::time::Duration;

use super::source::{names_in, read_number};
use super::{CollectError, Collector, Roots, Tick};
use crate::model::frame::Frame;

const FAMILIES: [(&str, &str, &str); 6] = [
    ("cpuinfo_cur_freq", "node_cpu_frequency_hertz", "Current CPU thread frequency in hertz."),
    ("cpuinfo_min_freq", "node_cpu_frequency_min_hertz", "Minimum CPU thread frequency in hertz."),
    ("cpuinfo_max_freq", "node_cpu_frequency_max_hertz", "Maximum CPU thread frequency in hertz."),
    ("scaling_cur_freq", "node_cpu_scaling_frequency_hertz", "Current scaled CPU thread frequency in hertz."),
    (
        "scaling_min_freq",
        "node_cpu_scaling_frequency_min_hertz",
        "Minimum scaled CPU thread frequency in hertz.",
    ),
    (
        "scaling_max_freq",
        "node_cpu_scaling_frequency_max_hertz",
        "Maximum scaled CPU thread frequency in hertz.",
    ),
];

/// See the module.
pub struct CpufreqCollector {
    cpus: PathBuf,
}

impl CpufreqCollector {
    pub fn new(roots: &Roots) -> Self {
        Self { cpus: roots.sysfs.join("devices/system/cpu") }
    }
}

impl Collector for CpufreqCollector {
    fn name(&self) -> &'static str {
        "cpufreq"
    }

    fn every(&self) -> Duration {
        Duration::from_secs(5)
    }

    fn collect(&mut self, _tick: Tick, frame: &mut Frame) -> Result<(), CollectError> {
        let names = names_in(&self.cpus)?;
        let is_number = |text: &&str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let cpus: Vec<&str> =
            names.iter().filter_map(|name| name.strip_prefix("cpu").filter(is_number)).collect();
        let before = frame.len();
        for (file, family, help) in FAMILIES {
            frame.gauge(family, help);
            for cpu in &cpus {
                let path = self.cpus.join(format!("cpu{cpu}/cpufreq")).join(file);
                if let Some(kilohertz) = read_number(&path) {
                    frame.push(&[("cpu", cpu)], kilohertz * 1000.0);
                }
            }
        }
        if frame.len() == before { Err(CollectError::Absent) } else { Ok(()) }
    }
}
