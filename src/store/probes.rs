//! The history of probes: a ring per target, in memory first.
//!
//! A probe rides with the next flush inside the flush block, so it costs no page
//! of its own; when an hour is compacted, the probes of its blocks are filed in
//! their table. Reading merges the two by (target, time), which also makes filing
//! twice harmless. One would get it wrong by dropping the memory before the commit
//! that files it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use redb::{ReadTransaction, ReadableTable, WriteTransaction};

use super::fault::Fault;
use super::record::Raw;
use super::records::StoredProbe;
use super::tables::PROBES;
use crate::model::probe::ProbeRecord;

/// Rows kept per target.
pub const PER_TARGET: usize = 2000;
/// Probes in memory over all targets; beyond, the oldest go.
const IN_MEMORY: usize = 20_000;

/// See the module.
#[derive(Debug, Default)]
pub struct ProbeMemory {
    /// In no block yet, oldest first.
    pending: VecDeque<ProbeRecord>,
    /// In a block, not in the table.
    unfiled: VecDeque<ProbeRecord>,
}

impl ProbeMemory {
    pub fn push(&mut self, probe: ProbeRecord) {
        self.pending.push_back(probe);
        bound(&mut self.pending);
    }

    /// What the next block carries. [`Self::flushed`] when it is durable.
    pub fn pending(&self) -> Vec<StoredProbe> {
        self.pending.iter().map(StoredProbe::of).collect()
    }

    /// These are in a block now.
    pub fn flushed(&mut self, probes: &[StoredProbe]) {
        let done = keys(probes.iter().map(|probe| (probe.target(), probe.at())));
        let moved = self.pending.iter().filter(|probe| done.contains(&key(probe))).cloned();
        self.unfiled.extend(moved);
        self.pending.retain(|probe| !done.contains(&key(probe)));
        bound(&mut self.unfiled);
    }

    /// From a block found at the start.
    pub fn restore(&mut self, probe: StoredProbe) {
        self.unfiled.extend(probe.probe());
        bound(&mut self.unfiled);
    }

    /// What filing writes, without what it would drop at once. [`Self::filed`] when
    /// it is durable.
    pub fn unfiled(&mut self) -> Vec<StoredProbe> {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        let keep = |probe: &ProbeRecord| {
            let count = counts.entry(probe.target.as_str().to_owned()).or_default();
            *count += 1;
            *count <= PER_TARGET
        };
        // Newest first, because the oldest go.
        let mut kept: Vec<bool> = self.unfiled.iter().rev().map(keep).collect();
        self.unfiled.retain(|_| kept.pop().unwrap_or(true));
        self.unfiled.iter().map(StoredProbe::of).collect()
    }

    pub fn filed(&mut self, probes: &[StoredProbe]) {
        let done = keys(probes.iter().map(|probe| (probe.target(), probe.at())));
        self.unfiled.retain(|probe| !done.contains(&key(probe)));
    }

    /// Those of one target by time.
    pub fn of_target(&self, target: &str) -> BTreeMap<i64, ProbeRecord> {
        let all = self.unfiled.iter().chain(&self.pending);
        all.filter(|probe| probe.target.as_str() == target)
            .map(|probe| (probe.at.millis(), probe.clone()))
            .collect()
    }
}

fn bound(probes: &mut VecDeque<ProbeRecord>) {
    while probes.len() > IN_MEMORY {
        probes.pop_front();
    }
}

fn key(probe: &ProbeRecord) -> (String, i64) {
    (probe.target.as_str().to_owned(), probe.at.millis())
}

fn keys<'a>(probes: impl Iterator<Item = (&'a str, i64)>) -> BTreeSet<(String, i64)> {
    probes.map(|(target, at)| (target.to_owned(), at)).collect()
}

/// Bytes of pages that filing takes, from above: leaves may be half full.
pub fn page_bytes(probes: &[StoredProbe]) -> u64 {
    probes.iter().map(|probe| 2 * (Raw::encode(probe).bytes().len() + probe.target().len() + 32) as u64).sum()
}

/// Files probes and drops the oldest of their targets beyond the bound.
pub fn file(tx: &WriteTransaction, probes: &[StoredProbe]) -> Result<(), Fault> {
    if probes.is_empty() {
        return Ok(());
    }
    let mut table = tx.open_table(PROBES)?;
    for probe in probes {
        table.insert((probe.target(), probe.at()), Raw::encode(probe))?;
    }
    let targets: BTreeSet<&str> = probes.iter().map(StoredProbe::target).collect();
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
