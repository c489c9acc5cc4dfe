//! Checks and their pings as they are stored.
//!
//! A row of a check is written with every ping, in the transaction that holds the
//! ping, so that what was answered is whole after a crash. The pings of a check are a
//! ring, bounded in number and in bytes, because each may carry the log of a job. One
//! would get it wrong by bounding the number alone: a hundred logs of 10 kB for each of
//! 256 checks are half of the default cap.

use std::collections::BTreeMap;

use redb::{ReadTransaction, ReadableTable, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::record::{Raw, Record};
use super::tables::{CHECKS, META, META_PING_BYTES, PINGS};
use crate::base::time::Timestamp;
use crate::model::check::{CheckReason, CheckStatus, Ping, PingId, PingKind, SavedCheck, SavedRun};

/// Pings kept per check, and their bytes.
pub const PINGS_PER_CHECK: usize = 100;
const PING_BYTES_PER_CHECK: usize = 256 << 10;

/// Status and reason as their places in `CheckStatus::ALL` and `CheckReason::ALL`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct CheckRecord {
    id: [u8; 16],
    status: u8,
    reason: u8,
    since: i64,
    last_ping: Option<i64>,
    last_duration_ms: Option<u64>,
    pings: u64,
    runs: Vec<StoredRun>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct StoredRun {
    rid: String,
    task: String,
    began: i64,
}

impl Record for CheckRecord {
    const NAME: &'static str = "holdfast::Check";
    const VERSION: u8 = 1;
}

fn number<T: PartialEq>(all: &[T], one: &T) -> u8 {
    all.iter().position(|known| known == one).unwrap_or(0) as u8
}

impl CheckRecord {
    pub fn of(saved: &SavedCheck) -> Self {
        let run = |run: &SavedRun| StoredRun {
            rid: run.rid.clone(),
            task: run.task.clone(),
            began: run.began.millis(),
        };
        Self {
            id: saved.id.0,
            status: number(&CheckStatus::ALL, &saved.status),
            reason: number(&CheckReason::ALL, &saved.reason),
            since: saved.since.millis(),
            last_ping: saved.last_ping.map(Timestamp::millis),
            last_duration_ms: saved.last_duration_ms,
            pings: saved.pings,
            runs: saved.runs.iter().map(run).collect(),
        }
    }

    /// A status or reason of a newer version reads as that of a new check: its id is
    /// what must not be lost.
    pub fn saved(self) -> SavedCheck {
        let run = |run: StoredRun| SavedRun { rid: run.rid, task: run.task, began: Timestamp(run.began) };
        let known = |number: u8| CheckStatus::ALL.get(usize::from(number)).copied();
        let reason = |number: u8| CheckReason::ALL.get(usize::from(number)).copied();
        SavedCheck {
            id: PingId(self.id),
            status: known(self.status).unwrap_or(CheckStatus::New),
            reason: reason(self.reason).unwrap_or(CheckReason::Created),
            since: Timestamp(self.since),
            last_ping: self.last_ping.map(Timestamp),
            last_duration_ms: self.last_duration_ms,
            pings: self.pings,
            runs: self.runs.into_iter().map(run).collect(),
        }
    }
}

/// A ping; its kind as the place in `PingKind::ALL`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PingRecord {
    at: i64,
    kind: u8,
    exit: Option<u8>,
    rid: Option<String>,
    duration_seconds: Option<f64>,
    body: String,
}

impl Record for PingRecord {
    const NAME: &'static str = "holdfast::Ping";
    const VERSION: u8 = 1;
}

impl PingRecord {
    pub fn of(ping: &Ping) -> Self {
        Self {
            at: ping.at.millis(),
            kind: number(&PingKind::ALL, &ping.kind),
            exit: ping.exit,
            rid: ping.rid.clone(),
            duration_seconds: ping.duration_seconds,
            body: ping.body.clone(),
        }
    }

    /// A kind of a newer version reads as one that changes nothing.
    fn ping(self, number: u64) -> Ping {
        Ping {
            number,
            at: Timestamp(self.at),
            kind: PingKind::ALL.get(usize::from(self.kind)).copied().unwrap_or(PingKind::Log),
            exit: self.exit,
            rid: self.rid,
            duration_seconds: self.duration_seconds,
            body: self.body,
        }
    }
}

