//! From a section to a rule: defaults, and everything that can be said about a rule
//! before it is evaluated.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Limits, Override, RuleSection};
use crate::base::units::Span;
use crate::model::rule::{
    Absent, Clear, Compare, Escalation, Flap, Judgement, Levels, Origin, Parent, Rule, RuleOf, Variant,
};
use crate::model::series::{is_label_name, is_metric_name};
use crate::model::severity::Severity;
use crate::promql;

/// How long a child's notification waits for its parent where the rule does not say.
const SETTLE: Duration = Duration::from_secs(120);
/// How long data may be missing before the level form says so.
const ABSENT_GRACE: Duration = Duration::from_secs(180);
const FLAP: Flap = Flap { changes: 6, window: Duration::from_secs(900), hold: Duration::from_secs(900) };
const MOST_PARENTS: usize = 16;
const MOST_STEPS: usize = 8;
const LONGEST_TEXT: usize = 4096;

/// A rule whose answer is stored as a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    pub name: String,
    /// Metric name of the series.
    pub record: String,
    pub expr: String,
    pub labels: BTreeMap<String, String>,
    pub every: Option<Duration>,
}

/// What a section comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Built {
    Alerts(Box<RuleOf>),
    Recording(Recording),
}

/// The rule that `section` means, or `None` when something is wrong with it, which
/// `wrong` hears by key below the section. A rule that is switched off is built too.
pub fn built(section: &RuleSection, shipped: bool, wrong: &mut dyn FnMut(&str, String)) -> Option<Built> {
    let mut sound = true;
    let mut say = |key: &str, message: String| {
        sound = false;
        wrong(key, message);
    };
    let expr = section.expr.as_deref().unwrap_or_default().trim().to_owned();
    if expr.is_empty() {
        say("expr", String::from("is missing, expected a PromQL expression"));
    } else if let Err(error) = promql::parse(&expr) {
        say("expr", error.to_string());
    }
    for (key, texts) in [("labels", &section.labels), ("annotations", &section.annotations)] {
        for (name, text) in texts.iter().flatten() {
            if !is_label_name(name) {
                say(key, format!("`{name}` is not a name, expected letters, digits and `_`"));
            } else if text.len() > LONGEST_TEXT {
                say(key, format!("`{name}` is longer than {LONGEST_TEXT} bytes"));
            }
        }
    }
    if section.labels.iter().flatten().any(|(name, _)| name == "alertname" || name == "__name__") {
        say("labels", String::from("`alertname` and `__name__` are not set by labels"));
    }
    if let Some(record) = &section.record {
        if !is_metric_name(record) {
            say("record", format!("`{record}` is not a metric name"));
        }
        for (key, given) in [
            ("alert", section.alert.is_some()),
            ("levels", !section.levels.is_empty()),
            ("for", section.hold.is_some()),
            ("annotations", section.annotations.is_some()),
        ] {
            if given {
                say(key, String::from("has no place in a rule with `record`"));
            }
        }
        return sound.then(|| {
            Built::Recording(Recording {
                name: section.name.to_string(),
                record: record.clone(),
                expr,
                labels: section.labels.clone().unwrap_or_default(),
                every: section.every.map(|every| every.0),
            })
        });
    }
    let judgement = judgement(section, &section.levels, &mut say);
    let depends_on = parents(section, &mut say);
    let escalate = escalations(section, &mut say);
    shares(section, &mut say);
    let mut variants = Vec::new();
    for (at, over) in section.overrides.iter().enumerate() {
        let key = format!("override[{}]", over.name);
        if over.labels.is_empty() {
            say(&format!("{key}.match"), String::from("is empty, expected labels and their values"));
        }
        let duplicate = section.overrides[..at].iter().any(|other| other.labels == over.labels);
        if duplicate {
            say(&format!("{key}.match"), String::from("is that of an override before it"));
        }
        variants.push((over, key));
    }
    let texts = section.annotations.clone().unwrap_or_default();
    let text = |given: &Option<String>, annotation: &str, fallback: &str| {
        given.clone().or_else(|| texts.get(annotation).cloned()).unwrap_or_else(|| fallback.to_owned())
    };
    let alert = section.alert.clone().unwrap_or_else(|| section.name.to_string());
    let rule = Rule {
        name: section.name.to_string(),
        origin: if shipped { Origin::Shipped } else { Origin::Configured },
        expr,
        hold: section.hold.map_or(Duration::ZERO, |hold| hold.0),
        every: section.every.map(|every| every.0),
        min_samples: section.min_samples,
        flap: Some(section.flap.as_ref().map_or(FLAP, |flap| Flap {
            changes: flap.changes,
            window: flap.window.0,
            hold: flap.hold.0,
        }))
        .filter(|flap| flap.changes > 0),
        ack_rearm: section.ack_rearm,
        re_raise_after: section.re_raise_after.map(|after| after.0),
        settle: section
            .settle
            .map_or(if depends_on.is_empty() { Duration::ZERO } else { SETTLE }, |settle| settle.0),
        depends_on,
        repeat: section.repeat.map(|repeat| repeat.0),
        escalate,
        notify: section.notify.clone().unwrap_or_default(),
        labels: section.labels.clone().unwrap_or_default(),
        title: text(&section.title, "summary", &alert),
        message: text(&section.message, "description", ""),
        runbook: section.runbook.clone().or_else(|| texts.get("runbook_url").cloned()),
        annotations: texts.clone(),
        alert,
        source: section.source.clone().unwrap_or_else(|| String::from("rule")),
        resource_type: section.resource_type.clone(),
        resource_id: section.resource_id.clone(),
        enabled: section.enabled.unwrap_or(true),
        judgement,
    };
    let variants: Vec<Variant> =
        variants.into_iter().map(|(over, key)| variant(section, &rule, over, &key, &mut say)).collect();
    sound.then(|| Built::Alerts(Box::new(RuleOf { rule, variants })))
}

