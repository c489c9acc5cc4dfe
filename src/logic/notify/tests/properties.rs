//! Random histories: alerts, people, channels, crashes and clocks in any order. What must
//! hold at every commit is in `ledger.rs`; what must hold in the end is here.

use proptest::prelude::*;

use super::stage::*;
use crate::logic::notify::Policy;
use crate::model::alert::AlertState::{self, Firing, Pending, Recovering, Resolved};
use crate::model::alert::Happening;
use crate::model::notice::{Notice, NoticeAlert, NoticeState, Telling};
use crate::model::rule::Escalation;
use crate::model::selector::MatchOp;
use crate::model::severity::Severity;

#[derive(Clone, Copy, Debug)]
enum Act {
    /// What happens to an instance, as far as its state allows.
    Happens(usize, Happening),
    Worsens(usize),
    Silence(usize, u64),
    LiftSilences,
    /// A channel works, fails, or takes nothing.
    Works(usize),
    Fails(usize),
    Refuses(usize),
    Pass(u64),
    Restart,
    CutOff,
    CommitFails,
    Jump(i64),
}

/// Rule and labels of each instance: parents, their children, and others.
const INSTANCES: [(&str, &str); 6] = [
    ("parent", "t=a"),
    ("child", "t=a"),
    ("parent", "t=b"),
    ("child", "t=b"),
    ("other", "t=a"),
    ("other", "t=c"),
];
const CHANNELS: [&str; 2] = ["mail", "ops"];

fn acts() -> impl Strategy<Value = Act> {
    use Happening::{
        Acknowledged, Fired, FlappingEnded, FlappingStarted, Pending, Rearmed, Recovering, Relapsed,
    };
    let instance = 0..INSTANCES.len();
    let happening = prop::sample::select(vec![
        Pending,
        Fired,
        Fired,
        Fired,
        Recovering,
        Relapsed,
        Happening::Resolved,
        Happening::Resolved,
        Acknowledged,
        Rearmed,
        FlappingStarted,
        FlappingEnded,
    ]);
    let channel = 0..CHANNELS.len();
    prop_oneof![
        8 => (instance.clone(), happening).prop_map(|(instance, what)| Act::Happens(instance, what)),
        2 => instance.clone().prop_map(Act::Worsens),
        2 => (instance, 1u64..20_000).prop_map(|(instance, lasts)| Act::Silence(instance, lasts)),
        1 => Just(Act::LiftSilences),
        2 => channel.clone().prop_map(Act::Works),
        2 => channel.clone().prop_map(Act::Fails),
        1 => channel.prop_map(Act::Refuses),
        6 => prop_oneof![1u64..40, 1u64..600, 1u64..100_000].prop_map(Act::Pass),
        1 => Just(Act::Restart),
        1 => Just(Act::CutOff),
        1 => Just(Act::CommitFails),
        1 => prop_oneof![-100_000i64..100_000, -10_000_000_000i64..10_000_000_000].prop_map(Act::Jump),
    ]
}

struct History {
    stage: Stage,
    /// Number of the episode of each instance.
    episodes: [u32; INSTANCES.len()],
}

impl History {
    fn new() -> Self {
        let mut stage = Stage::new(settings(&CHANNELS));
        stage.policy("child", child_of("parent", secs(60), minutes(5)));
        let escalation = Escalation { after: minutes(15), channels: vec![String::from("mail")] };
        let other = Policy { repeat: Some(minutes(30)), escalate: vec![escalation], ..Policy::default() };
        stage.policy("other", other);
        Self { stage, episodes: [0; INSTANCES.len()] }
    }

    fn id(&self, instance: usize) -> String {
        format!("{instance}-{}", self.episodes[instance])
    }

    fn state(&self, instance: usize) -> AlertState {
        self.stage.alerts.get(&self.id(instance)).map_or(Resolved, |alert| alert.state)
    }

