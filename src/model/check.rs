//! A check: something that must report in time, and its reports, the pings.

use std::fmt;

use serde::Serialize;

use crate::base::time::Timestamp;

/// How a check is. The order is that of the value of `holdfast_check_status`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    /// Nothing was reported since it was made or resumed.
    New,
    Up,
    /// Its period is over, its grace is not.
    Late,
    Down,
    /// Not expected to report.
    Paused,
}

impl CheckStatus {
    pub const ALL: [Self; 5] = [Self::New, Self::Up, Self::Late, Self::Down, Self::Paused];

    pub const fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Up => "up",
            Self::Late => "late",
            Self::Down => "down",
            Self::Paused => "paused",
        }
    }
}

/// Why a check is as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckReason {
    /// Nothing happened yet.
    Created,
    Succeeded,
    /// It reported a failure.
    Failed,
    /// No report within the period.
    Overdue,
    /// No report within period and grace.
    Missed,
    /// It reported a start, and no end in time.
    Overran,
    /// It reported a start.
    Started,
    Paused,
    Resumed,
    /// Its period or grace was changed.
    Rescheduled,
}

impl CheckReason {
    pub const ALL: [Self; 10] = [
        Self::Created,
        Self::Succeeded,
        Self::Failed,
        Self::Overdue,
        Self::Missed,
        Self::Overran,
        Self::Started,
        Self::Paused,
        Self::Resumed,
        Self::Rescheduled,
    ];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Overdue => "overdue",
            Self::Missed => "missed",
            Self::Overran => "overran",
            Self::Started => "started",
            Self::Paused => "paused",
            Self::Resumed => "resumed",
            Self::Rescheduled => "rescheduled",
        }
    }
}

/// What a ping says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PingKind {
    Success,
    Fail,
    Start,
    /// Only to be kept; changes nothing.
    Log,
}

impl PingKind {
    pub const ALL: [Self; 4] = [Self::Success, Self::Fail, Self::Start, Self::Log];
}

/// One report of a check.
#[derive(Clone, PartialEq, Debug, Serialize, utoipa::ToSchema)]
pub struct Ping {
    /// Counts up from 1 within its check.
    pub number: u64,
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    pub kind: PingKind,
    /// The exit status, where that was reported.
    pub exit: Option<u8>,
    /// Which of several overlapping runs reports.
    pub rid: Option<String>,
    /// From the start of the run to this, where both were reported.
    pub duration_seconds: Option<f64>,
    /// The first 10 kB of what was sent with it.
    pub body: String,
}

/// What names a check in the path of a ping. Who knows it can report for the check,
/// so it is printed only by [`PingId::text`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PingId(pub [u8; 16]);

impl PingId {
    /// A random UUID (RFC 9562, version 4) from random bytes.
    pub fn random(mut bytes: [u8; 16]) -> Self {
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Self(bytes)
    }

    /// Reads `8-4-4-4-12` hexadecimal digits, upper or lower case.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.as_bytes();
        if text.len() != 36 {
            return None;
        }
        let mut digits = [0; 32];
        let mut count = 0;
        for (at, byte) in text.iter().enumerate() {
            if matches!(at, 8 | 13 | 18 | 23) {
                if *byte != b'-' {
                    return None;
                }
                continue;
            }
            *digits.get_mut(count)? = char::from(*byte).to_digit(16)? as u8;
            count += 1;
        }
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair[0] << 4 | pair[1];
        }
        Some(Self(bytes))
    }

    pub fn text(&self) -> String {
        let hex = format!("{:032x}", u128::from_be_bytes(self.0));
        [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
    }
}

impl fmt::Debug for PingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(crate::base::secret::MASK)
    }
}

/// A run that started and did not end yet, as it is stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SavedRun {
    /// Empty for the run of pings without `rid`.
    pub rid: String,
    /// Id of its task.
    pub task: String,
    pub began: Timestamp,
}

/// A check as it is stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SavedCheck {
    pub id: PingId,
    pub status: CheckStatus,
    pub reason: CheckReason,
    pub since: Timestamp,
    /// The last success or failure.
    pub last_ping: Option<Timestamp>,
    pub last_duration_ms: Option<u64>,
    /// Pings so far, of every kind.
    pub pings: u64,
    /// Oldest first.
    pub runs: Vec<SavedRun>,
}

/// A check as it is shown. `uuid` and the addresses are null for who may not report.
#[derive(Clone, PartialEq, Debug, Serialize, utoipa::ToSchema)]
pub struct CheckView {
    pub name: String,
    pub slug: String,
    pub description: String,
    pub enabled: bool,
    pub status: CheckStatus,
    pub reason: CheckReason,
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// As in the file, e.g. `1d`.
    pub period: String,
    pub grace: String,
    /// After a start, until its end must be reported.
    pub start_timeout: String,
    /// The last success or failure.
    #[serde(serialize_with = "crate::model::event::rfc3339::option::serialize")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_ping: Option<Timestamp>,
    /// The newest start whose end was not reported yet.
    #[serde(serialize_with = "crate::model::event::rfc3339::option::serialize")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_start: Option<Timestamp>,
    /// Runs that started and did not end yet.
    pub running: usize,
    pub last_duration_seconds: Option<f64>,
    /// When it becomes late, and when down, unless it reports.
    #[serde(serialize_with = "crate::model::event::rfc3339::option::serialize")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_due: Option<Timestamp>,
    #[serde(serialize_with = "crate::model::event::rfc3339::option::serialize")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub down_at: Option<Timestamp>,
    /// Pings so far, of every kind.
    pub pings: u64,
    pub uuid: Option<String>,
    /// Where it reports, below the address of the agent: by its own id, ...
    pub ping_url: Option<String>,
    /// ... and by the ping key and its slug.
    pub slug_url: Option<String>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_id_is_a_uuid_and_is_not_printed() {
        let id = PingId::random([0xff; 16]);
        assert_eq!(id.text(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(PingId::parse("FFFFFFFF-ffff-4fff-bfff-ffffffffffff"), Some(id));
        assert_eq!(format!("{id:?}"), "***");
        for bad in ["", "ffffffffffff4fffbfffffffffffffffffff", "fffffffg-ffff-4fff-bfff-ffffffffffff"] {
            assert_eq!(PingId::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_id_reads_back(bytes: [u8; 16]) {
            prop_assert_eq!(PingId::parse(&PingId(bytes).text()), Some(PingId(bytes)));
        }

        #[test]
        fn reading_never_panics(text in "\\PC{0,40}|[0-9a-f-]{36}") {
            let _ = PingId::parse(&text);
        }
    }
}
