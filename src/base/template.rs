//! Templates that users write for messages: Jinja's language, with every bound it lacks.
//!
//! A template is checked when it is configured, against a sample of the values it will
//! get, so that a slip has a line and a column and not an empty message at night. What
//! is missing later (a label that this alert does not have) renders as nothing. There
//! are no includes, no macros and no files: a template sees its values and nothing else.
//! Wrong would be to bound the length of the text alone: `{{ "x" * 99999999 }}` is short.

use std::io;

use minijinja::value::{Serde, Value};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};
use serde::Serialize;

use super::words;

/// Longest text of a template, bytes.
pub const LONGEST: usize = 16 << 10;
/// Longest text that comes out of one, bytes.
pub const LONGEST_OUTPUT: usize = 64 << 10;
/// Steps of a rendering; one pays for 64 bytes of data, too.
const FUEL: u64 = 50_000;
/// How deep blocks and values may nest.
const DEEPEST: usize = 64;

/// What is wrong with a template, and where: line and column from 1, the column in
/// characters.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}{reason}", shown(.place))]
pub struct TemplateError {
    pub place: Option<(usize, usize)>,
    pub reason: String,
}

fn shown(place: &Option<(usize, usize)>) -> String {
    place.map(|(line, column)| format!("line {line}, column {column}: ")).unwrap_or_default()
}

/// Whether `text` is a template that renders `sample`; it may use no other names than
/// the sample has.
///
/// # Errors
/// [`TemplateError`] with the first thing that is wrong.
pub fn check(text: &str, sample: &impl Serialize) -> Result<(), TemplateError> {
    render(text, sample)?;
    let environment = environment();
    let template = environment.template_from_str(text).map_err(|error| explain(text, &error))?;
    let sample: Value = Serde(sample).into();
    let mut known: Vec<String> =
        sample.try_iter().into_iter().flatten().map(|name| name.to_string()).collect();
    let mut unknown: Vec<String> = template
        .undeclared_variables(false)
        .into_iter()
        .filter(|name| !known.contains(name) && !environment.globals().any(|(global, _)| global == name))
        .collect();
    unknown.sort();
    let Some(name) = unknown.first() else { return Ok(()) };
    known.sort();
    let reason = format!("unknown name `{name}`, expected one of {}", known.join(", "));
    Err(TemplateError { place: find_word(text, name).map(|at| position(text, at)), reason })
}

/// What `text` says about `values`.
///
/// # Errors
/// [`TemplateError`]: no template, a fault on the way, or more than it may say or do.
pub fn render(text: &str, values: &impl Serialize) -> Result<String, TemplateError> {
    let bare = |reason: String| TemplateError { place: None, reason };
    if text.len() > LONGEST {
        return Err(bare(format!("{} bytes, expected at most {LONGEST}", text.len())));
    }
    let environment = environment();
    let template = environment.template_from_str(text).map_err(|error| explain(text, &error))?;
    let mut output = Bounded::default();
    let rendered = template.render_captured_to(Value::from(Serde(values)), &mut output).map(|_| ());
    if output.full {
        return Err(bare(format!("it says more than {LONGEST_OUTPUT} bytes")));
    }
    rendered.map_err(|error| explain(text, &error))?;
    String::from_utf8(output.bytes).map_err(|_| bare(String::from("what it says is no text")))
}

fn environment<'source>() -> Environment<'source> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.set_recursion_limit(DEEPEST);
    environment.set_fuel(Some(FUEL));
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    // It prints everything there is, which is no message.
    environment.remove_global("debug");
    environment.add_filter("number", words::number);
    environment.add_filter("lasting", |seconds: f64| {
        let time = std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default();
        words::lasting(time)
    });
    environment
}

fn explain(text: &str, error: &Error) -> TemplateError {
    let reason = match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => format!("it takes more than {FUEL} steps"),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (kind, None) => kind.to_string(),
    };
    let start = error.range().map(|range| position(text, range.start));
    TemplateError { place: start.or_else(|| error.line().map(|line| (line, 1))), reason }
}

/// Line and column of the byte `at`.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// Where `name` first stands as a word of its own.
fn find_word(text: &str, name: &str) -> Option<usize> {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name).map(|(at, _)| at).find(|at| {
        let (before, after) = (text[..*at].chars().next_back(), text[at + name.len()..].chars().next());
        !before.is_some_and(word) && !after.is_some_and(word)
    })
}

/// Takes so many bytes and no more.
#[derive(Default)]
struct Bounded {
    bytes: Vec<u8>,
    full: bool,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > LONGEST_OUTPUT {
            self.full = true;
            return Err(io::Error::other("full"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sample() -> serde_json::Value {
        json!({"title": "Disk full", "alerts": [{"value": 96.25, "labels": {"mountpoint": "/data"}}], "seconds": 7500})
    }

    #[test]
    fn values_filters_and_loops_are_there_and_what_is_missing_is_empty() {
        let text = "{{ title|upper }}{% for a in alerts %} {{ a.labels.mountpoint }} {{ a.value|number }} \
                    [{{ a.labels.none.at.all }}]{% endfor %} {{ seconds|lasting }} {{ '<&>' }}";
        assert_eq!(check(text, &sample()), Ok(()));
        assert_eq!(render(text, &sample()).unwrap(), "DISK FULL /data 96.25 [] 2 h 5 min <&>");
    }

    #[test]
    fn a_slip_has_its_place() {
        for (text, expected) in [
            (
                "a\n  {{ titel }}",
                "line 2, column 6: unknown name `titel`, expected one of alerts, seconds, title",
            ),
            ("{{ title", "line 1, column 4: syntax error: unexpected end of input"),
            ("{% for a in alerts %}", "line 1, column 20: syntax error: unexpected end of input"),
            ("\n{{ title|uper }}", "line 2, column 10: unknown filter: filter uper is unknown"),
            ("{{ 1 / 0 }}", "line 1, column 4: invalid operation: "),
            ("{% include 'x' %}", "line 1, column 4: syntax error: unknown statement include"),
            ("{{ debug() }}", "line 1, column 4: unknown function: debug is unknown"),
        ] {
            let error = check(text, &sample()).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }

    #[test]
    fn nothing_grows_without_bound() {
        let long = "x".repeat(LONGEST + 1);
        let deep = format!("{}{}", "{% if 1 %}".repeat(900), "{% endif %}".repeat(900));
        for text in [
            "{{ 'x' * 99999999 }}",
            "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
            "{% for a in range(9999) %}0123456789{% endfor %}",
            "{{ 'x'|indent(999999999) }}",
            long.as_str(),
            deep.as_str(),
        ] {
            render(text, &sample()).unwrap_err();
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "(\\PC|\\{\\{|\\}\\}|\\{%|%\\}|for|in|alerts|title|\\||\\*|\\n){0,30}") {
            let _ = check(&text, &sample()).map_err(|error| error.to_string());
        }
    }
}
