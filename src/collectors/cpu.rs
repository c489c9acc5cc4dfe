//! Seconds each processor spent in each mode, from `/proc/stat`.
//!
//! The kernel's idle and iowait counters may step back by a little when they are
//! read while a processor wakes; a step back is not passed on, because a reader
//! would take it for a restart. A step of three seconds and more is a processor
//! that was unplugged and came back: it starts anew.

use super::source::{Source, fields, malformed, number};
use super::{CollectError, Collector, Roots, Tick};
use crate::model::frame::Frame;

/// The kernel shows times in this unit on every architecture (USER_HZ).
const TICKS_PER_SECOND: f64 = 100.0;
const MODES: [(&str, usize); 8] = [
    ("idle", 3),
    ("iowait", 4),
    ("irq", 5),
    ("nice", 1),
    ("softirq", 6),
    ("steal", 7),
    ("system", 2),
    ("user", 0),
];
const GUEST_MODES: [(&str, usize); 2] = [("nice", 9), ("user", 8)];
const IDLE: usize = 3;
const RESTART_SECONDS: f64 = 3.0;

struct Cpu {
    id: String,
    seconds: [f64; 10],
}

/// See the module.
pub struct CpuCollector {
    stat: Source,
    cpus: Vec<Cpu>,
}

impl CpuCollector {
    pub fn new(roots: &Roots) -> Self {
        Self { stat: Source::new(roots.procfs.join("stat")), cpus: Vec::new() }
    }

    fn read(&mut self) -> Result<(), CollectError> {
        let text = self.stat.text()?;
        let mut count = 0;
        for line in text.lines() {
            let Some(line) = line.strip_prefix("cpu") else {
                // The processors come first.
                break;
            };
            let mut fields = fields(line);
            if line.starts_with(' ') {
                continue;
            }
            let Some(id) = fields.next() else { continue };
            let mut now = [0.0; 10];
            for (slot, field) in now.iter_mut().zip(fields) {
                *slot = number(field).unwrap_or(0.0) / TICKS_PER_SECOND;
            }
            update(&mut self.cpus, count, id, now);
            count += 1;
        }
        self.cpus.truncate(count);
        Ok(())
    }
}

fn update(cpus: &mut Vec<Cpu>, at: usize, id: &str, now: [f64; 10]) {
    match cpus.get_mut(at) {
        Some(cpu) if cpu.id == id => {
            if cpu.seconds[IDLE] - now[IDLE] >= RESTART_SECONDS {
                cpu.seconds = now;
            }
            for (slot, value) in cpu.seconds.iter_mut().zip(now) {
                *slot = slot.max(value);
            }
        }
        _ => {
            cpus.truncate(at);
            cpus.push(Cpu { id: id.to_owned(), seconds: now });
        }
    }
}

impl Collector for CpuCollector {
    fn name(&self) -> &'static str {
        "cpu"
    }

    fn collect(&mut self, _tick: Tick, frame: &mut Frame) -> Result<(), CollectError> {
        self.read()?;
        if self.cpus.is_empty() {
            return Err(malformed(self.stat.path(), "a line for each processor"));
        }
        frame.counter("node_cpu_seconds_total", "Seconds the CPUs spent in each mode.");
        for cpu in &self.cpus {
            for (mode, at) in MODES {
                frame.push(&[("cpu", &cpu.id), ("mode", mode)], cpu.seconds[at]);
            }
        }
        frame
            .counter("node_cpu_guest_seconds_total", "Seconds the CPUs spent in guests (VMs) for each mode.");
        for cpu in &self.cpus {
            for (mode, at) in GUEST_MODES {
                frame.push(&[("cpu", &cpu.id), ("mode", mode)], cpu.seconds[at]);
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
    fn a_small_step_back_is_held_and_a_large_one_is_a_new_start() {
        let tree = Tree::new();
        let mut collector = CpuCollector::new(&tree.roots());
        let idle = |frame: &Frame| testing::value(frame, "node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"}");
        for (ticks, seconds) in [(100_000, 1000.0), (99_990, 1000.0), (100_100, 1001.0), (500, 5.0)] {
            tree.write("proc/stat", &format!("cpu  1 2\ncpu0 1 2 3 {ticks} 5 6 7 8 9 10\nintr 5\n"));
            let frame = testing::collect(&mut collector).unwrap();
            assert_eq!(idle(&frame), Some(seconds));
        }
    }

    #[test]
    fn a_processor_that_is_unplugged_is_gone() {
        let tree = Tree::new();
        let mut collector = CpuCollector::new(&tree.roots());
        tree.write("proc/stat", "cpu  1\ncpu0 100\ncpu1 200\ncpu2 300\n");
        assert_eq!(testing::collect(&mut collector).unwrap().len(), 30);
        tree.write("proc/stat", "cpu  1\ncpu0 100\ncpu2 400\n");
        let frame = testing::collect(&mut collector).unwrap();
        assert_eq!(frame.len(), 20);
        assert_eq!(testing::value(&frame, "node_cpu_seconds_total{cpu=\"2\",mode=\"user\"}"), Some(4.0));
    }
}
