//! Queries that take too much, or ask for nonsense.

use std::cell::Cell;

use super::super::ErrorKind;
use super::*;
use crate::promql::ast::DEEPEST;

fn bounded(text: &str, max_samples: usize, max_series: usize) -> Result<Answer<Value>, EvalError> {
    let memory = memory(&[("m{a=\"1\"}", "1 2 3"), ("m{a=\"2\"}", "1 2 3")]);
    let limits = Limits { max_samples, max_series, ..limits() };
    instant(&parse(text).unwrap(), 20_000, &memory, &limits)
}

#[test]
fn everything_that_is_made_counts() {
    assert!(bounded("sum(rate(m[1m]))", 20, 2).is_ok());
    for (text, samples, series) in [
        ("rate(m[1m])", 7, 2),
        ("m", 100, 1),
        ("vector(1)[100y:1ms]", 10_000_000, 10),
        ("sum_over_time(sum_over_time(vector(1)[1d:1s])[1d:1s])", 100_000, 10),
    ] {
        let error = bounded(text, samples, series).unwrap_err();
        assert_eq!(error.kind, ErrorKind::TooMuch, "{text}: {error}");
    }
    let memory = memory(&[]);
    let error = range(&parse("1").unwrap(), 0, i64::MAX / 16, Duration::from_millis(1), &memory, &limits());
    assert_eq!(error.unwrap_err().kind, ErrorKind::TooMuch);
}

#[test]
fn the_deepest_expressions_are_computed() {
    let memory = memory(&[("m", "1")]);
    let most = DEEPEST - 2;
    for (text, expected) in [
        (format!("{}m{}", "abs(".repeat(most), ")".repeat(most)), "{} 1"),
        (format!("m{}", " + m".repeat(most)), "{} 127"),
        (format!("{}m{}", "sum(".repeat(most), ")".repeat(most)), "{} 1"),
        (format!("{}m{}", "-(".repeat(most / 2), ")".repeat(most / 2)), "{} -1"),
        (format!("{}m{}", "last_over_time((".repeat(most / 3), ")[1s:1s])".repeat(most / 3)), "m 1"),
    ] {
        assert_eq!(shown(&memory, &text, 0), [expected], "{text}");
    }
}

#[test]
fn a_query_ends_when_told_to() {
    let memory = memory(&[("m", "1 2 3 4 5 6 7 8 9")]);
    let asked = Cell::new(0);
    let stop = || {
        asked.set(asked.get() + 1);
        asked.get() > 3
    };
    let expr = parse("sum_over_time((m + time())[90s:1ms])").unwrap();
    let error = instant(&expr, 90_000, &memory, &Limits::new(&stop)).unwrap_err();
    assert_eq!((error.kind, asked.get()), (ErrorKind::Timeout, 4));
}

#[test]
fn questions_that_make_no_sense_are_refused() {
    let memory = memory(&[]);
    let ask = |text: &str, start, end, step| {
        range(&parse(text).unwrap(), start, end, Duration::from_millis(step), &memory, &limits()).unwrap_err()
    };
    for (text, start, end, step, message) in [
        ("m[5m]", 0, 1, 1, "found a range vector"),
        ("'a'", 0, 1, 1, "found a string"),
        ("m", 2, 1, 1, "not after the end"),
        ("m", 0, 1, 0, "at least 1ms"),
        ("m", i64::MIN, 0, 1, "too far from 1970"),
    ] {
        let error = ask(text, start, end, step);
        assert_eq!(error.kind, ErrorKind::BadData, "{text}");
        assert!(error.message.contains(message), "{text}: {error}");
    }
}

#[test]
fn what_a_source_says_is_passed_on() {
    struct Broken(SourceError);
    impl Source for Broken {
        fn select(&self, _: &Request<'_>) -> Result<Vec<Series>, SourceError> {
            Err(self.0.clone())
        }
    }
    for (error, kind) in [
        (SourceError::BadMatcher(String::from("x")), ErrorKind::BadData),
        (SourceError::TooMuch(String::from("x")), ErrorKind::TooMuch),
        (SourceError::Unavailable(String::from("x")), ErrorKind::Unavailable),
    ] {
        let found = instant(&parse("1 + up").unwrap(), 0, &Broken(error), &limits()).unwrap_err();
        assert_eq!((found.kind, found.message.as_str()), (kind, "x"));
        assert_eq!(found.span.map(|span| (span.start, span.end)), Some((4, 6)));
    }
}
