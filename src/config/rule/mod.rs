//! `[[rule]]`: what is an alert, or a series that is computed from others.
//!
//! The same section writes a rule of one's own, changes a shipped one (by its name, and
//! only the keys that are to be different), and holds what was imported from a rule
//! file. So every key may be left out here, and what a rule needs is asked when it is
//! [`built`]. One would get it wrong by giving defaults to single keys: a shipped rule's
//! own value would be lost as soon as one key beside it is changed.

mod build;
mod per_target;
mod shipped;

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::base::id::RuleName;
use crate::base::units::Span;
use crate::model::rule::{Absent, Compare, RuleOf};
use crate::model::severity::Severity;

pub use build::{Built, Recording, built};
pub use per_target::apply as apply_targets;
pub use shipped::shipped;

/// A limit for each level. At least one; worse levels have worse limits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub info: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub medium: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub critical: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emergency: Option<f64>,
}

impl Limits {
    /// Those that are given, mildest first.
    pub fn given(&self) -> BTreeMap<Severity, f64> {
        let all = [self.info, self.low, self.medium, self.high, self.critical, self.emergency];
        Severity::ALL.into_iter().zip(all).filter_map(|(level, limit)| Some((level, limit?))).collect()
    }

    pub fn is_empty(&self) -> bool {
        self.given().is_empty()
    }
}

/// When an alert that comes and goes is called flapping.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Flapping {
    /// So many changes ...
    pub changes: u32,
    /// ... within this time; and steady again after `hold`.
    pub window: Span,
    pub hold: Span,
}

impl Default for Flapping {
    fn default() -> Self {
        Self { changes: 6, window: Span::from_secs(900), hold: Span::from_secs(900) }
    }
}

/// Other limits for some of a rule's instances: `[[rule.override]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Override {
    pub name: RuleName,
    /// Labels and their values; the first override that matches counts.
    #[serde(rename = "match")]
    pub labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub levels: Limits,
    #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Span>,
    /// `false`: these instances are no alerts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleSection {
    pub name: RuleName,
    /// The label `alertname`, where it is not the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<String>,
    /// The answer is stored as a series of this name instead of being judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expr: Option<String>,
    /// Level form: how the value is compared with the levels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub op: Option<Compare>,
    /// Level form: the limit of each severity.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub levels: Limits,
    /// Prometheus form: how bad it is; the label `severity` counts where this is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_firing_for: Option<Span>,
    /// How far on the good side a value is clear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clear_margin: Option<f64>,
    /// The value at which each level is clear.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub clear: Limits,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clear_for: Option<Span>,
    /// Share of the expected samples, 0 to 1, that the window must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_samples: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent: Option<Absent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent_grace: Option<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flap: Option<Flapping>,
    /// An acknowledged alert notifies again when it is worse by this share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ack_rearm: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub re_raise_after: Option<Span>,
    /// `"rule"`, or `"rule on label, label"`: who explains this alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depends_on: Option<Vec<String>>,
    /// How long a notification waits for one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settle: Option<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<Span>,
    /// `"15m: mail, ops"`, or `"1h: all"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalate: Option<Vec<String>>,
    /// Channels instead of those of the routes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify: Option<Vec<String>>,
    /// Between two evaluations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    #[serde(rename = "override", default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<Override>,
}

/// Lays what is given in `upper` over `lower`, of which it is a change.
fn laid_over(lower: &RuleSection, upper: &RuleSection) -> RuleSection {
    let mut section = upper.clone();
    macro_rules! from_lower {
        ($($field:ident),*) => {$(
            if section.$field.is_none() {
                section.$field.clone_from(&lower.$field);
            }
        )*};
    }
    from_lower!(
        alert,
        record,
        expr,
        op,
        severity,
        hold,
        keep_firing_for,
        clear_margin,
        clear_for,
        min_samples,
        absent,
        absent_grace,
        flap,
        ack_rearm,
        re_raise_after,
        depends_on,
        settle,
        repeat,
        escalate,
        notify,
        every,
        labels,
        annotations,
        title,
        message,
        runbook,
        source,
        resource_type,
        resource_id,
        enabled
    );
    section.levels = build::merged(&lower.levels, &upper.levels);
    section
}

/// Rules that may be configured.
pub const MOST: usize = 20_000;

/// Every rule that `sections` and the shipped ones come to, by name; what is wrong with
/// a section goes to `wrong` as (name, key, message), and its rule is left out.
pub fn rules(
    sections: &[RuleSection],
    wrong: &mut dyn FnMut(&RuleName, &str, String),
) -> (Vec<RuleOf>, Vec<Recording>) {
    let mut rules = Vec::new();
    let mut recordings = Vec::new();
    let own = |name: &RuleName| sections.iter().find(|section| section.name == *name);
    let shipped = shipped();
    let changed = shipped.iter().map(|lower| match own(&lower.name) {
        Some(upper) => (laid_over(lower, upper), true),
        None => (lower.clone(), true),
    });
    let shipped_names: HashSet<&RuleName> = shipped.iter().map(|lower| &lower.name).collect();
    let further = sections.iter().filter(|section| !shipped_names.contains(&section.name));
    for (section, is_shipped) in changed.chain(further.map(|section| (section.clone(), false))) {
        match built(&section, is_shipped, &mut |key, message| wrong(&section.name, key, message)) {
            Some(Built::Alerts(one)) => rules.push(*one),
            Some(Built::Recording(one)) => recordings.push(one),
            None => {}
        }
    }
    (rules, recordings)
}

