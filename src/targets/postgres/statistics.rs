//! Reads the statistics views into a frame, by the table in [`super::queries`].
//!
//! Each query runs as one implicit transaction with limits of its own, so that a
//! locked table or a huge catalogue costs one statistic and not the probe. What
//! the role may not see, or this version does not have, is left out: a role with
//! nothing but CONNECT is served what it may read.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tokio_postgres::SimpleQueryRow;

use super::outcome;
use super::queries::{self, Pace, Query};
use super::session::Session;
use crate::base::time::Monotonic;
use crate::model::frame::Frame;
use crate::model::probe::OutcomeClass;
use crate::targets::outcome::Outcome;

/// Between two readings of the views, at least.
const QUICK: Duration = Duration::from_secs(15);
/// Between two readings of what makes the server walk its files.
const SLOW: Duration = Duration::from_secs(60);
/// A statistic does not wait longer than this for a lock, milliseconds.
const LOCK_TIMEOUT: u64 = 100;
/// Rows that are taken from one query, whatever the server sends.
const MAX_ROWS: usize = 512;

/// When statistics were last read.
#[derive(Debug)]
pub struct Schedule {
    interval: Duration,
    quick: Option<Monotonic>,
    slow: Option<Monotonic>,
}

impl Schedule {
    /// For a target that is probed every `interval`.
    pub fn new(interval: Duration) -> Self {
        Self { interval, quick: None, slow: None }
    }

    /// The paces that are due, and notes that they are served now.
    pub fn due(&mut self, now: Monotonic) -> Option<Pace> {
        // The probe nearest to the due time, not the first one after it.
        let slack = self.interval / 2;
        let is_due =
            |last: Option<Monotonic>, every| last.is_none_or(|last| now.since(last) + slack >= every);
        if !is_due(self.quick, QUICK) {
            return None;
        }
        self.quick = Some(now);
        if is_due(self.slow, SLOW) {
            self.slow = Some(now);
            return Some(Pace::Slow);
        }
        Some(Pace::Quick)
    }
}

/// What came of reading.
pub struct Read {
    pub outcome: Outcome,
    /// The session can be asked again.
    pub usable: bool,
}

/// Reads every statistic of the pace `due` (slow includes quick) into `frame`.
pub async fn read(
    session: &mut Session,
    due: Pace,
    deadline: Instant,
    target: &str,
    frame: &mut Frame,
) -> Read {
    let mut outcome = Outcome::ok();
    for query in queries::applicable(session.version(), due) {
        let left = deadline.saturating_duration_since(Instant::now());
        // The server gives up a little before this side does.
        let limit = (left.as_millis() as u64 * 9 / 10).max(1);
        let sql = format!(
            "set local statement_timeout = {limit}; set local lock_timeout = {LOCK_TIMEOUT}; \
             set local search_path = pg_catalog; {}",
            query.sql
        );
        match timeout_at(deadline, session.rows(&sql)).await {
            Ok(Ok(rows)) => write(query, &rows, target, frame),
            Ok(Err(error)) if outcome::ends_connection(&error) => {
                return Read { outcome: outcome::of(&error), usable: false };
            }
            Ok(Err(error)) => {
                let found = outcome::of(&error);
                tracing::debug!(target_name = target, code = %found.code, detail = %found.detail, "statistic left out");
                if found.class >= OutcomeClass::Soft {
                    outcome = found;
                }
            }
            Err(_) => {
                // Connecting and `select 1` went well in this very probe: the
                // server is there, the statistics are too much for the time.
                let detail = "the statistics were not complete within the deadline";
                return Read { outcome: Outcome::new(OutcomeClass::Soft, "timeout", detail), usable: false };
            }
        }
    }
    Read { outcome, usable: true }
}

fn write(query: &Query, rows: &[SimpleQueryRow], target: &str, frame: &mut Frame) {
    for family in query.families {
        let values =
            rows.iter().take(MAX_ROWS).filter_map(|row| Some((row, number(row.get(family.column)?)?)));
        let mut values = values.peekable();
        if values.peek().is_none() {
            continue;
        }
        frame.family(family.name, family.kind, family.help);
        for (row, value) in values {
            let labels = query.labels.iter().map(|label| (*label, row.get(*label).unwrap_or_default()));
            let labels: Vec<_> = labels.chain([("target", target)]).collect();
            frame.push(&labels, value);
        }
    }
}

fn number(text: &str) -> Option<f64> {
    match text {
        "t" => Some(1.0),
        "f" => Some(0.0),
        other => other.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::series::{is_label_name, is_metric_name};

    fn at(seconds: u64) -> Monotonic {
        Monotonic(Duration::from_secs(seconds))
    }

    #[test]
    fn a_probe_each_second_reads_statistics_every_fifteen() {
        let mut schedule = Schedule::new(Duration::from_secs(1));
        let due: Vec<_> =
            (0..=60).filter_map(|second| schedule.due(at(second)).map(|pace| (second, pace))).collect();
        let expected =
            [(0, Pace::Slow), (15, Pace::Quick), (30, Pace::Quick), (45, Pace::Quick), (60, Pace::Slow)];
        assert_eq!(due, expected);
    }

    #[test]
    fn a_slow_probe_reads_them_every_time() {
        let mut schedule = Schedule::new(Duration::from_secs(30));
        assert!((0..10).all(|n| schedule.due(at(n * 30)).is_some()));
    }

    #[test]
    fn the_table_names_what_may_be_named() {
        for query in queries::all() {
            assert!(query.labels.iter().all(|label| is_label_name(label)), "{}", query.sql);
            for family in query.families {
                assert!(is_metric_name(family.name), "{}", family.name);
                assert!(query.sql.contains(family.column), "{}", family.name);
            }
        }
    }
}
