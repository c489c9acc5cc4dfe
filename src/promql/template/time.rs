//! Points in time as a template shows them, always in UTC.
//!
//! Go formats a time by an example (`2006-01-02 15:04`), so a layout is read for the
//! parts of that one moment. Source: the documentation of Go's package `time`.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::value::Value;

/// Milliseconds of `seconds` since 1970.
///
/// # Errors
/// Go could not count the time in nanoseconds in 64 bits.
pub(super) fn from_seconds(seconds: f64) -> Result<i64, String> {
    let nanoseconds = seconds * 1e9;
    if nanoseconds.is_nan() || nanoseconds.abs() >= i64::MAX as f64 {
        return Err(format!("{} seconds are no time that can be shown", super::number::shortest(seconds)));
    }
    Ok(nanoseconds as i64 / 1_000_000)
}

fn civil(millis: i64) -> DateTime {
    let time = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    TimeZone::UTC.to_datetime(time)
}

/// `2015-06-23 13:19:44.128 +0000 UTC`
pub(super) fn show(millis: i64) -> String {
    format(millis, "2006-01-02 15:04:05.999 -0700 MST")
}

/// A method of a time.
///
/// # Errors
/// It is none that a template may use, or its argument is wrong.
pub(super) fn method(millis: i64, name: &str, arguments: &[Value]) -> Result<Value, String> {
    let time = civil(millis);
    let number = |value: i64| Ok(Value::Integer(value));
    match (name, arguments) {
        ("Format", [Value::Text(layout)]) => Ok(Value::text(format(millis, layout))),
        ("Format", _) => Err(String::from("`Format` takes one text, for example \"2006-01-02 15:04\"")),
        ("Unix", []) => number(millis.div_euclid(1000)),
        ("UnixMilli", []) => number(millis),
        ("Year", []) => number(time.year().into()),
        ("Month", []) => Ok(Value::text(month(time))),
        ("Day", []) => number(time.day().into()),
        ("YearDay", []) => number(time.day_of_year().into()),
        ("Weekday", []) => Ok(Value::text(weekday(time))),
        ("Hour", []) => number(time.hour().into()),
        ("Minute", []) => number(time.minute().into()),
        ("Second", []) => number(time.second().into()),
        ("UTC" | "Local", []) => Ok(Value::Time(millis)),
        ("String", []) => Ok(Value::text(show(millis))),
        _ => Err(format!("a time has no method `{name}` with {} arguments here", arguments.len())),
    }
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

fn month(time: DateTime) -> &'static str {
    MONTHS[usize::from(time.month().unsigned_abs()).saturating_sub(1) % 12]
}

fn weekday(time: DateTime) -> &'static str {
    WEEKDAYS[usize::from(time.weekday().to_sunday_zero_offset().unsigned_abs()) % 7]
}

/// The parts of a layout. Of two that begin alike the longer stands first.
const PARTS: [&str; 28] = [
    "January", "Jan", "Monday", "Mon", "MST", "2006", "-07:00", "-0700", "-07", "Z07:00", "Z0700", "002",
    "01", "02", "03", "04", "05", "06", "15", "PM", "pm", "__2", "_2", "1", "2", "3", "4", "5",
];

fn format(millis: i64, layout: &str) -> String {
    let time = civil(millis);
    let mut out = String::new();
    let mut rest = layout;
    while let Some(first) = rest.chars().next() {
        if let Some(fraction) = fraction(rest) {
            out.push_str(&show_fraction(millis, fraction));
            rest = &rest[fraction.len()..];
            continue;
        }
        match PARTS.iter().find(|part| rest.starts_with(**part)) {
            Some(part) => {
                out.push_str(&show_part(time, part));
                rest = &rest[part.len()..];
            }
            None => {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    out
}

/// A run of `0` or of `9` after a point or comma, not followed by another digit.
fn fraction(text: &str) -> Option<&str> {
    let digits = text.strip_prefix(['.', ','])?;
    let kind = digits.bytes().next().filter(|byte| matches!(byte, b'0' | b'9'))?;
    let length = digits.bytes().take_while(|byte| *byte == kind).count();
    let ends = !digits[length..].starts_with(|c: char| c.is_ascii_digit());
    (ends && length <= 9).then(|| &text[..=length])
}

fn show_fraction(millis: i64, layout: &str) -> String {
    let digits = format!("{:03}000000", millis.rem_euclid(1000));
    let (point, kind) = layout.split_at(1);
    let shown = &digits[..kind.len()];
    if kind.starts_with('0') {
        return format!("{point}{shown}");
    }
    match shown.trim_end_matches('0') {
        "" => String::new(),
        trimmed => format!("{point}{trimmed}"),
    }
}

fn show_part(time: DateTime, part: &str) -> String {
    let month = month(time);
    let hour = match time.hour() % 12 {
        0 => 12,
        other => other,
    };
    match part {
        "January" => month.to_owned(),
        "Jan" => month[..3].to_owned(),
        "Monday" => weekday(time).to_owned(),
        "Mon" => weekday(time)[..3].to_owned(),
        "MST" => String::from("UTC"),
        "2006" => format!("{:04}", time.year()),
        "06" => format!("{:02}", time.year().rem_euclid(100)),
        "-07:00" => String::from("+00:00"),
        "-0700" => String::from("+0000"),
        "-07" => String::from("+00"),
        "Z07:00" | "Z0700" => String::from("Z"),
        "002" => format!("{:03}", time.day_of_year()),
        "__2" => format!("{:3}", time.day_of_year()),
        "01" => format!("{:02}", time.month()),
        "1" => time.month().to_string(),
        "02" => format!("{:02}", time.day()),
        "_2" => format!("{:2}", time.day()),
        "2" => time.day().to_string(),
        "15" => format!("{:02}", time.hour()),
        "03" => format!("{hour:02}"),
        "3" => hour.to_string(),
        "04" => format!("{:02}", time.minute()),
        "4" => time.minute().to_string(),
        "5" => time.second().to_string(),
        "05" => format!("{:02}", time.second()),
        "PM" => String::from(if time.hour() >= 12 { "PM" } else { "AM" }),
        "pm" => String::from(if time.hour() >= 12 { "pm" } else { "am" }),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_are_examples() {
        let millis = 1_435_065_584_128;
        for (layout, shown) in [
            ("2006-01-02T15:04:05Z07:00", "2015-06-23T13:19:44Z"),
            ("Mon Jan _2 3:04PM 06", "Tue Jun 23 1:19PM 15"),
            ("Monday, 2 January", "Tuesday, 23 June"),
            ("05.000", "44.128"),
            ("05.00000", "44.12800"),
            ("at 1504 h", "at 1319 h"),
        ] {
            assert_eq!(format(millis, layout), shown, "{layout}");
        }
        assert_eq!(show(0), "1970-01-01 00:00:00 +0000 UTC");
        assert_eq!(method(millis, "Weekday", &[]), Ok(Value::text("Tuesday")));
        assert!(method(millis, "Add", &[Value::Integer(1)]).is_err());
    }
}
