//! What the kernel says of the memory of this process, and of the control groups around it.
//!
//! A limit may stand at any group above: the tightest counts. Pages that only cache files
//! go by themselves when memory is short, so they are not what a group uses. One would get
//! it wrong by reading the limit alone at the start: it is changed while the agent runs.

use std::path::{Path, PathBuf};

use crate::model::memory::{Reading, Scope, Use};

/// Groups that are looked at on the way up.
const MOST_GROUPS: usize = 16;

/// What the files of one version of control groups are called.
struct Names {
    limits: &'static [&'static str],
    used: &'static str,
    inactive: &'static str,
}

const UNIFIED: Names =
    Names { limits: &["memory.max", "memory.high"], used: "memory.current", inactive: "inactive_file" };
const FORMER: Names = Names {
    limits: &["memory.limit_in_bytes"],
    used: "memory.usage_in_bytes",
    inactive: "total_inactive_file",
};
/// The former version writes its largest number for no limit.
const NO_LIMIT: u64 = 1 << 60;

/// Where to look.
#[derive(Clone, Debug)]
pub struct MemoryFiles {
    /// `/proc`
    pub proc: PathBuf,
    /// `/sys/fs/cgroup`
    pub groups: PathBuf,
    /// Bytes.
    pub page: u64,
}

impl Default for MemoryFiles {
    fn default() -> Self {
        Self {
            proc: PathBuf::from("/proc"),
            groups: PathBuf::from("/sys/fs/cgroup"),
            page: rustix::param::page_size() as u64,
        }
    }
}

impl MemoryFiles {
    /// One look. `limit` is what the process itself may have, bytes. Blocking, shortly.
    pub fn look(&self, limit: Option<u64>) -> Reading {
        let statm = text(&self.proc.join("self/statm"));
        let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
        let resident = pages.map(|pages| pages.saturating_mul(self.page));
        let own = resident.zip(limit);
        let own = own.map(|(used_bytes, limit_bytes)| Use { scope: Scope::Process, used_bytes, limit_bytes });
        let group = self.group();
        let around = group.as_ref().and_then(|(names, path)| self.tightest(names, path));
        let mut uses: Vec<Use> = own.into_iter().chain(around).collect();
        uses.sort_by(|a, b| b.share().total_cmp(&a.share()));
        let pressure = group.map(|(_, path)| text(&path.join("memory.pressure"))).unwrap_or_default();
        let waited_percent = waited(&pressure).or_else(|| waited(&text(&self.proc.join("pressure/memory"))));
        Reading { resident, uses, waited_percent }
    }

    /// The group of this process, of whichever version counts memory here.
    fn group(&self) -> Option<(&'static Names, PathBuf)> {
        let groups = text(&self.proc.join("self/cgroup"));
        let of = |line: &str, root: &Path| {
            let path = line.rsplit(':').next()?.trim_start_matches('/');
            let path = Path::new(path);
            // Outside of what this process sees.
            path.components().all(|part| part.as_os_str() != "..").then(|| root.join(path))
        };
        for line in groups.lines() {
            let mut fields = line.splitn(3, ':');
            let (number, controllers) = (fields.next()?, fields.next().unwrap_or_default());
            if controllers.split(',').any(|one| one == "memory") {
                return Some((&FORMER, of(line, &self.groups.join("memory"))?));
            }
            if number == "0" && self.groups.join("cgroup.controllers").exists() {
                return Some((&UNIFIED, of(line, &self.groups)?));
            }
        }
        None
    }

    fn tightest(&self, names: &Names, group: &Path) -> Option<Use> {
        let above = group.ancestors().take(MOST_GROUPS).take_while(|path| path.starts_with(&self.groups));
        let uses = above.filter_map(|path| {
            let limits = names.limits.iter().filter_map(|name| number(&path.join(name)));
            let limit_bytes = limits.filter(|limit| *limit < NO_LIMIT).min()?;
            let used = number(&path.join(names.used))?;
            let inactive = field(&text(&path.join("memory.stat")), names.inactive).unwrap_or(0);
            Some(Use { scope: Scope::Group, used_bytes: used.saturating_sub(inactive), limit_bytes })
        });
        uses.max_by(|a, b| a.share().total_cmp(&b.share()))
    }
}

