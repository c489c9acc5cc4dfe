//! Quiet hours: whether it is quiet at a moment, and until when.
//!
//! The window is one of the wall clock at home: from 22:00 to 07:00 is nine hours, but
//! eight or ten in the nights in which the clocks change. The pattern: find on which day
//! the window that could hold the moment began, and turn both of its ends into instants.
//! A time that the change of the clocks leaves out counts as the moment of the change;
//! of a time that comes twice the first begins the window and the second ends it.
//! Wrong would be to add nine hours to its begin, or to compare times of day in UTC.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp as Instant, ToSpan as _};

use crate::base::time::Timestamp;
use crate::model::route::QuietHours;

/// End of the window that `now` is in.
pub fn ends(hours: &QuietHours, now: Timestamp) -> Option<Timestamp> {
    let instant = Instant::from_millisecond(now.millis()).ok()?;
    let today = hours.zone.to_datetime(instant).date();
    // A window that began yesterday may reach into today; the change of the clocks may
    // even put the local date back.
    let days = [today.checked_sub(1.day()), Ok(today)];
    days.into_iter()
        .flatten()
        .filter_map(|day| window(hours, day))
        .find_map(|(start, end)| (start <= instant && instant < end).then(|| Timestamp(end.as_millisecond())))
}

/// The window that begins on `day`.
fn window(hours: &QuietHours, day: Date) -> Option<(Instant, Instant)> {
    if !hours.days.is_empty() && !hours.days.contains(&day.weekday()) {
        return None;
    }
    let last = if hours.to > hours.from { day } else { day.checked_add(1.day()).ok()? };
    Some((instant(&hours.zone, day, hours.from, false)?, instant(&hours.zone, last, hours.to, true)?))
}

fn instant(zone: &TimeZone, day: Date, time: Time, second: bool) -> Option<Instant> {
    let local = zone.to_ambiguous_timestamp(day.to_datetime(time));
    match local.offset() {
        // Both offsets give another time; the moment of the change lies between them.
        jiff::tz::AmbiguousOffset::Gap { .. } => {
            let before = local.earlier().ok()?;
            let mut changes = zone.following(before.checked_sub(1.second()).ok()?);
            changes.next().map(|change| change.timestamp())
        }
        _ if second => local.later().ok(),
        _ => local.earlier().ok(),
    }
}
