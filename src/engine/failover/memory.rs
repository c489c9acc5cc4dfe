//! What a group remembers, where it is kept, and the order of writing it.
//!
//! The store is the memory. Beside it lies a small file with the epoch, the heads and
//! the fences, for the day on which the store is restored from a backup or emptied:
//! the newer of the two counts. While standbys are cut, a second file holds the SQL
//! that undoes it, for the day on which this host does not come back.
//!
//! Whom a standby follows is carried through the protocol as a sealed text. What this run
//! sealed or opened is also known in clear, and whatever is written is sealed with the key of
//! then: a key may be dropped between the look that told of it and the cut that needs it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::id::Name;
use crate::base::secret::Secret;
use crate::logic::failover::Sealed;
use crate::model::failover::durable::{Durable, JournalEntry, MemberMemory};
use crate::runtime::seal::Sealer;
use crate::runtime::supervisor::Supervisor;
use crate::store::beside::{Beside, newer};
use crate::store::{Change, Store, Write};
use crate::targets::postgres::member;

/// See the module.
#[derive(Clone)]
pub struct Memory {
    group: Name,
    store: Store,
    sealer: Sealer,
    beside: Beside,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    /// As the protocol last had it written.
    written: Option<Durable>,
    /// By member and sealed text, see the module.
    clear: BTreeMap<(Name, String), Secret>,
}

impl Memory {
    pub fn new(group: &Name, store: &Store, sealer: &Sealer, data_dir: &Path) -> Self {
        Self {
            group: group.clone(),
            store: store.clone(),
            sealer: sealer.clone(),
            beside: Beside::new(data_dir),
            kept: Arc::default(),
        }
    }