/// What is not there says nothing.
fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// `max` is no number.
fn number(path: &Path) -> Option<u64> {
    text(path).trim().parse().ok()
}

fn field(stat: &str, name: &str) -> Option<u64> {
    stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

/// `some avg10=1.50 avg60=...`
fn waited(pressure: &str) -> Option<f64> {
    let some = pressure.lines().find_map(|line| line.strip_prefix("some "))?;
    some.split(' ').find_map(|field| field.strip_prefix("avg10=")?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A host on which the files `(path, text)` are.
    fn host(files: &[(&str, &str)]) -> (tempfile::TempDir, MemoryFiles) {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let (proc, groups) = (folder.path().join("proc"), folder.path().join("cgroup"));
        (folder, MemoryFiles { proc, groups, page: 4096 })
    }

    #[test]
    fn the_tightest_of_all_limits_counts_and_caches_of_files_do_not() {
        let (_folder, files) = host(&[
            ("proc/self/statm", "9000 2048 100 1 0 1 0\n"),
            ("proc/self/cgroup", "0::/system.slice/holdfast.service\n"),
            ("proc/pressure/memory", "some avg10=7.00 avg60=0.00 avg300=0.00 total=1\n"),
            ("cgroup/cgroup.controllers", "memory\n"),
            ("cgroup/system.slice/holdfast.service/memory.max", "max\n"),
            ("cgroup/system.slice/holdfast.service/memory.high", "10000000\n"),
            ("cgroup/system.slice/holdfast.service/memory.current", "8000000\n"),
            ("cgroup/system.slice/holdfast.service/memory.stat", "anon 5\ninactive_file 3000000\n"),
            (
                "cgroup/system.slice/holdfast.service/memory.pressure",
                "some avg10=1.50 avg60=0.00\nfull avg10=0.10\n",
            ),
            ("cgroup/system.slice/memory.max", "20000000\n"),
            ("cgroup/system.slice/memory.current", "19000000\n"),
        ]);
        let reading = files.look(Some(16 << 20));
        assert_eq!((reading.resident, reading.waited_percent), (Some(8 << 20), Some(1.5)));
        let slice = Use { scope: Scope::Group, used_bytes: 19_000_000, limit_bytes: 20_000_000 };
        let own = Use { scope: Scope::Process, used_bytes: 8 << 20, limit_bytes: 16 << 20 };
        assert_eq!(reading.uses, [slice, own]);
    }

    #[test]
    fn the_former_version_of_groups_is_read_too() {
        let (_folder, files) = host(&[
            ("proc/self/cgroup", "4:memory:/box\n0::/\n"),
            ("cgroup/memory/box/memory.limit_in_bytes", "1000\n"),
            ("cgroup/memory/box/memory.usage_in_bytes", "900\n"),
            ("cgroup/memory/box/memory.stat", "cache 1\ntotal_inactive_file 300\n"),
            ("cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("cgroup/memory/memory.usage_in_bytes", "5\n"),
        ]);
        let reading = files.look(None);
        assert_eq!(reading.uses, [Use { scope: Scope::Group, used_bytes: 600, limit_bytes: 1000 }]);
    }

    #[test]
    fn a_host_that_tells_nothing_presses_nothing() {
        let (_folder, files) = host(&[("proc/self/cgroup", "x\n0::/../../other\n:\n")]);
        assert_eq!(files.look(Some(1)), Reading::default());
        assert!(MemoryFiles::default().look(None).resident.is_some_and(|bytes| bytes > 1 << 20));
    }
}
