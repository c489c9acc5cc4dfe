//! A rule on a table with two clocks, and what a user relies on, one story per test.

mod edits;
mod events;
mod life;
mod missing;
mod oracle;
mod properties;

use std::sync::Arc;

use super::*;
use crate::model::rule::{Absent, Clear, Compare, Flap, Judgement, Levels, Origin};

const DAY: Duration = Duration::from_secs(86_400);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Names alerts `a0001`, `a0002`, ... and counts how often it was asked for texts.
#[derive(Default)]
struct Scribe {
    ids: u32,
    texts: usize,
}

impl Author for Scribe {
    fn id(&mut self) -> String {
        self.ids += 1;
        format!("a{:04}", self.ids)
    }

    fn texts(&mut self, about: About<'_>) -> Texts {
        self.texts += 1;
        let title = format!("{} {} {:?}", about.key, about.severity, about.value);
        Texts { title, message: about.error.unwrap_or_default().to_owned(), ..Texts::default() }
    }
}

/// Used >= 80 % medium, >= 95 % critical; clear below 78 and 93; all at once.
fn levels() -> Levels {
    Levels {
        op: Compare::AtLeast,
        limits: BTreeMap::from([(Severity::Medium, 80.0), (Severity::Critical, 95.0)]),
        clear: Clear::Margin(2.0),
        clear_for: Duration::ZERO,
        absent: Absent::Keep,
        absent_grace: seconds(60),
    }
}

fn rule(judgement: Judgement) -> Rule {
    Rule {
        name: String::from("storage_capacity"),
        alert: String::from("StorageCapacity"),
        origin: Origin::Shipped,
        expr: String::from("used"),
        judgement,
        hold: Duration::ZERO,
        every: None,
        min_samples: None,
        flap: None,
        ack_rearm: None,
        re_raise_after: None,
        depends_on: Vec::new(),
        settle: Duration::ZERO,
        repeat: None,
        escalate: Vec::new(),
        notify: Vec::new(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        title: String::new(),
        message: String::new(),
        runbook: None,
        source: String::from("storage"),
        resource_type: None,
        resource_id: None,
        enabled: true,
    }
}

fn level_rule(change: impl FnOnce(&mut Levels)) -> Rule {
    let mut levels = levels();
    change(&mut levels);
    rule(Judgement::Levels(levels))
}

fn prometheus_rule(keep_firing_for: Duration) -> Rule {
    rule(Judgement::Prometheus { severity: Severity::High, keep_firing_for })
}

/// A rule, its two clocks, and what became of it so far.
struct Table {
    state: RuleState,
    now: Now,
    scribe: Scribe,
    last: Outcome,
    acks: u32,
}

impl Table {
    fn new(rule: Rule) -> Self {
        Self {
            state: RuleState::new(Arc::new(rule), Settings::default()),
            now: Now { wall: Timestamp(1_800_000_000_000), mono: Monotonic(seconds(1000)) },
            scribe: Scribe::default(),
            last: Outcome::default(),
            acks: 0,
        }
    }

    fn wait(&mut self, by: u64) -> &mut Self {
        self.now.wall = self.now.wall.plus(seconds(by));
        self.now.mono = Monotonic(self.now.mono.0 + seconds(by));
        self
    }

    fn input(&mut self, input: Input<'_>) -> Vec<News> {
        self.last = self.state.step(self.now, input, &mut self.scribe);
        news(&self.last.changes)
    }

    /// One answer of the expression.
    fn step(&mut self, samples: &[(&str, f64)]) -> Vec<News> {
        let samples: Vec<_> =
            samples.iter().map(|(key, value)| Sample { key, value: *value, enough: true }).collect();
        self.input(Input::Samples(&samples))
    }

    /// One answer of the expression, of one label set.
    fn one(&mut self, value: f64) -> Vec<News> {
        self.step(&[("a", value)])
    }

    fn alert(&self) -> &Alert {
        self.state.alerts().next().expect("an alert")
    }

    /// State and severity of the only alert.
    fn shown(&self) -> (AlertState, Severity) {
        (self.alert().state, self.alert().severity)
    }

    fn command(&mut self, command: Command) -> Result<Vec<News>, Refused> {
        let id = self.alert().id.clone();
        self.state.command(&id, command, self.now).map(|changes| news(&changes))
    }

    fn change(&mut self, change: impl FnOnce(&mut Rule)) -> Vec<Change> {
        let mut rule = Rule::clone(self.state.rule());
        change(&mut rule);
        self.state.change_rule(Arc::new(rule), self.now)
    }

    /// Ends the process, waits, and starts another from what `goes_on`; its monotonic clock
    /// begins anew.
    fn restart(&mut self, down: u64) -> Vec<Change> {
        let ended = self.last.changes.iter().map(|change| &change.alert);
        let ended = ended.filter(|alert| alert.state == AlertState::Resolved);
        let rows: BTreeMap<_, _> = ended.chain(self.state.alerts()).map(|alert| (&alert.id, alert)).collect();
        let stored: Vec<Alert> = rows.into_values().filter(|alert| goes_on(alert)).cloned().collect();
        let alive = self.now.wall;
        self.now = Now { wall: alive.plus(seconds(down)), mono: Monotonic(seconds(1)) };
        self.state = RuleState::new(Arc::clone(self.state.rule()), Settings::default());
        self.last = Outcome::default();
        self.state.restore(stored, self.now, Some(alive))
    }
}

fn news(changes: &[Change]) -> Vec<News> {
    changes.iter().map(|change| change.news).collect()
}

/// Steps in short.
fn steps(wanted: &[Happening]) -> Vec<News> {
    wanted.iter().copied().map(News::Step).collect()
}

fn acknowledge(until: Option<Timestamp>) -> Command {
    Command::Acknowledge { by: String::from("ann"), comment: String::from("seen"), until }
}

fn resolve() -> Command {
    Command::Resolve { by: String::from("ann"), notes: String::from("done") }
}
