//! What of the configuration alerting follows.
//!
//! The task compares this with what it had, and takes up nothing where nothing of it
//! changed. One would get it wrong by comparing whole configurations: an edit of a colour
//! would have every rule read anew.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::config::Config;
use crate::config::rule::{self, Recording};
use crate::logic::notify::{self, Use};
use crate::model::rule::RuleOf;

/// Everything configured that alerting follows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    pub enabled: bool,
    pub start_grace: Duration,
    pub rules: Vec<RuleOf>,
    pub recordings: Vec<Recording>,
    pub notify: notify::Settings,
    /// Object stores whose recovery is no news.
    pub silent: BTreeSet<String>,
}

/// Rules that are wrong are left out: the configuration has said so.
pub fn rules_of(config: &Config) -> Rules {
    let (mut rules, recordings) = rule::rules(&config.rule, &mut |_, _, _| {});
    rule::apply_targets(config, &mut rules);
    let silent = config.target.object_store.iter().filter(|store| !store.alert_on_recovery);
    Rules {
        enabled: config.alerting.enabled,
        start_grace: config.alerting.start_grace.0,
        rules,
        recordings,
        notify: notify_settings(config),
        silent: silent.map(|store| store.name.to_string()).collect(),
    }
}

/// Channels, routes and quiet hours in the words of the notifier.
fn notify_settings(config: &Config) -> notify::Settings {
    let sections = config.channel.sections();
    let commons = sections.iter().map(|section| section.common());
    let takes = commons.filter(|common| common.heartbeat.is_none());
    let channels = takes.map(|common| {
        (common.name.to_string(), Use { enabled: common.enabled, resolves: common.send_resolved })
    });
    notify::Settings {
        channels: channels.collect(),
        routes: config.route.iter().filter_map(|route| route.model().ok()).collect(),
        quiet_hours: config.quiet_hours.model(&config.collect.rootfs),
    }
}
