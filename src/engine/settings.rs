//! The configuration in force, and the one way to change it.
//!
//! The pattern: readers take an `Arc<Config>` or wait on a `watch`; whoever wants a
//! change hands in a merge patch and the ETag of what it was made from. A change is
//! validated as a whole, stored with its audit row in one commit, and only then put
//! in force, so a crash in between leaves what was answered. Wrong would be to
//! change a running part directly: after a restart it would be gone, and the page
//! would show something that is not so. Secrets are sealed on their way to the store and
//! opened on their way from it; here and in the parts that use them they are in clear.

use std::collections::HashMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};

use crate::base::time::Clock;
use crate::config::Config;
use crate::config::file;
use crate::config::load::{Loaded, Sources, assemble, load, load_text};
use crate::config::origin::Origin;
use crate::config::overlay::{self, Overlay, PatchError, Pin};
use crate::config::problem::{Problem, Problems};
use crate::config::reserved;
use crate::config::schema::shape;
use crate::config::tree::Key;
use crate::config::view::{self, Drift, ValueView};
use crate::model::access::{AuditEntry, Principal, Scope};
use crate::model::event::EventType;
use crate::runtime::bus::Bus;
use crate::runtime::seal::{SealError, Sealer};
use crate::runtime::supervisor::{Phase, Supervisor};
use crate::store::beside::Beside;
use crate::store::{Change, Store, StoreError, Write};

/// Bytes of one field of an audit row; an import changes thousands of keys.
const LONGEST_AUDIT: usize = 16 * 1024;

/// Keys that are read once, at the start; a change waits for the next one.
const AT_START: [&str; 21] = [
    "tls.cert_file",
    "tls.key_file",
    "tls.self_signed",
    "alerting.external_url",
    "listen",
    "data_dir",
    "metrics.listen",
    "storage.cap",
    "storage.raw_retention",
    "storage.minute_retention",
    "storage.hour_retention",
    "storage.max_series",
    "storage.tail",
    "collect.procfs",
    "collect.sysfs",
    "collect.rootfs",
    "log.format",
    "log.file",
    "log.error_file",
    "log.max_size",
    "log.keep",
];

/// Why a change was not made. Nothing was changed then.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ApplyError {
    #[error("the configuration changed meanwhile: its etag is {current}")]
    Stale { current: String },
    #[error("{}", PatchError::Pinned(.0.clone()))]
    Pinned(Vec<Pin>),
    #[error(transparent)]
    Invalid(#[from] Problems),
    #[error("the configuration cannot be changed now: {reason}")]
    Unavailable { reason: String },
    #[error(
        "the key is the credential {}: replace it there, keep the former one beside it as holdfast.key.old, \
         start the agent again, and repeat this",
        credential.display()
    )]
    HandedOut { credential: PathBuf },
}

impl From<PatchError> for ApplyError {
    fn from(error: PatchError) -> Self {
        match error {
            PatchError::Pinned(pins) => Self::Pinned(pins),
            PatchError::Invalid(problems) => Self::Invalid(problems),
        }
    }
}

impl From<StoreError> for ApplyError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable { reason: error.to_string() }
    }
}

impl From<SealError> for ApplyError {
    fn from(error: SealError) -> Self {
        Self::Unavailable { reason: error.to_string() }
    }
}

/// Who makes a change. Made from a name alone it is nobody in particular.
#[derive(Clone, Debug)]
pub struct Author {
    /// Goes into the audit row.
    pub who: String,
    /// May name files and variables that secrets are read from.
    pub admin: bool,
}

impl<T: AsRef<str> + ?Sized> From<&T> for Author {
    fn from(who: &T) -> Self {
        Self { who: who.as_ref().to_owned(), admin: false }
    }
}

impl From<&Principal> for Author {
    fn from(principal: &Principal) -> Self {
        Self { who: principal.who.clone(), admin: principal.may(Scope::Admin) }
    }
}

/// What a change came to.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Applied {
    /// Of the configuration now in force.
    pub etag: String,
    /// Keys whose value is another now.
    pub changed: Vec<String>,
    /// Those of them that take effect at the next start.
    pub restart: Vec<String>,
}

/// What a rotation of the key came to.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Rotated {
    /// Identifies the key that is current now; says nothing about it.
    pub key: String,
    /// Secrets that were sealed with it.
    pub sealed: usize,
    /// Keys that are kept because a stored secret that could not be opened needs them,
    /// or because the service manager hands them out.
    pub former_keys: usize,
}

