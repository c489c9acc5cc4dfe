//! From looks to a verdict on the active member.
//!
//! | evidence | verdict |
//! |---|---|
//! | the kept connection ended without a word, refused twice since, nobody streams | dead |
//! | refused without having seen it end, for [`UNSEEN`] | dead |
//! | three failures of which the first began three timeouts ago, no standby advances | dead |
//! | no way to it, and a standby advances | path: held, see `judge` |
//! | it said that it stops or starts | restarting, for `restart_grace` |
//! | it refuses our login | alive |
//! | it answers and cannot commit | not writable |
//! | every member is silent or out of reach | isolated: evidence against ourselves |
//!
//! A standby's `streaming` proves nothing (it stays for `wal_receiver_timeout` after
//! the primary is gone): only a received position that moved between two looks which
//! were both asked after the trouble began does.

use std::time::Duration;

use super::Core;
use super::watch::Watch;
use crate::base::time::Monotonic;
use crate::model::failover::sighting::{FailureClass, Standing};

/// A refusal that nobody saw begin may be a restart: it must last so long.
const UNSEEN: Duration = Duration::from_secs(2);
/// Two refusals at least so far apart: a port can be closed for an instant.
const APART: Duration = Duration::from_millis(60);
/// Independent databases have no standby to ask, and a restart is likelier.
const SWITCH_GRACE: Duration = Duration::from_secs(60);

/// What the looks say of the active member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Nothing is known yet.
    Unknown,
    Healthy,
    /// Something is wrong; not enough to act on.
    Suspect,
    Dead(String),
    /// Someone restarts it.
    Restarting,
    /// Only we may not reach it, since then.
    Path(Monotonic),
    /// It answers, and does not want us.
    Alive(String),
    /// It answers and cannot commit, since then.
    NotWritable(Monotonic),
    /// It answers, and is a standby now or has another history.
    NotHead(String),
    Isolated,
    /// Every member refuses.
    AllDown,
}

impl Core {
    /// See the module.
    pub fn verdict(&self, now: Monotonic) -> Verdict {
        let Some(head) = &self.durable.head else { return Verdict::Unknown };
        let Some(watch) = self.watches.get(&head.member) else { return Verdict::Unknown };
        if let Some(facts) = watch.current() {
            if !facts.is_primary() {
                return Verdict::NotHead(format!("{} is a standby now", head.member));
            }
            if let Some(reason) = self.not_head(watch) {
                return Verdict::NotHead(reason);
            }
            return watch.canary_failed.map_or(Verdict::Healthy, Verdict::NotWritable);
        }
        let Some(first) = watch.first_failure() else { return Verdict::Unknown };
        if let Some(verdict) = self.of_all(first.asked) {
            return verdict;
        }
        self.of_failures(watch, now)
    }

    /// Whether it is all members, which is us or everything.
    fn of_all(&self, since: Monotonic) -> Option<Verdict> {
        if self.watches.len() < 2 {
            return None;
        }
        let all = |classes: &[FailureClass]| {
            self.watches.values().all(|watch| {
                watch.looked_since(since) && watch.last_class().is_some_and(|class| classes.contains(&class))
            })
        };
        if all(&[FailureClass::Unreachable, FailureClass::Silent]) {
            return Some(Verdict::Isolated);
        }
        all(&[FailureClass::Refused]).then_some(Verdict::AllDown)
    }

    fn of_failures(&self, watch: &Watch, now: Monotonic) -> Verdict {
        use FailureClass as Class;
        let Some(first) = watch.first_failure() else { return Verdict::Unknown };
        let Some(last) = watch.failures.last() else { return Verdict::Unknown };
        if last.failure.class == Class::Configuration {
            return Verdict::Alive(last.failure.detail.clone());
        }
        if let Some((told_at, detail)) = &watch.told_at {
            let told = now.since(*told_at);
            let grace = if self.is_switch() { SWITCH_GRACE } else { self.settings.restart_grace };
            let grace = grace.max(self.settings.restart_grace);
            return if told < grace {
                Verdict::Restarting
            } else {
                Verdict::Dead(format!("said `{detail}` {} s ago", told.as_secs()))
            };
        }
        let refused: Vec<_> =
            watch.failures.iter().filter(|failed| failed.failure.class == Class::Refused).collect();
        if let (Some(one), Some(other)) = (refused.first(), refused.last())
            && matches!(last.failure.class, Class::Refused | Class::Reset)
        {
            let witnessed = watch.failures.iter().any(|failed| failed.witnessed);
            let long = if witnessed { APART } else { UNSEEN };
            let enough = other.at.since(if witnessed { first.at } else { one.at }) >= long;
            if enough && !self.anyone_streams(first.asked) {
                return Verdict::Dead(format!("it refuses connections ({})", last.failure.detail));
            }
            if !enough {
                return Verdict::Suspect;
            }
        }
        // What it received while the trouble began was on its way before.
        let settled = Monotonic(first.asked.0 + self.settings.timeout);
        let advances = self.anyone_advances(settled, now);
        let out_of_reach = matches!(last.failure.class, Class::Unreachable | Class::Silent);
        if advances && out_of_reach {
            return Verdict::Path(first.asked);
        }
        // The third failure of looks of one timeout each, with a little slack.
        let long = self.settings.timeout * 3;
        let long = long - long / 20;
        if watch.failed >= 3 && last.at.since(first.asked) >= long && !advances {
            let seconds = last.at.since(first.asked).as_secs_f64();
            return Verdict::Dead(format!("no answer for {seconds:.1} s ({})", last.failure.detail));
        }
        Verdict::Suspect
    }

    /// A standby that says it streams, in a look that was asked since then; one that has
    /// not been looked at since then may.
    fn anyone_streams(&self, since: Monotonic) -> bool {
        self.standbys().any(|(_, watch)| {
            if !watch.failures.is_empty() {
                return false;
            }
            watch
                .facts_since(since)
                .is_none_or(|facts| matches!(facts.standing, Standing::Standby { streaming: true, .. }))
                && watch.facts.is_some()
        })
    }

    /// A standby that received something between two looks which were asked since then,
    /// not long ago.
    fn anyone_advances(&self, since: Monotonic, now: Monotonic) -> bool {
        let lately = self.settings.interval * 3;
        self.standbys().any(|(_, watch)| {
            watch.advanced.is_some_and(|at| at >= since)
                && watch.moved.is_some_and(|at| now.since(at) <= lately)
        })
    }
}
