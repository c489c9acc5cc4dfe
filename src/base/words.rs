//! Figures and lengths of time as a person would write them in a message.
//!
//! They are for reading only: nothing parses them, and what must be exact goes out as
//! a number beside them.

use std::time::Duration;

/// Digits that are kept of a figure with a fraction.
const DIGITS: i32 = 4;

/// `96.25`, `1048576`, `0.00012`: four digits and no more zeros than needed. What is
/// not a number is spelled as Prometheus does.
pub fn number(value: f64) -> String {
    if value.is_nan() {
        return String::from("NaN");
    }
    if value.is_infinite() {
        return String::from(if value > 0.0 { "+Inf" } else { "-Inf" });
    }
    let size = value.abs();
    if size == 0.0 {
        return String::from("0");
    }
    if !(1e-6..1e15).contains(&size) {
        return format!("{value:e}");
    }
    let decimals = (DIGITS - 1 - size.log10().floor() as i32).clamp(0, 9) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// `45 s`, `12 min`, `2 h 5 min`, `3 d 4 h`: the two largest units that matter.
pub fn lasting(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let two = |large: u64, large_unit: &str, small: u64, small_unit: &str| {
        if small == 0 {
            format!("{large} {large_unit}")
        } else {
            format!("{large} {large_unit} {small} {small_unit}")
        }
    };
    match seconds {
        0 => format!("{} ms", time.as_millis()),
        1..60 => format!("{seconds} s"),
        60..600 => two(minutes, "min", seconds % 60, "s"),
        600..3600 => format!("{minutes} min"),
        3600..86_400 => two(hours, "h", minutes, "min"),
        _ => two(days, "d", hours, "h"),
    }
}

/// At most `most` characters of `text`; what was cut off shows as `...`.
pub fn clip(text: &str, most: usize) -> String {
    clip_by(text, most, |_| 1)
}

/// The same with another measure of length: servers count bytes, or units of UTF-16.
pub fn clip_by(text: &str, most: usize, size: fn(char) -> usize) -> String {
    if text.chars().map(size).sum::<usize>() <= most {
        return text.to_owned();
    }
    let room = most.saturating_sub(3);
    let fits = text.chars().scan(0, |used, c| {
        *used += size(c);
        (*used <= room).then_some(c)
    });
    format!("{}...", fits.collect::<String>().trim_end())
}

/// In one line: control characters, line ends among them, become spaces.
pub fn one_line(text: &str) -> String {
    let spaced: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    spaced.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_keep_their_digits() {
        for (value, shown) in [
            (0.0, "0"),
            (96.25, "96.25"),
            (95.0, "95"),
            (1_048_576.4, "1048576"),
            (0.000_123_456, "0.0001235"),
            (-2.5, "-2.5"),
            (99.999_9, "100"),
            (1e18, "1e18"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(number(value), shown);
        }
    }

    #[test]
    fn a_length_of_time_has_two_units_at_most() {
        for (seconds, shown) in [
            (45, "45 s"),
            (90, "1 min 30 s"),
            (750, "12 min"),
            (7_500, "2 h 5 min"),
            (7_200, "2 h"),
            (273_600, "3 d 4 h"),
        ] {
            assert_eq!(lasting(Duration::from_secs(seconds)), shown);
        }
        assert_eq!(lasting(Duration::from_millis(250)), "250 ms");
    }

    #[test]
    fn what_is_too_long_is_cut_between_characters() {
        assert_eq!(clip("\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}", 4), "\u{e4}...");
        assert_eq!(clip("abc", 3), "abc");
        assert_eq!(clip_by("\u{e4}\u{e4}\u{e4}", 5, char::len_utf8), "\u{e4}...");
        assert_eq!(one_line("a\r\nSubject: b\n"), "a  Subject: b");
    }

    proptest::proptest! {
        #[test]
        fn no_figure_panics(value in proptest::num::f64::ANY, time in 0u64.., text in ".{0,20}", most in 0usize..9) {
            let _ = (number(value), lasting(Duration::from_millis(time)), one_line(&text));
            proptest::prop_assert!(clip(&text, most).chars().count() <= most.max(3));
        }
    }
}
