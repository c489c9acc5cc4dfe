//! `[quiet_hours]`: when only what is critical may disturb.
//!
//! They are on where the table has `from` and `to`. The time zone is that of the people:
//! `local` is the host's, which is looked up whenever the configuration is read, because a
//! static program brings no list of time zones. Wrong would be to keep the hours in UTC:
//! half of the year they would be off by one.

use std::path::Path;

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::check::Checker;
use crate::model::route;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QuietHours {
    /// `22:00`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// `07:00`: of the next day where it is not later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// `local`, the name of a time zone, or a rule as in the variable TZ.
    pub timezone: String,
    /// Days on which they begin; empty: every day.
    pub days: Vec<String>,
}

impl Default for QuietHours {
    fn default() -> Self {
        Self { from: None, to: None, timezone: String::from(LOCAL), days: Vec::new() }
    }
}

const LOCAL: &str = "local";
const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];
/// Longest name or rule of a time zone.
const LONGEST_ZONE: usize = 100;
/// Where the time zones of the host lie.
const ZONES: &str = "usr/share/zoneinfo";

/// A part that is wrong.
struct Wrong {
    key: &'static str,
    message: String,
}

impl QuietHours {
    /// The hours as the notifier reads them, `None` where there are none or something is
    /// wrong with them. Reads the time zone below `root`.
    pub fn model(&self, root: &Path) -> Option<route::QuietHours> {
        self.read(root).ok().flatten()
    }

    /// Says what is wrong.
    pub fn check(&self, root: &Path, checker: &mut Checker<'_>) {
        if let Err(Wrong { key, message }) = self.read(root) {
            checker.say(format!("quiet_hours.{key}"), message);
        }
    }

    fn read(&self, root: &Path) -> Result<Option<route::QuietHours>, Wrong> {
        let wrong = |key, message| Wrong { key, message };
        let zone = zone(&self.timezone, root).map_err(|message| wrong("timezone", message))?;
        let days = self.days.iter().map(|day| {
            let known = DAYS.iter().find(|(word, _)| day.trim().eq_ignore_ascii_case(word));
            let words = DAYS.map(|(word, _)| word).join(", ");
            known.map(|(_, day)| *day).ok_or_else(|| format!("`{day}` is not a day, expected {words}"))
        });
        let days = days.collect::<Result<_, _>>().map_err(|message| wrong("days", message))?;
        let (from, to) = match (&self.from, &self.to) {
            (None, None) => return Ok(None),
            (Some(from), Some(to)) => (from, to),
            (Some(_), None) => return Err(wrong("to", String::from("missing beside `from`"))),
            (None, Some(_)) => return Err(wrong("from", String::from("missing beside `to`"))),
        };
        let from = time(from).map_err(|message| wrong("from", message))?;
        let to = time(to).map_err(|message| wrong("to", message))?;
        if from == to {
            return Err(wrong("to", String::from("the same as `from`, expected another time")));
        }
        Ok(Some(route::QuietHours { from, to, days, zone }))
    }
}

fn time(text: &str) -> Result<Time, String> {
    let read = || -> Option<Time> {
        let (hour, minute) = text.trim().split_once(':')?;
        let number = |digits: &str| -> Option<i8> {
            let all = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse().ok().filter(|_| all)
        };
        Time::new(number(hour)?, number(minute)?, 0, 0).ok()
    };
    read().ok_or_else(|| format!("`{text}` is not a time of day, expected for example \"22:00\""))
}

