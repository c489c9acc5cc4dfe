//! Reading a whole backup: is it what its manifest says, and does it open?
//!
//! Three looks, each of which finds what the others cannot: the digest over all bytes
//! (a flipped bit anywhere, a cut file), redb's checksums over its pages (also where no
//! manifest is left), and every row decoded (rows of a version nobody knows). The file
//! is not written to.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use redb::{Database, ReadableDatabase as _};
use sha2::{Digest as _, Sha256};

use super::copy::{overlay, unknown};
use super::read_through::ReadThrough;
use super::sealed::{Opened, Unseal, is_sealed, open};
use super::walk::{Walked, walk};
use super::{BackupError, guarded, hex};
use crate::base::id::Name;
use crate::model::alert::Alert;
use crate::model::backup::{Manifest, Verdict};
use crate::model::failover::durable::Durable;
use crate::store::fault::Fault;
use crate::store::{alerts, failover, migrations};

/// redb's page cache, bytes.
const CACHE: usize = 4 << 20;
/// Bytes that are read at once.
const CHUNK: usize = 256 << 10;

/// What a file holds, beyond the verdict.
#[derive(Debug)]
pub struct Looked {
    /// What was in a sealed one.
    pub opened: Option<Opened>,
    pub verdict: Verdict,
    /// The configuration at run time inside.
    pub overlay: serde_json::Value,
    /// Failover groups inside, or why one cannot be read.
    pub groups: BTreeMap<Name, Result<Durable, String>>,
    /// Alerts inside.
    pub alerts: Vec<Alert>,
}

struct Inside {
    schema: u64,
    unknown: BTreeSet<String>,
    walked: Walked,
    overlay: serde_json::Value,
    groups: BTreeMap<Name, Result<Durable, String>>,
    alerts: Vec<Alert>,
}

impl Looked {
    /// The store inside `file` as it is to be put in place, and its sha256.
    pub fn store<'a>(&'a self, file: &'a Path) -> (&'a Path, &'a str) {
        self.opened.as_ref().map_or((file, &self.verdict.sha256), |opened| (&opened.path, &opened.sha256))
    }
}

/// [`look_into`] without a passphrase.
///
/// # Errors
/// The file cannot be read at all, or `go_on` said no.
pub fn look(
    path: &Path,
    manifest: Option<&Manifest>,
    go_on: &dyn Fn() -> bool,
) -> Result<Looked, BackupError> {
    look_into(path, manifest, &Unseal { passphrase: None, scratch: path.with_extension("open") }, go_on)
}

/// Reads the file at `path` whole and compares it with `manifest`; a sealed one is opened
/// where the passphrase is there. Blocking. What is wrong with it is in the verdict.
///
/// # Errors
/// The file cannot be read at all, the opened one has no room, or `go_on` said no.
pub fn look_into(
    path: &Path,
    manifest: Option<&Manifest>,
    unseal: &Unseal,
    go_on: &dyn Fn() -> bool,
) -> Result<Looked, BackupError> {
    let (bytes, sha256) = digest(path, go_on)?;
    let sealed = is_sealed(path)?;
    let mut problems = Vec::new();
    if let Some(manifest) = manifest {
        if manifest.bytes != bytes {
            problems.push(format!("it has {bytes} bytes, the manifest says {}", manifest.bytes));
        }
        if manifest.sha256 != sha256 {
            problems.push(format!("its sha256 is {sha256}, the manifest says {}", manifest.sha256));
        }
        if manifest.sealed != sealed {
            let word = |sealed| if sealed { "sealed" } else { "not sealed" };
            problems.push(format!("it is {}, the manifest says {}", word(sealed), word(manifest.sealed)));
        }
    }
    let mut opened = None;
    if let Some(passphrase) = unseal.passphrase.as_ref().filter(|_| sealed) {
        match open(path, passphrase, &unseal.scratch, go_on) {
            Ok(done) => opened = Some(done),
            Err(BackupError::Sealed { reason, .. }) => problems.push(format!("it does not open: {reason}")),
            Err(error) => return Err(error),
        }
    } else if sealed && manifest.is_none() {
        problems.push(String::from(
            "it is sealed, and neither a manifest nor the passphrase is here to check it",
        ));
    }
    if let (Some(Opened { id: Some(id), .. }), Some(manifest)) = (&opened, manifest)
        && *id != manifest.id
    {
        problems.push(format!("it was sealed as the backup {id}, the manifest says {}", manifest.id));
    }
    let inside = match &opened {
        Some(opened) => read_inside(&opened.path, &mut problems),
        None if sealed => None,
        None => read_inside(path, &mut problems),
    };
    let mut looked = Looked {
        verdict: Verdict {
            valid: false,
            problems,
            bytes,
            sha256,
            manifest: manifest.is_some(),
            sealed,
            opened: inside.is_some(),
            rows: BTreeMap::new(),
            unknown_tables: Vec::new(),
            schema: None,
            duration_ms: 0,
        },
        opened,
        overlay: serde_json::Value::Null,
        groups: BTreeMap::new(),
        alerts: Vec::new(),
    };
    if let Some(inside) = inside {
        let verdict = &mut looked.verdict;
        verdict.problems.extend(inside.walked.problems);
        if let Some(manifest) = manifest.filter(|manifest| manifest.rows != inside.walked.rows) {
            verdict.problems.push(difference(manifest, &inside.walked.rows));
        }
        verdict.rows = inside.walked.rows;
        verdict.unknown_tables = inside.unknown.into_iter().collect();
        verdict.schema = Some(inside.schema);
        looked.overlay = inside.overlay;
        looked.groups = inside.groups;
        looked.alerts = inside.alerts;
    }
    looked.verdict.valid = looked.verdict.problems.is_empty();
    Ok(looked)
}

