//! Secrets at rest: sealed in the store, the key beside it and not in it.
//!
//! The key is in `<data_dir>/secret.key`, made when the first secret is sealed, or in
//! the credential `holdfast.key` of the service manager, which then stands above the
//! file. It is read again at every use: there is no copy in memory that could differ
//! from what a restart finds.
//!
//! A rotation goes [`Sealer::begin_rotation`], everything stored is sealed anew in one
//! transaction, [`Sealer::finish_rotation`]. Before and after each of the steps every
//! key that a stored value names is in the file. Wrong would be to replace the key
//! first: a crash would leave what nothing opens. Who stores by itself what it sealed holds
//! [`Sealer::storing`] over both, so that no key goes in between.

mod key;
mod key_file;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use self::key::{Key, Sealed};
use self::key_file::Keys;
use crate::base::secret::Secret;

pub use self::key::KeyId;

const FILE: &str = "secret.key";
const CREDENTIAL: &str = "holdfast.key";
const FORMER_CREDENTIAL: &str = "holdfast.key.old";

/// Why a secret cannot be sealed or opened. Holds neither keys nor secrets.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SealError {
    #[error("the key file {} is not used: {reason}", path.display())]
    KeyFile { path: PathBuf, reason: String },
    #[error("the key file {} is missing", path.display())]
    NoFile { path: PathBuf },
    #[error("it was sealed with key {id}, which is not in {}", path.display())]
    NoKey { id: KeyId, path: PathBuf },
    #[error("it was moved, damaged, or sealed with another key than key {id} in {}", path.display())]
    WrongKey { id: KeyId, path: PathBuf },
    #[error("it was moved or damaged, or sealed with another key")]
    Damaged,
    #[error("it is not sealed")]
    NotSealed,
    #[error("a newer holdfast sealed it")]
    Newer,
    #[error("the system gives no random numbers: {0}")]
    Random(String),
}

/// Seals and opens; knows where the keys are and holds none.
#[derive(Clone, Debug)]
pub struct Sealer {
    file: PathBuf,
    credentials: Option<PathBuf>,
    turn: Arc<RwLock<()>>,
}

/// Every key there is, the one to seal with first.
struct Found {
    keys: Keys,
    /// Whether the current one is the service manager's.
    handed_out: bool,
}

impl Sealer {
    /// Keys in `data_dir`, and in the service manager's `credentials` directory if it
    /// gave one.
    pub fn new(data_dir: &Path, credentials: Option<&Path>) -> Self {
        let credentials = credentials.filter(|path| path.is_absolute()).map(Path::to_owned);
        Self { file: data_dir.join(FILE), credentials, turn: Arc::default() }
    }

    /// Held from sealing until what was sealed is stored: no key is dropped meanwhile.
    pub async fn storing(&self) -> OwnedRwLockReadGuard<()> {
        self.turn.clone().read_owned().await
    }

    /// Held from reading what is stored until the keys that it does not name are dropped.
    pub async fn dropping(&self) -> OwnedRwLockWriteGuard<()> {
        self.turn.clone().write_owned().await
    }

    /// Where the key is, or would be made.
    pub fn place(&self) -> PathBuf {
        let credential = self.credential(CREDENTIAL).filter(|path| path.exists());
        credential.unwrap_or_else(|| self.file.clone())
    }

    fn credential(&self, name: &str) -> Option<PathBuf> {
        self.credentials.as_ref().map(|folder| folder.join(name))
    }

    fn handed_out(&self, name: &str) -> Result<Option<Keys>, SealError> {
        self.credential(name).map_or(Ok(None), |path| key_file::credential(&path))
    }

    fn find(&self) -> Result<Option<Found>, SealError> {
        let Some(mut keys) = self.handed_out(CREDENTIAL)? else {
            return Ok(key_file::read(&self.file)?.map(|keys| Found { keys, handed_out: false }));
        };
        let former = self.handed_out(FORMER_CREDENTIAL)?;
        keys.former.extend(former.iter().flat_map(Keys::iter).cloned());
        // What was sealed before there was a credential. A file that is not used is
        // missed only by a value that names a key of it.
        if let Ok(Some(own)) = key_file::read(&self.file) {
            keys.former.extend(own.iter().cloned());
        }
        Ok(Some(Found { keys, handed_out: true }))
    }

