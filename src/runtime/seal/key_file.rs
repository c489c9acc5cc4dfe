//! Where keys lie: the agent's own file, or a credential that the service manager
//! hands out.
//!
//! ```text
//! 25fe1c3aef849fd6 <base64>     the current key: what is sealed now is sealed with it
//! 8c1d0b6f3a52e947 <base64>     a former one, while a value still needs it
//! ```
//! The file is written beside, made durable, and renamed, so it is always the old one
//! or the new one. What others may read is not used as it is: whoever copied it would
//! go unnoticed, and the one who looks after the host has to know. Wrong would be to
//! put the mode right silently, or to make a new file where one cannot be read.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::SealError;
use super::key::{KEY_BYTES, Key, KeyId};

/// A larger file is none of ours, bytes.
const MOST_BYTES: u64 = 64 << 10;

/// The keys of one place, the current one apart.
#[derive(Clone, Debug)]
pub struct Keys {
    pub current: Key,
    pub former: Vec<Key>,
}

impl Keys {
    /// The current one first.
    pub fn iter(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.current).chain(&self.former)
    }

    pub fn find(&self, id: KeyId) -> Option<&Key> {
        self.iter().find(|key| key.id() == id)
    }
}

fn failed(path: &Path, reason: impl ToString) -> SealError {
    SealError::KeyFile { path: path.to_owned(), reason: reason.to_string() }
}

/// The agent's own file; `None` when there is none.
///
/// # Errors
/// [`SealError::KeyFile`]: it is not the agent's alone, or not a key file.
pub fn read(path: &Path) -> Result<Option<Keys>, SealError> {
    // Not waiting for whoever writes a pipe, and not following a link.
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let opened = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(path, error)),
    };
    let found = file.metadata().map_err(|error| failed(path, error))?;
    if !found.is_file() {
        return Err(failed(path, "it is not a regular file"));
    }
    let mode = found.mode() & 0o7777;
    if mode != 0o600 {
        return Err(failed(path, format!("its mode is {mode:04o}, expected 0600")));
    }
    let (owner, own) = (found.uid(), rustix::process::geteuid().as_raw());
    if owner != own {
        return Err(failed(
            path,
            format!("it belongs to user {owner}, expected {own}, who the agent runs as"),
        ));
    }
    let mut text = String::new();
    file.take(MOST_BYTES).read_to_string(&mut text).map_err(|error| failed(path, error))?;
    parse(&text).map(Some).map_err(|reason| failed(path, reason))
}

/// The lines of a key file, the current key first.
///
/// # Errors
/// What is wrong with which line; never the line.
pub fn parse(text: &str) -> Result<Keys, String> {
    let mut keys = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        // Never the line itself: it may be most of a key.
        let wrong = || format!("line {} is wrong, expected the id of a key and the key in base64", at + 1);
        keys.push(Key::parse(line.trim()).ok_or_else(wrong)?);
    }
    let mut keys = keys.into_iter();
    let current = keys.next().ok_or("it is empty")?;
    Ok(Keys { current, former: keys.collect() })
}

/// Writes the agent's own file: durable when it returns.
///
/// # Errors
/// [`SealError::KeyFile`]; the file is as it was.
pub fn write(path: &Path, keys: &Keys) -> Result<(), SealError> {
    let text: String = keys.iter().map(|key| format!("{}\n", key.to_line())).collect();
    replace(path, &text).map_err(|error| failed(path, error))
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let fresh = path.with_extension("key.new");
    // What a crash left may have any mode; a new file has the one asked for.
    match std::fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)?;
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

/// What the service manager hands out: one key as 32 raw bytes, or lines as in the
/// file. `None` when there is none. Who may read it is the service manager's affair.
///
/// # Errors
/// [`SealError::KeyFile`]: it cannot be read, or is no key.
pub fn credential(path: &Path) -> Result<Option<Keys>, SealError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(path, error)),
    };
    let mut bytes = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut bytes).map_err(|error| failed(path, error))?;
    if let Ok(raw) = <[u8; KEY_BYTES]>::try_from(bytes.as_slice()) {
        return Ok(Some(Keys { current: Key::new(raw), former: Vec::new() }));
    }
    let text = std::str::from_utf8(&bytes);
    let text = text.map_err(|_| failed(path, "it is neither a key of 32 bytes nor lines of text"))?;
    parse(text).map(Some).map_err(|reason| failed(path, reason))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn keys() -> Keys {
        Keys { current: Key::new([1; 32]), former: vec![Key::new([2; 32]), Key::new([3; 32])] }
    }

    fn ids(keys: &Keys) -> Vec<KeyId> {
        keys.iter().map(Key::id).collect()
    }

    #[test]
    fn what_is_written_is_read_and_the_agents_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret.key");
        assert!(read(&path).unwrap().is_none());
        // What a crash left behind stops nobody and is not taken for the file.
        std::fs::write(folder.path().join("secret.key.new"), "half").unwrap();
        assert!(read(&path).unwrap().is_none());
        write(&path, &keys()).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(ids(&read(&path).unwrap().unwrap()), ids(&keys()));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_others_may_read_is_refused_and_so_is_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret.key");
        write(&path, &keys()).unwrap();
        for mode in [0o644, 0o640, 0o400, 0o4600] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let refused = read(&path).unwrap_err().to_string();
            let expected = format!("secret.key is not used: its mode is {mode:04o}, expected 0600");
            assert!(refused.ends_with(&expected), "{refused}");
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        // Only root can give a file away.
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
            let refused = read(&path).unwrap_err().to_string();
            assert!(refused.contains("it belongs to user 65534, expected 0"), "{refused}");
            std::os::unix::fs::chown(&path, Some(0), None).unwrap();
        }
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        read(&link).unwrap_err();
        assert!(read(folder.path()).unwrap_err().to_string().ends_with("not a regular file"));
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_without_its_keys() {
        let line = Key::new([1; 32]).to_line();
        let key = &line[17..];
        for (text, expected) in [
            (String::new(), "it is empty"),
            (String::from("\n\n"), "it is empty"),
            (key.to_owned(), "line 1 is wrong"),
            (format!("{line}\n\n{}\n", &line[1..]), "line 3 is wrong"),
            (format!("{line}\n{line} more\n"), "line 2 is wrong"),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.contains(expected) && !error.contains(&key[1..]), "{error}");
        }
        assert_eq!(parse(&format!("\n{line}\r\n{line}")).unwrap().former.len(), 1);
    }

    #[test]
    fn a_credential_is_raw_or_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("holdfast.key");
        assert!(credential(&path).unwrap().is_none());
        std::fs::write(&path, [1; 32]).unwrap();
        assert_eq!(ids(&credential(&path).unwrap().unwrap()), ids(&keys())[..1]);
        write(&path, &keys()).unwrap();
        assert_eq!(ids(&credential(&path).unwrap().unwrap()), ids(&keys()));
        for wrong in [b"short".as_slice(), &[0xff; 33]] {
            std::fs::write(&path, wrong).unwrap();
            assert!(credential(&path).unwrap_err().to_string().contains("holdfast.key is not used"));
        }
    }
}