/// `None` where it does not open; then the problems say why.
fn read_inside(path: &Path, problems: &mut Vec<String>) -> Option<Inside> {
    match guarded(|| inside(path)) {
        Ok(inside) => return Some(inside),
        Err(Fault::TooNew(found)) => {
            let supported = migrations::SCHEMA_VERSION;
            problems.push(format!("it is from a newer holdfast: schema {found}, this one knows {supported}"));
        }
        Err(fault) => problems.push(format!("it does not open: {fault}")),
    }
    None
}

fn difference(manifest: &Manifest, rows: &BTreeMap<String, u64>) -> String {
    let of = |rows: &BTreeMap<String, u64>, name: &str| rows.get(name).copied().unwrap_or(0);
    let mut names = manifest.rows.keys().chain(rows.keys());
    let name = names.find(|name| of(&manifest.rows, name) != of(rows, name)).cloned().unwrap_or_default();
    let (said, found) = (of(&manifest.rows, &name), of(rows, &name));
    format!("table {name} has {found} rows, the manifest says {said}")
}

/// Length and digest of a file.
pub fn digest(path: &Path, go_on: &dyn Fn() -> bool) -> Result<(u64, String), BackupError> {
    let failed = |error: std::io::Error| BackupError::io(path, &error);
    let mut file = File::open(path).map_err(failed)?;
    let mut chunk = vec![0; CHUNK];
    let (mut hasher, mut bytes) = (Sha256::new(), 0u64);
    loop {
        if !go_on() {
            return Err(BackupError::Stopped);
        }
        let read = match file.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(error)),
        };
        hasher.update(&chunk[..read]);
        bytes += read as u64;
    }
    Ok((bytes, hex(&hasher.finalize())))
}

fn inside(path: &Path) -> Result<Inside, Fault> {
    let file = File::open(path).map_err(|error| Fault::io(&error))?;
    let backend = ReadThrough::new(file).map_err(|error| Fault::io(&error))?;
    // redb would make a new database of it.
    if redb::StorageBackend::len(&backend).map_err(|error| Fault::io(&error))? == 0 {
        return Err(Fault::Damaged(String::from("it is empty")));
    }
    let mut db = Database::builder().set_cache_size(CACHE).create_with_backend(backend)?;
    let schema = migrations::schema_of(&db)?;
    let schema = schema.ok_or_else(|| Fault::Damaged(String::from("it has no schema version")))?;
    if schema > migrations::SCHEMA_VERSION {
        return Err(Fault::TooNew(schema));
    }
    if !db.check_integrity()? {
        return Err(Fault::Damaged(String::from("a checksum of its pages is wrong")));
    }
    let tx = db.begin_read()?;
    Ok(Inside {
        schema,
        unknown: unknown(&tx)?,
        walked: walk(&tx)?,
        overlay: overlay(&tx)?,
        groups: failover::read(&tx)?,
        alerts: alerts::read(&tx)?,
    })
}
