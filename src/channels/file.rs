//! `[[channel.file]]`: one line of JSON per notice, at the end of a file that is moved
//! aside before it grows too large.
//!
//! Delivered means on the disk. Writing happens on a thread of its own and under the
//! deadline, because the file may lie on a mount that hangs. Wrong would be to open
//! whatever is there: a pipe waits for whoever reads it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::outcome::{Exchange, Mask};
use super::wording::Wording;
use super::{Channel, Context, Delivery, Made, Outcome, Surroundings, Verdict};
use crate::config::channel::Section as _;
use crate::config::channel::file::{self, is_plain};
use crate::model::message::Message;
use crate::model::notice::Notice;
use crate::runtime::solitary::Solitary;

/// Below the data directory: files that were named without one.
const FOLDER: &str = "notices";

struct Lines {
    place: Place,
    wording: Wording,
    timeout: Duration,
    writer: Solitary,
}

/// A file and its bounds.
#[derive(Clone, Debug)]
struct Place {
    path: PathBuf,
    /// The folder that is made if it is lacking.
    folder: Option<PathBuf>,
    max_size: u64,
    keep: u8,
}

/// See the module.
pub(super) fn make(section: &file::File, surroundings: &Surroundings) -> Made {
    let folder = is_plain(&section.path).then(|| surroundings.data_dir.join(FOLDER));
    let path =
        folder.as_ref().map_or_else(|| PathBuf::from(&section.path), |folder| folder.join(&section.path));
    let address = path.display().to_string();
    let place = Place { path, folder, max_size: section.max_size.0, keep: section.keep };
    let channel = Box::new(Lines {
        place,
        wording: Wording::of(&section.common()),
        timeout: section.timeout.0,
        writer: Solitary::default(),
    });
    Made { address, channel }
}

impl Channel for Lines {
    fn kind(&self) -> &'static str {
        file::File::KIND
    }

    fn deliver<'a>(&'a mut self, notice: &'a Notice, context: &'a Context) -> Delivery<'a> {
        Box::pin(self.append(notice, context))
    }
}

impl Lines {
    async fn append(&mut self, notice: &Notice, context: &Context) -> Outcome {
        let deadline = Instant::now() + self.timeout;
        let (mut message, mut notes) = (Message::of(notice, context), Vec::new());
        self.wording.put(&mut message, &mut notes);
        let mut line = serde_json::to_string(&message).unwrap_or_default();
        let shown = format!("append to {}\n\n{line}", self.place.path.display());
        line.push('\n');
        let (place, length) = (self.place.clone(), line.len());
        let write = move || place.append(line.as_bytes());
        let written = self.writer.run("notices", deadline, deadline, write).await;
        let (verdict, answer) = match written {
            Ok(Ok(())) => (Verdict::Delivered, format!("{length} bytes written")),
            Ok(Err(error)) => {
                let path = self.place.path.display();
                (Verdict::Retry { after: None }, format!("cannot write {path}: {error}"))
            }
            Err(error) => (Verdict::Retry { after: None }, format!("not written: {error}")),
        };
        let exchange = Exchange { request: shown, response: answer.clone() };
        Outcome::new(verdict, &answer, exchange, &Mask::default()).with_notes(&notes)
    }
}

impl Place {
    fn append(&self, line: &[u8]) -> io::Result<()> {
        if let Some(folder) = &self.folder {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let size = match fs::metadata(&self.path) {
            Ok(found) if !found.is_file() => return Err(io::Error::other("it is not a regular file")),
            Ok(found) => found.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        if size > 0 && size + line.len() as u64 > self.max_size {
            self.move_aside()?;
        }
        let mut file =
            OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(&self.path)?;
        if size > 0 && file.seek(SeekFrom::End(-1)).is_ok() {
            let mut last = [b'\n'];
            file.read_exact(&mut last)?;
            if last != [b'\n'] {
                // A crash or a full disk left half a line.
                file.write_all(b"\n")?;
            }
        }
        file.write_all(line)?;
        file.sync_data()
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
        fs::rename(&self.path, numbered(1))?;
        self.path.parent().map_or(Ok(()), sync_folder)
    }
}

/// So that what was moved aside is found under its new name after a power cut.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn it_grows_by_lines_and_is_moved_aside() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("notices");
        let path = folder.join("n.jsonl");
        let place = Place { path: path.clone(), folder: Some(folder), max_size: 10, keep: 2 };
        for line in [b"one\n", b"two\n", b"thr\n", b"fou\n", b"fiv\n", b"six\n", b"sev\n"] {
            place.append(line).unwrap();
        }
        let text = |name: &str| fs::read_to_string(home.path().join("notices").join(name)).unwrap();
        assert_eq!(
            (text("n.jsonl"), text("n.jsonl.1"), text("n.jsonl.2")),
            ("sev\n".into(), "fiv\nsix\n".into(), "thr\nfou\n".into())
        );
        assert!(!home.path().join("notices/n.jsonl.3").exists());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    }

    #[test]
    fn half_a_line_does_not_spoil_the_next() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("n.jsonl");
        fs::write(&path, "{\"half").unwrap();
        let place = Place { path: path.clone(), folder: None, max_size: 100, keep: 2 };
        place.append(b"one\n").unwrap();
        place.append(b"two\n").unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), "{\"half\none\ntwo\n");
    }

    #[test]
    fn what_is_no_file_is_not_opened() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("pipe");
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
        rustix::fs::mknodat(rustix::fs::CWD, &path, kind, mode, 0).unwrap();
        let place = Place { path, folder: None, max_size: 10, keep: 2 };
        assert_eq!(place.append(b"x\n").unwrap_err().to_string(), "it is not a regular file");
    }
}
