//! Silences as they are stored, until a week after their end.

use std::time::Duration;

use redb::{ReadTransaction, ReadableTable as _};
use serde::{Deserialize, Serialize};

use super::alerts::{at_place, place};
use super::fault::Fault;
use super::record::Record;
use super::tables::SILENCES;
use crate::base::time::Timestamp;
use crate::model::selector::{MatchOp, Matcher};
use crate::model::silence::Silence;

const KEPT: Duration = Duration::from_secs(7 * 86_400);

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SilenceRecord {
    /// Label, comparison as its place in [`MatchOp::ALL`], value.
    matchers: Vec<(String, u8, String)>,
    starts_at: i64,
    ends_at: i64,
    created_by: String,
    comment: String,
    maintenance: bool,
    updated_at: i64,
}

impl Record for SilenceRecord {
    const NAME: &'static str = "holdfast::Silence";
    const VERSION: u8 = 1;
}

impl SilenceRecord {
    pub fn of(silence: &Silence) -> Self {
        let matcher = |matcher: &Matcher| {
            (matcher.label.clone(), place(&MatchOp::ALL, &matcher.op), matcher.value.clone())
        };
        Self {
            matchers: silence.matchers.iter().map(matcher).collect(),
            starts_at: silence.starts_at.millis(),
            ends_at: silence.ends_at.millis(),
            created_by: silence.created_by.clone(),
            comment: silence.comment.clone(),
            maintenance: silence.maintenance,
            updated_at: silence.updated_at.millis(),
        }
    }

    /// `None` for one that compares as only a newer version can: without a matcher it
    /// would mute more than was meant.
    pub fn silence(self, id: &str) -> Option<Silence> {
        let matcher = |(label, op, value): (String, u8, String)| {
            Some(Matcher { label, op: at_place(&MatchOp::ALL, op)?, value })
        };
        Some(Silence {
            id: id.to_owned(),
            matchers: self.matchers.into_iter().map(matcher).collect::<Option<_>>()?,
            starts_at: Timestamp(self.starts_at),
            ends_at: Timestamp(self.ends_at),
            created_by: self.created_by,
            comment: self.comment,
            maintenance: self.maintenance,
            updated_at: Timestamp(self.updated_at),
        })
    }
}

/// Every silence that can be read, by id.
pub fn read(tx: &ReadTransaction) -> Result<Vec<Silence>, Fault> {
    let mut silences = Vec::new();
    for row in tx.open_table(SILENCES)?.iter()? {
        let (id, value) = row?;
        match value.value().decode().map(|record| record.silence(id.value())) {
            Ok(Some(silence)) => silences.push(silence),
            Ok(None) => tracing::warn!(id = id.value(), "a silence of a newer version is skipped"),
            Err(error) => tracing::error!(id = id.value(), %error, "a stored silence is skipped"),
        }
    }
    Ok(silences)
}

/// Ids of those that ended long ago.
pub fn overdue(tx: &ReadTransaction, now: Timestamp) -> Result<Vec<String>, Fault> {
    let before = now.minus(KEPT);
    let mut ids = Vec::new();
    for row in tx.open_table(SILENCES)?.iter()? {
        let (id, value) = row?;
        if value.value().decode().is_ok_and(|record| Timestamp(record.ends_at) < before) {
            ids.push(id.value().to_owned());
        }
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::record::{Raw, decode};

    #[test]
    fn silence_v1() {
        let silence = Silence {
            id: String::from("x"),
            matchers: vec![Matcher { label: "l".into(), op: MatchOp::NotRegex, value: "v".into() }],
            starts_at: Timestamp(1),
            ends_at: Timestamp(64),
            created_by: String::from("o"),
            comment: String::from("c"),
            maintenance: true,
            updated_at: Timestamp(2),
        };
        let record = SilenceRecord::of(&silence);
        let bytes = [1, 1, 1, b'l', 3, 1, b'v', 2, 128, 1, 1, b'o', 1, b'c', 1, 4];
        assert_eq!(Raw::encode(&record).bytes(), bytes);
        assert_eq!(decode::<SilenceRecord>(&bytes).map(|read| read.silence("x")), Ok(Some(silence)));
        let newer = SilenceRecord { matchers: vec![("l".into(), 9, "v".into())], ..record };
        assert_eq!(newer.silence("x"), None);
    }
}
