//! The outbox, the log of deliveries, and what channels know of alerts, as they are stored.
//!
//! A row of the outbox goes into the log in the transaction that takes it out of the
//! outbox, so that at no moment it is in neither. One would get it wrong by numbering the
//! log in memory: after a commit of unknown outcome two rows could get one number.

use std::collections::BTreeMap;
use std::time::Duration;

use redb::{ReadTransaction, ReadableTable as _, ReadableTableMetadata as _, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::alerts::{at_place, place, severity};
use super::api::DeliveryFilter;
use super::fault::Fault;
use super::record::{Raw, Record};
use super::tables::{DELIVERIES, OUTBOX, TELLINGS};
use crate::base::time::Timestamp;
use crate::model::notice::{Attempt, Notice, NoticeAlert, NoticeKind, NoticeState, Telling, Told};

/// Rows of the log.
pub const LOGGED: u64 = 2000;
/// A row of the log is kept so long.
const KEPT: Duration = Duration::from_secs(30 * 86_400);

/// A row of the outbox or the log; words as their places in the lists of the model.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct NoticeRecord {
    id: String,
    channel: String,
    kind: u8,
    group: String,
    alerts: Vec<StoredAlert>,
    created_at: i64,
    due_at: i64,
    expires_at: i64,
    state: u8,
    tries: u32,
    attempts: Vec<StoredAttempt>,
    finished_at: Option<i64>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct StoredAlert {
    id: String,
    step: u32,
    rule: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    severity: u8,
    title: String,
    message: String,
    value: Option<f64>,
    threshold: Option<f64>,
    fired_at: i64,
    resolved_at: Option<i64>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct StoredAttempt {
    at: i64,
    latency_ms: u64,
    answer: String,
    delivered: bool,
}

impl Record for NoticeRecord {
    const NAME: &'static str = "holdfast::Notice";
    const VERSION: u8 = 1;
}

impl StoredAlert {
    fn of(alert: &NoticeAlert) -> Self {
        Self {
            id: alert.id.clone(),
            step: alert.step,
            rule: alert.rule.clone(),
            labels: alert.labels.clone(),
            annotations: alert.annotations.clone(),
            severity: alert.severity.rank(),
            title: alert.title.clone(),
            message: alert.message.clone(),
            value: alert.value,
            threshold: alert.threshold,
            fired_at: alert.fired_at.millis(),
            resolved_at: alert.resolved_at.map(Timestamp::millis),
        }
    }

    fn alert(self) -> NoticeAlert {
        NoticeAlert {
            id: self.id,
            step: self.step,
            rule: self.rule,
            labels: self.labels,
            annotations: self.annotations,
            severity: severity(self.severity),
            title: self.title,
            message: self.message,
            value: self.value,
            threshold: self.threshold,
            fired_at: Timestamp(self.fired_at),
            resolved_at: self.resolved_at.map(Timestamp),
        }
    }
}

impl NoticeRecord {
    pub fn of(notice: &Notice) -> Self {
        let attempt = |attempt: &Attempt| StoredAttempt {
            at: attempt.at.millis(),
            latency_ms: attempt.latency_ms,
            answer: attempt.answer.clone(),
            delivered: attempt.delivered,
        };
        Self {
            id: notice.id.clone(),
            channel: notice.channel.clone(),
            kind: place(&NoticeKind::ALL, &notice.kind),
            group: notice.group.clone(),
            alerts: notice.alerts.iter().map(StoredAlert::of).collect(),
            created_at: notice.created_at.millis(),
            due_at: notice.due_at.millis(),
            expires_at: notice.expires_at.millis(),
            state: place(&NoticeState::ALL, &notice.state),
            tries: notice.tries,
            attempts: notice.attempts.iter().map(attempt).collect(),
            finished_at: notice.finished_at.map(Timestamp::millis),
        }
    }

    /// A kind of a newer version is read as the plainest there is: the message is owed.
    pub fn notice(self) -> Notice {
        let attempt = |attempt: StoredAttempt| Attempt {
            at: Timestamp(attempt.at),
            latency_ms: attempt.latency_ms,
            answer: attempt.answer,
            delivered: attempt.delivered,
        };
        Notice {
            id: self.id,
            channel: self.channel,
            kind: at_place(&NoticeKind::ALL, self.kind).unwrap_or(NoticeKind::Firing),
            group: self.group,
            alerts: self.alerts.into_iter().map(StoredAlert::alert).collect(),
            created_at: Timestamp(self.created_at),
            due_at: Timestamp(self.due_at),
            expires_at: Timestamp(self.expires_at),
            state: at_place(&NoticeState::ALL, self.state).unwrap_or_default(),
            tries: self.tries,
            attempts: self.attempts.into_iter().map(attempt).collect(),
            finished_at: self.finished_at.map(Timestamp),
        }
    }
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TellingRecord {
    rearmed: u32,
    counted_from: Option<i64>,
    escalated: u32,
    explained: bool,
    channels: Vec<StoredTold>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct StoredTold {
    channel: String,
    fired: bool,
    over: bool,
    flapping: bool,
    step: u32,
    severity: u8,
    repeats: u32,
    at: i64,
}

impl Record for TellingRecord {
    const NAME: &'static str = "holdfast::Telling";
    const VERSION: u8 = 1;
}

impl TellingRecord {
    pub fn of(telling: &Telling) -> Self {
        let told = |told: &Told| StoredTold {
            channel: told.channel.clone(),
            fired: told.fired,
            over: told.over,
            flapping: told.flapping,
            step: told.step,
            severity: told.severity.rank(),
            repeats: told.repeats,
            at: told.at.millis(),
        };
        Self {
            rearmed: telling.rearmed,
            counted_from: telling.counted_from.map(Timestamp::millis),
            escalated: telling.escalated,
            explained: telling.explained,
            channels: telling.channels.iter().map(told).collect(),
        }
    }

    pub fn telling(self, alert: &str) -> Telling {
        let told = |told: StoredTold| Told {
            channel: told.channel,
            fired: told.fired,
            over: told.over,
            flapping: told.flapping,
            step: told.step,
            severity: severity(told.severity),
            repeats: told.repeats,
            at: Timestamp(told.at),
        };
        Telling {
            alert: alert.to_owned(),
            rearmed: self.rearmed,
            counted_from: self.counted_from.map(Timestamp),
            escalated: self.escalated,
            explained: self.explained,
            channels: self.channels.into_iter().map(told).collect(),
        }
    }
}

/// Adds a finished row to the log; of too many the oldest go.
pub fn log(tx: &WriteTransaction, notice: &Notice) -> Result<(), Fault> {
    let mut table = tx.open_table(DELIVERIES)?;
    let number = table.last()?.map_or(0, |(number, _)| number.value()).saturating_add(1);
    table.insert(number, Raw::encode(&NoticeRecord::of(notice)))?;
    while table.len()? > LOGGED {
        table.pop_first()?;
    }
    Ok(())
}

/// Every open row that can be read, by id.
pub fn outbox(tx: &ReadTransaction) -> Result<Vec<Notice>, Fault> {
    let mut rows = Vec::new();
    for row in tx.open_table(OUTBOX)?.iter()? {
        let (id, value) = row?;
        match value.value().decode() {
            Ok(record) => rows.push(record.notice()),
            Err(error) => tracing::error!(id = id.value(), %error, "a stored notice is skipped"),
        }
    }
    Ok(rows)
}

/// What channels know of every alert.
pub fn tellings(tx: &ReadTransaction) -> Result<Vec<Telling>, Fault> {
    let mut tellings = Vec::new();
    for row in tx.open_table(TELLINGS)?.iter()? {
        let (alert, value) = row?;
        match value.value().decode() {
            Ok(record) => tellings.push(record.telling(alert.value())),
            Err(error) => tracing::error!(alert = alert.value(), %error, "what was told is skipped"),
        }
    }
    Ok(tellings)
}

/// Finished rows that `filter` wants, the newest first, and how many there are.
pub fn deliveries(
    tx: &ReadTransaction,
    filter: &DeliveryFilter,
    limit: usize,
    offset: usize,
) -> Result<(Vec<Notice>, u64), Fault> {
    let (mut rows, mut found) = (Vec::new(), 0u64);
    for row in tx.open_table(DELIVERIES)?.iter()?.rev() {
        let (number, value) = row?;
        let notice = match value.value().decode() {
            Ok(record) => record.notice(),
            Err(error) => {
                tracing::warn!(number = number.value(), %error, "a row of the delivery log is skipped");
                continue;
            }
        };
        if filter.wants(&notice) {
            found += 1;
            if found > offset as u64 && rows.len() < limit {
                rows.push(notice);
            }
        }
    }
    Ok((rows, found))
}

/// Numbers of the rows of the log whose time is over; they are the first.
pub fn overdue(tx: &ReadTransaction, now: Timestamp) -> Result<Vec<u64>, Fault> {
    let before = now.minus(KEPT);
    let mut numbers = Vec::new();
    for row in tx.open_table(DELIVERIES)?.iter()? {
        let (number, value) = row?;
        let finished = value.value().decode().ok().and_then(|record| record.finished_at);
        if finished.is_some_and(|at| Timestamp(at) >= before) {
            break;
        }
        numbers.push(number.value());
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::severity::Severity;
    use crate::store::record::decode;

    #[test]
    fn notice_v1() {
        let text = |text: &str| text.to_owned();
        let notice = Notice {
            id: text("c.a.1"),
            channel: text("c"),
            kind: NoticeKind::Worsened,
            group: text("g"),
            alerts: vec![NoticeAlert {
                id: text("a"),
                step: 1,
                rule: text("r"),
                labels: BTreeMap::from([(text("k"), text("v"))]),
                annotations: BTreeMap::new(),
                severity: Severity::High,
                title: text("t"),
                message: text("m"),
                value: Some(1.0),
                threshold: None,
                fired_at: Timestamp(1),
                resolved_at: Some(Timestamp(2)),
            }],
            created_at: Timestamp(3),
            due_at: Timestamp(4),
            expires_at: Timestamp(5),
            state: NoticeState::Expired,
            tries: 6,
            attempts: vec![Attempt { at: Timestamp(7), latency_ms: 8, answer: text("n"), delivered: true }],
            finished_at: Some(Timestamp(9)),
        };
        let hex = "0105632e612e31016301016701016101017201016b017600030174016d010000000000\
                   00f03f0002010406080a0306010e08016e010112";
        let bytes = Raw::encode(&NoticeRecord::of(&notice));
        let shown: String = bytes.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(shown, hex);
        assert_eq!(decode::<NoticeRecord>(bytes.bytes()).map(NoticeRecord::notice), Ok(notice));
    }

    #[test]
    fn telling_v1() {
        let telling = Telling {
            alert: String::from("a"),
            rearmed: 1,
            counted_from: Some(Timestamp(2)),
            escalated: 3,
            explained: true,
            channels: vec![Told {
                channel: String::from("c"),
                fired: true,
                over: false,
                flapping: true,
                step: 4,
                severity: Severity::Low,
                repeats: 5,
                at: Timestamp(6),
            }],
        };
        let bytes = [1, 1, 1, 4, 3, 1, 1, 1, b'c', 1, 0, 1, 4, 1, 5, 12];
        assert_eq!(Raw::encode(&TellingRecord::of(&telling)).bytes(), bytes);
        assert_eq!(decode::<TellingRecord>(&bytes).map(|record| record.telling("a")), Ok(telling));
    }
}
