//! Who is told of which alerts: routes and quiet hours, as their owner means them.

use std::time::Duration;

use super::rule::Compare;
use super::selector::Matcher;
use super::severity::Severity;

/// Alerts that match go to these channels. The first that matches wins.
#[derive(Clone, PartialEq, Debug)]
pub struct Route {
    /// How the severity of the alert compares with this one; `None`: any.
    pub severity: Option<(Compare, Severity)>,
    /// All must match the labels of the alert; a label that is missing is empty.
    pub matchers: Vec<Matcher>,
    /// `None`: every enabled channel; empty: nobody is told.
    pub channels: Option<Vec<String>>,
    /// Alerts with equal values of these labels share a message.
    pub group_by: Vec<String>,
    /// A message waits so long for further alerts of its group.
    pub group_window: Duration,
    /// Told again after this while nobody acknowledged it.
    pub repeat: Duration,
    /// Later routes are asked too.
    pub continues: bool,
}

impl Route {
    /// What stands behind all routes: every enabled channel, medium and above.
    pub fn last() -> Self {
        Self {
            severity: Some((Compare::AtLeast, Severity::Medium)),
            matchers: Vec::new(),
            channels: None,
            group_by: vec![String::from("alertname")],
            group_window: Duration::from_secs(30),
            repeat: Duration::from_secs(4 * 3600),
            continues: false,
        }
    }
}

/// When only what is critical may disturb; see `logic/notify/quiet.rs`.
#[derive(Clone, PartialEq, Debug)]
pub struct QuietHours {
    pub from: jiff::civil::Time,
    /// On the next day where it is not later than `from`.
    pub to: jiff::civil::Time,
    /// Days on which they begin; empty: every day.
    pub days: Vec<jiff::civil::Weekday>,
    pub zone: jiff::tz::TimeZone,
}
