//! The notation of series in tests: `up{job="a"}` with `1+2x3 _ stale`.
//!
//! Values stand a step apart; `_` is no sample, `stale` the marker that the series
//! ended, `axn` is a and n repetitions, `a+bxn` adds b each time. The sums are made one
//! after the other, as Prometheus makes them: `0+0.1x3` ends in 0.30000000000000004, and
//! a multiplication would not. Source: the documentation of unit tests of rules.

use crate::model::query::no_value;
use crate::model::selector::MatchOp;
use crate::promql::ast::Kind;
use crate::promql::{Labels, parse};

/// Samples of one series.
pub const MOST: usize = 2_000_000;

/// Why a text is no series or no values.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotationError {
    /// Byte of the text.
    pub at: usize,
    pub message: String,
    /// It is one for Prometheus, but of a part that is not here.
    pub unsupported: bool,
}

fn error(at: usize, message: impl Into<String>) -> NotationError {
    NotationError { at, message: message.into(), unsupported: false }
}

/// Reads `name{label="value"}`; the empty text and `{}` are no label at all.
///
/// # Errors
/// [`NotationError`]
pub fn labels(text: &str) -> Result<Labels, NotationError> {
    if matches!(text.trim(), "" | "{}") {
        return Ok(Labels::empty());
    }
    let expr = parse(text).map_err(|problem| error(problem.start, problem.message))?;
    let Kind::Selector(selector) = &expr.kind else {
        return Err(error(0, "expected a series such as `up{job=\"a\"}`"));
    };
    if selector.shift != Default::default() {
        return Err(error(0, "expected a series without `offset` and `@`"));
    }
    if let Some(matcher) = selector.matchers.iter().find(|matcher| matcher.op != MatchOp::Equal) {
        return Err(error(0, format!("expected `=` after `{}`", matcher.label)));
    }
    Ok(Labels::new(selector.matchers.iter().map(|matcher| (&matcher.label, &matcher.value))))
}

/// Reads the values of a series: by the number of their step, gaps left out.
///
/// # Errors
/// [`NotationError`], for native histograms with `unsupported`.
pub fn values(text: &str) -> Result<Vec<(i64, f64)>, NotationError> {
    let mut found = Found::default();
    let mut at = 0;
    for word in text.split(|c: char| c.is_ascii_whitespace()) {
        if !word.is_empty() {
            item(word, &mut found).map_err(|problem| NotationError { at: at + problem.at, ..problem })?;
        }
        at += word.len() + 1;
    }
    Ok(found.samples)
}

#[derive(Default)]
struct Found {
    /// Of the next value.
    step: i64,
    samples: Vec<(i64, f64)>,
}

fn item(word: &str, found: &mut Found) -> Result<(), NotationError> {
    if word.contains(['{', '}']) {
        let message = String::from("native histograms are not supported");
        return Err(NotationError { at: 0, message, unsupported: true });
    }
    // No number has an `x`: hexadecimal ones are not allowed here.
    let (what, times) = match word.split_once('x') {
        Some((what, times)) => {
            let digits = times.bytes().all(|b| b.is_ascii_digit());
            let count = times.parse::<i64>().ok().filter(|_| digits);
            let count = count.ok_or_else(|| error(what.len() + 1, "expected a whole number after `x`"))?;
            (what, Some(count))
        }
        None => (word, None),
    };
    if what == "_" {
        // `_x3` are three gaps, `1x3` are a one and three more.
        found.step = found.step.saturating_add(times.unwrap_or(1));
        return Ok(());
    }
    let (mut value, change) = match what {
        "stale" => (no_value(), None),
        _ => split(what)
            .ok_or_else(|| error(0, "expected a value such as `1`, `1+2x3`, `_`, `_x3` or `stale`"))?,
    };
    if change.is_some() && times.is_none() {
        return Err(error(word.len(), "expected `x` and how often"));
    }
    let count = usize::try_from(times.unwrap_or(0)).unwrap_or(usize::MAX).saturating_add(1);
    if count > MOST - found.samples.len() {
        return Err(error(0, format!("more than {MOST} samples")));
    }
    for _ in 0..count {
        found.samples.push((found.step, value));
        found.step = found.step.saturating_add(1);
        if let Some(change) = change {
            value += change;
        }
    }
    Ok(())
}

