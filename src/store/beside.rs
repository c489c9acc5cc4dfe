//! What a group must never forget, once more as a file beside the store.
//!
//! `<data_dir>/failover/<group>.json`, 0600, replaced as a whole: epoch, head, lineage and
//! fences. A store that was emptied, moved aside or restored from a backup is older than
//! the servers; with the file the newer of both wins, see [`newer`]. One would get it
//! wrong by writing the file in place: a power cut in between would leave neither.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::base::id::Name;
use crate::model::failover::durable::{Durable, Operation};

/// Of the layout of the file.
const VERSION: u32 = 1;
/// More than the largest group takes.
const MOST_BYTES: u64 = 4 << 20;
/// Files that are looked at.
const MOST_GROUPS: usize = 1000;

/// The folder of these files. Every call blocks on the disk.
#[derive(Clone, Debug)]
pub struct Beside {
    folder: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Contents {
    version: u32,
    group: Name,
    kept: Durable,
}

impl Beside {
    /// Below the data directory; the folder is made with the first file.
    pub fn new(data_dir: &Path) -> Self {
        Self { folder: data_dir.join("failover") }
    }

    /// Groups that have a file.
    pub fn groups(&self) -> Vec<Name> {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let name =
            |entry: std::fs::DirEntry| Name::new(entry.file_name().to_str()?.strip_suffix(".json")?).ok();
        entries.take(MOST_GROUPS).filter_map(name).collect()
    }

    /// What the file of the group holds; `None` where there is none.
    ///
    /// # Errors
    /// It cannot be read, is of a newer version, or is not what it should be.
    pub fn read(&self, group: &Name) -> io::Result<Option<Durable>> {
        let path = self.path(group, "json");
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let wrong =
            |reason: String| io::Error::new(ErrorKind::InvalidData, format!("{}: {reason}", path.display()));
        let mut text = String::new();
        file.take(MOST_BYTES).read_to_string(&mut text)?;
        let version = serde_json::from_str::<serde_json::Value>(&text)
            .map_err(|error| wrong(error.to_string()))?["version"]
            .as_u64();
        if version != Some(u64::from(VERSION)) {
            let found = version.map_or_else(|| String::from("none"), |version| version.to_string());
            return Err(wrong(format!("version {found}, expected {VERSION}")));
        }
        let contents: Contents = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        if contents.group != *group {
            return Err(wrong(format!("it is of the group `{}`", contents.group)));
        }
        Ok(Some(contents.kept))
    }

    /// The sealed texts in all of the files.
    ///
    /// # Errors
    /// The folder or one of the files cannot be read.
    pub fn sealed(&self) -> io::Result<Vec<String>> {
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut texts = Vec::new();
        for entry in entries {
            let file = entry?.file_name();
            let group = file.to_str().and_then(|file| Name::new(file.strip_suffix(".json")?).ok());
            let kept = group.map_or(Ok(None), |group| self.read(&group))?;
            texts.extend(kept.iter().flat_map(Durable::sealed).map(str::to_owned));
        }
        Ok(texts)
    }

    /// Replaces the file of the group; on the disk when it returns.
    ///
    /// # Errors
    /// It cannot be written; then the former one is there, or both are the same.
    pub fn write(&self, group: &Name, durable: &Durable) -> io::Result<()> {
        let contents = Contents { version: VERSION, group: group.clone(), kept: kept(durable) };
        let text = serde_json::to_string(&contents).map_err(io::Error::other)?;
        self.replace(&self.path(group, "json"), &text)
    }

    /// Keeps the statements that undo a cut, for whoever must do it without the agent.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_undo(&self, group: &Name, sql: &str) -> io::Result<()> {
        self.replace(&self.path(group, "undo.sql"), sql)
    }

    /// Nothing is cut any more.
    ///
    /// # Errors
    /// The file is there and cannot be removed.
    pub fn remove_undo(&self, group: &Name) -> io::Result<()> {
        self.remove(&self.path(group, "undo.sql"))
    }

    /// The group is gone.
    ///
    /// # Errors
    /// A file of it is there and cannot be removed.
    pub fn forget(&self, group: &Name) -> io::Result<()> {
        self.remove_undo(group)?;
        self.remove(&self.path(group, "json"))
    }

    /// A name holds neither dots nor slashes, so it cannot lead out of the folder.
    fn path(&self, group: &Name, ending: &str) -> PathBuf {
        self.folder.join(format!("{group}.{ending}"))
    }

    fn replace(&self, path: &Path, text: &str) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let mut fresh = path.as_os_str().to_owned();
        fresh.push(".new");
        // What a crash left may have any mode; a new file has the one asked for.
        match std::fs::remove_file(&fresh) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&fresh, path)?;
        self.sync()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match std::fs::remove_file(path) {
            Ok(()) => self.sync(),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }
}

/// The greatest epoch that was begun.
pub fn reached(durable: &Durable) -> u64 {
    durable.epoch.max(durable.operation.as_ref().map_or(0, |Operation { epoch, .. }| *epoch))
}

/// What the file holds of it. An epoch that was begun is used, whatever came of it.
fn kept(durable: &Durable) -> Durable {
    Durable {
        epoch: reached(durable),
        head: durable.head.clone(),
        lineage: durable.lineage.clone(),
        members: durable.members.clone(),
        ..Durable::default()
    }
}

