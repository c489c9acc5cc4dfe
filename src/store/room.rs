//! Room in the file: inside the cap by construction, with a reserve for changes.
//!
//! redb doubles a file that is full. Before samples are written, the free pages
//! are compared with what the write needs plus the reserve:
//!
//! ```text
//! enough free ------------------------------> write
//! doubled file inside the cap, disk has it --> write, redb grows the file
//! doubled file inside the cap, disk full ----> DiskFull: nothing is touched
//! doubled file beyond the cap ---------------> the oldest hours give way
//! ```
//! Doubling would leave up to half of the cap unused. So the last growth starts
//! from a file that was cut to just below half of the cap (`refit`), and ends just
//! below it. The file itself refuses to outgrow the cap, should the ledger be
//! wrong. One would get it wrong by letting redb find out that the disk is full:
//! the file had to be opened again, each time.

use std::sync::atomic::Ordering;

use super::api::StoreError;
use super::blobs::{page_bytes, remove_tier};
use super::fault::Fault;
use super::shared::{lock, write};
use super::writer::Writer;
use redb::WriteTransaction;

/// Pages a commit needs besides its values: freed pages wait one commit.
const COMMIT_BYTES: u64 = 128 << 10;
/// Left over on the disk for others.
const DISK_RESERVE: u64 = 1 << 20;
/// The share of the slack that a write takes off it.
const SLACK_DECAY: u64 = 64;
/// Oldest hours given up at once, at most.
const EVICTIONS: usize = 64;

/// Free bytes that samples leave for changes.
fn reserve(file_len: u64) -> u64 {
    (file_len / 16).clamp(256 << 10, 2 << 20)
}

/// What room is made for. Only samples leave the reserve alone, and only they grow
/// the allowance for a wrong estimate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum For {
    Samples,
    Change,
}

impl Writer {
    /// Makes sure that `need` bytes of pages can be written.
    pub fn make_room(&mut self, need: u64, whom: For) -> Result<(), StoreError> {
        let mut refitted = false;
        for _ in 0..64 {
            let len = self.shared.file_len();
            let spared = if whom == For::Samples { reserve(len) + self.slack } else { 0 };
            let wanted = need + COMMIT_BYTES + spared;
            let used = lock(&self.shared.ledger).used();
            if len.saturating_sub(used) >= wanted {
                return Ok(());
            }
            let grown = len.saturating_mul(2).max(len + need.saturating_mul(2));
            if grown <= self.shared.limit {
                let available = self.shared.backing.available(&self.shared.options.path);
                let enough = available.is_none_or(|free| free >= grown - len + DISK_RESERVE);
                return if enough { Ok(()) } else { Err(StoreError::DiskFull) };
            }
            let half = self.shared.limit / 100 * 48;
            if !refitted && len > half && len < self.shared.limit / 4 * 3 {
                refitted = true;
                self.refit(half)?;
            } else if self.give_up((used + wanted).saturating_sub(len))? == 0 {
                let reason = format!("its cap of {} bytes is too small", self.shared.limit);
                return Err(StoreError::Unavailable { reason });
            }
        }
        Err(StoreError::Unavailable { reason: String::from("no room could be made in its file") })
    }

    /// Runs a write of samples that needs `need` bytes of pages; makes room again
    /// when the file turns out fuller than the ledger says.
    pub fn write_samples<T>(
        &mut self,
        need: u64,
        work: &mut dyn FnMut(&WriteTransaction) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        self.ensure_open()?;
        for _ in 0..8 {
            self.make_room(need, For::Samples)?;
            let refused = self.shared.figures.refused.load(Ordering::Relaxed);
            match self.transact(work) {
                Err(StoreError::DiskFull)
                    if self.shared.figures.refused.load(Ordering::Relaxed) > refused =>
                {
                    self.slack += self.shared.limit / 32;
                }
                other => {
                    // Forgotten again in the course of hours.
                    self.slack -= self.slack / SLACK_DECAY;
                    return other;
                }
            }
        }
        Err(StoreError::DiskFull)
    }

    /// Cuts the file to below `half`, so that one more doubling fits the cap.
    fn refit(&mut self, half: u64) -> Result<(), StoreError> {
        let used = lock(&self.shared.ledger).used();
        self.give_up(used.saturating_sub(half))?;
        self.compact_file();
        Ok(())
    }

    /// Moves pages to the front and cuts the file. Not while a query reads; a
    /// failure costs nothing but the space.
    pub fn compact_file(&mut self) {
        if let Err(error) = self.cut_file() {
            tracing::info!(error, "the store file could not be cut");
        }
    }

    /// The same, and why it was not done.
    pub fn cut_file(&mut self) -> Result<(), String> {
        let mut db = write(&self.shared.db);
        let Some(database) = db.as_mut() else { return Err(String::from("it is shut")) };
        let Err(error) = database.compact() else { return Ok(()) };
        if !matches!(
            error,
            redb::CompactionError::TransactionInProgress
                | redb::CompactionError::EphemeralSavepointExists
                | redb::CompactionError::PersistentSavepointExists
        ) {
            *db = None;
        }
        Err(error.to_string())
    }

    /// Gives up the oldest hours until `bytes` of pages are free. Returns how many.
    fn give_up(&mut self, bytes: u64) -> Result<usize, StoreError> {
        let mut doomed = Vec::new();
        let mut freed = 0;
        {
            let mut ledger = lock(&self.shared.ledger);
            while freed < bytes && doomed.len() < EVICTIONS {
                let Some((class, holding)) = ledger.oldest() else { break };
                ledger.tier_mut(class).remove(&holding.start);
                freed += page_bytes(holding.len);
                doomed.push((class, holding));
            }
        }
        if doomed.is_empty() {
            return Ok(0);
        }
        let result = self.transact(&mut |tx| {
            doomed.iter().try_for_each(|(class, holding)| remove_tier(tx, *class, holding.start))
        });
        if let Err(error) = result {
            // Opened again, the ledger was read anew and knows what became of them.
            if !self.is_shut() {
                return Err(error);
            }
            let mut ledger = lock(&self.shared.ledger);
            for (class, holding) in doomed {
                ledger.tier_mut(class).insert(holding.start, holding);
            }
            return Err(error);
        }
        // A file that was opened again on the way listed them once more.
        let mut ledger = lock(&self.shared.ledger);
        for (class, holding) in &doomed {
            ledger.tier_mut(*class).remove(&holding.start);
        }
        drop(ledger);
        tracing::debug!(blobs = doomed.len(), bytes = freed, "the oldest history gave way to the cap");
        Ok(doomed.len())
    }
}
