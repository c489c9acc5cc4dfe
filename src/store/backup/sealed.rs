//! A backup sealed to a passphrase: the file and the keys of its secrets in one container.
//!
//! ```text
//! container( length (4 bytes) of: id of the backup, lines of the key file; the file of the store )
//! ```
//! With the keys inside, the passphrase is all that a new host needs; with the id inside,
//! whoever holds the files cannot pass an old one off as a newer one. What is opened goes
//! to a file of the agent's own, which goes with [`Opened`]: redb reads files, and the
//! store may be larger than memory. One would get it wrong by sealing the file alone: its
//! secrets would be lost with the host, which is when they are wanted.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::{BackupError, has_room, hex};
use crate::base::secret::Secret;
use crate::logic::container::{ContainerError, Costs, MARK, Opener, Sealing};
use crate::model::backup::{BackupId, Seal};

/// Bytes that are read at once.
const CHUNK: usize = 256 << 10;
/// More than the id and the keys take, bytes.
const MOST_FRONT: usize = 64 << 10;

/// How a sealed backup is opened.
#[derive(Clone, Debug)]
pub struct Unseal {
    /// Without it, a sealed backup is only compared with its manifest.
    pub passphrase: Option<Secret>,
    /// Where the opened file is to be while it is needed; nothing else is there.
    pub scratch: PathBuf,
}

/// What was in a sealed backup; the file goes with it.
#[derive(Debug)]
pub struct Opened {
    pub path: PathBuf,
    /// Of the backup, as it was when it was sealed.
    pub id: Option<BackupId>,
    /// Of the opened file, hexadecimal.
    pub sha256: String,
    /// Lines of a key file; may be empty.
    pub keys: Secret,
}

impl Opened {
    /// Whether the key `id` is among them.
    pub fn has_key(&self, id: &str) -> bool {
        self.keys.expose().lines().any(|line| line.split(' ').next() == Some(id))
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Whether the file at `path` is sealed.
///
/// # Errors
/// It cannot be read.
pub fn is_sealed(path: &Path) -> Result<bool, BackupError> {
    let mut mark = [0; MARK.len()];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut mark));
    match read {
        Ok(()) => Ok(mark == MARK),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(BackupError::io(path, &error)),
    }
}

fn refused(path: &Path, error: ContainerError) -> BackupError {
    match error {
        ContainerError::Io(error) => BackupError::io(path, &error),
        ContainerError::Short | ContainerError::Long | ContainerError::Memory => {
            BackupError::Passphrase { reason: error.to_string() }
        }
        error => BackupError::Sealed { path: path.to_owned(), reason: error.to_string() },
    }
}

fn create(path: &Path) -> Result<File, BackupError> {
    let failed = |error: std::io::Error| BackupError::io(path, &error);
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)
}

/// Seals the file at `from`, with its `id` and `keys` beside it, into a new file at `to`: on the disk when
/// this returns. Blocking; `go_on` is asked now and then.
///
/// # Errors
/// [`BackupError`]; what was written may be left at `to`.
pub fn seal(
    from: &Path,
    id: &BackupId,
    keys: &Secret,
    passphrase: &Secret,
    to: &Path,
    go_on: &dyn Fn() -> bool,
) -> Result<Seal, BackupError> {
    let failed = |error: std::io::Error| BackupError::io(from, &error);
    let mut source = File::open(from).map_err(failed)?;
    if !has_room(to, source.metadata().map_err(failed)?.len()) {
        return Err(BackupError::DiskFull { path: to.to_owned() });
    }
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|error| BackupError::Passphrase { reason: error.to_string() })?;
    let costs = Costs::default();
    let target = BufWriter::new(create(to)?);
    let unsealed = |error| refused(to, error);
    let mut sealing = Sealing::begin(target, passphrase, salt, costs).map_err(unsealed)?;
    let front = Secret::new(format!("{id}\n{}", keys.expose()));
    let length = u32::try_from(front.expose().len()).ok().filter(|length| *length as usize <= MOST_FRONT);
    let length = length.ok_or_else(|| BackupError::Passphrase {
        reason: format!("the key file has more than {MOST_FRONT} bytes"),
    })?;
    sealing.write(&length.to_le_bytes()).map_err(unsealed)?;
    sealing.write(front.expose().as_bytes()).map_err(unsealed)?;
    let mut chunk = vec![0; CHUNK];
    loop {
        if !go_on() {
            return Err(BackupError::Stopped);
        }
        match source.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => sealing.write(&chunk[..read]).map_err(unsealed)?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
    let target = sealing.finish().map_err(unsealed)?;
    let target = target.into_inner().map_err(|error| BackupError::io(to, error.error()))?;
    target.sync_all().map_err(|error| BackupError::io(to, &error))?;
    Ok(Seal {
        kdf: String::from("argon2id"),
        memory: costs.memory,
        passes: costs.passes,
        lanes: costs.lanes,
        salt: hex(&salt),
        cipher: String::from("chacha20-poly1305"),
    })
}