/// Puts a ping and drops the oldest of its check beyond the bounds.
pub fn put_ping(tx: &WriteTransaction, check: &str, ping: &Ping) -> Result<(), Fault> {
    let record = Raw::encode(&PingRecord::of(ping));
    let mut table = tx.open_table(PINGS)?;
    let mut grown = record.bytes().len() as i64;
    if let Some(before) = table.insert((check, ping.number), record)? {
        grown -= before.value().bytes().len() as i64;
    }
    let mut rows = Vec::new();
    for row in table.range((check, 0)..=(check, u64::MAX))? {
        let (key, value) = row?;
        rows.push((key.value().1, value.value().bytes().len()));
    }
    let (mut count, mut bytes) = (rows.len(), rows.iter().map(|(_, len)| len).sum::<usize>());
    for (number, len) in rows {
        if count <= PINGS_PER_CHECK && bytes <= PING_BYTES_PER_CHECK {
            break;
        }
        table.remove((check, number))?;
        (count, bytes) = (count - 1, bytes - len);
        grown -= len as i64;
    }
    drop(table);
    count_bytes(tx, grown)
}

/// Removes a check and its pings.
pub fn delete(tx: &WriteTransaction, check: &str) -> Result<(), Fault> {
    tx.open_table(CHECKS)?.remove(check)?;
    let mut table = tx.open_table(PINGS)?;
    let mut freed = 0;
    let mut numbers = Vec::new();
    for row in table.range((check, 0)..=(check, u64::MAX))? {
        let (key, value) = row?;
        numbers.push(key.value().1);
        freed += value.value().bytes().len() as i64;
    }
    for number in numbers {
        table.remove((check, number))?;
    }
    drop(table);
    count_bytes(tx, -freed)
}

/// The ledger asks for the bytes of all pings after every commit; adding them up anew
/// would read them all.
fn count_bytes(tx: &WriteTransaction, grown: i64) -> Result<(), Fault> {
    let mut meta = tx.open_table(META)?;
    let before = meta.get(META_PING_BYTES)?.map_or(0, |value| value.value());
    meta.insert(META_PING_BYTES, before.saturating_add_signed(grown))?;
    Ok(())
}

/// Every check that can be read.
pub fn read(tx: &ReadTransaction) -> Result<BTreeMap<String, SavedCheck>, Fault> {
    let mut all = BTreeMap::new();
    for row in tx.open_table(CHECKS)?.iter()? {
        let (name, value) = row?;
        match value.value().decode() {
            Ok(record) => drop(all.insert(name.value().to_owned(), record.saved())),
            Err(error) => tracing::error!(check = name.value(), %error, "a stored check is skipped"),
        }
    }
    Ok(all)
}

/// The newest pings of a check first, and how many there are.
pub fn read_pings(
    tx: &ReadTransaction,
    check: &str,
    limit: usize,
    offset: usize,
) -> Result<(Vec<Ping>, u64), Fault> {
    let table = tx.open_table(PINGS)?;
    let (mut pings, mut total) = (Vec::new(), 0);
    for (at, row) in table.range((check, 0)..=(check, u64::MAX))?.rev().enumerate() {
        let (key, value) = row?;
        total += 1;
        if at < offset || pings.len() >= limit {
            continue;
        }
        match value.value().decode() {
            Ok(record) => pings.push(record.ping(key.value().1)),
            Err(error) => tracing::warn!(check, number = key.value().1, %error, "a stored ping is skipped"),
        }
    }
    Ok((pings, total))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::record::decode;

    fn saved() -> SavedCheck {
        SavedCheck {
            id: PingId([9; 16]),
            status: CheckStatus::Down,
            reason: CheckReason::Missed,
            since: Timestamp(64),
            last_ping: Some(Timestamp(65)),
            last_duration_ms: None,
            pings: 7,
            runs: vec![SavedRun { rid: "r".into(), task: "t".into(), began: Timestamp(64) }],
        }
    }

    #[test]
    fn check_v1() {
        let record = CheckRecord::of(&saved());
        let mut bytes = vec![1];
        bytes.extend([9; 16]);
        bytes.extend([3, 4, 128, 1, 1, 130, 1, 0, 7, 1, 1, b'r', 1, b't', 128, 1]);
        assert_eq!(Raw::encode(&record).bytes(), bytes);
        assert_eq!(decode::<CheckRecord>(&bytes).map(CheckRecord::saved), Ok(saved()));
    }

    #[test]
    fn ping_v1() {
        let ping = Ping {
            number: 5,
            at: Timestamp(64),
            kind: PingKind::Fail,
            exit: Some(3),
            rid: None,
            duration_seconds: Some(1.0),
            body: String::from("b"),
        };
        let bytes = [1, 128, 1, 1, 1, 3, 0, 1, 0, 0, 0, 0, 0, 0, 240, 63, 1, b'b'];
        assert_eq!(Raw::encode(&PingRecord::of(&ping)).bytes(), bytes);
        assert_eq!(decode::<PingRecord>(&bytes).map(|record| record.ping(5)), Ok(ping));
    }

    #[test]
    fn what_a_newer_version_wrote_keeps_its_id() {
        let record = CheckRecord { status: 77, reason: 77, ..CheckRecord::of(&saved()) };
        let read = record.saved();
        assert_eq!((read.id, read.status), (PingId([9; 16]), CheckStatus::New));
    }
}