/// `1-2` as 1 and -2.
fn split(text: &str) -> Option<(f64, Option<f64>)> {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(|b| b.is_ascii_digit() || *b == b'.');
    let sign = |at: &usize| {
        // The sign of an exponent: `1e-3`.
        let exponent = *at >= 2 && matches!(bytes[at - 1], b'e' | b'E') && digit(at - 2);
        matches!(bytes[*at], b'+' | b'-') && !exponent
    };
    match (1..text.len()).filter(|at| text.is_char_boundary(*at)).find(sign) {
        Some(at) => Some((number(&text[..at])?, Some(number(&text[at..])?))),
        None => Some((number(text)?, None)),
    }
}

fn number(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    match unsigned.to_ascii_lowercase().as_str() {
        "inf" | "nan" => text.parse().ok(),
        _ if unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') => text.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::query::is_no_value;

    fn shown(text: &str) -> String {
        let mut next = 0;
        let mut words = Vec::new();
        for (step, value) in values(text).unwrap() {
            words.extend((next..step).map(|_| String::from("_")));
            next = step + 1;
            words.push(if is_no_value(value) { String::from("stale") } else { value.to_string() });
        }
        words.join(" ")
    }

    #[test]
    fn every_form_of_a_value() {
        for (text, expanded) in [
            ("1 2.5 -3", "1 2.5 -3"),
            ("1+2x3", "1 3 5 7"),
            ("1-2x2", "1 -1 -3"),
            ("-1-1x1", "-1 -2"),
            ("0+0.1x3", "0 0.1 0.2 0.30000000000000004"),
            ("5x2", "5 5 5"),
            ("_ _x2 1", "_ _ _ 1"),
            ("_x0 1x0", "1"),
            ("stale 1", "stale 1"),
            ("1e3 1e-3+1e1x1 Inf -inf NaN", "1000 0.001 10.001 inf -inf NaN"),
            ("  1   2 ", "1 2"),
            ("", ""),
            (".5+.5x1", "0.5 1"),
        ] {
            assert_eq!(shown(text), expanded, "{text}");
        }
    }

    #[test]
    fn slips_are_told_with_their_place() {
        for (text, at, message) in [
            ("1 2 foo", 4, "expected a value such as"),
            ("1 x5", 2, "expected a value such as"),
            ("1x", 2, "expected a whole number after `x`"),
            ("1x-5", 2, "expected a whole number after `x`"),
            ("0x10", 0, ""),
            ("1+2", 3, "expected `x` and how often"),
            ("1x99999999999", 0, "more than"),
            ("1x99999999999999999999", 2, "expected a whole number"),
            ("{{schema:1}}", 0, "native histograms"),
            ("1\u{e9}+2x3", 0, "expected a value such as"),
        ] {
            match values(text) {
                Ok(_) => assert_eq!(text, "0x10"),
                Err(problem) => {
                    assert_eq!((problem.at, problem.unsupported), (at, text.starts_with('{')), "{text}");
                    assert!(problem.message.contains(message), "{text}: {}", problem.message);
                }
            }
        }
    }

    #[test]
    fn series_are_selectors_of_equal_signs() {
        assert_eq!(labels("up{b=\"2\",a=\"1\"}").unwrap().to_string(), "up{a=\"1\",b=\"2\"}");
        assert_eq!(labels("{__name__=\"up\"}").unwrap().to_string(), "up");
        assert_eq!(labels(" {} ").unwrap(), Labels::empty());
        for bad in ["up{a!=\"b\"}", "up[5m]", "up offset 5m", "1", "up{", "sum(up)"] {
            assert!(labels(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "([0-9.+xe_ -]|stale|Inf|NaN|\\PC){0,30}") {
            let _ = (values(&text), labels(&text));
        }
    }
}
