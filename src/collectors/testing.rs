//! What the tests of all collectors use: a tree to write into, one collection, one value.

use std::path::Path;

use super::{CollectError, Collector, Roots, Tick};
use crate::base::time::{Monotonic, Timestamp};
use crate::model::frame::Frame;

/// An empty host in a temporary directory.
pub struct Tree {
    dir: tempfile::TempDir,
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl Tree {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for root in ["proc", "sys", "root"] {
            std::fs::create_dir(dir.path().join(root)).unwrap();
        }
        Self { dir }
    }

    pub fn roots(&self) -> Roots {
        roots_below(self.dir.path())
    }

    /// Writes `proc/...`, `sys/...` or `root/...`.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn path(&self, path: &str) -> std::path::PathBuf {
        self.dir.path().join(path)
    }
}

pub fn roots_below(base: &Path) -> Roots {
    Roots { procfs: base.join("proc"), sysfs: base.join("sys"), rootfs: base.join("root") }
}

/// One of the trees in tests/fixtures/host.
pub fn fixture(name: &str) -> Roots {
    roots_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/host").join(name))
}

pub fn tick() -> Tick {
    tick_at(0)
}

/// The tick `seconds` after the first.
pub fn tick_at(seconds: u64) -> Tick {
    Tick {
        at: Timestamp(1_795_000_000_000 + seconds as i64 * 1000),
        monotonic: Monotonic(std::time::Duration::from_secs(seconds)),
    }
}

pub fn collect(collector: &mut dyn Collector) -> Result<Frame, CollectError> {
    let mut frame = Frame::new();
    collector.collect(tick(), &mut frame)?;
    Ok(frame)
}

pub fn value(frame: &Frame, key: &str) -> Option<f64> {
    frame.iter().find(|sample| sample.key == key).map(|sample| sample.value)
}
