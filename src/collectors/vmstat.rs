//! Paging and out-of-memory kills from `/proc/vmstat`.

use std::fmt::Write as _;

use super::source::{Source, malformed, number};
use super::{CollectError, Collector, Roots, Tick};
use crate::model::frame::Frame;
use crate::model::series::{Kind, is_metric_name};

/// See the module.
pub struct VmstatCollector {
    vmstat: Source,
    name: String,
}

impl VmstatCollector {
    pub fn new(roots: &Roots) -> Self {
        Self { vmstat: Source::new(roots.procfs.join("vmstat")), name: String::new() }
    }
}

/// node_exporter's default: `^(oom_kill|pgpg|pswp|pg.*fault).*`.
fn is_wanted(field: &str) -> bool {
    let fault = || field.strip_prefix("pg").is_some_and(|rest| rest.contains("fault"));
    field.starts_with("oom_kill") || field.starts_with("pgpg") || field.starts_with("pswp") || fault()
}

impl Collector for VmstatCollector {
    fn name(&self) -> &'static str {
        "vmstat"
    }

    fn collect(&mut self, _tick: Tick, frame: &mut Frame) -> Result<(), CollectError> {
        let mut found = false;
        for line in self.vmstat.text()?.lines() {
            let Some((field, value)) = line.split_once(' ') else { continue };
            if !is_wanted(field) {
                continue;
            }
            let Some(value) = number(value.trim()) else { continue };
            self.name.clear();
            let _ = write!(self.name, "node_vmstat_{field}");
            if !is_metric_name(&self.name) {
                continue;
            }
            let help = format!("/proc/vmstat information field {field}.");
            frame.family(&self.name, Kind::Unknown, help).push(&[], value);
            found = true;
        }
        if found { Ok(()) } else { Err(malformed(self.vmstat.path(), "lines such as `pgpgin 1`")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_those_of_the_default_expression() {
        for wanted in ["oom_kill", "pgpgin", "pgpgout", "pswpin", "pgfault", "pgmajfault"] {
            assert!(is_wanted(wanted), "{wanted}");
        }
        for unwanted in ["nr_free_pages", "numa_pte_updates", "pgalloc_dma", "numa_hint_faults", "thp_fault"]
        {
            assert!(!is_wanted(unwanted), "{unwanted}");
        }
    }
}
