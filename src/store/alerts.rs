//! Alerts as they are stored: one row each, from pending until a week after the end.
//!
//! Words are stored as their places in the lists of the model, and what a newer version
//! knows more of is read as the nearest thing this one knows. One would get it wrong by
//! dropping alerts that fire to make room: only what is over is ever dropped.

use std::collections::BTreeMap;
use std::time::Duration;

use redb::{ReadTransaction, ReadableTable as _, ReadableTableMetadata as _, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::record::{Raw, Record};
use super::tables::ALERTS;
use crate::base::time::Timestamp;
use crate::model::alert::{Acknowledgement, Alert, AlertState, Happening, ManualResolve, Step};
use crate::model::severity::Severity;

/// An alert that is over is kept so long.
const KEPT: Duration = Duration::from_secs(7 * 86_400);
/// Rows; beyond, those that were over first go.
pub const MOST: u64 = 10_000;
/// Room that is made at once, since finding out what goes takes reading all rows.
const AT_ONCE: u64 = MOST / 20;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AlertRecord {
    key: String,
    rule: String,
    expr: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    source: String,
    resource_type: Option<String>,
    resource_id: Option<String>,
    title: String,
    message: String,
    state: u8,
    severity: u8,
    peak: u8,
    value: Option<f64>,
    threshold: Option<f64>,
    since: i64,
    uncounted_ms: i64,
    started_at: i64,
    fired_at: Option<i64>,
    resolved_at: Option<i64>,
    updated_at: i64,
    acknowledged: Option<StoredAcknowledgement>,
    manual: Option<StoredResolve>,
    flapping: bool,
    expires_at: Option<i64>,
    error: Option<String>,
    last_step: u32,
    steps: Vec<StoredStep>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct StoredAcknowledgement {
    by: String,
    at: i64,
    comment: String,
    until: Option<i64>,
    value: Option<f64>,
    severity: u8,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct StoredResolve {
    by: String,
    at: i64,
    notes: String,
    holds: bool,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct StoredStep {
    number: u32,
    at: i64,
    what: u8,
    severity: u8,
    value: Option<f64>,
    by: Option<String>,
    note: Option<String>,
}

impl Record for AlertRecord {
    const NAME: &'static str = "holdfast::Alert";
    const VERSION: u8 = 1;
}

pub(super) fn place<T: PartialEq>(all: &[T], one: &T) -> u8 {
    all.iter().position(|known| known == one).unwrap_or(0) as u8
}

pub(super) fn at_place<T: Copy>(all: &[T], place: u8) -> Option<T> {
    all.get(usize::from(place)).copied()
}

/// The worst for what this version does not know.
pub(super) fn severity(rank: u8) -> Severity {
    Severity::of_rank(rank).unwrap_or(Severity::Emergency)
}

impl StoredStep {
    fn of(step: &Step) -> Self {
        Self {
            number: step.number,
            at: step.at.millis(),
            what: place(&Happening::ALL, &step.what),
            severity: step.severity.rank(),
            value: step.value,
            by: step.by.clone(),
            note: step.note.clone(),
        }
    }

    fn step(self) -> Option<Step> {
        Some(Step {
            number: self.number,
            at: Timestamp(self.at),
            what: at_place(&Happening::ALL, self.what)?,
            severity: severity(self.severity),
            value: self.value,
            by: self.by,
            note: self.note,
        })
    }
}

impl AlertRecord {
    pub fn of(alert: &Alert) -> Self {
        Self {
            key: alert.key.clone(),
            rule: alert.rule.clone(),
            expr: alert.expr.clone(),
            labels: alert.labels.clone(),
            annotations: alert.annotations.clone(),
            source: alert.source.clone(),
            resource_type: alert.resource_type.clone(),
            resource_id: alert.resource_id.clone(),
            title: alert.title.clone(),
            message: alert.message.clone(),
            state: place(&AlertState::ALL, &alert.state),
            severity: alert.severity.rank(),
            peak: alert.peak.rank(),
            value: alert.value,
            threshold: alert.threshold,
            since: alert.since.millis(),
            uncounted_ms: alert.uncounted_ms,
            started_at: alert.started_at.millis(),
            fired_at: alert.fired_at.map(Timestamp::millis),
            resolved_at: alert.resolved_at.map(Timestamp::millis),
            updated_at: alert.updated_at.millis(),
            acknowledged: alert.acknowledged.as_ref().map(|by| StoredAcknowledgement {
                by: by.by.clone(),
                at: by.at.millis(),
                comment: by.comment.clone(),
                until: by.until.map(Timestamp::millis),
                value: by.value,
                severity: by.severity.rank(),
            }),
            manual: alert.manual.as_ref().map(|manual| StoredResolve {
                by: manual.by.clone(),
                at: manual.at.millis(),
                notes: manual.notes.clone(),
                holds: manual.holds,
            }),
            flapping: alert.flapping,
            expires_at: alert.expires_at.map(Timestamp::millis),
            error: alert.error.clone(),
            last_step: alert.last_step,
            steps: alert.steps.iter().map(StoredStep::of).collect(),
        }
    }

    /// A state of a newer version counts as one that cannot be evaluated.
    pub fn alert(self, id: &str) -> Alert {
        Alert {
            id: id.to_owned(),
            key: self.key,
            rule: self.rule,
            expr: self.expr,
            labels: self.labels,
            annotations: self.annotations,
            source: self.source,
            resource_type: self.resource_type,
            resource_id: self.resource_id,
            title: self.title,
            message: self.message,
            state: at_place(&AlertState::ALL, self.state).unwrap_or(AlertState::Error),
            severity: severity(self.severity),
            peak: severity(self.peak),
            value: self.value,
            threshold: self.threshold,
            since: Timestamp(self.since),
            uncounted_ms: self.uncounted_ms,
            started_at: Timestamp(self.started_at),
            fired_at: self.fired_at.map(Timestamp),
            resolved_at: self.resolved_at.map(Timestamp),
            updated_at: Timestamp(self.updated_at),
            acknowledged: self.acknowledged.map(|by| Acknowledgement {
                by: by.by,
                at: Timestamp(by.at),
                comment: by.comment,
                until: by.until.map(Timestamp),
                value: by.value,
                severity: severity(by.severity),
            }),
            manual: self.manual.map(|manual| ManualResolve {
                by: manual.by,
                at: Timestamp(manual.at),
                notes: manual.notes,
                holds: manual.holds,
            }),
            flapping: self.flapping,
            expires_at: self.expires_at.map(Timestamp),
            error: self.error,
            last_step: self.last_step,
            steps: self.steps.into_iter().filter_map(StoredStep::step).collect(),
        }
    }

    /// When it was over; `None` while it is not.
    fn over(&self) -> Option<Timestamp> {
        let over = matches!(
            at_place(&AlertState::ALL, self.state),
            Some(AlertState::Resolved | AlertState::Inactive)
        );
        over.then(|| Timestamp(self.resolved_at.unwrap_or(self.updated_at)))
    }
}

/// Writes an alert; makes room first where there is none.
pub fn put(tx: &WriteTransaction, alert: &Alert) -> Result<(), Fault> {
    let mut table = tx.open_table(ALERTS)?;
    table.insert(alert.id.as_str(), Raw::encode(&AlertRecord::of(alert)))?;
    let rows = table.len()?;
    drop(table);
    if rows > MOST {
        let mut over = over(tx)?;
        over.sort_unstable();
        let oldest = over.into_iter().filter(|(_, id)| *id != alert.id);
        remove(tx, oldest.take((rows - MOST + AT_ONCE) as usize))?;
    }
    Ok(())
}

/// Times and ids of those that are over.
fn over(tx: &WriteTransaction) -> Result<Vec<(Timestamp, String)>, Fault> {
    let mut over = Vec::new();
    for row in tx.open_table(ALERTS)?.iter()? {
        let (id, value) = row?;
        if let Some(at) = value.value().decode().ok().and_then(|record| record.over()) {
            over.push((at, id.value().to_owned()));
        }
    }
    Ok(over)
}

fn remove(tx: &WriteTransaction, doomed: impl Iterator<Item = (Timestamp, String)>) -> Result<(), Fault> {
    let mut table = tx.open_table(ALERTS)?;
    for (_, id) in doomed {
        table.remove(id.as_str())?;
    }
    Ok(())
}

/// Ids of the alerts whose time is over.
pub fn overdue(tx: &ReadTransaction, now: Timestamp) -> Result<Vec<String>, Fault> {
    let before = now.minus(KEPT);
    let mut ids = Vec::new();
    for row in tx.open_table(ALERTS)?.iter()? {
        let (id, value) = row?;
        let over = value.value().decode().ok().and_then(|record| record.over());
        if over.is_some_and(|at| at < before) {
            ids.push(id.value().to_owned());
        }
    }
    Ok(ids)
}

/// Every alert that can be read, by id.
pub fn read(tx: &ReadTransaction) -> Result<Vec<Alert>, Fault> {
    let mut alerts = Vec::new();
    for row in tx.open_table(ALERTS)?.iter()? {
        let (id, value) = row?;
        match value.value().decode() {
            Ok(record) => alerts.push(record.alert(id.value())),
            Err(error) => tracing::error!(id = id.value(), %error, "a stored alert is skipped"),
        }
    }
    Ok(alerts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::record::decode;

    fn alert() -> Alert {
        let text = |text: &str| text.to_owned();
        let mut alert = Alert {
            id: text("x"),
            key: text("k"),
            rule: text("r"),
            expr: text("e"),
            labels: BTreeMap::from([(text("a"), text("b"))]),
            annotations: BTreeMap::new(),
            source: text("s"),
            resource_type: None,
            resource_id: Some(text("i")),
            title: text("t"),
            message: text("m"),
            state: AlertState::Firing,
            severity: Severity::High,
            peak: Severity::Critical,
            value: Some(1.0),
            threshold: None,
            since: Timestamp(1),
            uncounted_ms: -1,
            started_at: Timestamp(2),
            fired_at: Some(Timestamp(3)),
            resolved_at: None,
            updated_at: Timestamp(4),
            acknowledged: Some(Acknowledgement {
                by: text("o"),
                at: Timestamp(5),
                comment: text("c"),
                until: None,
                value: None,
                severity: Severity::Info,
            }),
            manual: Some(ManualResolve { by: text("p"), at: Timestamp(6), notes: text("n"), holds: true }),
            flapping: true,
            expires_at: Some(Timestamp(7)),
            error: None,
            last_step: 0,
            steps: Vec::new(),
        };
        alert.note(Timestamp(8), Happening::Worsened, None, Some(text("w")));
        alert
    }

    #[test]
    fn alert_v1() {
        let hex = "01016b017201650101610162000173000101690174016d02030401000000000000f03f00\
                   0201040106001001016f0a01630000000101700c016e0101010e0001010110020301000000000000f03f00010177";
        let bytes = Raw::encode(&AlertRecord::of(&alert()));
        let shown: String = bytes.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(shown, hex);
        assert_eq!(decode::<AlertRecord>(bytes.bytes()).map(|record| record.alert("x")), Ok(alert()));
    }

    #[test]
    fn a_state_of_a_newer_version_is_still_an_alert() {
        let record = AlertRecord { state: 77, severity: 77, ..AlertRecord::of(&alert()) };
        assert_eq!(record.over(), None);
        let read = record.alert("x");
        assert_eq!((read.state, read.severity), (AlertState::Error, Severity::Emergency));
    }
}
