//! What an alert says: labels, title and message, rendered from the rule's templates.
//!
//! Asked only when an alert begins or changes, so templates are read then and not kept.
//! A template that fails shows why in its place: an alert with a broken text is worth
//! more than none.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use super::compiled::Answered;
use crate::base::time::Timestamp;
use crate::logic::alert::{About, Author, Texts, WHOLE_RULE};
use crate::promql::Labels;
use crate::promql::template::{Data, Query, expand};

/// Label names that the life cycle sets.
const ALERTNAME: &str = "alertname";
const SEVERITY: &str = "severity";

/// Names alerts: milliseconds since 1970 and a random number, in hexadecimal, so that ids
/// sort by time.
pub struct Ids {
    salt: u32,
    next: AtomicU32,
}

impl Ids {
    pub fn new() -> Self {
        let mut salt = [0; 4];
        // Without randomness the time alone names it.
        let _ = getrandom::fill(&mut salt);
        Self { salt: u32::from_ne_bytes(salt), next: AtomicU32::new(0) }
    }

    pub fn draw(&self, now: Timestamp) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        format!("{:011x}{:08x}", now.millis().max(0), self.salt ^ number)
    }
}

/// Writes the texts of the alerts of one step.
pub struct Writer<'a> {
    pub ids: &'a Ids,
    pub now: Timestamp,
    /// The samples of the step.
    pub samples: &'a [Answered],
    /// Answers the function `query` of templates for the time of the step.
    pub query: Query<'a>,
}

impl Writer<'_> {
    fn labels(&self, about: &About<'_>) -> Labels {
        let sample = about.sample.and_then(|place| self.samples.get(place));
        match sample {
            Some(sample) => sample.labels.clone(),
            None if about.key == WHOLE_RULE => Labels::empty(),
            None => Labels::from_key(about.key),
        }
    }
}

impl Author for Writer<'_> {
    fn id(&mut self) -> String {
        self.ids.draw(self.now)
    }

    fn texts(&mut self, about: About<'_>) -> Texts {
        let rule = about.rule;
        let labels = self.labels(&about);
        let none = Labels::empty();
        let data = Data {
            labels: &labels,
            value: about.value.unwrap_or(f64::NAN),
            external_labels: &none,
            external_url: "",
            at: self.now,
        };
        let render = |text: &str| expand(text, &data, self.query);
        let own = labels.unnamed();
        let own = own.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut all: BTreeMap<String, String> = own.collect();
        all.extend(rule.labels.iter().map(|(name, text)| (name.clone(), render(text))));
        all.retain(|_, value| !value.is_empty());
        all.insert(ALERTNAME.to_owned(), rule.alert.clone());
        all.entry(SEVERITY.to_owned()).or_insert_with(|| about.severity.word().to_owned());
        let filled = |text: &Option<String>| text.as_deref().map(render).filter(|text| !text.is_empty());
        let mut annotations: BTreeMap<String, String> =
            rule.annotations.iter().map(|(name, text)| (name.clone(), render(text))).collect();
        if let Some(runbook) = filled(&rule.runbook) {
            annotations.entry(String::from("runbook_url")).or_insert(runbook);
        }
        let (title, message) = match about.error {
            Some(error) => (format!("{}: cannot be judged", rule.alert), error.to_owned()),
            None if about.value.is_none() => {
                let known =
                    |text: &str| if tells_value(text) { no_data(&rule.alert, &labels) } else { render(text) };
                (known(&rule.title), known(&rule.message))
            }
            None => (render(&rule.title), render(&rule.message)),
        };
        Texts {
            labels: all,
            annotations,
            source: render(&rule.source),
            resource_type: filled(&rule.resource_type),
            resource_id: filled(&rule.resource_id),
            title,
            message,
        }
    }
}

/// Whether a template shows the value, which reads `NaN` where there is none.
fn tells_value(template: &str) -> bool {
    ["$value", ".Value"].iter().any(|name| template.contains(name))
}

/// What is said of an alert that has no value.
fn no_data(alert: &str, labels: &Labels) -> String {
    let own = labels.unnamed();
    let each: Vec<String> = own.iter().map(|(name, value)| format!("{name}={value}")).collect();
    if each.is_empty() {
        format!("{alert}: no data")
    } else {
        format!("{alert}: no data of {}", each.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_value_no_text_shows_one() {
        assert!(tells_value("{{ printf \"%.0f\" $value }} % in use") && tells_value("{{ .Value }}"));
        assert!(!tells_value("The unit {{ $labels.name }} is not active"));
        assert_eq!(no_data("high_memory", &Labels::empty()), "high_memory: no data");
        let labels = Labels::new([("room", "attic")]);
        assert_eq!(no_data("hot", &labels), "hot: no data of room=attic");
    }
}
