//! Files of the host that are read again and again, and the pieces of their texts.
//!
//! The pattern: open once, then read from the start with `pread` into the same
//! buffer. Files of procfs and sysfs make their content anew for a read at offset
//! 0, and opening costs more than reading. A file that fails is opened again at
//! the next read, so a device that comes back is found. Wrong would be to stop at
//! a short read: a file of many records may give one page at a time.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::CollectError;

/// What is read of one file at most, bytes. `/proc/stat` of a host with
/// 4,096 interrupts is 12 KiB, a `mountinfo` with 5,000 mounts 1 MiB.
const LARGEST: usize = 4 << 20;
const FIRST: usize = 4096;

/// One file; see the module.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    file: Option<File>,
    bytes: Vec<u8>,
}

impl Source {
    /// Nothing is opened yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), file: None, bytes: Vec::new() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The content of now, up to 4 MiB of it; bytes that are no UTF-8 are replaced.
    ///
    /// # Errors
    /// [`CollectError::Absent`] when there is no such file or device.
    pub fn text(&mut self) -> Result<Cow<'_, str>, CollectError> {
        Ok(String::from_utf8_lossy(self.bytes()?))
    }

    /// The content of now, up to 4 MiB of it.
    ///
    /// # Errors
    /// As [`Source::text`].
    pub fn bytes(&mut self) -> Result<&[u8], CollectError> {
        let length = match self.fill() {
            Ok(length) => length,
            Err(error) => {
                self.file = None;
                return Err(read_error(&self.path, &error));
            }
        };
        Ok(&self.bytes[..length])
    }

    /// The one number the file holds.
    ///
    /// # Errors
    /// As [`Source::text`], and when the content is no number.
    pub fn number(&mut self) -> Result<f64, CollectError> {
        let value = number(self.text()?.trim());
        value.ok_or_else(|| CollectError::Failed(format!("{}: expected a number", self.path.display())))
    }

    fn fill(&mut self) -> io::Result<usize> {
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(File::open(&self.path)?),
        };
        if self.bytes.is_empty() {
            self.bytes.resize(FIRST, 0);
        }
        let mut length = 0;
        loop {
            match file.read_at(&mut self.bytes[length..], length as u64) {
                Ok(0) => return Ok(length),
                Ok(read) => length += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if length == LARGEST {
                return Ok(length);
            }
            if length == self.bytes.len() {
                self.bytes.resize(length * 2, 0);
            }
        }
    }
}

/// What an error while reading `path` means to a collector.
pub fn read_error(path: &Path, error: &io::Error) -> CollectError {
    use io::ErrorKind::{NotADirectory, NotFound, Unsupported};
    // ENXIO and ENODEV: the device behind the file has gone.
    let gone = matches!(error.raw_os_error(), Some(6 | 19));
    if gone || matches!(error.kind(), NotFound | NotADirectory | Unsupported) {
        CollectError::Absent
    } else {
        CollectError::Failed(format!("cannot read {}: {error}", path.display()))
    }
}

/// The trimmed content of a small file that is read seldom; `None` when it cannot be read.
pub fn read_trimmed(path: &Path) -> Option<String> {
    let bytes = read_limited(path).ok()?;
    Some(String::from_utf8_lossy(&bytes).trim().to_owned())
}

/// The number in a small file that is read seldom.
pub fn read_number(path: &Path) -> Option<f64> {
    number(&read_trimmed(path)?)
}

fn read_limited(path: &Path) -> io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The names in a directory, sorted; at most 4,096 of them.
///
/// # Errors
/// [`CollectError::Absent`] when there is no such directory.
pub fn names_in(path: &Path) -> Result<Vec<String>, CollectError> {
    let entries = std::fs::read_dir(path).map_err(|error| read_error(path, &error))?;
    let mut names: Vec<String> =
        entries.take(4096).flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort_unstable();
    Ok(names)
}

/// The fields of a line, split at blanks.
pub fn fields(line: &str) -> std::str::SplitAsciiWhitespace<'_> {
    line.split_ascii_whitespace()
}

/// The next field as a number.
pub fn next_number<'a>(fields: &mut impl Iterator<Item = &'a str>) -> Option<f64> {
    number(fields.next()?)
}

/// A whole or decimal number as the kernel writes it.
pub fn number(text: &str) -> Option<f64> {
    // Counters are whole numbers nearly always, and those are quicker to read.
    match text.parse::<u64>() {
        Ok(whole) => Some(whole as f64),
        Err(_) => text.parse::<f64>().ok().filter(|value| value.is_finite()),
    }
}

/// A file whose content was not as the kernel writes it.
pub fn malformed(path: &Path, expected: &str) -> CollectError {
    CollectError::Failed(format!("{}: expected {expected}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_again_with_its_new_content_and_any_length() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let mut source = Source::new(&path);
        assert!(matches!(source.text(), Err(CollectError::Absent)));
        for length in [3, FIRST - 1, FIRST, FIRST * 5 + 1, 0] {
            std::fs::write(&path, "x".repeat(length)).unwrap();
            assert_eq!(source.text().unwrap().len(), length);
        }
    }

    #[test]
    fn a_directory_in_place_of_a_file_is_a_failure_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let error = Source::new(dir.path()).text().unwrap_err().to_string();
        assert!(error.starts_with("cannot read /"), "{error}");
    }

    #[test]
    fn numbers_are_finite() {
        assert_eq!(number("18446744073709551615"), Some(18_446_744_073_709_551_615.0));
        assert_eq!(number("0.25"), Some(0.25));
        for bad in ["", "NaN", "inf", "1x", "0x10"] {
            assert_eq!(number(bad), None, "{bad}");
        }
    }
}
