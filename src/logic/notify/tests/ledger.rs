//! An oracle that keeps lists: every commit of every test is checked against what may
//! happen to a row, and every new message against what may be said.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::stage::{Stage, minutes, secs};
use crate::logic::notify::{NoticeWrite, Plan, UNDELIVERABLE};
use crate::model::alert::{Alert, AlertState, Happening};
use crate::model::notice::{Notice, NoticeKind, NoticeState};
use crate::model::selector::MatchOp;

/// Checking looks at all rows: with more it takes too long.
pub const MOST_ROWS: usize = 1000;

/// What was seen so far.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Ids of rows that left the outbox, or got another id.
    gone: BTreeSet<String>,
    /// When each open row was made.
    made: BTreeMap<String, Duration>,
    /// Rows that were open at a restart may be given up sooner or later than others.
    pub restarted: bool,
    /// Wall times of what was before are not comparable with those after.
    pub jumped: bool,
    /// The commit before this one failed: what it says was decided earlier.
    pub late: bool,
    /// When each alert ended.
    ended: BTreeMap<String, Duration>,
    fired: BTreeMap<String, Duration>,
    /// Channels and alerts of deliveries that were answered.
    pub heard: BTreeSet<(String, String)>,
}

/// Channel and alert of all that is in `rows`.
fn entries<'a>(rows: impl IntoIterator<Item = &'a Notice>) -> Vec<(&'a str, &'a str)> {
    let of = |row: &'a Notice| row.alerts.iter().map(|alert| (row.channel.as_str(), alert.id.as_str()));
    rows.into_iter().flat_map(of).collect()
}

fn is_about(one: &Notice, other: &Notice) -> bool {
    let ids: BTreeSet<_> = entries([one]).into_iter().collect();
    entries([other]).iter().any(|entry| ids.contains(entry))
}

impl Ledger {
    /// A delivery was answered.
    pub fn heard(&mut self, notice: &Notice) {
        self.heard.extend(notice.alerts.iter().map(|alert| (notice.channel.clone(), alert.id.clone())));
    }

    /// What happened to an alert.
    pub fn note(&mut self, alert: &str, what: Happening, elapsed: Duration) {
        match what {
            Happening::Fired => drop(self.fired.insert(alert.to_owned(), elapsed)),
            Happening::Resolved => drop(self.ended.insert(alert.to_owned(), elapsed)),
            _ => {}
        }
    }

    pub fn check(stage: &mut Stage, before: &BTreeMap<String, Notice>, plan: &Plan) {
        let mut logged = Vec::new();
        for write in &plan.writes {
            if let NoticeWrite::Log(notice) = write {
                stage.ledger.may_be_logged(notice, plan, stage.elapsed);
                logged.push(notice);
            }
        }
        let now = entries(stage.stored.rows.values());
        let distinct: BTreeSet<_> = now.iter().collect();
        assert_eq!(distinct.len(), now.len(), "an alert stands in two rows of one channel");
        // Nothing disappears: it is still in the outbox, or it is in the log.
        let kept: BTreeSet<_> = now.iter().copied().chain(entries(logged.iter().copied())).collect();
        for entry in entries(before.values()) {
            assert!(kept.contains(&entry), "{entry:?} disappeared");
        }
        for row in stage.stored.rows.values().filter(|row| !before.contains_key(&row.id)) {
            assert!(!stage.ledger.gone.contains(&row.id), "{} comes again", row.id);
            // One that got another id is as old as it was.
            let former = before.values().find(|old| old.created_at == row.created_at && is_about(old, row));
            let made = former.and_then(|old| stage.ledger.made.get(&old.id).copied());
            stage.ledger.made.entry(row.id.clone()).or_insert(made.unwrap_or(stage.elapsed));
        }
        for id in before.keys().filter(|id| !stage.stored.rows.contains_key(*id)) {
            stage.ledger.gone.insert(id.clone());
            stage.ledger.made.remove(id);
        }
        if std::mem::take(&mut stage.ledger.late) {
            return;
        }
        let had: BTreeSet<_> = entries(before.values()).into_iter().collect();
        for row in stage.stored.rows.values() {
            for alert in
                row.alerts.iter().filter(|alert| !had.contains(&(row.channel.as_str(), alert.id.as_str())))
            {
                may_be_said(stage, row, &stage.alerts[&alert.id], alert.resolved_at.is_some());
            }
        }
    }

