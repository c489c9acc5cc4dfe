//! The history of probes: a ring per target, in memory first.
//!
//! A probe rides with the next flush inside the flush block, so it costs no page
//! of its own; when an hour is compacted, the probes of its blocks are filed in
//! their table. Reading merges the two by (target, time), which also makes filing
//! twice harmless. One would get it wrong by dropping the memory before the commit
//! that files it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use redb::{ReadTransaction, ReadableTable, WriteTransaction};

use super::fault::Fault;
use super::record::{Raw, decode};
use super::records::StoredProbe;
use super::tables::PROBES;
use crate::model::probe::ProbeRecord;

/// Rows kept per target.
pub const PER_TARGET: usize = 2000;
/// Probes in memory over all targets; beyond, the oldest go.
const IN_MEMORY: usize = 20_000;

/// A probe in memory: its record as it will be stored, which is a tenth of the struct.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Counts up with every probe.
    number: u64,
    target: Arc<str>,
    at: i64,
    bytes: Arc<[u8]>,
}

impl Kept {
    /// `None` for what this version wrote itself and cannot read: there is no such.
    fn record(&self) -> Option<StoredProbe> {
        decode(&self.bytes).ok()
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct ProbeMemory {
    next: u64,
    targets: BTreeSet<Arc<str>>,
    /// In no block yet, oldest first.
    pending: VecDeque<Kept>,
    /// In a block, not in the table.
    unfiled: VecDeque<Kept>,
}

impl ProbeMemory {
    pub fn push(&mut self, probe: &ProbeRecord) {
        let kept = self.keep(&StoredProbe::of(probe));
        self.pending.push_back(kept);
        bound(&mut self.pending);
    }

    fn keep(&mut self, probe: &StoredProbe) -> Kept {
        let target = self.targets.get(probe.target()).cloned().unwrap_or_else(|| {
            let name: Arc<str> = Arc::from(probe.target());
            self.targets.insert(name.clone());
            name
        });
        self.next += 1;
        Kept { number: self.next, target, at: probe.at(), bytes: Arc::from(Raw::encode(probe).bytes()) }
    }

    /// What the next block carries, and up to which number. [`Self::flushed`] when it
    /// is durable.
    pub fn pending(&self) -> (Vec<StoredProbe>, u64) {
        let last = self.pending.back().map_or(0, |kept| kept.number);
        (self.pending.iter().filter_map(Kept::record).collect(), last)
    }

    /// Those up to this number are in a block now.
    pub fn flushed(&mut self, last: u64) {
        let moved = self.pending.iter().take_while(|kept| kept.number <= last).count();
        self.unfiled.extend(self.pending.drain(..moved));
        bound(&mut self.unfiled);
        self.drop_excess();
    }

    /// From a block found at the start.
    pub fn restore(&mut self, probe: &StoredProbe) {
        let kept = self.keep(probe);
        self.unfiled.push_back(kept);
        bound(&mut self.unfiled);
    }

    /// Drops what filing would drop at once: of each target the oldest beyond the bound.
    fn drop_excess(&mut self) {
        let mut counts: BTreeMap<Arc<str>, usize> = BTreeMap::new();
        let keep = |kept: &Kept| {
            let count = counts.entry(kept.target.clone()).or_default();
            *count += 1;
            *count <= PER_TARGET
        };
        // Newest first, because the oldest go.
        let mut keeps: Vec<bool> = self.unfiled.iter().rev().map(keep).collect();
        self.unfiled.retain(|_| keeps.pop().unwrap_or(true));
    }

    /// What filing writes. [`Self::filed`] when it is durable.
    pub fn unfiled(&mut self) -> Vec<Kept> {
        self.drop_excess();
        self.unfiled.iter().cloned().collect()
    }

    pub fn filed(&mut self, probes: &[Kept]) {
        let last = probes.last().map_or(0, |kept| kept.number);
        self.unfiled.retain(|kept| kept.number > last);
        // What is shared afterwards is shared from here on.
        let used =
            |name: &Arc<str>| self.unfiled.iter().chain(&self.pending).any(|kept| kept.target == *name);
        self.targets = self.targets.iter().filter(|name| used(name)).cloned().collect();
    }

    /// Those of one target by time.
    pub fn of_target(&self, target: &str) -> BTreeMap<i64, ProbeRecord> {
        let all = self.unfiled.iter().chain(&self.pending).filter(|kept| &*kept.target == target);
        all.filter_map(|kept| Some((kept.at, kept.record()?.probe()?))).collect()
    }
}

fn bound(probes: &mut VecDeque<Kept>) {
    while probes.len() > IN_MEMORY {
        probes.pop_front();
    }
}

/// Bytes of pages that filing takes, from above: leaves may be half full.
pub fn page_bytes(probes: &[Kept]) -> u64 {
    probes.iter().map(|kept| 2 * (kept.bytes.len() + kept.target.len() + 32) as u64).sum()
}

/// Files probes and drops the oldest of their targets beyond the bound.
pub fn file(tx: &WriteTransaction, probes: &[Kept]) -> Result<(), Fault> {
    if probes.is_empty() {
        return Ok(());
    }
    let mut table = tx.open_table(PROBES)?;
    for kept in probes {
        table.insert((&*kept.target, kept.at), Raw::stored(&kept.bytes))?;
    }
    let targets: BTreeSet<&str> = probes.iter().map(|kept| &*kept.target).collect();
    for target in targets {
        let range = (target, i64::MIN)..=(target, i64::MAX);
        let mut times = Vec::new();
        for row in table.range(range)? {
            times.push(row?.0.value().1);
        }
        let excess = times.len().saturating_sub(PER_TARGET);
        for at in times.into_iter().take(excess) {
            table.remove((target, at))?;
        }
    }
    Ok(())
}

/// Adds the filed probes of one target to those in memory.
pub fn read(tx: &ReadTransaction, target: &str, into: &mut BTreeMap<i64, ProbeRecord>) -> Result<(), Fault> {
    let table = tx.open_table(PROBES)?;
    for row in table.range((target, i64::MIN)..=(target, i64::MAX))? {
        let (key, value) = row?;
        let at = key.value().1;
        match value.value().decode() {
            // What memory holds is the same probe.
            Ok(stored) => {
                if !into.contains_key(&at)
                    && let Some(probe) = stored.probe()
                {
                    into.insert(at, probe);
                }
            }
            Err(error) => tracing::warn!(target_name = target, at, %error, "a stored probe is skipped"),
        }
    }
    Ok(())
}