    /// Whether a key of this id is here; not where the keys cannot be read.
    pub fn has(&self, id: &str) -> bool {
        self.find()
            .ok()
            .flatten()
            .is_some_and(|found| found.keys.iter().any(|key| key.id().to_string() == id))
    }

    /// Every key there is as lines of a key file; empty where there is none. For a backup
    /// that is itself sealed, and nothing else. Blocking: reads files.
    ///
    /// # Errors
    /// [`SealError::KeyFile`]
    pub fn keys(&self) -> Result<Secret, SealError> {
        let found = self.find()?;
        let lines =
            found.iter().flat_map(|found| found.keys.iter()).map(|key| format!("{}\n", key.to_line()));
        Ok(Secret::new(lines.collect::<String>()))
    }

    /// Adds the keys that `lines`, made by [`Sealer::keys`], hold and that are not here: as
    /// former ones where there is a current one. Says how many. Blocking: durable when it
    /// returns.
    ///
    /// # Errors
    /// [`SealError::KeyFile`]; the file is as it was.
    pub fn take_in(&self, lines: &Secret) -> Result<usize, SealError> {
        if lines.expose().trim().is_empty() {
            return Ok(0);
        }
        let given = key_file::parse(lines.expose());
        let given = given.map_err(|reason| SealError::KeyFile { path: self.file.clone(), reason })?;
        let here = self.find()?;
        let known = |key: &&Key| here.as_ref().is_none_or(|found| found.keys.find(key.id()).is_none());
        let fresh: Vec<Key> = given.iter().filter(known).cloned().collect();
        if fresh.is_empty() {
            return Ok(0);
        }
        let mut all = key_file::read(&self.file)?.iter().flat_map(Keys::iter).cloned().collect::<Vec<Key>>();
        all.extend(fresh.iter().cloned());
        let mut all = all.into_iter();
        let Some(current) = all.next() else { return Ok(0) };
        self.write(&Keys { current, former: all.collect() })?;
        Ok(fresh.len())
    }

    fn write(&self, keys: &Keys) -> Result<(), SealError> {
        key_file::write(&self.file, keys)
    }

    /// Seals `text` for `place`, the path of its key; makes the key at first need.
    /// Blocking: reads and may write files.
    ///
    /// # Errors
    /// [`SealError::KeyFile`] or [`SealError::Random`]
    pub fn seal(&self, place: &str, text: &str) -> Result<String, SealError> {
        let current = match self.find()? {
            Some(found) => found.keys.current,
            None => {
                let keys = Keys { current: Key::random()?, former: Vec::new() };
                self.write(&keys)?;
                keys.current
            }
        };
        current.seal(place, text)
    }

    /// The text that was sealed for `place`. Blocking: reads files.
    ///
    /// # Errors
    /// [`SealError`], for a person to act on.
    pub fn open(&self, place: &str, text: &str) -> Result<String, SealError> {
        let sealed = Sealed::parse(text)?;
        let found = self.find()?.ok_or_else(|| SealError::NoFile { path: self.file.clone() })?;
        let Some(key) = found.keys.find(sealed.key) else {
            // Perhaps it is in the file beside the credential, and that is not used.
            key_file::read(&self.file)?;
            return Err(SealError::NoKey { id: sealed.key, path: self.place() });
        };
        let opened = key.open(place, &sealed);
        opened.map_err(|_| SealError::WrongKey { id: sealed.key, path: self.place() })
    }

    /// Whether the key is one that the service manager handed out, and so replaces.
    ///
    /// # Errors
    /// [`SealError::KeyFile`]: there is one and it is no key.
    pub fn is_handed_out(&self) -> Result<bool, SealError> {
        Ok(self.handed_out(CREDENTIAL)?.is_some())
    }