/// The configuration with all it takes to explain it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Shown {
    #[serde(skip)]
    pub etag: String,
    /// The file, if there is one.
    pub file: Option<String>,
    pub values: Vec<ValueView>,
    pub warnings: Vec<String>,
    /// What was wrong at the last reload; the configuration before it is in force.
    pub problems: Vec<String>,
}

struct Inner {
    clock: Arc<dyn Clock>,
    bus: Bus,
    /// Runs a change to its end, whether or not anybody waits for it.
    supervisor: Supervisor,
    loaded: Mutex<Arc<Loaded>>,
    /// Of the last reload, if it failed.
    rejected: Mutex<Option<Problems>>,
    store: Mutex<Option<Store>>,
    sealer: Sealer,
    current: watch::Sender<Arc<Config>>,
    /// One change at a time, from its check to its being in force.
    changing: Arc<tokio::sync::Mutex<()>>,
}

/// The handle; cheap to clone.
#[derive(Clone)]
pub struct Settings {
    inner: Arc<Inner>,
}

impl Settings {
    /// Starts from what was loaded before the store was open.
    pub fn new(loaded: Loaded, clock: Arc<dyn Clock>, bus: Bus, supervisor: Supervisor) -> Self {
        let current = watch::Sender::new(loaded.config.clone());
        // The data directory stays what it is until the end: it cannot be changed at run time.
        let credentials = loaded.sources.environment.get("CREDENTIALS_DIRECTORY");
        let sealer = Sealer::new(&loaded.config.data_dir, credentials.map(Path::new));
        let inner = Inner {
            sealer,
            clock,
            bus,
            supervisor,
            loaded: Mutex::new(Arc::new(loaded)),
            rejected: Mutex::default(),
            store: Mutex::default(),
            current,
            changing: Arc::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// What seals secrets at rest.
    pub fn sealer(&self) -> Sealer {
        self.inner.sealer.clone()
    }

    /// What is in force.
    pub fn config(&self) -> Arc<Config> {
        self.inner.current.borrow().clone()
    }

    /// Told about every change.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Config>> {
        self.inner.current.subscribe()
    }

    /// Lays the stored run-time values over what was loaded. From here on changes
    /// can be stored. Values that no longer are valid are left out and returned, to
    /// be logged; the next change takes them out of the store as well. Sealed values
    /// that do not open are left out too, and stay in the store. Blocking, shortly.
    ///
    /// # Errors
    /// The stored values do not fit the file and it cannot be told which of them.
    /// All are left aside, and changes are refused so that they stay in the store.
    pub fn attach(&self, store: &Store) -> Result<Vec<String>, Problems> {
        let sealer = &self.inner.sealer;
        let open =
            |key: &Key, text: &str| sealer.open(&key.to_string(), text).map_err(|error| error.to_string());
        let mut overlay = Overlay::from_stored(&store.overlay(), open).map_err(|reason| {
            let message = format!("the stored run-time values cannot be read: {reason}");
            Problems::from(Problem::new(Origin::Default, "", message))
        })?;
        let dropped = sealed_elsewhere(store, &self.config().data_dir).and_then(|elsewhere| {
            let all: Vec<_> = overlay.sealed().chain(elsewhere.iter().map(String::as_str)).collect();
            sealer.tidy(&all).map_err(|error| error.to_string())
        });
        if let Err(error) = dropped {
            tracing::warn!(error, "former keys were not dropped");
        }
        let before = self.loaded();
        let everywhere = Key::default();
        let locked = overlay.locked(&everywhere);
        let mut left_out: Vec<String> =
            locked.map(|(key, reason)| format!("the secret {key} does not open: {reason}")).collect();
        let next = loop {
            match assemble(before.sources.clone(), before.file.clone(), Vec::new(), overlay.clone()) {
                Ok(next) => break next,
                Err(problems) => {
                    // Smaller every time, so this ends.
                    overlay = overlay.without(&problems).ok_or_else(|| problems.clone())?;
                    left_out.extend(problems.0.iter().map(ToString::to_string));
                }
            }
        };
        *lock(&self.inner.store) = Some(store.clone());
        self.put(next);
        Ok(left_out)
    }

    /// Whether the configuration that was last loaded is in force; otherwise the one before.
    pub fn is_valid(&self) -> bool {
        lock(&self.inner.rejected).is_none()
    }

    /// What was wrong at the last reload, the first of it; `None` when it is in force.
    pub fn refused(&self) -> Option<String> {
        let rejected = lock(&self.inner.rejected);
        let problems = &rejected.as_ref()?.0;
        let first = problems.first().map(ToString::to_string).unwrap_or_default();
        let others = problems.len().saturating_sub(1);
        Some(if others == 0 { first } else { format!("{first} (and {others} more)") })
    }

    /// Every value, its default, its origin, whether it is pinned.
    pub fn show(&self) -> Shown {
        let loaded = self.loaded();
        let rejected = lock(&self.inner.rejected).clone();
        Shown {
            etag: view::etag(&loaded),
            file: loaded.sources.file.as_ref().map(|path| path.display().to_string()),
            values: view::values(&loaded),
            warnings: loaded.warnings.clone(),
            problems: rejected.iter().flat_map(|problems| &problems.0).map(ToString::to_string).collect(),
        }
    }

    /// Of the configuration in force, quoted as in a header.
    pub fn etag(&self) -> String {
        view::etag(&self.loaded())
    }

    /// What run-time values change against the file.
    pub fn drift(&self) -> Vec<Drift> {
        view::drift(&self.loaded())
    }

    /// A file that says what is in force, without secrets.
    pub fn export(&self) -> String {
        view::export(&self.loaded())
    }

    /// Whether `document` could replace the file; run-time values, environment and
    /// flags stay above it. Returns warnings.
    ///
    /// # Errors
    /// All [`Problems`] of the document.
    pub fn validate_toml(&self, document: &str) -> Result<Vec<String>, Problems> {
        let loaded = self.loaded();
        let next = load_text(Sources::clone(&loaded.sources), "(body)", document, loaded.overlay.clone())?;
        Ok(next.warnings)
    }

    /// The same for JSON in the shape of the file.
    ///
    /// # Errors
    /// All [`Problems`] of the document.
    pub fn validate_json(&self, document: &Value) -> Result<Vec<String>, Problems> {
        let loaded = self.loaded();
        let (file, problems) = file::from_json("(body)", document, shape());
        Ok(assemble(loaded.sources.clone(), file, problems, loaded.overlay.clone())?.warnings)
    }

    /// Changes values at run time. `if_match` is the ETag the patch was made for,
    /// or `*`. Safe to cancel: the change is made and in force, or it is not made.
    ///
    /// # Errors
    /// [`ApplyError`]; nothing was changed.
    pub async fn apply(
        &self,
        patch: Value,
        if_match: &str,
        author: impl Into<Author>,
    ) -> Result<Applied, ApplyError> {
        let (this, if_match, author) = (self.clone(), if_match.to_owned(), author.into());
        self.to_the_end(async move { this.change(patch, &if_match, author).await }).await
    }

    /// Runs `change` alone, and to its end even when the caller goes away: the
    /// store would keep what was never put in force. Waiting for its turn ends with
    /// the caller, so at most one change is under way that nobody waits for.
    async fn to_the_end<T: Send + 'static>(
        &self,
        change: impl Future<Output = Result<T, ApplyError>> + Send + 'static,
    ) -> Result<T, ApplyError> {
        let one_at_a_time = self.inner.changing.clone().lock_owned().await;
        let (answer, answered) = oneshot::channel();
        self.inner.supervisor.spawn_once(Phase::Engine, async move {
            let changed = change.await;
            drop(one_at_a_time);
            let _ = answer.send(changed);
        });
        answered.await.unwrap_or_else(|_| Err(unavailable("making the change failed")))
    }