/// The rule as it is for the instances of an override.
fn variant(
    section: &RuleSection,
    rule: &Rule,
    over: &Override,
    key: &str,
    say: &mut dyn FnMut(&str, String),
) -> Variant {
    let mut changed = rule.clone();
    if !over.levels.is_empty() {
        let levels = merged(&section.levels, &over.levels);
        let with_key = &mut |at: &str, message| say(&format!("{key}.{at}"), message);
        changed.judgement = judgement(section, &levels, with_key);
    }
    if let Some(hold) = over.hold {
        changed.hold = hold.0;
    }
    let rule = over.enabled.unwrap_or(true).then_some(changed);
    Variant { labels: over.labels.clone(), rule }
}

/// `upper` over `lower`, level by level.
pub(super) fn merged(lower: &Limits, upper: &Limits) -> Limits {
    Limits {
        info: upper.info.or(lower.info),
        low: upper.low.or(lower.low),
        medium: upper.medium.or(lower.medium),
        high: upper.high.or(lower.high),
        critical: upper.critical.or(lower.critical),
        emergency: upper.emergency.or(lower.emergency),
    }
}

fn judgement(section: &RuleSection, levels: &Limits, say: &mut dyn FnMut(&str, String)) -> Judgement {
    let limits = levels.given();
    if limits.is_empty() {
        for (key, given) in [
            ("op", section.op.is_some()),
            ("clear_margin", section.clear_margin.is_some()),
            ("clear", !section.clear.is_empty()),
            ("clear_for", section.clear_for.is_some()),
            ("absent", section.absent.is_some()),
        ] {
            if given {
                say(key, String::from("has no effect without `levels`"));
            }
        }
        let label = section.labels.as_ref().and_then(|labels| labels.get("severity"));
        let severity = section.severity.or_else(|| Severity::parse(label?)).unwrap_or_default();
        let keep_firing_for = section.keep_firing_for.map_or(Duration::ZERO, |keep| keep.0);
        return Judgement::Prometheus { severity, keep_firing_for };
    }
    if section.severity.is_some() {
        say("severity", String::from("given beside `levels`, which say how bad which value is"));
    }
    if section.keep_firing_for.is_some() {
        say("keep_firing_for", String::from("given beside `levels`, expected `clear_for`"));
    }
    let op = section.op.unwrap_or_default();
    let values: Vec<f64> = limits.values().copied().collect();
    let ordered = |pair: &[f64]| match op {
        Compare::Above | Compare::AtLeast => pair[0] < pair[1],
        Compare::Below | Compare::AtMost => pair[0] > pair[1],
        Compare::Equal | Compare::NotEqual => true,
    };
    if values.iter().any(|limit| !limit.is_finite()) {
        say("levels", String::from("expected numbers that are finite"));
    } else if !values.windows(2).all(ordered) {
        let sign = op.sign();
        say(
            "levels",
            format!(
                "a worse level must have a limit further on: with `op` = \"{sign}\" they are not in order"
            ),
        );
    }
    let clear = section.clear.given();
    let margin = section.clear_margin;
    if margin.is_some() && !clear.is_empty() {
        say("clear", String::from("given beside `clear_margin`, expected only one of them"));
    }
    if margin.is_some_and(|margin| !margin.is_finite() || margin < 0.0) {
        say("clear_margin", String::from("expected a number that is not negative"));
    }
    for (level, at) in &clear {
        match limits.get(level) {
            None => say(&format!("clear.{level}"), String::from("there is no such level")),
            Some(limit) if op.holds(*at, *limit) => {
                say(
                    &format!("clear.{level}"),
                    format!("{at} is not on the good side of the level's {limit}"),
                );
            }
            Some(_) => {}
        }
    }
    let clear = match margin {
        Some(margin) => Clear::Margin(margin),
        None if clear.is_empty() => Clear::AtLevel,
        None => Clear::At(clear),
    };
    Judgement::Levels(Levels {
        op,
        limits,
        clear,
        clear_for: section.clear_for.map_or(Duration::ZERO, |span| span.0),
        absent: section.absent.unwrap_or(Absent::Keep),
        absent_grace: section.absent_grace.map_or(ABSENT_GRACE, |span| span.0),
    })
}