    /// Whether all of the `stored` texts are sealed with the current key.
    ///
    /// # Errors
    /// [`SealError::KeyFile`]
    pub fn is_current<'a>(&self, stored: impl IntoIterator<Item = &'a str>) -> Result<bool, SealError> {
        let current = self.find()?.map(|found| found.keys.current.id());
        Ok(stored.into_iter().all(|text| named_by(text).is_none_or(|id| Some(id) == current)))
    }

    /// Makes a new key the current one and keeps the others. With a credential, which
    /// only the service manager replaces, nothing is made. Blocking.
    ///
    /// # Errors
    /// [`SealError::KeyFile`] or [`SealError::Random`]; the file is as it was.
    pub fn begin_rotation(&self) -> Result<KeyId, SealError> {
        let found = self.find()?;
        if let Some(found) = found.as_ref().filter(|found| found.handed_out) {
            return Ok(found.keys.current.id());
        }
        let former = found.iter().flat_map(|found| found.keys.iter().cloned()).collect();
        let keys = Keys { current: Key::random()?, former };
        self.write(&keys)?;
        Ok(keys.current.id())
    }

    /// Drops the former keys that none of the `stored` texts names, and says how many
    /// are left. With a credential all stay, and the file as it is. Blocking.
    ///
    /// # Errors
    /// [`SealError::KeyFile`]; the file is as it was.
    pub fn finish_rotation<'a>(&self, stored: impl IntoIterator<Item = &'a str>) -> Result<usize, SealError> {
        let named: Vec<KeyId> = stored.into_iter().filter_map(named_by).collect();
        let Some(Found { mut keys, handed_out }) = self.find()? else { return Ok(0) };
        if handed_out {
            return Ok(keys.former.len());
        }
        let before = keys.former.len();
        keys.former.retain(|key| named.contains(&key.id()));
        if keys.former.len() < before {
            self.write(&keys)?;
        }
        Ok(keys.former.len())
    }

    /// Finishes a rotation that a crash cut off after its commit. Blocking. Where no
    /// text is sealed with the current key, the commit is yet to come, or another store
    /// was put here: then every key stays.
    ///
    /// # Errors
    /// [`SealError::KeyFile`]; the file is as it was.
    pub fn tidy(&self, stored: &[&str]) -> Result<(), SealError> {
        let Some(found) = self.find()?.filter(|found| !found.handed_out) else { return Ok(()) };
        let current = Some(found.keys.current.id());
        if !found.keys.former.is_empty() && stored.iter().any(|text| named_by(text) == current) {
            self.finish_rotation(stored.iter().copied())?;
        }
        Ok(())
    }
}

/// Ids of the keys that sealed texts anywhere in `document` name.
pub fn keys_of(document: &serde_json::Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut rest = vec![document];
    while let Some(value) = rest.pop() {
        match value {
            serde_json::Value::String(text) => found.extend(named_by(text).map(|id| id.to_string())),
            serde_json::Value::Array(items) => rest.extend(items),
            serde_json::Value::Object(members) => rest.extend(members.values()),
            _ => {}
        }
    }
    found
}

