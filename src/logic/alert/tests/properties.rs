//! The eight rules of alerts, each by its number, over random lives: values, missing and
//! broken data, failing expressions, operators, restarts, edits, and clocks that jump.
//!
//! What a life says is entered into a ledger as a store would, which checks every entry.

use proptest::prelude::*;
use std::collections::BTreeSet;

use super::*;

use AlertState::{Firing, Inactive, Pending, Resolved};

#[derive(Clone, Debug)]
enum Deed {
    /// What is answered for `a` and for `b`.
    Answer([Option<f64>; 2]),
    Fail,
    Wait(u64),
    Acknowledge(Option<u64>),
    Unacknowledge,
    Resolve,
    Restart(u64),
    /// Another `for`.
    Hold(u64),
    Expression(u8),
    /// A day forward or back.
    Jump(bool),
}

fn value() -> impl Strategy<Value = f64> {
    prop::sample::select(vec![0.0, 77.9, 78.0, 79.0, 80.0, 85.0, 92.9, 94.0, 95.0, 99.0])
}

fn answers() -> impl Strategy<Value = Deed> {
    let one = || prop_oneof![1 => Just(None), 1 => Just(Some(f64::NAN)), 8 => value().prop_map(Some)];
    (one(), one()).prop_map(|(a, b)| Deed::Answer([a, b]))
}

fn flags() -> impl Strategy<Value = Deed> {
    let until = prop::option::of(1u64..200);
    prop_oneof![2 => until.prop_map(Deed::Acknowledge), 1 => Just(Deed::Unacknowledge)]
}

fn any_deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        10 => answers(),
        1 => Just(Deed::Fail),
        6 => (1u64..60).prop_map(Deed::Wait),
        2 => flags(),
        1 => Just(Deed::Resolve),
        1 => (0u64..500).prop_map(Deed::Restart),
        1 => (0u64..60).prop_map(Deed::Hold),
        1 => (0u8..2).prop_map(Deed::Expression),
        1 => any::<bool>().prop_map(Deed::Jump),
    ]
}

fn lives() -> impl Strategy<Value = Vec<Deed>> {
    prop::collection::vec(any_deed(), 1..120)
}

fn rules() -> impl Strategy<Value = Rule> {
    let absent = prop::sample::select(vec![Absent::Keep, Absent::Alert, Absent::Error, Absent::Ok]);
    let times = || prop::sample::select(vec![0u64, 30]);
    let flap = prop::option::of(Just(Flap { changes: 3, window: seconds(120), hold: seconds(60) }));
    (any::<bool>(), absent, times(), times(), flap).prop_map(|(levels, absent, hold, clear_for, flap)| {
        let mut rule = level_rule(|levels| {
            (levels.absent, levels.clear_for) = (absent, seconds(clear_for));
        });
        if !levels {
            rule = prometheus_rule(seconds(clear_for));
        }
        (rule.hold, rule.flap) = (seconds(hold), flap);
        (rule.ack_rearm, rule.re_raise_after) = (Some(0.1), Some(seconds(600)));
        rule
    })
}

/// Does a deed; what changed.
fn act(table: &mut Table, deed: &Deed) -> Vec<Change> {
    let now = table.now;
    let mut command = |command| {
        let named = table.state.alerts().max_by(|a, b| a.id.cmp(&b.id));
        let Some(id) = named.map(|alert| alert.id.clone()) else { return Vec::new() };
        table.state.command(&id, command, now).unwrap_or_default()
    };
    match deed {
        Deed::Answer(values) => {
            let pairs = ["a", "b"].into_iter().zip(values);
            let samples: Vec<_> = pairs.filter_map(|(key, value)| Some((key, (*value)?))).collect();
            table.step(&samples);
            table.last.changes.clone()
        }
        Deed::Fail => {
            table.input(Input::Failed("many-to-many"));
            table.last.changes.clone()
        }
        Deed::Wait(by) => {
            table.wait(*by);
            Vec::new()
        }
        Deed::Acknowledge(after) => {
            table.acks += 1;
            let until = after.map(|after| now.wall.plus(seconds(after)));
            // No two are the same, so that each counts.
            let (by, comment) = (String::from("ann"), format!("seen {}", table.acks));
            command(Command::Acknowledge { by, comment, until })
        }
        Deed::Unacknowledge => command(Command::Unacknowledge { by: String::from("ann") }),
        Deed::Resolve => command(resolve()),
        Deed::Restart(down) => table.restart(*down),
        Deed::Hold(hold) => table.change(|rule| rule.hold = seconds(*hold)),
        Deed::Expression(which) => table.change(|rule| rule.expr = format!("used{which}")),
        Deed::Jump(forward) => {
            table.now.wall = if *forward { now.wall.plus(DAY) } else { now.wall.minus(DAY) };
            Vec::new()
        }
    }
}

