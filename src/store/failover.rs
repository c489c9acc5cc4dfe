//! Failover groups as they are stored: what each must never forget, and its journal.
//!
//! Both are text of JSON inside a versioned record. A group has one row, which is written
//! before every outside effect of a failover and never at rest, so its size does not
//! matter and its shape may grow with the protocol. A row that this version cannot read
//! is an error, not an empty group: whoever starts without the epoch and the fences of a
//! group routes to whichever server answers first.

use std::collections::BTreeMap;

use redb::{ReadTransaction, ReadableTable as _, WriteTransaction};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::beside::reached;
use super::fault::Fault;
use super::record::{Raw, Record};
use super::tables::{FAILOVER, JOURNAL};
use crate::base::id::Name;
use crate::model::failover::durable::{Durable, JournalEntry};

/// Rows of the journal of a group.
pub const JOURNAL_ROWS: usize = 1000;

/// A `Durable`, as JSON.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FailoverRecord {
    json: String,
}

impl Record for FailoverRecord {
    const NAME: &'static str = "holdfast::Failover";
    const VERSION: u8 = 1;
}

/// A `JournalEntry`, as JSON.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct JournalRecord {
    json: String,
}

impl Record for JournalRecord {
    const NAME: &'static str = "holdfast::Journal";
    const VERSION: u8 = 1;
}

fn text(value: &impl Serialize) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|error| Fault::Broken(format!("cannot write it as JSON: {error}")))
}

fn value<T: DeserializeOwned>(json: &str) -> Result<T, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

/// Replaces the row of the group and adds to its journal, whose oldest rows go.
pub fn put(
    tx: &WriteTransaction,
    group: &Name,
    durable: &Durable,
    entries: &[JournalEntry],
) -> Result<(), Fault> {
    let record = FailoverRecord { json: text(durable)? };
    tx.open_table(FAILOVER)?.insert(group.as_str(), Raw::encode(&record))?;
    let mut journal = tx.open_table(JOURNAL)?;
    let own = (group.as_str(), 0)..=(group.as_str(), u64::MAX);
    let mut next = match journal.range(own)?.next_back() {
        Some(row) => row?.0.value().1,
        None => 0,
    };
    for entry in entries {
        next += 1;
        let record = JournalRecord { json: text(entry)? };
        journal.insert((group.as_str(), next), Raw::encode(&record))?;
    }
    let below = next.saturating_sub(JOURNAL_ROWS as u64);
    journal.retain_in((group.as_str(), 0)..=(group.as_str(), below), |_, _| false)?;
    Ok(())
}

/// Takes over the groups of another store, with their journals, that are not older there:
/// what was done to servers cannot be taken back by putting back what was known before.
pub fn carry(from: &ReadTransaction, to: &WriteTransaction) -> Result<(), Fault> {
    let (groups, rows) = (from.open_table(FAILOVER)?, from.open_table(JOURNAL)?);
    let mut kept = to.open_table(FAILOVER)?;
    let mut journal = to.open_table(JOURNAL)?;
    let epoch = |raw: &Raw<'_, FailoverRecord>| {
        let durable = raw.decode().ok().and_then(|record| value::<Durable>(&record.json).ok());
        durable.as_ref().map(reached)
    };
    for row in groups.iter()? {
        let (name, present) = row?;
        let name = name.value();
        let there = kept.get(name)?.and_then(|there| epoch(&there.value()));
        // One that cannot be read is of an unknown epoch: it is taken over, and the group waits.
        if there.is_some_and(|there| epoch(&present.value()).is_some_and(|present| there > present)) {
            continue;
        }
        kept.insert(name, present.value())?;
        let own = (name, 0)..=(name, u64::MAX);
        journal.retain_in(own.clone(), |_, _| false)?;
        for row in rows.range(own)? {
            let (key, entry) = row?;
            journal.insert(key.value(), entry.value())?;
        }
    }
    Ok(())
}