/// Opens the sealed file at `path` into a new file at `scratch`. Blocking.
///
/// # Errors
/// [`BackupError`]; nothing is left at `scratch`.
pub fn open(
    path: &Path,
    passphrase: &Secret,
    scratch: &Path,
    go_on: &dyn Fn() -> bool,
) -> Result<Opened, BackupError> {
    let failed = |error: std::io::Error| BackupError::io(path, &error);
    let file = File::open(path).map_err(failed)?;
    if !has_room(scratch, file.metadata().map_err(failed)?.len()) {
        return Err(BackupError::DiskFull { path: scratch.to_owned() });
    }
    let unopened = |error| refused(path, error);
    let mut opener = Opener::begin(file, passphrase).map_err(unopened)?;
    let mut target = BufWriter::new(create(scratch)?);
    // From here on the file goes, whatever happens.
    let mut opened =
        Opened { path: scratch.to_owned(), id: None, sha256: String::new(), keys: Secret::default() };
    let mut front = Some(Vec::new());
    let mut hasher = Sha256::new();
    let mut put = |bytes: &[u8]| {
        hasher.update(bytes);
        target.write_all(bytes).map_err(|error| BackupError::io(scratch, &error))
    };
    while let Some(chunk) = opener.next_chunk().map_err(unopened)? {
        if !go_on() {
            return Err(BackupError::Stopped);
        }
        let Some(mut begun) = front.take() else {
            put(&chunk)?;
            continue;
        };
        begun.extend(chunk);
        match front_of(&begun).map_err(|reason| BackupError::Sealed { path: path.to_owned(), reason })? {
            Some((text, rest)) => {
                let (id, keys) = text.split_once('\n').unwrap_or((text, ""));
                (opened.id, opened.keys) = (BackupId::parse(id), Secret::new(keys));
                put(rest)?;
            }
            None => front = Some(begun),
        }
    }
    if front.is_some() {
        let reason = String::from("it ends before the store in it begins");
        return Err(BackupError::Sealed { path: path.to_owned(), reason });
    }
    target.flush().map_err(|error| BackupError::io(scratch, &error))?;
    opened.sha256 = hex(&hasher.finalize());
    Ok(opened)
}

/// The text at the front and what follows it; `None` while there is too little.
fn front_of(front: &[u8]) -> Result<Option<(&str, &[u8])>, String> {
    let Some((length, rest)) = front.split_first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_le_bytes(*length) as usize;
    if length > MOST_FRONT {
        return Err(format!("its front takes {length} bytes, expected at most {MOST_FRONT}"));
    }
    let Some((text, rest)) = rest.split_at_checked(length) else { return Ok(None) };
    let text = std::str::from_utf8(text).map_err(|_| String::from("its front is no text"))?;
    Ok(Some((text, rest)))
}
