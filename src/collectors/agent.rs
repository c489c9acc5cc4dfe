//! What this process itself costs, under the names of the Prometheus clients.
//!
//! Bytes written are those the kernel sent to a device for this process, from
//! `/proc/self/io`; a kernel without task accounting does not have them.

use std::path::PathBuf;
use std::time::Duration;

use super::source::{Source, fields, malformed, names_in, number, read_trimmed};
use super::{CollectError, Collector, Roots, Tick};
use crate::model::frame::Frame;

const TICKS_PER_SECOND: f64 = 100.0;

/// See the module.
pub struct AgentCollector {
    stat: Source,
    io: Source,
    limits: Source,
    fd: PathBuf,
    boot: Option<f64>,
    page_size: f64,
}

impl AgentCollector {
    pub fn new(roots: &Roots) -> Self {
        let own = roots.procfs.join("self");
        let stat = read_trimmed(&roots.procfs.join("stat")).unwrap_or_default();
        let boot = stat.lines().find_map(|line| number(line.strip_prefix("btime ")?));
        Self {
            stat: Source::new(own.join("stat")),
            io: Source::new(own.join("io")),
            limits: Source::new(own.join("limits")),
            fd: own.join("fd"),
            boot,
            page_size: rustix::param::page_size() as f64,
        }
    }

    fn push_stat(&mut self, frame: &mut Frame) -> Result<(), CollectError> {
        let text = self.stat.text()?.into_owned();
        let values: Vec<f64> = text
            .rsplit_once(')')
            .map_or("", |(_, rest)| rest)
            .split_whitespace()
            .skip(1)
            .map_while(number)
            .collect();
        // In the order of proc(5): the first here is its fourth field.
        let [user, system, threads, started, virtual_bytes, pages] =
            [10, 11, 16, 18, 19, 20].map(|at| values.get(at).copied());
        let (Some(user), Some(system), Some(pages)) = (user, system, pages) else {
            return Err(malformed(self.stat.path(), "24 fields or more"));
        };
        frame
            .counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.")
            .push(&[], (user + system) / TICKS_PER_SECOND)
            .gauge("process_resident_memory_bytes", "Resident memory size in bytes.")
            .push(&[], pages * self.page_size);
        if let Some(bytes) = virtual_bytes {
            frame.gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.").push(&[], bytes);
        }
        if let Some(threads) = threads {
            frame.gauge("process_threads", "Number of OS threads in the process.").push(&[], threads);
        }
        if let Some((boot, started)) = self.boot.zip(started) {
            frame
                .gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.")
                .push(&[], boot + started / TICKS_PER_SECOND);
        }
        Ok(())
    }
}

impl Collector for AgentCollector {
    fn name(&self) -> &'static str {
        "agent"
    }

    fn every(&self) -> Duration {
        Duration::from_secs(5)
    }

    fn collect(&mut self, _tick: Tick, frame: &mut Frame) -> Result<(), CollectError> {
        self.push_stat(frame)?;
        if let Ok(names) = names_in(&self.fd) {
            frame.gauge("process_open_fds", "Number of open file descriptors.").push(&[], names.len() as f64);
        }
        let limits = self.limits.text().map(std::borrow::Cow::into_owned).unwrap_or_default();
        let open_files = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
        if let Some(limit) = open_files.and_then(|rest| number(fields(rest).next()?)) {
            frame.gauge("process_max_fds", "Maximum number of open file descriptors.").push(&[], limit);
        }
        let io = self.io.text().map(std::borrow::Cow::into_owned).unwrap_or_default();
        let families = [
            ("read_bytes", "holdfast_process_read_bytes_total", "Bytes this process had read from devices."),
            (
                "write_bytes",
                "holdfast_process_written_bytes_total",
                "Bytes this process had written to devices.",
            ),
        ];
        for (field, name, help) in families {
            let value =
                io.lines().find_map(|line| number(line.strip_prefix(field)?.strip_prefix(':')?.trim()));
            if let Some(value) = value {
                frame.counter(name, help).push(&[], value);
            }
        }
        Ok(())
    }
}