    fn store(&self) -> Result<Store, ApplyError> {
        let store = lock(&self.inner.store).clone();
        store.ok_or_else(|| unavailable("the store is not open, or its run-time values do not fit the file"))
    }

    async fn change(&self, patch: Value, if_match: &str, author: Author) -> Result<Applied, ApplyError> {
        let store = self.store()?;
        let before = self.loaded();
        let current = view::etag(&before);
        if if_match.trim() != "*" && !same_tag(if_match, &current) {
            return Err(ApplyError::Stale { current });
        }
        let at = self.inner.clock.now();
        let Author { who, admin } = author;
        let change = overlay::Change { by: who.clone(), at };
        let (base, sealer) = (before.clone(), self.inner.sealer.clone());
        let next = Supervisor::blocking(move || {
            let mut next = overlay::patched(&base, &patch, &change)?;
            let by = Origin::Runtime { by: change.by, at };
            reserved::permitted(&base, &next, &by, admin)?;
            next.overlay.seal(|key, text| sealer.seal(&key.to_string(), text))?;
            Ok::<_, ApplyError>(next)
        });
        let next = next.await;
        let next = next.ok_or_else(|| unavailable("checking the change failed"))??;
        let applied = compare(&before, &next);
        let audit = AuditEntry {
            at,
            who: who.clone(),
            action: String::from("config.apply"),
            object: listed(applied.changed.iter().cloned(), ", "),
            detail: detail(&before, &next, &applied.changed),
        };
        let writes = vec![Write::PutOverlay(next.overlay.to_stored())];
        store.commit(Change { writes, audit: Some(audit) }).await?;
        self.put(next);
        self.publish(&applied, &who);
        Ok(applied)
    }

