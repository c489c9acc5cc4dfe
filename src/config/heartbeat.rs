//! `[[check]]`: something that must report in time.
//!
//! The file `check.rs` beside this one checks the configuration; this one is named
//! after what a check sends.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::check::Checker;
use crate::base::id::Name;
use crate::base::units::Span;

/// Checks at most; each has a row and three series.
const MOST: usize = 256;
const SHORTEST: Span = Span::from_secs(1);
const LONGEST: Span = Span::from_secs(366 * 86_400);
const LONGEST_DESCRIPTION: usize = 1000;

/// Keys that the file holds: what pings are addressed by.
pub const PINNED: [&str; 2] = ["name", "slug"];

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    pub name: Name,
    /// What stands in the path of its pings; its name unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slug: Option<Name>,
    /// Between two reports.
    #[serde(default = "default_period")]
    pub period: Span,
    /// Then it is late this long before it is down.
    #[serde(default = "default_grace")]
    pub grace: Span,
    /// From a reported start to its end; as long as the grace unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_timeout: Option<Span>,
    /// Whether it is expected to report.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// For whoever reads that it is down.
    #[serde(default)]
    pub description: String,
}

fn default_period() -> Span {
    Span::from_secs(86_400)
}

fn default_grace() -> Span {
    Span::from_secs(3600)
}

fn yes() -> bool {
    true
}

impl Check {
    pub fn slug(&self) -> &str {
        self.slug.as_ref().unwrap_or(&self.name).as_str()
    }

    /// How long a run may take.
    pub fn run(&self) -> Span {
        self.start_timeout.unwrap_or(self.grace)
    }
}

/// Says what is wrong with the checks.
pub fn check(checks: &[Check], checker: &mut Checker<'_>) {
    if checks.len() > MOST {
        checker.say("check", format!("{} checks, expected at most {MOST}", checks.len()));
    }
    let mut slugs: BTreeMap<&str, &Name> = BTreeMap::new();
    for check in checks {
        let key = format!("check[{}]", check.name);
        let spans = [
            ("period", Some(check.period)),
            ("grace", Some(check.grace)),
            ("start_timeout", check.start_timeout),
        ];
        for (name, span) in spans {
            if let Some(span) = span.filter(|span| !(SHORTEST..=LONGEST).contains(span)) {
                checker.say(format!("{key}.{name}"), format!("{span}, expected {SHORTEST} to {LONGEST}"));
            }
        }
        if check.description.len() > LONGEST_DESCRIPTION {
            let bytes = check.description.len();
            checker.say(
                format!("{key}.description"),
                format!("{bytes} bytes, expected at most {LONGEST_DESCRIPTION}"),
            );
        }
        let place = if check.slug.is_some() { "slug" } else { "name" };
        match slugs.get(check.slug()) {
            Some(other) => checker.say(
                format!("{key}.{place}"),
                format!("the slug `{}` is already that of check[{other}], expected another", check.slug()),
            ),
            None => drop(slugs.insert(check.slug(), &check.name)),
        }
    }
}
