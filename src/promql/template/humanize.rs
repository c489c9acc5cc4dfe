//! Numbers for people, as the `humanize*` functions of Prometheus write them.
//!
//! All of them show four significant digits and let NaN and infinities pass as they are.
//! Source: the template reference of Prometheus.

use super::number::float;
use super::time;

fn four(value: f64) -> String {
    float(value, 'g', Some(4))
}

/// `1.235M`, `120m`.
pub(super) fn humanize(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return four(value);
    }
    let (scaled, prefix) = if value.abs() >= 1.0 {
        enlarge(value, 1000.0, &["k", "M", "G", "T", "P", "E", "Z", "Y"])
    } else {
        shrink(value)
    };
    format!("{}{prefix}", four(scaled))
}

/// `1.177Mi`: by powers of 1024.
pub(super) fn humanize_1024(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return four(value);
    }
    let (scaled, prefix) = enlarge(value, 1024.0, &["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"]);
    format!("{}{prefix}", four(scaled))
}

/// `1d 2h 3m 4s`, `12.35s`, `100ms`; the value is in seconds.
pub(super) fn humanize_duration(value: f64) -> String {
    if !value.is_finite() {
        return four(value);
    }
    if value == 0.0 {
        return format!("{}s", four(value));
    }
    if value.abs() < 1.0 {
        let (scaled, prefix) = shrink(value);
        return format!("{}{prefix}s", four(scaled));
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let value = value.abs();
    let whole = value as i64;
    let (days, hours, minutes, seconds) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60, whole % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{sign}{}s", four(value)),
        (0, 0, _) => format!("{sign}{minutes}m {seconds}s"),
        (0, _, _) => format!("{sign}{hours}h {minutes}m {seconds}s"),
        _ => format!("{sign}{days}d {hours}h {minutes}m {seconds}s"),
    }
}

/// `12.34%` of a ratio.
pub(super) fn humanize_percentage(value: f64) -> String {
    format!("{}%", four(value * 100.0))
}

/// `2015-06-23 13:19:44.128 +0000 UTC`; the value is in seconds since 1970.
///
/// # Errors
/// The time is outside of what Go can count in nanoseconds.
pub(super) fn humanize_timestamp(value: f64) -> Result<String, String> {
    if value.is_finite() { Ok(time::show(time::from_seconds(value)?)) } else { Ok(four(value)) }
}

/// Divides until it is below `step` or the prefixes end.
fn enlarge(mut value: f64, step: f64, prefixes: &[&'static str]) -> (f64, &'static str) {
    let mut prefix = "";
    for next in prefixes {
        if value.abs() < step {
            break;
        }
        prefix = next;
        value /= step;
    }
    (value, prefix)
}

/// Multiplies until it is at least 1 or the prefixes end.
fn shrink(mut value: f64) -> (f64, &'static str) {
    let mut prefix = "";
    for next in ["m", "u", "n", "p", "f", "a", "z", "y"] {
        if value.abs() >= 1.0 {
            break;
        }
        prefix = next;
        value *= 1000.0;
    }
    (value, prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_prometheus_writes() {
        for (value, shown) in [
            (0.0, "0"),
            (1.0, "1"),
            (1_234_567.0, "1.235M"),
            (0.12, "120m"),
            (-1.0, "-1"),
            (f64::MAX, "1.798e+284Y"),
        ] {
            assert_eq!(humanize(value), shown);
        }
        for (value, shown) in [
            (0.0, "0"),
            (1.0, "1"),
            (1024.0, "1ki"),
            (1_048_576.0, "1Mi"),
            (0.12, "0.12"),
            (1_234_567.0, "1.177Mi"),
        ] {
            assert_eq!(humanize_1024(value), shown);
        }
        for (value, shown) in [
            (0.0, "0s"),
            (60.0, "1m 0s"),
            (3661.0, "1h 1m 1s"),
            (86_400.0, "1d 0h 0m 0s"),
            (-183_845.0, "-2d 3h 4m 5s"),
            (899.99, "14m 59s"),
            (0.000_1, "100us"),
            (0.123_45, "123.5ms"),
            (12.345, "12.35s"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(humanize_duration(value), shown);
        }
        assert_eq!(humanize_percentage(0.1234), "12.34%");
        assert_eq!(humanize_percentage(1_234_567.0), "1.235e+08%");
        assert_eq!(humanize_timestamp(1_435_065_584.128).unwrap(), "2015-06-23 13:19:44.128 +0000 UTC");
        assert_eq!(humanize_timestamp(-1.0).unwrap(), "1969-12-31 23:59:59 +0000 UTC");
        assert_eq!(humanize_timestamp(f64::NEG_INFINITY).unwrap(), "-Inf");
        assert!(humanize_timestamp(1e300).is_err());
    }
}