    /// Reads the file again, takes all of it or nothing.
    ///
    /// # Errors
    /// [`ApplyError::Invalid`]; what was in force stays so, and the event
    /// `config_invalid` says why.
    pub async fn reload(&self, who: &str) -> Result<Applied, ApplyError> {
        let (this, who) = (self.clone(), who.to_owned());
        self.to_the_end(async move { this.read_again(&who).await }).await
    }

    async fn read_again(&self, who: &str) -> Result<Applied, ApplyError> {
        let before = self.loaded();
        let (sources, overlay) = (Sources::clone(&before.sources), before.overlay.clone());
        let next = Supervisor::blocking(move || load(sources, overlay)).await;
        let next = match next.ok_or_else(|| unavailable("reading the file failed"))? {
            Ok(next) => next,
            Err(problems) => {
                let texts: Vec<_> = problems.0.iter().map(ToString::to_string).collect();
                self.inner.bus.publish(
                    EventType::System,
                    json!({"action": "config_invalid", "by": who, "problems": texts}),
                );
                *lock(&self.inner.rejected) = Some(problems.clone());
                return Err(problems.into());
            }
        };
        let applied = compare(&before, &next);
        let store = lock(&self.inner.store).clone();
        if let Some(store) = store.filter(|_| !applied.changed.is_empty()) {
            let audit = AuditEntry {
                at: self.inner.clock.now(),
                who: who.to_owned(),
                action: String::from("config.reload"),
                object: listed(applied.changed.iter().cloned(), ", "),
                detail: detail(&before, &next, &applied.changed),
            };
            store.commit(Change { writes: Vec::new(), audit: Some(audit) }).await?;
        }
        *lock(&self.inner.rejected) = None;
        self.put(next);
        if !applied.changed.is_empty() {
            self.publish(&applied, who);
        }
        Ok(applied)
    }

    /// Makes a new key and seals every stored secret with it: the key first, then all
    /// secrets in one commit, then the former keys go. After a crash in between
    /// everything opens, and what is left to do is done at the start or when repeated.
    ///
    /// # Errors
    /// [`ApplyError::HandedOut`] where the key is a credential and nothing is sealed with
    /// another; [`ApplyError::Unavailable`]. Everything opens as before.
    pub async fn rotate_key(&self, who: &str) -> Result<Rotated, ApplyError> {
        let (this, who) = (self.clone(), who.to_owned());
        self.to_the_end(async move { this.seal_anew(who).await }).await
    }

