//! The threads of this process and the processor time each has had.
//!
//! Read from `/proc/self/task`. Kernels with scheduler statistics tell nanoseconds; others
//! count in hundredths of a second, so there a look at less than a second says little.

use std::path::Path;

/// Threads that are looked at.
const MOST: usize = 1024;
/// Ticks in a second: what Linux shows to programs, whatever it counts by itself.
const TICKS: f64 = 100.0;

/// One thread.
#[derive(Clone, Debug, PartialEq)]
pub struct Thread {
    pub id: u32,
    pub name: String,
    pub cpu_seconds: f64,
}

/// All threads there are. Blocking.
pub fn all() -> Vec<Thread> {
    let entries = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let mut found: Vec<Thread> = entries.take(MOST).filter_map(|entry| read(&entry.path())).collect();
    found.sort_by_key(|thread| thread.id);
    found
}

fn read(path: &Path) -> Option<Thread> {
    let id = path.file_name()?.to_str()?.parse().ok()?;
    // One that ended meanwhile has no file any more.
    let thread = parse(id, &std::fs::read_to_string(path.join("stat")).ok()?)?;
    let precise = std::fs::read_to_string(path.join("schedstat")).ok();
    let precise =
        precise.and_then(|text| text.split(' ').next()?.parse::<u64>().ok()).filter(|nanos| *nanos > 0);
    Some(Thread { cpu_seconds: precise.map_or(thread.cpu_seconds, |nanos| nanos as f64 / 1e9), ..thread })
}

/// The name stands in brackets and may hold any of them.
fn parse(id: u32, stat: &str) -> Option<Thread> {
    let (before, after) = stat.rsplit_once(") ")?;
    let name = before.split_once('(')?.1.to_owned();
    let mut fields = after.split(' ').skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some(Thread { id, name, cpu_seconds: (ticks()? + ticks()?) / TICKS })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_has_its_name_and_its_time() {
        let stat = "12 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 5 0 100 0 0";
        let thread = parse(12, stat).unwrap();
        assert_eq!(thread, Thread { id: 12, name: String::from("a) b (c"), cpu_seconds: 2.0 });
        for broken in ["", "12 (x", "12 (x) S 1", "12 x) S 1 2 3"] {
            assert_eq!(parse(12, broken), None);
        }
        assert!(!all().is_empty());
    }
}