fn zone(name: &str, root: &Path) -> Result<TimeZone, String> {
    if name == LOCAL {
        let file = root.join("etc/localtime");
        // Below another root an absolute link means a place below that root.
        let file = match std::fs::read_link(&file) {
            Ok(target) if target.is_absolute() => root.join(target.strip_prefix("/").unwrap_or(&target)),
            _ => file,
        };
        let local = std::fs::read(file).ok();
        return Ok(local.and_then(|bytes| TimeZone::tzif(LOCAL, &bytes).ok()).unwrap_or(TimeZone::UTC));
    }
    if name == "UTC" {
        return Ok(TimeZone::UTC);
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/_+-.,:<>".contains(&byte);
    let plain = !name.is_empty() && name.len() <= LONGEST_ZONE && name.bytes().all(allowed);
    let inside = !name.starts_with('/') && !name.split('/').any(|part| part == "..");
    let file = || {
        let bytes = std::fs::read(root.join(ZONES).join(name)).ok()?;
        TimeZone::tzif(name, &bytes).ok()
    };
    let found = if plain && inside { file().or_else(|| TimeZone::posix(name).ok()) } else { None };
    found.ok_or_else(|| {
        format!(
            "`{name}` is not a time zone of this host, expected \"local\", a name such as \
             \"Europe/Vienna\", or a rule such as \"CET-1CEST,M3.5.0,M10.5.0/3\""
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(from: &str, to: &str, timezone: &str, days: &[&str]) -> QuietHours {
        QuietHours {
            from: Some(from.to_owned()),
            to: Some(to.to_owned()),
            timezone: timezone.to_owned(),
            days: days.iter().map(|day| (*day).to_owned()).collect(),
        }
    }

    fn wrong(hours: &QuietHours) -> String {
        let root = tempfile::tempdir().unwrap();
        let Err(Wrong { key, message }) = hours.read(root.path()) else { panic!("{hours:?} is fine") };
        format!("{key}: {message}")
    }

    #[test]
    fn hours_are_read_and_slips_are_named() {
        let read = hours("22:00", "07:30", "CET-1CEST,M3.5.0,M10.5.0/3", &["Fri", "sat"]);
        let model = read.model(Path::new("/nonexistent")).unwrap();
        assert_eq!((model.from, model.to), (Time::constant(22, 0, 0, 0), Time::constant(7, 30, 0, 0)));
        assert_eq!(model.days, [Weekday::Friday, Weekday::Saturday]);
        for (hours, expected) in [
            (hours("24:00", "07:00", "UTC", &[]), "from: `24:00` is not a time of day"),
            (hours("22:00", "7:00", "UTC", &[]), "to: `7:00` is not a time of day"),
            (hours("22:00", "22:00", "UTC", &[]), "to: the same as `from`"),
            (hours("22:00", "07:00", "UTC", &["monday"]), "days: `monday` is not a day, expected mon, tue"),
            (hours("22:00", "07:00", "Mars/Base", &[]), "timezone: `Mars/Base` is not a time zone"),
            (hours("22:00", "07:00", "../../etc/localtime", &[]), "timezone: "),
            (hours("22:00", "07:00", "", &[]), "timezone: "),
            (QuietHours { to: None, ..hours("22:00", "", "UTC", &[]) }, "to: missing beside `from`"),
            (QuietHours { from: None, ..hours("", "07:00", "UTC", &[]) }, "from: missing beside `to`"),
        ] {
            let message = wrong(&hours);
            assert!(message.starts_with(expected), "{message}");
        }
        assert_eq!(QuietHours::default().model(Path::new("/nonexistent")), None);
    }

    #[test]
    fn the_zone_of_the_host_is_found_below_the_root() {
        let root = tempfile::tempdir().unwrap();
        // The smallest file there is: one rule and no changes.
        let mut bytes = b"TZif2".to_vec();
        bytes.extend([0; 15]);
        for counts in [[0u32, 0, 0, 0, 1, 1], [0, 0, 0, 0, 1, 4]] {
            if bytes.len() > 20 {
                bytes.extend(b"TZif2");
                bytes.extend([0; 15]);
            }
            counts.iter().for_each(|count| bytes.extend(count.to_be_bytes()));
            let names: &[u8] = if counts[5] == 1 { b"\0" } else { b"CET\0" };
            let offset = if counts[5] == 1 { 0i32 } else { 3600 };
            bytes.extend(offset.to_be_bytes());
            bytes.extend([0, 0]);
            bytes.extend(names);
        }
        bytes.extend(b"\nCET-1\n");
        let folder = root.path().join(ZONES).join("Europe");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("Vienna"), &bytes).unwrap();
        std::fs::create_dir_all(root.path().join("etc")).unwrap();
        let link = root.path().join("etc/localtime");
        std::os::unix::fs::symlink("/usr/share/zoneinfo/Europe/Vienna", link).unwrap();
        for name in ["local", "Europe/Vienna"] {
            let zone = zone(name, root.path()).unwrap();
            assert_eq!(zone.to_offset(jiff::Timestamp::UNIX_EPOCH).seconds(), 3600, "{name}");
        }
        assert_eq!(zone("local", Path::new("/nonexistent")), Ok(TimeZone::UTC));
    }
}