/// The rule that one section means, over the shipped rule of its name if there is one.
pub fn one(section: &RuleSection, wrong: &mut dyn FnMut(&str, String)) -> Option<Built> {
    match shipped().iter().find(|lower| lower.name == section.name) {
        Some(lower) => built(&laid_over(lower, section), true, wrong),
        None => built(section, false, wrong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rule::{Clear, Judgement};

    fn section(text: &str) -> RuleSection {
        toml::from_str(text).unwrap()
    }

    fn all(sections: &[RuleSection]) -> (Vec<RuleOf>, Vec<String>) {
        let mut wrong = Vec::new();
        let (rules, _) =
            rules(sections, &mut |name, key, message| wrong.push(format!("{name}.{key}: {message}")));
        (rules, wrong)
    }

    #[test]
    fn every_shipped_rule_is_sound_and_its_parents_exist() {
        let (rules, wrong) = all(&[]);
        assert!(wrong.is_empty(), "{wrong:?}");
        assert_eq!(rules.len(), shipped().len());
        assert!(rules.len() >= 30, "{}", rules.len());
        let names: Vec<_> = rules.iter().map(|of| of.rule.name.as_str()).collect();
        for of in &rules {
            assert!(!of.rule.title.is_empty() && !of.rule.message.is_empty(), "{}", of.rule.name);
            for parent in &of.rule.depends_on {
                assert!(names.contains(&parent.rule.as_str()), "{}: {}", of.rule.name, parent.rule);
            }
        }
        assert!(!rules.iter().find(|of| of.rule.name == "low_inventory").unwrap().rule.enabled);
    }

    #[test]
    fn a_shipped_rule_is_changed_key_by_key() {
        let (rules, wrong) = all(&[section(
            "name = 'storage_capacity'\nlevels.critical = 97\n[[override]]\nname = 'data'\nmatch = { mountpoint = '/data' }\nlevels.medium = 90",
        )]);
        assert!(wrong.is_empty(), "{wrong:?}");
        let of = rules.iter().find(|of| of.rule.name == "storage_capacity").unwrap();
        let limits = |judgement: &Judgement| match judgement {
            Judgement::Levels(levels) => {
                (levels.limits[&Severity::Medium], levels.limits[&Severity::Critical], levels.clear.clone())
            }
            Judgement::Prometheus { .. } => panic!("it has levels"),
        };
        assert_eq!(limits(&of.rule.judgement), (80.0, 97.0, Clear::Margin(2.0)));
        let over = of.variants[0].rule.as_ref().unwrap();
        assert_eq!(limits(&over.judgement), (90.0, 97.0, Clear::Margin(2.0)));
        assert_eq!(over.depends_on, of.rule.depends_on);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (text, expected) in [
            ("name = 'a'", "a.expr: is missing"),
            ("name = 'a'\nexpr = 'rate(x)'", "a.expr: 1:6"),
            ("name = 'a'\nexpr = 'x +'", "a.expr: 1:4"),
            ("name = 'a'\nexpr = 'x'\nlevels = { medium = 90, high = 80 }", "a.levels: a worse level"),
            (
                "name = 'a'\nexpr = 'x'\nop = '<'\nlevels = { medium = 10, high = 20 }",
                "a.levels: a worse level",
            ),
            (
                "name = 'a'\nexpr = 'x'\nlevels = { medium = 10 }\nclear = { medium = 11 }",
                "a.clear.medium: 11 is not",
            ),
            ("name = 'a'\nexpr = 'x'\nop = '<'", "a.op: has no effect"),
            ("name = 'a'\nexpr = 'x'\ndepends_on = ['b of c']", "a.depends_on: `b of c`"),
            ("name = 'a'\nexpr = 'x'\ndepends_on = ['a']", "a.depends_on: a rule cannot"),
            ("name = 'a'\nexpr = 'x'\nescalate = ['soon: ops']", "a.escalate: `soon: ops`"),
            ("name = 'a'\nexpr = 'x'\nrecord = 'b:c'\nfor = '1m'", "a.for: has no place"),
            ("name = 'a'\nexpr = 'x'\nlabels = { 'a-b' = 'c' }", "a.labels: `a-b`"),
        ] {
            let (_, wrong) = all(&[section(text)]);
            assert!(wrong.len() == 1 && wrong[0].starts_with(expected), "{text}: {wrong:?}");
        }
        assert!(toml::from_str::<RuleSection>("name = 'a'\nexpression = 'x'").is_err());
    }
}