    fn may_be_logged(&self, notice: &Notice, plan: &Plan, elapsed: Duration) {
        let about_us = notice.alerts.iter().all(|alert| alert.rule == UNDELIVERABLE);
        let said = plan.undeliverable.iter().any(|said| said.notice == notice.id);
        match notice.state {
            NoticeState::Delivered => assert!(!said),
            NoticeState::Collapsed => assert!(!notice.attempts.is_empty() && !said),
            NoticeState::Refused => assert_eq!(said, !about_us),
            NoticeState::Expired => {
                assert_eq!(said, !about_us);
                // The clock may have been set by less than what counts as a jump, several times.
                let age = elapsed - self.made.get(&notice.id).copied().unwrap_or_default();
                assert!(self.restarted || age >= minutes(24 * 60 - 20), "given up after {age:?}");
            }
            NoticeState::Queued => panic!("a finished row is queued"),
        }
        assert!(notice.finished_at.is_some());
    }
}

/// Whether a message about `alert` may begin now.
fn may_be_said(stage: &Stage, row: &Notice, alert: &Alert, over: bool) {
    let what = format!("{} about {} in {:?}", row.kind.word(), alert.id, alert.state);
    let told = stage.ledger.heard.contains(&(row.channel.clone(), alert.id.clone()));
    if over {
        assert!(told, "{what}: the end of what nobody was told");
        return;
    }
    let ended = alert.state == AlertState::Resolved && row.kind == NoticeKind::Flapping;
    let live = matches!(alert.state, AlertState::Firing | AlertState::Nodata | AlertState::Error);
    assert!(live || ended, "{what}");
    assert!(live != ended || alert.flapping);
    assert!(!alert.flapping || row.kind == NoticeKind::Flapping, "{what}: it flaps");
    if matches!(row.kind, NoticeKind::Repeat | NoticeKind::Escalation) {
        assert!(alert.acknowledged.is_none(), "{what}: somebody has seen it");
    }
    if ended {
        return;
    }
    assert!(!silenced(stage, alert), "{what}: it is silenced");
    assert!(!explained(stage, alert), "{what}: a parent explains it");
    let settle = stage.policies[&alert.rule].settle;
    let since = stage.ledger.fired.get(&alert.id).map(|fired| stage.elapsed - *fired);
    if let Some(since) = since.filter(|_| !stage.ledger.jumped) {
        assert!(since + secs(1) >= settle, "{what}: it has not settled");
    }
}

/// Silences of these tests compare with one value, or match all of it.
fn silenced(stage: &Stage, alert: &Alert) -> bool {
    stage.silences.iter().any(|silence| {
        let valid = silence.starts_at <= stage.now.wall && stage.now.wall < silence.ends_at;
        let equal = |op| op == MatchOp::Equal;
        let all =
            |m: &crate::model::selector::Matcher| equal(m.op) && alert.labels.get(&m.label) == Some(&m.value);
        valid && !silence.matchers.is_empty() && silence.matchers.iter().all(all)
    })
}

/// The labels of these tests are one pair beside the name of the rule.
fn explained(stage: &Stage, child: &Alert) -> bool {
    let policy = &stage.policies[&child.rule];
    let queued = entries(stage.stored.rows.values());
    let known = |id: &str| {
        stage.ledger.heard.iter().any(|(_, alert)| alert == id)
            || queued.iter().any(|(_, alert)| *alert == id)
    };
    policy.depends_on.iter().filter(|how| how.on.is_empty()).any(|how| {
        stage.alerts.values().any(|parent| {
            let related = parent.rule == how.rule && parent.id != child.id && parent.key == child.key;
            let fires = matches!(parent.state, AlertState::Firing | AlertState::Recovering);
            let ended = stage.ledger.ended.get(&parent.id).map(|ended| stage.elapsed - *ended);
            let seen = parent.state == AlertState::Resolved
                && !stage.ledger.jumped
                && ended.is_some_and(|ended| ended + secs(1) < policy.lookback + secs(60))
                && parent.peak >= child.severity;
            let mutes = fires && parent.severity >= child.severity;
            // Two that name each other: the first that is told of mutes the other.
            let circular = stage.policies[&parent.rule].depends_on.iter().any(|how| how.rule == child.rule);
            related && !circular && (mutes || seen) && known(&parent.id)
        })
    })
}
