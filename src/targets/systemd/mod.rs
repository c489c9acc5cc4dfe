//! `[[target.systemd]]`: one unit of this host's service manager.
//!
//! A probe runs `systemctl show` once (`show`) and reads the properties it prints. It
//! asks the manager for what it knows already, so a light probe is the same. The unit
//! is named after `--`, and its name was checked, so it is never an option.

mod outcome;
mod properties;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use self::properties::{PROPERTIES, Properties};
use super::course::Course;
use super::outcome::Outcome;
use super::record::Recorder;
use super::{Depth, Probed, Surroundings, Target};
use crate::base::id::Name;
use crate::base::time::Clock;
use crate::config::target::systemd::Systemd;
use crate::model::frame::Frame;
use crate::runtime::command;

const KIND: &str = "systemd";
/// What is read of an answer, bytes; a real one has some hundred.
const MAX_OUTPUT: usize = 64 << 10;

/// See the module.
pub struct SystemdTarget {
    name: Name,
    unit: String,
    timeout: Duration,
    clock: Arc<dyn Clock>,
    recorder: Recorder,
}

impl SystemdTarget {
    pub fn new(section: Systemd, surroundings: &Surroundings) -> Self {
        Self {
            recorder: Recorder::new(section.name.clone(), KIND),
            name: section.name,
            unit: section.unit,
            timeout: section.timeout.0,
            clock: surroundings.clock.clone(),
        }
    }

    async fn probe_once(&mut self) -> Probed {
        let mut course = Course::start(&self.clock, self.timeout);
        let watch = course.watch();
        let shown = show(&self.unit, course.deadline).await;
        let outcome = match &shown {
            Ok(properties) => {
                write(properties, &self.unit, self.name.as_str(), &mut course.frame);
                outcome::of(properties)
            }
            Err(outcome) => outcome.clone(),
        };
        course.note("show", &watch, outcome);
        course.finish(&mut self.recorder)
    }
}

async fn show(unit: &str, deadline: Instant) -> Result<Properties, Outcome> {
    let arguments = ["show", "--no-pager", PROPERTIES, "--", unit];
    let ran = command::run("systemctl", &arguments, MAX_OUTPUT, deadline).await;
    let finished = ran.map_err(|error| outcome::of_error(&error))?;
    if !finished.status.success() {
        return Err(outcome::of_refusal(&String::from_utf8_lossy(&finished.error)));
    }
    Ok(Properties::read(&String::from_utf8_lossy(&finished.output)))
}

/// The unit's series, under node_exporter's names where it has one.
fn write(properties: &Properties, unit: &str, target: &str, frame: &mut Frame) {
    if !properties.is_loaded() {
        return;
    }
    let (name, target) = (("name", unit), ("target", target));
    frame.gauge("node_systemd_unit_state", "Systemd unit");
    for state in outcome::STATES {
        let is = f64::from(u8::from(properties.active == state));
        frame.push(&[name, ("state", state), target, ("type", &properties.kind)], is);
    }
    if let Some(restarts) = properties.restarts {
        frame
            .counter("node_systemd_service_restart_total", "Service unit count of Restart triggers")
            .push(&[name, target], restarts);
    }
    if let Some(tasks) = properties.tasks {
        frame
            .gauge("node_systemd_unit_tasks_current", "Current number of tasks per Systemd unit")
            .push(&[name, target], tasks);
    }
    if let Some(bytes) = properties.memory {
        frame
            .gauge("holdfast_systemd_unit_memory_bytes", "Memory that the unit's processes use, in bytes.")
            .push(&[name, target], bytes);
    }
}

impl Target for SystemdTarget {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn address(&self) -> String {
        self.unit.clone()
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn probe(&mut self, _depth: Depth) -> Pin<Box<dyn Future<Output = Probed> + Send + '_>> {
        Box::pin(self.probe_once())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_has_node_exporters_series_and_one_that_is_not_there_has_none() {
        let mut frame = Frame::new();
        let text = "Type=simple\nNRestarts=3\nTasksCurrent=7\nMemoryCurrent=[not set]\nLoadState=loaded\n\
                    ActiveState=active\nSubState=running\nResult=success\n";
        write(&Properties::read(text), "x.service", "x", &mut frame);
        let value = |key: &str| frame.iter().find(|sample| sample.key == key).map(|sample| sample.value);
        let state = |state: &str| {
            value(&format!(
                "node_systemd_unit_state{{name=\"x.service\",state=\"{state}\",target=\"x\",type=\"simple\"}}"
            ))
        };
        assert_eq!((state("active"), state("failed")), (Some(1.0), Some(0.0)));
        let labels = "{name=\"x.service\",target=\"x\"}";
        assert_eq!(value(&format!("node_systemd_service_restart_total{labels}")), Some(3.0));
        assert_eq!(value(&format!("node_systemd_unit_tasks_current{labels}")), Some(7.0));
        assert_eq!(value(&format!("holdfast_systemd_unit_memory_bytes{labels}")), None);
        let mut none = Frame::new();
        let text = "LoadState=not-found\nActiveState=inactive\n";
        write(&Properties::read(text), "y.service", "y", &mut none);
        assert!(none.is_empty());
    }
}