    fn happens(&mut self, instance: usize, what: Happening) {
        let state = self.state(instance);
        let (rule, labels) = INSTANCES[instance];
        let severity = if rule == "child" { Severity::Medium } else { Severity::High };
        let flapping = self.stage.alerts.get(&self.id(instance)).is_some_and(|alert| alert.flapping);
        let begins = matches!(what, Happening::Pending | Happening::Fired);
        if begins && state == Resolved && !flapping {
            self.episodes[instance] += 1;
            return self.stage.happen(&self.id(instance), rule, labels, severity, what);
        }
        let acknowledged =
            self.stage.alerts.get(&self.id(instance)).is_some_and(|alert| alert.acknowledged.is_some());
        let fits = match what {
            Happening::Fired => state == Pending,
            Happening::Recovering => state == Firing,
            Happening::Relapsed => state == Recovering,
            Happening::Resolved => matches!(state, Firing | Recovering),
            Happening::Acknowledged => state == Firing && !acknowledged,
            Happening::Rearmed => state == Firing && acknowledged,
            Happening::FlappingStarted => state == Firing && !flapping,
            Happening::FlappingEnded => flapping,
            _ => false,
        };
        if fits {
            self.stage.then(&self.id(instance), what);
        }
    }

    fn act(&mut self, act: Act) {
        let stage = &mut self.stage;
        match act {
            Act::Happens(instance, what) => self.happens(instance, what),
            Act::Worsens(instance) => {
                let id = self.id(instance);
                let severity = self.stage.alerts.get(&id).map(|alert| alert.severity);
                let worse = severity.and_then(|severity| Severity::of_rank(severity.rank() + 1));
                if let Some(worse) = worse.filter(|_| self.state(instance) == Firing) {
                    self.stage.happen(&id, "", "", worse, Happening::Worsened);
                }
            }
            Act::Silence(instance, lasts) => {
                let label = INSTANCES[instance].1.split_once('=').unwrap();
                stage.silence("s", (label.0, MatchOp::Equal, label.1), secs(lasts));
            }
            Act::LiftSilences => {
                stage.silences.clear();
                stage.notifier.set_silences(Vec::new(), stage.now);
            }
            Act::Works(channel) => {
                stage.down.remove(CHANNELS[channel]);
                stage.refusing.remove(CHANNELS[channel]);
            }
            Act::Fails(channel) => drop(stage.down.insert(CHANNELS[channel].to_owned())),
            Act::Refuses(channel) => drop(stage.refusing.insert(CHANNELS[channel].to_owned())),
            Act::Pass(seconds) => stage.pass(secs(seconds)),
            Act::Restart => stage.restart(),
            Act::CutOff => stage.cut_off = true,
            Act::CommitFails => stage.failing_commits = 2,
            Act::Jump(millis) => {
                stage.jump(millis);
                stage.ledger.jumped = true;
                stage.turn();
            }
        }
    }

    /// Everything works, is heard and ends.
    fn settle(&mut self) {
        self.stage.failing_commits = 0;
        self.stage.cut_off = false;
        self.stage.down.clear();
        self.stage.refusing.clear();
        self.act(Act::LiftSilences);
        for instance in 0..INSTANCES.len() {
            self.happens(instance, Happening::FlappingEnded);
        }
        self.stage.pass(minutes(70));
        self.every_live_alert_is_known();
        for instance in 0..INSTANCES.len() {
            self.happens(instance, Happening::Resolved);
        }
        self.stage.pass(minutes(70));
    }

    /// Nobody is left out but by a parent.
    fn every_live_alert_is_known(&self) {
        for (instance, (rule, _)) in INSTANCES.iter().enumerate() {
            let id = self.id(instance);
            if self.state(instance) != Firing || *rule == "child" {
                continue;
            }
            for channel in CHANNELS {
                if self.knows_of_a_child(instance, channel) {
                    continue;
                }
                let about =
                    |row: &&Notice| row.channel == channel && row.alerts.iter().any(|alert| alert.id == id);
                let told = self.stage.sent.iter().map(|(_, row)| row).any(|row| about(&row));
                let given_up =
                    self.stage.stored.log.iter().any(|row| about(&row) && row.state == NoticeState::Refused);
                let late =
                    self.stage.stored.log.iter().any(|row| about(&row) && row.state == NoticeState::Expired);
                assert!(told || given_up || late, "{channel} was never told of {id}");
            }
        }
    }

