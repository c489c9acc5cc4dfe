//! How the agent does with the memory it may have.

use serde::Serialize;

use crate::base::time::Timestamp;

/// How hard memory presses. Each step makes the agent keep less.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = MemoryPressure)]
pub enum Pressure {
    #[default]
    None,
    Low,
    High,
    Critical,
}

impl Pressure {
    pub const ALL: [Self; 4] = [Self::None, Self::Low, Self::High, Self::Critical];

    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Low => "low",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// 0 to 3, as the series has it.
    pub const fn step(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Low => 1,
            Self::High => 2,
            Self::Critical => 3,
        }
    }
}

/// Whose memory is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = MemoryScope)]
pub enum Scope {
    /// The process, against `memory.limit`.
    Process,
    /// Its control group, or one around it, against the group's own limit.
    Group,
}

/// Memory that is in use, of what may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = MemoryUse)]
pub struct Use {
    pub scope: Scope,
    pub used_bytes: u64,
    pub limit_bytes: u64,
}

impl Use {
    /// 1 is all there is; without a limit nothing is used.
    pub fn share(&self) -> f64 {
        if self.limit_bytes == 0 { 0.0 } else { self.used_bytes as f64 / self.limit_bytes as f64 }
    }
}

/// What was seen at one look.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Reading {
    /// Resident memory of the process, bytes.
    pub resident: Option<u64>,
    /// The tightest first.
    pub uses: Vec<Use>,
    /// Share of the last ten seconds in which something waited for memory, percent.
    pub waited_percent: Option<f64>,
}

/// Something that keeps what it could get again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = MemoryCache)]
pub struct CacheSize {
    pub name: &'static str,
    pub bytes: u64,
}

/// The memory budget as it is shown.
#[derive(Clone, PartialEq, Debug, Default, Serialize, utoipa::ToSchema)]
#[schema(as = MemoryBudget)]
pub struct MemoryView {
    /// Whether the agent looks and gives back at all.
    pub enabled: bool,
    pub pressure: Pressure,
    /// Since when the pressure is what it is; null before the first look.
    #[serde(with = "crate::model::event::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
    /// Resident memory of the process.
    pub resident_bytes: Option<u64>,
    /// The tightest limit first; empty where there is none.
    pub limits: Vec<Use>,
    /// Share of the last ten seconds in which something waited for memory, 0..=100; null
    /// where the kernel does not tell.
    pub waited_percent: Option<f64>,
    /// What the agent keeps and gives back under pressure.
    pub caches: Vec<CacheSize>,
}
