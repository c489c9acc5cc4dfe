//! Parts of dates, in UTC.

use crate::promql::function::Date;

const DAY: i128 = 86_400;

/// A part of the time that is so many seconds after 1970. What is no such time, or not a
/// number, is taken for the first second that no longer is one (in the year
/// 292277026596), as Prometheus does on most machines.
pub(super) fn part(date: Date, seconds: f64) -> f64 {
    let times = i64::MIN as f64..i64::MAX as f64;
    let seconds = if times.contains(&seconds) { i128::from(seconds as i64) } else { 1 << 63 };
    let (day, time) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    let (day, time) = (day as i64, time as i64);
    let (year, month, day_of_month) = civil(day);
    let value = match date {
        Date::Hour => time / 3600,
        Date::Minute => time / 60 % 60,
        // The first day of 1970 was a Thursday; Sunday is 0.
        Date::DayOfWeek => (day + 4).rem_euclid(7),
        Date::DayOfMonth => day_of_month,
        Date::DayOfYear => day - days_before(year, 1) + 1,
        Date::DaysInMonth => {
            let next = if month == 12 { days_before(year + 1, 1) } else { days_before(year, month + 1) };
            next - days_before(year, month)
        }
        Date::Month => month,
        Date::Year => year,
    };
    value as f64
}

/// Days from 1970-01-01 to the first of that month. Years are counted from March, so
/// that the leap day is the last of its year.
fn days_before(year: i64, month: i64) -> i64 {
    let year = if month < 3 { year - 1 } else { year };
    let since_march = (month + 9) % 12;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    365 * year + leap_days + (153 * since_march + 2) / 5 - 719_468
}

/// Year, month and day of the month of a day counted from 1970-01-01.
fn civil(day: i64) -> (i64, i64, i64) {
    // 146097 days are 400 years; one too far is mended below.
    let mut year = (day * 400).div_euclid(146_097) + 1970;
    while days_before(year, 1) > day {
        year -= 1;
    }
    while days_before(year + 1, 1) <= day {
        year += 1;
    }
    let mut month = ((day - days_before(year, 1)) / 31) + 1;
    if month < 12 && days_before(year, month + 1) <= day {
        month += 1;
    }
    (year, month, day - days_before(year, month) + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn leap_days_and_ends_of_years() {
        for (seconds, expected) in [
            // 2024-02-29T23:59:59Z, a Thursday.
            (1_709_251_199.0, [2024, 2, 29, 4, 60, 29, 23, 59]),
            // 1999-12-31T00:00:00Z, a Friday.
            (946_598_400.0, [1999, 12, 31, 5, 365, 31, 0, 0]),
            // 1969-12-31T23:00:00Z, a Wednesday.
            (-3600.0, [1969, 12, 31, 3, 365, 31, 23, 0]),
        ] {
            let parts = [
                Date::Year,
                Date::Month,
                Date::DayOfMonth,
                Date::DayOfWeek,
                Date::DayOfYear,
                Date::DaysInMonth,
                Date::Hour,
                Date::Minute,
            ];
            assert_eq!(parts.map(|date| part(date, seconds) as i64), expected, "{seconds}");
        }
        for no_time in [f64::NAN, f64::NEG_INFINITY, 1e300] {
            assert_eq!(part(Date::Year, no_time), 292_277_026_596.0);
            assert_eq!((part(Date::Month, no_time), part(Date::DayOfYear, no_time)), (12.0, 339.0));
            assert_eq!((part(Date::Hour, no_time), part(Date::DayOfWeek, no_time)), (15.0, 0.0));
        }
        // A year of the calendar has 31556952 seconds on average.
        let year = part(Date::Year, -9.2e18);
        assert!((year - (1970.0 - 9.2e18 / 31_556_952.0)).abs() < 2.0, "{year}");
    }

    proptest! {
        #[test]
        fn agrees_with_the_calendar_library(seconds in -60_000_000_000i64..250_000_000_000) {
            let time = jiff::Timestamp::from_second(seconds).unwrap().to_zoned(jiff::tz::TimeZone::UTC);
            let own = |date| part(date, seconds as f64) as i64;
            prop_assert_eq!(own(Date::Year), i64::from(time.year()));
            prop_assert_eq!(own(Date::Month), i64::from(time.month()));
            prop_assert_eq!(own(Date::DayOfMonth), i64::from(time.day()));
            prop_assert_eq!(own(Date::DayOfYear), i64::from(time.day_of_year()));
            prop_assert_eq!(own(Date::DayOfWeek), i64::from(time.weekday().to_sunday_zero_offset()));
            prop_assert_eq!(own(Date::DaysInMonth), i64::from(time.days_in_month()));
        }
    }
}