    async fn seal_anew(&self, who: String) -> Result<Rotated, ApplyError> {
        let store = self.store()?;
        let mut next = Loaded::clone(&self.loaded());
        let sealer = self.inner.sealer.clone();
        let work = Supervisor::blocking(move || {
            if sealer.is_handed_out()? && sealer.is_current(next.overlay.sealed())? {
                return Err(ApplyError::HandedOut { credential: sealer.place() });
            }
            let id = sealer.begin_rotation()?;
            let open = |key: &Key, text: &str| sealer.open(&key.to_string(), text).ok();
            let sealed = next.overlay.reseal(open, |key, text| sealer.seal(&key.to_string(), text))?;
            Ok((next, id.to_string(), sealed))
        });
        let work = work.await;
        let (next, key, sealed) = work.ok_or_else(|| unavailable("sealing anew failed"))??;
        let audit = AuditEntry {
            at: self.inner.clock.now(),
            who,
            action: String::from("config.rotate_key"),
            object: key.clone(),
            detail: format!("{sealed} secrets sealed anew"),
        };
        let writes = vec![Write::PutOverlay(next.overlay.to_stored())];
        store.commit(Change { writes, audit: Some(audit) }).await?;
        let overlay = next.overlay.clone();
        self.put(next);
        let sealer = self.inner.sealer.clone();
        let data_dir = self.config().data_dir.clone();
        let alone = sealer.dropping().await;
        let finished = Supervisor::blocking(move || {
            let elsewhere = sealed_elsewhere(&store, &data_dir)?;
            let all = overlay.sealed().chain(elsewhere.iter().map(String::as_str));
            sealer.finish_rotation(all).map_err(|error| error.to_string())
        });
        let finished = finished.await;
        drop(alone);
        let reason = match finished {
            Some(Ok(former_keys)) => return Ok(Rotated { key, sealed, former_keys }),
            Some(Err(error)) => error,
            None => String::from("it failed"),
        };
        Err(unavailable(&format!(
            "all is sealed with the new key, dropping the former keys is left: {reason}"
        )))
    }

    /// Everything, for whoever renders it.
    pub fn loaded(&self) -> Arc<Loaded> {
        lock(&self.inner.loaded).clone()
    }

    fn put(&self, next: Loaded) {
        let config = next.config.clone();
        *lock(&self.inner.loaded) = Arc::new(next);
        self.inner.current.send_replace(config);
    }

    fn publish(&self, applied: &Applied, who: &str) {
        let data = json!({
            "action": "config_changed", "by": who, "etag": applied.etag,
            "changed": applied.changed, "restart": applied.restart,
        });
        self.inner.bus.publish(EventType::System, data);
    }
}

/// What is sealed and no value of the configuration: whom a standby followed that is cut
/// now. It keeps its key until its group writes it again. Blocking.
fn sealed_elsewhere(store: &Store, data_dir: &Path) -> Result<Vec<String>, String> {
    let mut texts = Beside::new(data_dir).sealed().map_err(|error| error.to_string())?;
    for (group, durable) in store.failover().map_err(|error| error.to_string())? {
        let durable = durable.map_err(|error| format!("the failover group {group}: {error}"))?;
        texts.extend(durable.sealed().map(str::to_owned));
    }
    Ok(texts)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unavailable(reason: &str) -> ApplyError {
    ApplyError::Unavailable { reason: reason.to_owned() }
}

/// Whether a header names the tag, with or without its quotes.
fn same_tag(header: &str, tag: &str) -> bool {
    header.split(',').any(|one| one.trim().trim_matches('"') == tag.trim_matches('"'))
}

fn compare(before: &Loaded, after: &Loaded) -> Applied {
    let changed = view::changed(before, after);
    let waits = |key: &&String| {
        AT_START
            .iter()
            .any(|start| key.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
    };
    let restart = changed.iter().filter(waits).cloned().collect();
    Applied { etag: view::etag(after), changed, restart }
}

/// `storage.cap: 64MiB -> 128MiB`, secrets masked; of very much only the beginning.
fn detail(before: &Loaded, after: &Loaded, changed: &[String]) -> String {
    let (before, after) = (view::values(before), view::values(after));
    let by_key = |views: Vec<ValueView>| {
        views.into_iter().map(|view| (view.key.clone(), view)).collect::<HashMap<_, _>>()
    };
    let (before, after) = (by_key(before), by_key(after));
    let value = |views: &HashMap<String, ValueView>, key: &String| {
        views.get(key).map_or_else(|| String::from("nothing"), |view| view.value.to_string())
    };
    let parts = changed.iter().map(|key| format!("{key}: {} -> {}", value(&before, key), value(&after, key)));
    listed(parts, "; ")
}

/// `parts` in one text; where it becomes too long, how many more there are.
fn listed(parts: impl Iterator<Item = String>, between: &str) -> String {
    let (mut text, mut left_out) = (String::new(), 0);
    for part in parts {
        if left_out > 0 || text.len() + part.len() > LONGEST_AUDIT {
            left_out += 1;
            continue;
        }
        if !text.is_empty() {
            text.push_str(between);
        }
        text.push_str(&part);
    }
    if left_out > 0 {
        text.push_str(&format!("{between}and {left_out} more"));
    }
    text
}
