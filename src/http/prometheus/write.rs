//! Values of queries in Prometheus' JSON, written straight into bytes: an answer may hold
//! half a million of them.
//!
//! A time is seconds with a fraction of three digits where there is one; a value is a text,
//! the fewest digits that read back as the same number. Scalars are written without an
//! exponent and samples with one where they are very small or large, as Prometheus does.

use std::io::Write as _;

use crate::promql::Labels;
use crate::promql::eval::{RangeSeries, Sample, Value};

/// `{"resultType":...,"result":...}` for the time of the query, in ms.
pub fn value(out: &mut Vec<u8>, at: i64, value: &Value) {
    match value {
        Value::Scalar(number) => {
            head(out, "scalar");
            out.push(b'[');
            time(out, at);
            out.extend_from_slice(b",\"");
            plain(out, *number);
            out.extend_from_slice(b"\"]}");
        }
        Value::Text(words) => {
            head(out, "string");
            out.push(b'[');
            time(out, at);
            out.push(b',');
            text(out, words);
            out.extend_from_slice(b"]}");
        }
        Value::Vector(samples) => {
            head(out, "vector");
            list(out, samples, |out, Sample { labels, value }| {
                metric(out, labels);
                out.extend_from_slice(b",\"value\":");
                point(out, at, *value);
                out.push(b'}');
            });
            out.push(b'}');
        }
        Value::Matrix(series) => matrix(out, series),
    }
}

/// The same for the answer of a range.
pub fn matrix(out: &mut Vec<u8>, series: &[RangeSeries]) {
    head(out, "matrix");
    list(out, series, |out, RangeSeries { labels, points }| {
        metric(out, labels);
        out.extend_from_slice(b",\"values\":");
        list(out, points, |out, (at, value)| point(out, *at, *value));
        out.push(b'}');
    });
    out.push(b'}');
}

/// A text as JSON.
pub fn text(out: &mut Vec<u8>, words: &str) {
    // A text has a form in JSON, and memory takes every byte: so everywhere below.
    let _ = serde_json::to_writer(out, words);
}

fn head(out: &mut Vec<u8>, kind: &str) {
    let _ = write!(out, "{{\"resultType\":\"{kind}\",\"result\":");
}

fn list<T>(out: &mut Vec<u8>, items: &[T], one: impl Fn(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        one(out, item);
    }
    out.push(b']');
}

/// `{"metric":{...}` with its brace left open.
fn metric(out: &mut Vec<u8>, labels: &Labels) {
    out.extend_from_slice(b"{\"metric\":{");
    for (at, (name, value)) in labels.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        text(out, name);
        out.push(b':');
        text(out, value);
    }
    out.push(b'}');
}

fn point(out: &mut Vec<u8>, at: i64, value: f64) {
    out.push(b'[');
    time(out, at);
    out.extend_from_slice(b",\"");
    number(out, value);
    out.extend_from_slice(b"\"]");
}

fn time(out: &mut Vec<u8>, ms: i64) {
    let (seconds, rest) = (ms.unsigned_abs() / 1000, ms.unsigned_abs() % 1000);
    let sign = if ms < 0 { "-" } else { "" };
    let _ = match rest {
        0 => write!(out, "{sign}{seconds}"),
        _ => write!(out, "{sign}{seconds}.{rest:03}"),
    };
}

/// A sample: with an exponent below 1e-6 and from 1e21 on.
fn number(out: &mut Vec<u8>, value: f64) {
    let size = value.abs();
    if size.is_finite() && size != 0.0 && !(1e-6..1e21).contains(&size) {
        let _ = out.write_all(with_exponent(value).as_bytes());
    } else {
        plain(out, value);
    }
}

/// Without an exponent.
fn plain(out: &mut Vec<u8>, value: f64) {
    let _ = match value {
        value if value.is_nan() => write!(out, "NaN"),
        f64::INFINITY => write!(out, "+Inf"),
        f64::NEG_INFINITY => write!(out, "-Inf"),
        value => write!(out, "{value}"),
    };
}

/// `1e+00`: the exponent has a sign and at least two digits, as Go writes it.
pub fn with_exponent(value: f64) -> String {
    if !value.is_finite() {
        let mut out = Vec::new();
        plain(&mut out, value);
        return String::from_utf8_lossy(&out).into_owned();
    }
    let short = format!("{value:e}");
    let (digits, power) = short.split_once('e').unwrap_or((&short, "0"));
    let (sign, power) = power.strip_prefix('-').map_or(('+', power), |power| ('-', power));
    format!("{digits}e{sign}{power:0>2}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_and_times_are_those_of_prometheus() {
        for (value, expected) in [
            (1.0, "1"),
            (0.1, "0.1"),
            (-0.0, "-0"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1e100 / 3.0, "3.333333333333333e+99"),
            (0.000_001, "0.000001"),
            (1.5e-7, "1.5e-07"),
            (-2.5e-300, "-2.5e-300"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(shown(|out| number(out, value)), expected);
        }
        assert_eq!(with_exponent(1.0), "1e+00");
        for (ms, expected) in
            [(1_795_830_172_802, "1795830172.802"), (5000, "5"), (5050, "5.050"), (-1500, "-1.500")]
        {
            assert_eq!(shown(|out| time(out, ms)), expected);
        }
    }

    #[test]
    fn each_kind_of_value_has_its_shape() {
        let labels = Labels::from_key("up{a=\"b\\\"\"}");
        let sample = Sample { labels: labels.clone(), value: 1.0 };
        let series = RangeSeries { labels, points: vec![(1000, 1.0), (2500, f64::NAN)] };
        for (of, expected) in [
            (Value::Scalar(1e21), r#"{"resultType":"scalar","result":[1,"1000000000000000000000"]}"#),
            (Value::Text(String::from("a\"")), r#"{"resultType":"string","result":[1,"a\""]}"#),
            (Value::Vector(Vec::new()), r#"{"resultType":"vector","result":[]}"#),
            (
                Value::Vector(vec![sample]),
                r#"{"resultType":"vector","result":[{"metric":{"__name__":"up","a":"b\""},"value":[1,"1"]}]}"#,
            ),
            (
                Value::Matrix(vec![series]),
                r#"{"resultType":"matrix","result":[{"metric":{"__name__":"up","a":"b\""},"values":[[1,"1"],[2.500,"NaN"]]}]}"#,
            ),
        ] {
            assert_eq!(shown(|out| value(out, 1000, &of)), expected);
        }
    }

    proptest! {
        #[test]
        fn numbers_read_back(bits: u64) {
            let value = f64::from_bits(bits);
            let text = shown(|out| number(out, value));
            let back: f64 = text.parse().unwrap();
            prop_assert!(back == value || value.is_nan(), "{text}");
        }
    }
}