    /// Whether `channel` was told of a child of the instance that is as bad as it ever was.
    fn knows_of_a_child(&self, parent: usize, channel: &str) -> bool {
        let (rule, labels) = INSTANCES[parent];
        let peak = self.stage.alerts[&self.id(parent)].peak;
        let is_child = |instance: &usize| INSTANCES[*instance] == ("child", labels) && rule == "parent";
        (0..INSTANCES.len()).filter(is_child).any(|child| {
            let id = self.id(child);
            let as_bad = self.stage.alerts.get(&id).is_some_and(|alert| alert.severity >= peak);
            let told = |row: &Notice| row.channel == channel && row.alerts.iter().any(|alert| alert.id == id);
            as_bad && self.state(child) == Firing && self.stage.sent.iter().any(|(_, row)| told(row))
        })
    }

    /// A resolve arrives exactly where a firing did, or stands beside it.
    fn ends_match_beginnings(&self) {
        for id in self.stage.alerts.keys() {
            for channel in CHANNELS {
                let mut messages = std::collections::BTreeMap::new();
                for (at, row) in self.stage.sent.iter().map(|(_, row)| row).enumerate() {
                    let entry = row.alerts.iter().find(|alert| alert.id == *id);
                    if let Some(entry) = entry.filter(|_| row.channel == channel) {
                        // What comes again under the same id is dropped.
                        messages.entry(row.id.clone()).or_insert((at, entry.resolved_at.is_some()));
                    }
                }
                let mut messages: Vec<(usize, bool)> = messages.into_values().collect();
                messages.sort_unstable();
                // Given up with the end in it, or though it had arrived: its answer was lost.
                let heard = self.stage.ledger.heard.contains(&(channel.to_owned(), id.clone()));
                let lost = self.stage.stored.log.iter().any(|row| {
                    let about =
                        |alert: &NoticeAlert| alert.id == *id && (alert.resolved_at.is_some() || !heard);
                    let given_up = row.channel == channel && row.state != NoticeState::Delivered;
                    given_up && row.alerts.iter().any(about)
                });
                let ends = messages.iter().filter(|(_, over)| *over).count();
                if self.stage.alerts[id].state != Resolved {
                    assert_eq!(ends, 0, "{channel} heard of an end of {id}, which did not end");
                } else if !messages.is_empty() && !lost {
                    assert_eq!(ends, 1, "{channel} on {id}: {messages:?}");
                    assert!(messages.last().unwrap().1, "{channel} on {id}: {messages:?}");
                }
            }
        }
    }

    /// A restart changes nothing of what is known.
    fn a_restart_is_not_noticed(&mut self) {
        self.stage.commit();
        let known = |stage: &Stage| -> (Vec<String>, Vec<Telling>) {
            let rows = stage.notifier.rows().map(|row| row.id.clone()).collect();
            let tellings = stage.alerts.keys().filter_map(|id| stage.notifier.telling(id).cloned());
            let empty = |telling: &Telling| {
                *telling == Telling { alert: telling.alert.clone(), ..Telling::default() }
            };
            (rows, tellings.filter(|telling| !empty(telling)).collect())
        };
        let before = known(&self.stage);
        self.stage.restart();
        assert_eq!(known(&self.stage), before);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn whatever_happens_everybody_hears_what_is_owed_once(acts in prop::collection::vec(acts(), 1..60)) {
        let mut history = History::new();
        for act in acts {
            history.act(act);
        }
        history.stage.failing_commits = 0;
        history.stage.commit();
        history.a_restart_is_not_noticed();
        history.settle();
        prop_assert!(history.stage.stored.rows.is_empty(), "{:?}", history.stage.stored.rows.keys());
        history.ends_match_beginnings();
    }
}
