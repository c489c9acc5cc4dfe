//! A sealed backup is the same store with the passphrase, and nothing without it; what was
//! done to the file is named, and nothing that was opened stays behind.

use std::path::PathBuf;

use super::*;
use crate::base::secret::Secret;
use crate::model::access::AuditEntry;
use crate::model::backup::{BackupId, MANIFEST, Manifest};
use crate::store::Change;
use crate::store::backup::{BackupError, Looked, Unseal, look_into, restore, seal};

const ON: &dyn Fn() -> bool = &|| true;
const KEYS: &str = "25fe1c3aef849fd6 AAAA\n8c1d0b6f3a52e947 BBBB\n";

struct Sealed {
    folder: tempfile::TempDir,
    file: PathBuf,
    manifest: Manifest,
}

fn audit() -> AuditEntry {
    AuditEntry {
        at: Timestamp(START),
        who: String::from("test"),
        action: String::from("backup.restore"),
        object: String::new(),
        detail: String::new(),
    }
}

fn sealed() -> Sealed {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(&options(&folder.path().join("holdfast.redb")), &clock());
    block(store.commit(Change { writes: Vec::new(), audit: Some(audit()) })).unwrap();
    let (plain, file) = (folder.path().join("plain"), folder.path().join("file"));
    let snapshot = store.copy_to(&plain, ON).unwrap();
    let id = BackupId::of(Timestamp(START), 0);
    let keys = Secret::new(KEYS);
    let made = seal(&plain, &id, &keys, &Secret::new("correct horse battery"), &file, ON).unwrap();
    std::fs::remove_file(plain).unwrap();
    let manifest = Manifest {
        format: MANIFEST,
        id,
        file: String::from("file"),
        created_at: Timestamp(START),
        bytes: std::fs::metadata(&file).unwrap().len(),
        sha256: look_into(&file, None, &unseal(&folder, None), ON).unwrap().verdict.sha256,
        version: String::from("0"),
        schema: snapshot.schema,
        store_id: format!("{:016x}", snapshot.store_id),
        rows: snapshot.rows,
        sealed: true,
        seal: Some(made),
        keys: Vec::new(),
        duration_ms: 0,
        by: String::from("test"),
    };
    Sealed { folder, file, manifest }
}

fn unseal(folder: &tempfile::TempDir, passphrase: Option<&str>) -> Unseal {
    Unseal { passphrase: passphrase.map(Secret::new), scratch: folder.path().join("opened") }
}

impl Sealed {
    fn look(&self, passphrase: Option<&str>) -> Looked {
        look_into(&self.file, Some(&self.manifest), &unseal(&self.folder, passphrase), ON).unwrap()
    }

    /// What is wrong with it, and that nothing opened is left.
    fn problems(&self, passphrase: Option<&str>) -> Vec<String> {
        let problems = self.look(passphrase).verdict.problems;
        assert!(!self.folder.path().join("opened").exists());
        problems
    }
}

#[test]
fn it_is_the_store_with_the_passphrase_and_its_keys() {
    let sealed = sealed();
    let looked = sealed.look(Some("correct horse battery"));
    assert_eq!(looked.verdict.problems, Vec::<String>::new());
    assert!(looked.verdict.opened && looked.verdict.rows == sealed.manifest.rows);
    let opened = looked.opened.as_ref().unwrap();
    assert!(opened.keys.matches(KEYS));
    assert!(opened.has_key("8c1d0b6f3a52e947") && !opened.has_key("AAAA") && !opened.has_key("8c1d"));
    let there = options(&sealed.folder.path().join("other.redb"));
    let (inside, sha256) = looked.store(&sealed.file);
    restore::stage(inside, sha256, &there.path, &audit()).unwrap();
    restore::finish(&there.path, Timestamp(START)).unwrap().unwrap();
    assert_eq!(open(&there, &clock()).0.audit(9, 0).unwrap().1, 2);
    drop(looked);
    assert!(!sealed.folder.path().join("opened").exists());

    let without = sealed.look(None).verdict;
    assert!(without.valid && without.sealed && !without.opened && without.rows.is_empty());
    let alone = look_into(&sealed.file, None, &unseal(&sealed.folder, None), ON).unwrap().verdict;
    assert!(alone.problems[0].contains("neither a manifest nor the passphrase"), "{alone:?}");
}

#[test]
fn what_was_done_to_it_is_named() {
    let mut sealed = sealed();
    let word = Some("correct horse battery");
    assert_eq!(
        sealed.problems(Some("correct horse batterx")),
        ["it does not open: the passphrase is not the one that it was sealed with"]
    );
    let id = std::mem::replace(&mut sealed.manifest.id, BackupId::of(Timestamp(START + 60_000), 0));
    assert!(
        sealed.problems(word)[0].starts_with(&format!("it was sealed as the backup {id}, the manifest says"))
    );
    sealed.manifest.id = id;
    sealed.manifest.sealed = false;
    assert_eq!(sealed.problems(word), ["it is sealed, the manifest says not sealed"]);
    sealed.manifest.sealed = true;

    let whole = std::fs::read(&sealed.file).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    std::fs::write(&sealed.file, flipped).unwrap();
    let problems = sealed.problems(word);
    assert!(
        problems[0].contains("its sha256 is") && problems[1].ends_with("chunk 0 was altered"),
        "{problems:?}"
    );
    assert_eq!(sealed.problems(None).len(), 1, "the sha256 tells without the passphrase");
    std::fs::write(&sealed.file, &whole[..whole.len() - 1]).unwrap();
    let problems = sealed.problems(word);
    assert!(problems[0].contains("bytes, the manifest says"), "{problems:?}");
    // Given up while it is opened.
    std::fs::write(&sealed.file, &whole).unwrap();
    let asked = std::cell::Cell::new(0);
    let go_on = || asked.replace(asked.get() + 1) < 2;
    let stopped = look_into(&sealed.file, None, &unseal(&sealed.folder, word), &go_on).unwrap_err();
    assert_eq!(stopped, BackupError::Stopped);
    assert!(!sealed.folder.path().join("opened").exists());
}
