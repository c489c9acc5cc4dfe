//! A disk that is soon full: a file system in memory of a few MiB, and one file that
//! takes what is left of it. It takes root.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Mounted until it is dropped.
pub struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// A disk of `size` MiB at `path`, which belongs to the user `owner`.
    pub fn new(path: &Path, size: u32, owner: u32) -> Self {
        std::fs::create_dir(path).expect("where the disk is to be");
        let options = format!("size={size}m,uid={owner},gid={owner},mode=700");
        let arguments = ["-t", "tmpfs", "-o", &options, "holdfast-test"];
        let mounted = Command::new("mount").args(arguments).arg(path).status().expect("the program `mount`");
        assert!(mounted.success(), "a disk at {}: {mounted}", path.display());
        Self { path: path.to_owned() }
    }

    /// Why this machine lets us have none.
    pub fn hindrance() -> Option<&'static str> {
        let root = rustix::process::getuid().is_root();
        (!root).then_some("only root may mount a file system")
    }

    /// Leaves so many KiB.
    pub fn fill(&self, left: u64) {
        use std::io::Write as _;
        let state = rustix::fs::statvfs(&self.path).expect("the state of the disk");
        let free = (state.f_bavail * state.f_frsize).saturating_sub(left << 10);
        let mut file =
            std::fs::OpenOptions::new().create(true).append(true).open(self.filling()).expect("fill");
        let block = vec![0; 64 << 10];
        for _ in 0..free / block.len() as u64 {
            // The server may be quicker.
            let _ = file.write_all(&block);
        }
    }

    /// Gives it back.
    pub fn empty(&self) {
        let _ = std::fs::remove_file(self.filling());
    }

    fn filling(&self) -> PathBuf {
        self.path.join("filling")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}