/// Drops the group with its journal.
pub fn delete(tx: &WriteTransaction, group: &Name) -> Result<(), Fault> {
    tx.open_table(FAILOVER)?.remove(group.as_str())?;
    let own = (group.as_str(), 0)..=(group.as_str(), u64::MAX);
    tx.open_table(JOURNAL)?.retain_in(own, |_, _| false)?;
    Ok(())
}

/// Every group, or why one of them cannot be read.
pub fn read(tx: &ReadTransaction) -> Result<BTreeMap<Name, Result<Durable, String>>, Fault> {
    let mut all = BTreeMap::new();
    for row in tx.open_table(FAILOVER)?.iter()? {
        let (name, stored) = row?;
        let Ok(group) = Name::new(name.value()) else {
            tracing::error!(group = name.value(), "a stored group without a valid name is skipped");
            continue;
        };
        let record = stored.value().decode().map_err(|error| error.to_string());
        all.insert(group, record.and_then(|record| value(&record.json)));
    }
    Ok(all)
}

/// Rows of the group's journal before the number `before`, newest first, each with its
/// number, and how many rows there are.
pub fn read_journal(
    tx: &ReadTransaction,
    group: &Name,
    limit: usize,
    before: Option<u64>,
) -> Result<(Vec<(u64, JournalEntry)>, u64), Fault> {
    let table = tx.open_table(JOURNAL)?;
    let all = (group.as_str(), 0)..=(group.as_str(), u64::MAX);
    let total = table.range(all)?.count() as u64;
    let mut rows = Vec::new();
    let older = (group.as_str(), 0)..(group.as_str(), before.unwrap_or(u64::MAX));
    for row in table.range(older)?.rev().take(limit.min(JOURNAL_ROWS)) {
        let (key, stored) = row?;
        let number = key.value().1;
        let record = stored.value().decode().map_err(|error| error.to_string());
        match record.and_then(|record| value(&record.json)) {
            Ok(entry) => rows.push((number, entry)),
            Err(error) => {
                tracing::warn!(group = group.as_str(), number, error, "a row of the journal is skipped");
            }
        }
    }
    Ok((rows, total))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::record::{DecodeError, decode};

    #[test]
    fn failover_v1() {
        let record = FailoverRecord { json: String::from("{}") };
        assert_eq!(Raw::encode(&record).bytes(), [1, 2, b'{', b'}']);
        assert_eq!(decode::<FailoverRecord>(&[1, 2, b'{', b'}']), Ok(record));
        let newer = decode::<FailoverRecord>(&[2, 2, b'{', b'}']);
        assert_eq!(newer, Err(DecodeError::TooNew { found: 2, supported: 1 }));
    }

    #[test]
    fn journal_v1() {
        let record = JournalRecord { json: String::from("{}") };
        assert_eq!(Raw::encode(&record).bytes(), [1, 2, b'{', b'}']);
        assert_eq!(decode::<JournalRecord>(&[1, 2, b'{', b'}']), Ok(record));
    }

    /// Any part may be missing in what an older version wrote.
    #[test]
    fn what_an_older_version_did_not_know_has_its_default() {
        assert_eq!(value::<Durable>("{}"), Ok(Durable::default()));
        let epoch = value::<Durable>("{\"epoch\":7,\"members\":{\"pg1\":{\"superseded\":6}}}").unwrap();
        assert_eq!((epoch.epoch, epoch.members["pg1"].superseded), (7, Some(6)));
    }

    #[test]
    fn a_row_of_the_journal_says_its_time_in_words() {
        let entry = JournalEntry {
            epoch: 7,
            step: String::from("begin"),
            detail: String::from("pg1 is dead"),
            at: crate::base::time::Timestamp(1_795_166_565_250),
        };
        let json = text(&entry).unwrap();
        let expected =
            "{\"epoch\":7,\"step\":\"begin\",\"detail\":\"pg1 is dead\",\"at\":\"2026-11-20T09:22:45.250Z\"}";
        assert_eq!((json.as_str(), value(&json)), (expected, Ok(entry)));
    }
}
