//! Processes and threads by state, and the largest of them.
//!
//! One look walks `/proc/PID/stat` of every process, so it happens every thirty
//! seconds; the top lists are made every second time. Threads are looked at
//! singly only where a process has more than one. Processes that end while they
//! are looked at are normal.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

use super::source::{fields, number, read_error, read_number, read_trimmed};
use super::{CollectError, Collector, Roots, Tick};
use crate::base::time::Monotonic;
use crate::model::frame::Frame;
use crate::model::host::{Process, TopProcesses};

const EVERY: Duration = Duration::from_secs(30);
const TOP_EVERY: Duration = Duration::from_secs(60);
const TOP: usize = 10;
const TICKS_PER_SECOND: f64 = 100.0;
/// More processes than this are not looked at.
const MOST: usize = 100_000;

/// What one line of `/proc/PID/stat` tells.
struct Stat {
    name: String,
    state: char,
    /// User and system time, seconds.
    cpu: f64,
    threads: f64,
    /// Seconds after boot.
    started: f64,
    pages: f64,
}

/// See the module.
pub struct ProcessesCollector {
    procfs: PathBuf,
    page_size: f64,
    buffer: Vec<u8>,
    /// CPU seconds at the last making of the lists, by process and start time.
    seen: HashMap<(u32, u64), f64>,
    last_top: Option<Monotonic>,
    top: Option<TopProcesses>,
}

impl ProcessesCollector {
    pub fn new(roots: &Roots) -> Self {
        Self {
            procfs: roots.procfs.clone(),
            page_size: rustix::param::page_size() as f64,
            buffer: Vec::new(),
            seen: HashMap::new(),
            last_top: None,
            top: None,
        }
    }

    fn stat(&mut self, path: PathBuf) -> Option<Stat> {
        self.buffer.clear();
        File::open(path).ok()?.take(4096).read_to_end(&mut self.buffer).ok()?;
        parse(&String::from_utf8_lossy(&self.buffer))
    }

    fn look(&mut self) -> Result<Vec<(u32, Stat)>, CollectError> {
        let entries = std::fs::read_dir(&self.procfs).map_err(|error| read_error(&self.procfs, &error))?;
        let mut all = Vec::new();
        for entry in entries.flatten().take(MOST) {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            if let Some(stat) = self.stat(entry.path().join("stat")) {
                all.push((pid, stat));
            }
        }
        if all.is_empty() { Err(CollectError::Absent) } else { Ok(all) }
    }

    fn count_threads(&mut self, pid: u32, states: &mut BTreeMap<char, f64>) {
        let tasks = self.procfs.join(pid.to_string()).join("task");
        for entry in std::fs::read_dir(tasks).into_iter().flatten().flatten().take(MOST) {
            if let Some(stat) = self.stat(entry.path().join("stat")) {
                *states.entry(stat.state).or_default() += 1.0;
            }
        }
    }

    fn make_top(&mut self, tick: Tick, all: &[(u32, Stat)]) {
        let uptime = read_trimmed(&self.procfs.join("uptime"));
        let uptime = uptime.and_then(|text| number(fields(&text).next()?)).unwrap_or(0.0);
        let since = self.last_top.map(|last| tick.monotonic.since(last).as_secs_f64());
        let mut rows = Vec::with_capacity(all.len());
        let mut now = HashMap::with_capacity(all.len());
        for (pid, stat) in all {
            let key = (*pid, (stat.started * TICKS_PER_SECOND) as u64);
            let (before, window) = match (self.seen.get(&key), since) {
                (Some(before), Some(since)) => (*before, since),
                // New since the last look: all it used, over its life.
                _ => (0.0, uptime - stat.started),
            };
            now.insert(key, stat.cpu);
            let used = (stat.cpu - before).max(0.0);
            rows.push(Process {
                pid: *pid,
                name: stat.name.clone(),
                cpu_percent: if window > 0.0 { used / window * 100.0 } else { 0.0 },
                rss_bytes: (stat.pages * self.page_size) as u64,
            });
        }
        (self.seen, self.last_top) = (now, Some(tick.monotonic));
        rows.sort_by(|a, b| b.cpu_percent.total_cmp(&a.cpu_percent).then(a.pid.cmp(&b.pid)));
        let by_cpu = rows.iter().take(TOP).cloned().collect();
        rows.sort_by(|a, b| b.rss_bytes.cmp(&a.rss_bytes).then(a.pid.cmp(&b.pid)));
        rows.truncate(TOP);
        self.top = Some(TopProcesses { at: tick.at, by_cpu, by_memory: rows });
    }
}

/// The name stands in brackets and may hold brackets and blanks itself.
fn parse(text: &str) -> Option<Stat> {
    let (before, rest) = text.rsplit_once(')')?;
    let (_, name) = before.split_once('(')?;
    let mut fields = fields(rest);
    let state = fields.next()?.chars().next()?;
    // Numbered from the field after the state, which proc(5) calls the fourth.
    let mut at = |skip: usize| fields.nth(skip).and_then(number);
    let (user, system) = (at(10)?, at(0)?);
    let threads = at(4)?;
    let started = at(1)? / TICKS_PER_SECOND;
    let pages = at(1)?;
    let cpu = (user + system) / TICKS_PER_SECOND;
    Some(Stat { name: name.to_owned(), state, cpu, threads, started, pages })
}