/// What a store would hold, and what its readers rely on.
#[derive(Default)]
struct Ledger {
    rows: BTreeMap<String, Alert>,
    /// Those that were more than pending once.
    told: BTreeSet<String>,
    ended: BTreeSet<String>,
}

impl Ledger {
    fn enter(&mut self, changes: &[Change]) -> Result<(), TestCaseError> {
        for Change { alert, news } in changes {
            let before = self.rows.get(&alert.id);
            let number = before.map_or(0, |row| row.last_step);
            match news {
                // Rule 4: a step is numbered once, so a message per channel and step is one.
                News::Step(what) => {
                    prop_assert_eq!(alert.last_step, number + 1);
                    let line = alert.steps.last().unwrap();
                    prop_assert_eq!((line.number, line.what), (alert.last_step, *what));
                    let flag = [Happening::FlappingEnded, Happening::FlappingStarted].contains(what);
                    prop_assert!(flag || !self.ended.contains(&alert.id), "{:?} after the end", what);
                }
                News::Touched => prop_assert_eq!(alert.last_step, number),
                News::Dropped => {
                    prop_assert!(!self.told.contains(&alert.id), "{} was told", alert.id);
                    self.rows.remove(&alert.id);
                    continue;
                }
            }
            if alert.state.is_active() {
                self.told.insert(alert.id.clone());
            }
            if alert.state == Resolved {
                prop_assert!(alert.resolved_at.is_some());
                self.ended.insert(alert.id.clone());
            }
            self.rows.insert(alert.id.clone(), alert.clone());
        }
        Ok(())
    }

    fn open(&self) -> impl Iterator<Item = &Alert> {
        self.rows.values().filter(|row| row.state != Resolved)
    }
}

