//! `holdfast query`: the last value of series, or their course over a range.

use std::fmt::Write as _;

use clap::Args;
use serde_json::Value;

use super::Global;
use super::client::{Client, block_on, escape};
use super::exit::{Done, Failure, OK, USAGE};
use super::output::{Table, note, print, print_json, text_of};
use super::surroundings::Surroundings;
use crate::base::time::{Clock, SystemClock, Timestamp};
use crate::base::units::Span;

#[derive(Args, Debug)]
pub struct QueryArguments {
    /// Selector, e.g. 'node_load1' or 'node_filesystem_avail_bytes{mountpoint="/"}'
    pub expr: String,
    /// How far back from the time, e.g. 1h; without it only the last value
    #[arg(long, value_parser = span)]
    pub range: Option<Span>,
    /// Between two values of a range, e.g. 1m [default: at most 600 values]
    #[arg(long, value_parser = span, requires = "range")]
    pub step: Option<Span>,
    /// Instead of now: RFC 3339 or seconds since 1970
    #[arg(long, value_parser = time)]
    pub time: Option<Timestamp>,
}

fn span(text: &str) -> Result<Span, String> {
    let span = Span::parse(text).map_err(|error| error.to_string())?;
    if span.0.is_zero() { Err(String::from("expected more than nothing")) } else { Ok(span) }
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text)
        .ok_or_else(|| String::from("expected RFC 3339, such as 2026-01-31T08:00:00Z, or seconds since 1970"))
}

/// # Errors
/// The agent cannot be reached or refuses the expression.
pub fn query(arguments: &QueryArguments, global: &Global, surroundings: &Surroundings) -> Done {
    if arguments.expr.trim().is_empty() {
        return Err(Failure::new(USAGE, "the expression is empty, expected a selector such as node_load1"));
    }
    let client = Client::new(global, surroundings)?;
    let answer = block_on(client.fetch(&path(arguments)))?;
    if global.json {
        print_json(&answer)?;
        return Ok(OK);
    }
    let series = answer["series"].as_array().map(Vec::as_slice).unwrap_or_default();
    if series.is_empty() {
        note("no series matches");
    }
    print(&if arguments.range.is_some() { courses(&answer, series) } else { values(series) })?;
    Ok(OK)
}

fn path(arguments: &QueryArguments) -> String {
    let expr = escape(&arguments.expr);
    let Some(range) = arguments.range else {
        let at = arguments.time.map(|time| format!("&time={}", escape(&time.rfc3339())));
        return format!("/api/v1/query?query={expr}{}", at.unwrap_or_default());
    };
    let end = arguments.time.unwrap_or_else(|| SystemClock::new().now());
    let start = end.minus(range.0);
    let step = arguments.step.map(|step| format!("&step={step}")).unwrap_or_default();
    format!("/api/v1/query_range?query={expr}&start={}&end={}{step}", start.millis(), end.millis())
}

/// `name{label="value"}` of an answer.
fn name_of(series: &Value) -> String {
    let mut labels = String::new();
    for (name, value) in series["labels"].as_object().into_iter().flatten() {
        let comma = if labels.is_empty() { "" } else { "," };
        let _ = write!(labels, "{comma}{name}={:?}", text_of(value));
    }
    let name = text_of(&series["name"]);
    if labels.is_empty() { name } else { format!("{name}{{{labels}}}") }
}

fn values(series: &[Value]) -> String {
    if series.is_empty() {
        return String::new();
    }
    let mut table = Table::new(["SERIES", "VALUE", "AT"]);
    for one in series {
        table.row([name_of(one), text_of(&one["value"]), text_of(&one["at"])]);
    }
    table.render()
}

/// Per series a line with its name, then time and value; gaps are left out.
fn courses(answer: &Value, series: &[Value]) -> String {
    let start = answer["start_ms"].as_i64().unwrap_or_default();
    let step = answer["step_ms"].as_i64().unwrap_or_default();
    let mut text = String::new();
    for one in series {
        let _ = writeln!(text, "{}", name_of(one));
        for (at, value) in (0..).zip(one["values"].as_array().into_iter().flatten()) {
            if !value.is_null() {
                let time = Timestamp(start.saturating_add(step.saturating_mul(at)));
                let _ = writeln!(text, "  {}  {}", time.rfc3339(), text_of(value));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_course_has_times_and_no_gaps() {
        let answer = json!({"start_ms": 0, "step_ms": 15_000});
        let series = [json!({"name": "up", "labels": {"a": "b\"c"}, "values": [1.5, null, "NaN"]})];
        assert_eq!(
            courses(&answer, &series),
            "up{a=\"b\\\"c\"}\n  1970-01-01T00:00:00.000Z  1.5\n  1970-01-01T00:00:30.000Z  NaN\n"
        );
    }
}