impl Collector for ProcessesCollector {
    fn name(&self) -> &'static str {
        "processes"
    }

    fn every(&self) -> Duration {
        EVERY
    }

    fn collect(&mut self, tick: Tick, frame: &mut Frame) -> Result<(), CollectError> {
        let all = self.look()?;
        let mut states = BTreeMap::new();
        let mut thread_states = BTreeMap::new();
        let mut threads = 0.0;
        for (pid, stat) in &all {
            *states.entry(stat.state).or_default() += 1.0;
            threads += stat.threads;
            if stat.threads > 1.0 {
                self.count_threads(*pid, &mut thread_states);
            } else {
                *thread_states.entry(stat.state).or_default() += 1.0;
            }
        }
        let limit = |name: &str| read_number(&self.procfs.join("sys/kernel").join(name));
        frame.gauge("node_processes_threads", "Allocated threads in system").push(&[], threads);
        if let Some(limit) = limit("threads-max") {
            frame.gauge("node_processes_max_threads", "Limit of threads in the system").push(&[], limit);
        }
        frame.gauge("node_processes_pids", "Number of PIDs").push(&[], all.len() as f64);
        if let Some(limit) = limit("pid_max") {
            frame.gauge("node_processes_max_processes", "Number of max PIDs limit").push(&[], limit);
        }
        let by_state = [
            ("node_processes_state", "Number of processes in each state.", "state", states),
            (
                "node_processes_threads_state",
                "Number of threads in each state.",
                "thread_state",
                thread_states,
            ),
        ];
        for (family, help, label, counts) in by_state {
            frame.gauge(family, help);
            for (state, count) in counts {
                frame.push(&[(label, state.encode_utf8(&mut [0; 4]))], count);
            }
        }
        let due = self.last_top.is_none_or(|last| tick.monotonic.since(last) + EVERY / 2 >= TOP_EVERY);
        if due {
            self.make_top(tick, &all);
        }
        Ok(())
    }

    fn take_processes(&mut self) -> Option<TopProcesses> {
        self.top.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::testing::{self, Tree};

    /// A line of proc(5) with what matters here.
    fn line(name: &str, state: char, user: u32, threads: u32, started: u32, pages: u32) -> String {
        format!(
            "7 ({name}) {state} 1 7 7 0 -1 64 9 0 0 0 {user} 0 0 0 20 0 {threads} 0 {started} 4096 {pages} 5"
        )
    }

    #[test]
    fn the_top_lists_use_the_time_since_the_last_look() {
        let tree = Tree::new();
        tree.write("proc/uptime", "1000.00 5.00\n");
        tree.write("proc/7/stat", &line("old) (R", 'S', 90_000, 1, 0, 10));
        tree.write("proc/9/stat", &line("idle", 'S', 0, 1, 0, 500));
        let mut collector = ProcessesCollector::new(&tree.roots());
        let mut frame = Frame::new();
        collector.collect(testing::tick_at(0), &mut frame).unwrap();
        let top = collector.take_processes().unwrap();
        assert_eq!((top.by_cpu[0].name.as_str(), top.by_cpu[0].cpu_percent), ("old) (R", 90.0));
        assert_eq!(top.by_memory[0].pid, 9);
        assert_eq!(testing::value(&frame, "node_processes_state{state=\"S\"}"), Some(2.0));

        collector.collect(testing::tick_at(15), &mut frame).unwrap();
        assert_eq!(collector.take_processes(), None, "not due");
        tree.write("proc/7/stat", &line("old", 'S', 90_600, 1, 0, 10));
        tree.write("proc/12/stat", &line("new", 'R', 300, 1, 99_400, 1));
        collector.collect(testing::tick_at(60), &mut frame).unwrap();
        let top = collector.take_processes().unwrap();
        let shares: Vec<_> = top.by_cpu.iter().map(|row| (row.pid, row.cpu_percent.round())).collect();
        assert_eq!(shares, [(12, 50.0), (7, 10.0), (9, 0.0)]);
    }

    #[test]
    fn threads_are_counted_singly_where_there_are_several() {
        let tree = Tree::new();
        tree.write("proc/7/stat", &line("many", 'S', 0, 2, 0, 10));
        tree.write("proc/7/task/7/stat", &line("many", 'S', 0, 2, 0, 10));
        tree.write("proc/7/task/8/stat", &line("many", 'R', 0, 2, 0, 10));
        let frame = testing::collect(&mut ProcessesCollector::new(&tree.roots())).unwrap();
        assert_eq!(testing::value(&frame, "node_processes_threads_state{thread_state=\"R\"}"), Some(1.0));
        assert_eq!(testing::value(&frame, "node_processes_threads"), Some(2.0));
    }
}
