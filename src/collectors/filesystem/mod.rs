//! Space and inodes of the mounted filesystems, asked with statvfs(3).
//!
//! statvfs on a mount whose server is gone does not return. The pattern: the calls
//! run on the thread of a [`Crew`]; one that takes longer than [`PATIENCE`] is left
//! behind and its mount is reported as an error and not asked again until the call
//! has returned, so there is at most one outstanding call per mount and a tick
//! never waits long. Wrong would be to guess by type which mounts may hang.

mod mounts;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::mounts::Mount;
use super::source::Source;
use super::{CollectError, Collector, Roots, Tick};
use crate::model::frame::Frame;
use crate::runtime::crew::Crew;

/// How long one call may take before its mount counts as stuck.
const PATIENCE: Duration = Duration::from_millis(100);
/// Looks at the crew in one tick; what is not answered then is asked in the next.
const LOOKS: usize = 4;

/// What statvfs says, bytes and inodes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    pub size: f64,
    pub free: f64,
    pub available: f64,
    pub files: f64,
    pub files_free: f64,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Answer {
    /// There was no time for it in this tick.
    Unasked,
    Usage(Usage),
    /// The call failed, or is stuck.
    Error,
}

/// See the module.
pub struct FilesystemCollector {
    /// Of process 1, which sees the host even where this process is in a container,
    /// then the own.
    mountinfo: [Source; 2],
    rootfs: PathBuf,
    /// The text the mounts were read from.
    text: Vec<u8>,
    mounts: Vec<Mount>,
    answers: Vec<Answer>,
    /// Paths whose call has not returned.
    outstanding: BTreeSet<PathBuf>,
    crew: Crew<PathBuf, Option<Usage>>,
}

impl FilesystemCollector {
    pub fn new(roots: &Roots) -> Self {
        Self::with_statvfs(roots, statvfs)
    }

    /// With another system call, for tests: one that hangs cannot be made otherwise.
    pub fn with_statvfs(
        roots: &Roots,
        statvfs: impl Fn(&Path) -> Option<Usage> + Send + Sync + 'static,
    ) -> Self {
        let mountinfo = ["1/mountinfo", "self/mountinfo"];
        Self {
            mountinfo: mountinfo.map(|file| Source::new(roots.procfs.join(file))),
            rootfs: roots.rootfs.clone(),
            text: Vec::new(),
            mounts: Vec::new(),
            answers: Vec::new(),
            outstanding: BTreeSet::new(),
            crew: Crew::new("statvfs", move |path: &mut PathBuf| statvfs(path)),
        }
    }

    fn read_mounts(&mut self) -> Result<(), CollectError> {
        let [first, own] = &mut self.mountinfo;
        let bytes = match first.bytes() {
            Ok(bytes) => bytes,
            // Not there, or not for us to read.
            Err(_) => own.bytes()?,
        };
        if self.mounts.is_empty() || bytes != self.text {
            self.text.clear();
            self.text.extend_from_slice(bytes);
            self.mounts = mounts::parse(&String::from_utf8_lossy(bytes), &self.rootfs);
        }
        Ok(())
    }

    /// Asks every mount that is not stuck; afterwards there is an answer for each.
    fn ask(&mut self) -> Result<(), CollectError> {
        for late in self.crew.take_returned() {
            self.outstanding.remove(&late.job);
        }
        self.answers.clear();
        self.answers.resize(self.mounts.len(), Answer::Unasked);
        let mut jobs = Vec::with_capacity(self.mounts.len());
        for (tag, mount) in self.mounts.iter().enumerate() {
            if self.outstanding.contains(&mount.path) {
                self.answers[tag] = Answer::Error;
            } else {
                jobs.push((tag, mount.path.clone()));
            }
        }
        let refused = |error| CollectError::Failed(format!("cannot start a thread for statvfs: {error}"));
        let mut started = self.crew.start(jobs).map_err(refused);
        for _ in 0..LOOKS {
            let running = self.crew.running();
            if self.crew.wait(PATIENCE) {
                break;
            }
            let Some(running) = running else { continue };
            let left = self.crew.give_up(running);
            // Left behind also when there is no thread for the rest.
            if !matches!(left, Ok(false)) {
                let mount = &self.mounts[running.tag];
                tracing::warn!(mountpoint = %mount.mountpoint, "statvfs does not return");
                self.answers[running.tag] = Answer::Error;
                self.outstanding.insert(mount.path.clone());
            }
            if let Err(error) = left {
                started = Err(refused(error));
                break;
            }
        }
        self.crew.take_queued();
        // A call that began late is left behind as well, with no word on it yet: its
        // number means another mount once the list has changed.
        if let Some(running) = self.crew.running()
            && self.crew.give_up(running).map_err(refused)?
        {
            self.outstanding.insert(self.mounts[running.tag].path.clone());
        }
        for done in self.crew.take_finished() {
            self.answers[done.tag] = done.result.flatten().map_or(Answer::Error, Answer::Usage);
        }
        started
    }

    fn report(
        &self,
        frame: &mut Frame,
        name: &str,
        help: &'static str,
        value: impl Fn(&Mount, Answer) -> Option<f64>,
    ) {
        frame.gauge(name, help);
        for (mount, answer) in self.mounts.iter().zip(&self.answers) {
            if let Some(value) = value(mount, *answer) {
                let labels = [
                    ("device", mount.device.as_str()),
                    ("fstype", &mount.fstype),
                    ("mountpoint", &mount.mountpoint),
                ];
                frame.push(&labels, value);
            }
        }
    }
}

fn statvfs(path: &Path) -> Option<Usage> {
    let answer = rustix::fs::statvfs(path).ok()?;
    let block = answer.f_frsize as f64;
    Some(Usage {
        size: answer.f_blocks as f64 * block,
        free: answer.f_bfree as f64 * block,
        available: answer.f_bavail as f64 * block,
        files: answer.f_files as f64,
        files_free: answer.f_ffree as f64,
    })
}

impl Collector for FilesystemCollector {
    fn name(&self) -> &'static str {
        "filesystem"
    }

    fn collect(&mut self, _tick: Tick, frame: &mut Frame) -> Result<(), CollectError> {
        self.read_mounts()?;
        self.ask()?;
        let of = |get: fn(&Usage) -> f64| {
            move |_: &Mount, answer: Answer| match answer {
                Answer::Usage(usage) => Some(get(&usage)),
                _ => None,
            }
        };
        self.report(frame, "node_filesystem_size_bytes", "Filesystem size in bytes.", of(|usage| usage.size));
        self.report(
            frame,
            "node_filesystem_free_bytes",
            "Filesystem free space in bytes.",
            of(|usage| usage.free),
        );
        self.report(
            frame,
            "node_filesystem_avail_bytes",
            "Filesystem space available to non-root users in bytes.",
            of(|usage| usage.available),
        );
        self.report(frame, "node_filesystem_files", "Filesystem total file nodes.", of(|usage| usage.files));
        self.report(
            frame,
            "node_filesystem_files_free",
            "Filesystem total free file nodes.",
            of(|usage| usage.files_free),
        );
        self.report(frame, "node_filesystem_readonly", "Filesystem read-only status.", |mount, answer| {
            matches!(answer, Answer::Usage(_)).then_some(f64::from(u8::from(mount.readonly)))
        });
        self.report(
            frame,
            "node_filesystem_device_error",
            "Whether an error occurred while getting statistics for the given device.",
            |_, answer| match answer {
                Answer::Unasked => None,
                Answer::Usage(_) => Some(0.0),
                Answer::Error => Some(1.0),
            },
        );
        Ok(())
    }
}
