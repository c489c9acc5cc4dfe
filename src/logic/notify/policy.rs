//! What the owner of an installation decided: what a rule says about its own alerts,
//! which route an alert takes, and when only what is critical may disturb.

use std::collections::BTreeMap;
use std::time::Duration;

use super::matching::Matching;
use super::quiet;
use crate::base::time::Timestamp;
use crate::model::notice::NoticeAlert;
use crate::model::route::{QuietHours, Route};
use crate::model::rule::{Compare, Escalation, Parent, Rule};
use crate::model::severity::Severity;

/// What a rule says about notifications.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Policy {
    /// Channels instead of those of the routes.
    pub notify: Vec<String>,
    /// Instead of that of the route.
    pub repeat: Option<Duration>,
    /// By their time.
    pub escalate: Vec<Escalation>,
    pub depends_on: Vec<Parent>,
    /// The first notification waits so long for a parent to explain it.
    pub settle: Duration,
    /// The longest time that the expression looks back.
    pub lookback: Duration,
}

impl Policy {
    pub fn of(rule: &Rule, lookback: Duration) -> Self {
        let mut escalate = rule.escalate.clone();
        escalate.sort_by_key(|escalation| escalation.after);
        Self {
            notify: rule.notify.clone(),
            repeat: rule.repeat,
            escalate,
            depends_on: rule.depends_on.clone(),
            settle: rule.settle,
            lookback,
        }
    }
}

/// What a channel is used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Use {
    /// Rows of one that is not enabled wait.
    pub enabled: bool,
    /// Whether it is told that an alert is over.
    pub resolves: bool,
}

/// What is configured beside the rules.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Settings {
    /// Every channel that takes notices. Rows of one that is not here are refused.
    pub channels: BTreeMap<String, Use>,
    /// In their order; [`Route::last`] stands behind them.
    pub routes: Vec<Route>,
    pub quiet_hours: Option<QuietHours>,
}

/// A repeat that comes more often is noise.
const SHORTEST_REPEAT: Duration = Duration::from_secs(60);

/// How one channel is told of one alert.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Way {
    pub channel: String,
    /// What is put together into one message.
    pub group: String,
    pub window: Duration,
    pub repeat: Duration,
}

#[derive(Clone, Debug)]
struct CompiledRoute {
    route: Route,
    /// `None` where an expression is wrong, which the configuration refuses.
    matching: Option<Matching>,
}

impl CompiledRoute {
    fn new(route: Route) -> Self {
        let matching = Matching::new(&route.matchers).ok();
        Self { route, matching }
    }

    fn takes(&self, alert: &NoticeAlert) -> bool {
        let by_severity =
            self.route.severity.is_none_or(|(compare, limit)| at(compare, alert.severity, limit));
        by_severity && self.matching.as_ref().is_some_and(|matching| matching.accepts(&alert.labels))
    }

    fn group(&self, number: usize, alert: &NoticeAlert) -> String {
        let mut group = format!("{number}");
        for label in &self.route.group_by {
            let value = if label == EVERY_LABEL { Some(&alert.id) } else { alert.labels.get(label) };
            group.push_str(&format!(" {label}={}", value.map_or("", String::as_str)));
        }
        group
    }
}

/// Stands for all labels: every alert is a group of its own.
const EVERY_LABEL: &str = "...";

fn at(compare: Compare, severity: Severity, limit: Severity) -> bool {
    compare.holds(f64::from(severity.rank()), f64::from(limit.rank()))
}

/// [`Settings`] ready to be asked.
#[derive(Clone, Debug)]
pub(super) struct Compiled {
    pub channels: BTreeMap<String, Use>,
    quiet_hours: Option<QuietHours>,
    routes: Vec<CompiledRoute>,
    last: CompiledRoute,
}

impl Compiled {
    pub fn new(settings: Settings) -> Self {
        Self {
            channels: settings.channels,
            quiet_hours: settings.quiet_hours,
            routes: settings.routes.into_iter().map(CompiledRoute::new).collect(),
            last: CompiledRoute::new(Route::last()),
        }
    }

    pub fn is_enabled(&self, channel: &str) -> bool {
        self.channels.get(channel).is_some_and(|used| used.enabled)
    }

    /// Whether the channel is told of ends now.
    pub fn is_told_of_ends(&self, channel: &str) -> bool {
        self.channels.get(channel).is_some_and(|used| used.enabled && used.resolves)
    }

    pub fn enabled(&self) -> impl Iterator<Item = &String> {
        self.channels.iter().filter(|(_, used)| used.enabled).map(|(name, _)| name)
    }

    /// The ways of an alert, one per channel. The rule's own channels take the place of
    /// those of its route, whatever its severity.
    pub fn ways(&self, alert: &NoticeAlert, policy: &Policy) -> Vec<Way> {
        let mut ways: Vec<Way> = Vec::new();
        let mut add = |number: usize, compiled: &CompiledRoute, channels: &[String]| {
            for channel in channels.iter().filter(|channel| self.is_enabled(channel)) {
                if ways.iter().all(|way| way.channel != *channel) {
                    ways.push(self.way(number, compiled, channel, alert, policy));
                }
            }
        };
        let mut taken = false;
        for (number, compiled) in self.routes.iter().enumerate().filter(|(_, route)| route.takes(alert)) {
            taken = true;
            add(number + 1, compiled, &self.channels_of(compiled, policy));
            if !compiled.route.continues || !policy.notify.is_empty() {
                break;
            }
        }
        if !taken && (self.last.takes(alert) || !policy.notify.is_empty()) {
            add(0, &self.last, &self.channels_of(&self.last, policy));
        }
        ways
    }

    /// The way to a channel that no route names: an escalation went there.
    pub fn way_of(&self, channel: &str, alert: &NoticeAlert, policy: &Policy) -> Way {
        let found = self.routes.iter().enumerate().find(|(_, route)| route.takes(alert));
        let (number, compiled) = found.map_or((0, &self.last), |(number, route)| (number + 1, route));
        self.way(number, compiled, channel, alert, policy)
    }

    fn way(
        &self,
        number: usize,
        compiled: &CompiledRoute,
        channel: &str,
        alert: &NoticeAlert,
        policy: &Policy,
    ) -> Way {
        Way {
            channel: channel.to_owned(),
            group: compiled.group(number, alert),
            window: compiled.route.group_window,
            repeat: policy.repeat.unwrap_or(compiled.route.repeat).max(SHORTEST_REPEAT),
        }
    }

    fn channels_of(&self, compiled: &CompiledRoute, policy: &Policy) -> Vec<String> {
        if !policy.notify.is_empty() {
            return policy.notify.clone();
        }
        compiled.route.channels.clone().unwrap_or_else(|| self.enabled().cloned().collect())
    }

    /// Until when an alert of this severity has to wait at `now`, `None`: not at all.
    pub fn quiet_until(&self, severity: Severity, now: Timestamp) -> Option<Timestamp> {
        let hours = self.quiet_hours.as_ref().filter(|_| severity < Severity::Critical)?;
        quiet::ends(hours, now)
    }
}