/// What a group starts from. Where the file knows a newer epoch, the store was emptied or
/// restored: epoch, head, lineage and fences are the file's then, what operators said is
/// the store's, and an operation of the older epoch is over.
pub fn newer(stored: Option<Durable>, beside: Option<Durable>) -> Durable {
    let stored = stored.unwrap_or_default();
    let Some(beside) = beside.filter(|beside| beside.epoch > reached(&stored)) else { return stored };
    Durable {
        epoch: beside.epoch,
        head: beside.head,
        lineage: beside.lineage,
        members: beside.members,
        operation: None,
        down: None,
        ..stored
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::model::failover::durable::{Head, MemberMemory, OperationKind, Step};
    use crate::model::failover::lsn::Lsn;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn head(member: &str, timeline: u32) -> Option<Head> {
        Some(Head { member: name(member), system_id: 7_000_000_000_000_000_001, timeline, forked: None })
    }

    fn durable(epoch: u64, member: &str) -> Durable {
        let fenced = MemberMemory { superseded: Some(epoch), ..MemberMemory::default() };
        let members = [(name("old"), fenced)].into();
        Durable { epoch, head: head(member, epoch as u32), members, ..Durable::default() }
    }

    fn begun(durable: Durable, epoch: u64) -> Durable {
        let operation = Operation {
            kind: OperationKind::Failover,
            epoch,
            step: Step::Begun,
            from: None,
            to: None,
            cause: String::new(),
            forced: false,
            last_lsn: Some(Lsn(0)),
            reach: None,
            cut: Vec::new(),
            candidate: None,
            intent: Lsn(0),
            started: crate::base::time::Timestamp(0),
            noticed_ms: 0,
        };
        Durable { operation: Some(operation), ..durable }
    }

    #[test]
    fn the_newer_epoch_wins_and_an_operator_s_word_stays() {
        assert_eq!(newer(None, None), Durable::default());
        assert_eq!(newer(Some(durable(3, "a")), None), durable(3, "a"));
        assert_eq!(newer(None, Some(durable(3, "a"))), durable(3, "a"));
        assert_eq!(newer(Some(durable(3, "a")), Some(durable(2, "b"))), durable(3, "a"));
        // Both are of one epoch: the store knows more.
        let mut same = durable(3, "a");
        same.members.clear();
        assert_eq!(newer(Some(same.clone()), Some(durable(3, "a"))), same);

        let restored = Durable { disabled: true, ..begun(durable(3, "a"), 4) };
        let won = newer(Some(restored.clone()), Some(durable(5, "b")));
        assert_eq!(won, Durable { disabled: true, ..durable(5, "b") });
        // The epoch that the store has begun is the file's own.
        assert_eq!(newer(Some(restored.clone()), Some(durable(4, "b"))), restored);
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_only_we_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let beside = Beside::new(folder.path());
        let main = name("main");
        assert_eq!(beside.read(&main).unwrap(), None);
        beside.write(&main, &durable(3, "a")).unwrap();
        std::fs::write(folder.path().join("failover/main.json.new"), "left by a crash").unwrap();
        beside.write(&main, &begun(durable(3, "a"), 4)).unwrap();
        assert_eq!(beside.read(&main).unwrap().unwrap(), Durable { epoch: 4, ..durable(3, "a") });
        let mode =
            |path: &str| std::fs::metadata(folder.path().join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("failover"), mode("failover/main.json")), (0o700, 0o600));
        beside.write_undo(&main, "ALTER SYSTEM").unwrap();
        assert_eq!(mode("failover/main.undo.sql"), 0o600);
        beside.forget(&main).unwrap();
        beside.forget(&main).unwrap();
        assert_eq!(std::fs::read_dir(folder.path().join("failover")).unwrap().count(), 0);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let beside = Beside::new(folder.path());
        beside.write(&name("main"), &durable(3, "a")).unwrap();
        let path = folder.path().join("failover/main.json");
        let text = std::fs::read_to_string(&path).unwrap();
        for (wrong, expected) in [
            (text.replace("\"version\":1", "\"version\":2"), "version 2, expected 1"),
            (text.replace("\"group\":\"main\"", "\"group\":\"other\""), "it is of the group `other`"),
            (text[..40].to_owned(), "main.json: EOF"),
            (String::from("[]"), "version none"),
        ] {
            std::fs::write(&path, wrong).unwrap();
            let error = beside.read(&name("main")).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    proptest::proptest! {
        /// Whatever is lost or restored, no epoch is ever used twice.
        #[test]
        fn no_epoch_is_used_twice(stored in 0u64..9, begun_too in proptest::bool::ANY, beside in 0u64..9, gone in 0u8..3) {
            let first = if begun_too { begun(durable(stored, "a"), stored + 1) } else { durable(stored, "a") };
            let stored = (gone != 1).then_some(first);
            let beside = (gone != 2).then(|| durable(beside, "b"));
            let most = stored.as_ref().map_or(0, reached).max(beside.as_ref().map_or(0, |beside| beside.epoch));
            proptest::prop_assert_eq!(reached(&newer(stored, beside)), most);
        }
    }
}