    /// The newer of the store's and the file's.
    ///
    /// # Errors
    /// One of them cannot be read: without the epoch and the fences of a group nothing may
    /// be routed.
    pub async fn load(&self) -> Result<Durable, String> {
        let (store, group, beside) = (self.store.clone(), self.group.clone(), self.beside.clone());
        let read = Supervisor::blocking(move || {
            let mut stored = store.failover().map_err(|error| error.to_string())?;
            let stored = stored.remove(&group).transpose()?;
            let file = beside.read(&group).map_err(|error| error.to_string())?;
            Ok::<_, String>(newer(stored, file))
        });
        let durable = read.await.unwrap_or_else(|| Err(String::from("reading it failed")))?;
        for (member, sealed) in cuts(&durable) {
            // One that does not open is told of when it is needed.
            let _ = self.open(&member, &Sealed(sealed)).await;
        }
        self.kept().written = Some(durable.clone());
        Ok(durable)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes; `true` once it is on the disk.
    pub async fn commit(&self, durable: &Durable, entries: &[JournalEntry]) -> bool {
        for entry in entries {
            tracing::info!(group = %self.group, epoch = entry.epoch, step = entry.step, detail = entry.detail, "failover journal");
        }
        self.write_undo(durable).await;
        let _no_key_goes = self.sealer.storing().await;
        let stored = self.sealed_now(durable).await;
        let write = Write::PutFailover {
            group: self.group.clone(),
            durable: Box::new(stored.clone()),
            entries: entries.to_vec(),
        };
        let committed = self.store.commit(Change { writes: vec![write], audit: None }).await;
        if let Err(error) = committed {
            tracing::error!(group = %self.group, %error, "the state of the failover group cannot be written");
            return false;
        }
        let before = self.kept().written.replace(durable.clone());
        if before.is_none_or(|before| differs(&before, durable)) {
            self.write_beside(stored).await;
        }
        true
    }

    /// The same with everything that is known in clear sealed with the present key. What
    /// cannot be sealed stays as it is.
    async fn sealed_now(&self, durable: &Durable) -> Durable {
        let mut stored = durable.clone();
        for (member, sealed) in cuts(durable) {
            let clear = self.kept().clear.get(&(member.clone(), sealed)).cloned();
            let Some(clear) = clear else { continue };
            match self.seal_text(&member, clear).await {
                Ok(text) => {
                    let cut = stored.members.get_mut(&member).and_then(|memory| memory.cut.as_mut());
                    cut.into_iter().for_each(|cut| cut.conninfo.clone_from(&text));
                }
                Err(error) => {
                    tracing::error!(group = %self.group, %member, error, "what it followed is not sealed anew");
                }
            }
        }
        stored
    }

    /// A failure is told of, and no more: the store has it.
    async fn write_beside(&self, durable: Durable) {
        let (group, beside) = (self.group.clone(), self.beside.clone());
        let written = Supervisor::blocking(move || beside.write(&group, &durable)).await;
        if let Some(Err(error)) = written {
            tracing::error!(group = %self.group, %error, "the copy of the failover group beside the store is not written");
        }
    }

    /// The SQL that puts back what each standby followed, where any is cut.
    async fn write_undo(&self, durable: &Durable) {
        let cut = cuts(durable);
        let had = self.kept().written.as_ref().is_some_and(|before| !cuts(before).is_empty());
        if cut.is_empty() && !had {
            return;
        }
        let mut text = String::new();
        for (member, sealed) in cut {
            match self.open(&member, &Sealed(sealed)).await {
                Ok(conninfo) => {
                    text.push_str(&format!("-- on {member}:\n{}\n", member::undo_cut(&conninfo).expose()));
                }
                Err(error) => {
                    tracing::error!(group = %self.group, %member, %error, "the SQL that undoes its cut is not written")
                }
            }
        }
        let (group, beside) = (self.group.clone(), self.beside.clone());
        let written = Supervisor::blocking(move || match text.as_str() {
            "" => beside.remove_undo(&group),
            text => beside.write_undo(&group, text),
        })
        .await;
        if let Some(Err(error)) = written {
            tracing::error!(group = %self.group, %error, "the SQL that undoes a cut is not written");
        }
    }

    /// Seals what a member follows.
    ///
    /// # Errors
    /// In words, without the secret.
    pub async fn seal(&self, member: &Name, conninfo: Secret) -> Result<String, String> {
        let sealed = self.seal_text(member, conninfo.clone()).await?;
        let mut kept = self.kept();
        // The protocol keeps the newest, and what it has written.
        let Kept { written, clear } = &mut *kept;
        clear.retain(|(of, text), _| {
            of != member || written.as_ref().is_some_and(|written| written.sealed().any(|kept| kept == text))
        });
        clear.insert((member.clone(), sealed.clone()), conninfo);
        Ok(sealed)
    }

    async fn seal_text(&self, member: &Name, conninfo: Secret) -> Result<String, String> {
        let (sealer, place) = (self.sealer.clone(), self.place(member));
        let sealed = Supervisor::blocking(move || sealer.seal(&place, conninfo.expose())).await;
        sealed.ok_or_else(|| String::from("sealing failed"))?.map_err(|error| error.to_string())
    }

    /// Opens what was sealed.
    ///
    /// # Errors
    /// In words, without the secret.
    pub async fn open(&self, member: &Name, sealed: &Sealed) -> Result<Secret, String> {
        let key = (member.clone(), sealed.0.clone());
        if let Some(clear) = self.kept().clear.get(&key) {
            return Ok(clear.clone());
        }
        let (sealer, place, text) = (self.sealer.clone(), self.place(member), sealed.0.clone());
        let opened = Supervisor::blocking(move || sealer.open(&place, &text)).await;
        let opened = opened.ok_or_else(|| String::from("opening failed"))?;
        let clear = opened
            .map(Secret::new)
            .map_err(|error| format!("what it followed is sealed and does not open: {error}"))?;
        self.kept().clear.insert(key, clear.clone());
        Ok(clear)
    }

    fn place(&self, member: &Name) -> String {
        format!("failover.{}.{member}.primary_conninfo", self.group)
    }
}

/// Who is cut, with the sealed text of whom it followed.
fn cuts(durable: &Durable) -> Vec<(Name, String)> {
    let cut = |(member, memory): (&Name, &MemberMemory)| {
        Some((member.clone(), memory.cut.as_ref()?.conninfo.clone()))
    };
    durable.members.iter().filter_map(cut).collect()
}

/// Whether the file beside the store has to be written: a begun epoch waits for its end.
fn differs(before: &Durable, after: &Durable) -> bool {
    let heads = |durable: &Durable| (durable.epoch, durable.head.clone(), durable.members.clone());
    after.operation.is_none() && heads(before) != heads(after)
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