/// The key that a sealed text names.
fn named_by(text: &str) -> Option<KeyId> {
    Sealed::parse(text).ok().map(|sealed| sealed.key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: &str = "target.postgres[pg9].password";

    #[test]
    fn the_key_is_made_when_it_is_needed() {
        let folder = tempfile::tempdir().unwrap();
        let sealer = Sealer::new(folder.path(), None);
        let file = folder.path().join(FILE);
        assert!(
            sealer.open(PLACE, "geheim").is_err() && sealer.finish_rotation([]).is_ok() && !file.exists()
        );
        let sealed = sealer.seal(PLACE, "geheim").unwrap();
        assert_eq!(sealer.open(PLACE, &sealed).unwrap(), "geheim");
        let moved = sealer.open("target.postgres[pg8].password", &sealed).unwrap_err().to_string();
        assert!(moved.contains("moved") && moved.contains("secret.key"), "{moved}");
        std::fs::remove_file(&file).unwrap();
        let missing = sealer.open(PLACE, &sealed).unwrap_err().to_string();
        assert_eq!(missing, format!("the key file {} is missing", file.display()));
        sealer.seal(PLACE, "other").unwrap();
        let other = sealer.open(PLACE, &sealed).unwrap_err().to_string();
        assert!(other.contains("which is not in") && other.contains("secret.key"), "{other}");
    }

    #[test]
    fn a_credential_stands_above_the_file_and_writes_none() {
        let (folder, handed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let before = Sealer::new(folder.path(), None).seal(PLACE, "before").unwrap();
        std::fs::write(handed.path().join(CREDENTIAL), [1; 32]).unwrap();
        let sealer = Sealer::new(folder.path(), Some(handed.path()));
        let first = sealer.seal(PLACE, "first").unwrap();
        // Sealed before there was a credential, and still read.
        assert_eq!(sealer.open(PLACE, &before).unwrap(), "before");
        assert!(!sealer.is_current([before.as_str()]).unwrap());

        let other = tempfile::tempdir().unwrap();
        let alone = Sealer::new(other.path(), Some(handed.path()));
        assert_eq!(alone.open(PLACE, &first).unwrap(), "first");
        assert!(alone.is_handed_out().unwrap() && alone.is_current([first.as_str()]).unwrap());
        std::fs::rename(handed.path().join(CREDENTIAL), handed.path().join(FORMER_CREDENTIAL)).unwrap();
        std::fs::write(handed.path().join(CREDENTIAL), [2; 32]).unwrap();
        assert_eq!(alone.open(PLACE, &first).unwrap(), "first");
        let id = alone.begin_rotation().unwrap();
        let second = alone.seal(PLACE, "second").unwrap();
        assert!(second.contains(&id.to_string()));
        assert_eq!(alone.finish_rotation([second.as_str()]).unwrap(), 1);
        std::fs::remove_file(handed.path().join(FORMER_CREDENTIAL)).unwrap();
        assert_eq!(alone.open(PLACE, &second).unwrap(), "second");
        assert!(matches!(alone.open(PLACE, &first), Err(SealError::NoKey { .. })));
        assert_eq!(std::fs::read_dir(other.path()).unwrap().count(), 0);
    }

    #[test]
    fn keys_that_are_taken_in_open_what_they_sealed() {
        let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (from, to) = (Sealer::new(old.path(), None), Sealer::new(new.path(), None));
        assert!(from.keys().unwrap().is_empty() && to.take_in(&from.keys().unwrap()) == Ok(0));
        let first = from.seal(PLACE, "first").unwrap();
        from.begin_rotation().unwrap();
        let second = from.seal(PLACE, "second").unwrap();
        let keys = from.keys().unwrap();
        // Where there is no key yet, and beside one that stays the current one.
        assert!(to.take_in(&Secret::new("no key")).is_err());
        let own = to.seal(PLACE, "own").unwrap();
        assert_eq!((to.take_in(&keys), to.take_in(&keys)), (Ok(2), Ok(0)));
        for (sealed, text) in [(&first, "first"), (&second, "second"), (&own, "own")] {
            assert_eq!(to.open(PLACE, sealed).unwrap(), text);
        }
        assert!(to.is_current([own.as_str()]).unwrap());
        let third = tempfile::tempdir().unwrap();
        let fresh = Sealer::new(third.path(), None);
        fresh.take_in(&keys).unwrap();
        assert!(fresh.is_current([second.as_str()]).unwrap());
    }

    #[test]
    fn a_rotation_keeps_what_is_still_named() {
        let folder = tempfile::tempdir().unwrap();
        let sealer = Sealer::new(folder.path(), None);
        let (one, two) = (sealer.seal(PLACE, "one").unwrap(), sealer.seal("other", "two").unwrap());
        sealer.begin_rotation().unwrap();
        assert_eq!(sealer.open(PLACE, &one).unwrap(), "one");
        sealer.tidy(&[&one, &two]).unwrap();
        let again = sealer.seal(PLACE, "one").unwrap();
        sealer.tidy(&[]).unwrap();
        assert_eq!(sealer.finish_rotation([again.as_str(), two.as_str()]).unwrap(), 1);
        assert_eq!(sealer.open("other", &two).unwrap(), "two");
        sealer.tidy(&[&again]).unwrap();
        assert_eq!(sealer.open(PLACE, &again).unwrap(), "one");
        assert!(matches!(sealer.open("other", &two), Err(SealError::NoKey { .. })));
    }
}