/// Each label set with what an evaluation alone decides.
fn states(table: &Table) -> BTreeMap<String, (AlertState, Severity, Option<u64>)> {
    let open = table.state.alerts().filter(|alert| alert.state != Resolved);
    let bits = |alert: &Alert| alert.value.map(f64::to_bits);
    open.map(|alert| (alert.key.clone(), (alert.state, alert.severity, bits(alert)))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Rules 2 and 4, and that the ledger is what the machine knows.
    #[test]
    fn every_end_is_recorded_once_and_every_step_has_its_number(rule in rules(), life in lives()) {
        let mut table = Table::new(rule);
        let mut ledger = Ledger::default();
        for deed in &life {
            ledger.enter(&act(&mut table, deed))?;
            let open: BTreeSet<_> = ledger.open().map(|row| &row.id).collect();
            let known: BTreeSet<_> =
                table.state.alerts().filter(|alert| alert.state != Resolved).map(|alert| &alert.id).collect();
            prop_assert_eq!(&open, &known);
            let keys: BTreeSet<_> = ledger.open().map(|row| &row.key).collect();
            prop_assert_eq!(keys.len(), open.len(), "one open alert per label set");
        }
        let end = table.state.retire(table.now, "deleted");
        ledger.enter(&end)?;
        prop_assert_eq!(ledger.open().count(), 0);
        prop_assert!(ledger.told.is_subset(&ledger.ended));
    }

    /// Rule 1: with and without flags the same states at the same time.
    #[test]
    fn a_flag_never_changes_the_evaluation(
        rule in rules(),
        life in prop::collection::vec((answers(), 0u64..40, prop::option::of(flags())), 1..80),
    ) {
        let mut plain = Table::new(Rule { flap: None, ack_rearm: None, ..rule.clone() });
        let mut flagged = Table::new(rule);
        for (answer, gap, flag) in &life {
            for table in [&mut plain, &mut flagged] {
                table.wait(*gap);
                act(table, answer);
            }
            if let Some(flag) = flag {
                act(&mut flagged, flag);
            }
            prop_assert_eq!(states(&plain), states(&flagged));
        }
    }

    /// Rule 5: restarts and edits that leave the expression alone go unnoticed.
    #[test]
    fn a_restart_and_an_edit_keep_since(
        clear_for in 0u64..60,
        hold in 0u64..60,
        life in prop::collection::vec((value(), 0u64..40, 0u8..4), 1..80),
    ) {
        let mut rule = level_rule(|levels| {
            levels.clear_for = seconds(clear_for);
            levels.limits.remove(&Severity::Critical);
        });
        rule.hold = seconds(hold);
        let mut plain = Table::new(rule.clone());
        let mut troubled = Table::new(rule);
        for (value, gap, trouble) in life {
            plain.wait(gap).one(value);
            troubled.wait(gap).one(value);
            let before: Vec<Alert> = troubled.state.alerts().cloned().collect();
            match trouble {
                0 => prop_assert_eq!(troubled.restart(0), vec![]),
                1 => {
                    troubled.change(|rule| rule.title.push('x'));
                }
                _ => {}
            }
            let after: Vec<Alert> = troubled.state.alerts().cloned().collect();
            prop_assert_eq!(before, after);
            prop_assert_eq!(states(&plain), states(&troubled));
            let times = |table: &Table| -> Vec<_> {
                table.state.alerts().map(|alert| (alert.id.clone(), alert.since, alert.fired_at)).collect()
            };
            prop_assert_eq!(times(&plain), times(&troubled));
        }
    }

    /// Rule 6: only a value ends what fires in the level form.
    #[test]
    fn missing_data_is_not_ok(
        rule in rules().prop_filter("levels that ask for data", |rule| {
            matches!(&rule.judgement, Judgement::Levels(levels) if levels.absent != Absent::Ok)
        }),
        life in lives(),
    ) {
        let mut table = Table::new(rule);
        for deed in life.iter().filter(|deed| !matches!(deed, Deed::Expression(_))) {
            let changes = act(&mut table, deed);
            let seen: Vec<&str> = match deed {
                Deed::Answer(values) => {
                    let pairs = ["a", "b"].into_iter().zip(values);
                    pairs.filter(|(_, value)| value.is_some_and(|value| !value.is_nan())).map(|(key, _)| key).collect()
                }
                _ => vec!["a", "b", WHOLE_RULE],
            };
            for change in changes.iter().filter(|change| change.news == News::Step(Happening::Resolved)) {
                let key = change.alert.key.as_str();
                prop_assert!(key == WHOLE_RULE || seen.contains(&key), "{} by {:?}", key, deed);
            }
        }
    }

    /// Rule 6: what its host never had, a shipped rule never mentions.
    #[test]
    fn a_shipped_rule_without_series_stays_inactive(rule in rules(), gaps in prop::collection::vec(0u64..1000, 1..50)) {
        let mut table = Table::new(rule);
        for gap in gaps {
            prop_assert_eq!(table.wait(gap).step(&[]), vec![]);
        }
    }

    /// Rule 7, against a list of what was held since when.
    #[test]
    fn a_manual_resolve_holds(
        life in prop::collection::vec((value(), 0u64..200, 0u8..6), 1..100),
    ) {
        let mut rule = level_rule(|_| {});
        rule.re_raise_after = Some(seconds(600));
        let mut table = Table::new(rule);
        // Seconds that a process lived.
        let mut clock = 0;
        let mut held: Option<u64> = None;
        let mut fires = false;
        for (value, gap, what) in life {
            table.wait(gap);
            clock += gap;
            let lapsed = held.is_some_and(|since| clock - since >= 600);
            let news = table.one(value);
            // Once it fires or is held, it is true until it falls below the clear point.
            let beyond = value >= 80.0 || (value >= 78.0 && (fires || (held.is_some() && !lapsed)));
            let fired = news.contains(&News::Step(Happening::Fired));
            prop_assert_eq!(fired, beyond && !fires && (held.is_none() || lapsed), "{} {:?}", value, news);
            if !beyond || lapsed {
                held = None;
            }
            fires = beyond && held.is_none();
            if what == 0 && fires {
                table.command(resolve()).unwrap();
                (held, fires) = (Some(clock), false);
            } else if what == 1 {
                table.restart(300);
            }
        }
    }

    /// Rule 8: exactly when the value is worse by the share, or the level is.
    #[test]
    fn an_acknowledgement_rearms_when_it_worsens(
        upwards: bool,
        first in 80.0f64..120.0,
        life in prop::collection::vec((60.0f64..140.0, any::<bool>()), 1..60),
    ) {
        let flip = |value: f64| if upwards { value } else { -value };
        let mut rule = level_rule(|levels| {
            let limits = [(Severity::Medium, flip(60.0)), (Severity::Critical, flip(110.0))];
            (levels.limits, levels.clear) = (BTreeMap::from(limits), Clear::AtLevel);
            levels.op = if upwards { Compare::AtLeast } else { Compare::AtMost };
        });
        rule.ack_rearm = Some(0.1);
        let mut table = Table::new(rule);
        table.one(flip(first));
        let mut acked: Option<(f64, Severity)> = None;
        let mut value = first;
        for (next, again) in life {
            if again && acked.is_none() {
                table.command(acknowledge(None)).unwrap();
                acked = Some((value, table.alert().severity));
            }
            value = next;
            let news = table.one(flip(value));
            let severity = if value >= 110.0 { Severity::Critical } else { Severity::Medium };
            let worse = acked.is_some_and(|(then, level)| severity > level || value >= then + then * 0.1);
            prop_assert_eq!(news.contains(&News::Step(Happening::Rearmed)), worse);
            if worse {
                acked = None;
            }
            prop_assert_eq!(table.alert().acknowledged.is_some(), acked.is_some());
        }
    }

    /// A wall clock that jumps fires, resolves and ends nothing.
    #[test]
    fn jumps_of_the_wall_clock_go_unnoticed(rule in rules(), life in lives()) {
        let mut plain = Table::new(rule.clone());
        let mut jumping = Table::new(rule);
        for deed in life.iter().filter(|deed| !matches!(deed, Deed::Restart(_))) {
            let steps = |changes: Vec<Change>| -> BTreeSet<_> {
                let told = changes.iter().filter(|change| change.news != News::Touched);
                told.map(|change| (change.alert.id.clone(), change.alert.last_step, format!("{:?}", change.news))).collect()
            };
            let calm = if matches!(deed, Deed::Jump(_)) { Vec::new() } else { act(&mut plain, deed) };
            prop_assert_eq!(steps(calm), steps(act(&mut jumping, deed)));
            prop_assert_eq!(states(&plain), states(&jumping));
        }
    }

    /// Whatever happens, what is shown is in order.
    #[test]
    fn an_alert_is_always_whole(rule in rules(), life in lives()) {
        let mut table = Table::new(rule);
        for deed in &life {
            act(&mut table, deed);
            for alert in table.state.alerts() {
                prop_assert!(alert.state != Inactive && alert.peak >= alert.severity);
                prop_assert!(alert.steps.len() <= crate::model::alert::MOST_STEPS && alert.last_step > 0);
                prop_assert!(alert.state != Firing || alert.fired_at.is_some());
                prop_assert!(alert.state != Pending || alert.resolved_at.is_none());
                prop_assert!(alert.state != Resolved || goes_on(alert), "kept without need");
                let found = table.state.find(&alert.id).map(|found| &found.key);
                prop_assert_eq!(found, Some(&alert.key));
            }
        }
    }
}