/// `rule`, or `rule on label, label`.
fn parents(section: &RuleSection, say: &mut dyn FnMut(&str, String)) -> Vec<Parent> {
    let given = section.depends_on.as_deref().unwrap_or_default();
    if given.len() > MOST_PARENTS {
        say("depends_on", format!("{} rules, expected at most {MOST_PARENTS}", given.len()));
    }
    let mut parents = Vec::new();
    for text in given.iter().take(MOST_PARENTS) {
        let (rule, on) = match text.split_once(" on ") {
            Some((rule, on)) => (rule.trim(), on.split(',').map(str::trim).collect()),
            None => (text.trim(), Vec::new()),
        };
        if crate::base::id::RuleName::new(rule).is_err() || on.iter().any(|label| !is_label_name(label)) {
            say(
                "depends_on",
                format!("`{text}` is not understood, expected \"rule\" or \"rule on label, label\""),
            );
        } else if rule == section.name.as_str() {
            say("depends_on", String::from("a rule cannot depend on itself"));
        } else {
            let on = on.into_iter().map(str::to_owned).collect();
            parents.push(Parent { rule: rule.to_owned(), on });
        }
    }
    parents
}

/// `15m: mail, ops`, or `1h: all`.
fn escalations(section: &RuleSection, say: &mut dyn FnMut(&str, String)) -> Vec<Escalation> {
    let given = section.escalate.as_deref().unwrap_or_default();
    if given.len() > MOST_STEPS {
        say("escalate", format!("{} steps, expected at most {MOST_STEPS}", given.len()));
    }
    let mut steps: Vec<Escalation> = Vec::new();
    for text in given.iter().take(MOST_STEPS) {
        let step = text.split_once(':').and_then(|(after, channels)| {
            let after = Span::parse(after).ok()?.0;
            let channels: Vec<String> = channels.split(',').map(|name| name.trim().to_owned()).collect();
            let all = channels.len() == 1 && channels[0] == "all";
            let named = all || channels.iter().all(|name| !name.is_empty());
            named.then(|| Escalation { after, channels: if all { Vec::new() } else { channels } })
        });
        match step {
            Some(step) if steps.last().is_none_or(|before| before.after < step.after) => steps.push(step),
            Some(_) => say("escalate", format!("`{text}` does not come after the step before it")),
            None => say(
                "escalate",
                format!("`{text}` is not understood, expected for example \"15m: mail\" or \"1h: all\""),
            ),
        }
    }
    steps
}

fn shares(section: &RuleSection, say: &mut dyn FnMut(&str, String)) {
    if section.min_samples.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
        say("min_samples", String::from("expected a share of 0 to 1"));
    }
    if section.ack_rearm.is_some_and(|share| !share.is_finite() || share < 0.0) {
        say("ack_rearm", String::from("expected a share that is not negative, such as 0.1"));
    }
    if section.every.is_some_and(|every| every.0 < Duration::from_secs(1)) {
        say("every", String::from("is too short, expected at least 1s"));
    }
}
