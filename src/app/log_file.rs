//! A file of the log: lines at its end, moved aside before it grows too large.
//!
//! A line is one write, so two threads never mix theirs. What cannot be written is
//! dropped: standard error has it, and an agent that stops for want of a log would be
//! worse than none. One would get it wrong by making the data directory here: a start
//! that fails must leave nothing behind, so until it is there nothing is written.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::fmt::MakeWriter;

use crate::config::channel::file::is_plain;

/// Below the data directory: files that were named without a folder.
const FOLDER: &str = "logs";

/// The file while it is open, and its length.
type Open = Option<(File, u64)>;

/// See the module; cheap to clone.
#[derive(Clone, Debug)]
pub struct LogFile(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    /// The folder that is made if it is lacking, where the one above is there.
    folder: Option<PathBuf>,
    max_size: u64,
    keep: u8,
    open: Mutex<Open>,
}

impl LogFile {
    /// `name` is a plain name or an absolute path.
    pub fn new(name: &str, data_dir: &Path, max_size: u64, keep: u8) -> Self {
        let folder = is_plain(name).then(|| data_dir.join(FOLDER));
        let path = folder.as_ref().map_or_else(|| PathBuf::from(name), |folder| folder.join(name));
        Self(Arc::new(Inner { path, folder, max_size, keep, open: Mutex::default() }))
    }
}

impl Inner {
    fn append(&self, line: &[u8]) -> io::Result<()> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut file, mut size) = match open.take() {
            Some(open) => open,
            None => self.open()?,
        };
        if size > 0 && size + line.len() as u64 > self.max_size {
            drop(file);
            self.move_aside()?;
            (file, size) = self.open()?;
        }
        file.write_all(line)?;
        *open = Some((file, size + line.len() as u64));
        Ok(())
    }

    fn open(&self) -> io::Result<(File, u64)> {
        if let Some(folder) = self.folder.as_ref().filter(|folder| !folder.exists()) {
            DirBuilder::new().mode(0o700).create(folder)?;
        }
        match fs::metadata(&self.path) {
            // A pipe would wait for whoever reads it.
            Ok(found) if !found.is_file() => return Err(io::Error::other("it is not a regular file")),
            _ => {}
        }
        let file = OpenOptions::new().append(true).create(true).mode(0o640).open(&self.path)?;
        let size = file.metadata()?.len();
        Ok((file, size))
    }

    /// `x` becomes `x.1`, that one `x.2`, and the last one goes.
    fn move_aside(&self) -> io::Result<()> {
        let numbered = |number: u8| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        if self.keep == 0 {
            return fs::remove_file(&self.path);
        }
        for number in (1..self.keep).rev().filter(|number| numbered(*number).exists()) {
            fs::rename(numbered(number), numbered(number + 1))?;
        }
        fs::rename(&self.path, numbered(1))
    }
}

/// Writes lines to a [`LogFile`]; what fails is dropped.
pub struct Lines<'a>(&'a Inner);

impl Write for Lines<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // The caller would print a message of its own for each line.
        let _ = self.0.append(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogFile {
    type Writer = Lines<'a>;

    fn make_writer(&'a self) -> Lines<'a> {
        Lines(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn lines_go_to_the_end_and_old_files_aside() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        let log = LogFile::new("x.log", &data, 10, 2);
        let write = |text: &str| assert_eq!(log.make_writer().write(text.as_bytes()).unwrap(), text.len());
        write("lost\n");
        assert!(!data.exists(), "a start that fails leaves nothing behind");
        fs::create_dir(&data).unwrap();
        for line in ["one\n", "two\n", "three\n", "four\n", "five and a half\n", "six\n"] {
            write(line);
        }
        let read = |name: &str| fs::read_to_string(data.join("logs").join(name)).unwrap_or_default();
        assert_eq!(
            [read("x.log"), read("x.log.1"), read("x.log.2")],
            ["six\n", "five and a half\n", "four\n"]
        );
        assert_eq!(read("x.log.3"), "");
        let mode = |path: &str| fs::metadata(data.join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("logs"), mode("logs/x.log") & !0o640), (0o700, 0));
        let again = LogFile::new("x.log", &data, 100, 2);
        again.make_writer().write_all(b"seven\n").unwrap();
        assert_eq!(read("x.log"), "six\nseven\n", "a new run goes on at the end");
    }
}
