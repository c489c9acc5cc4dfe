//! How bad an alert is: one ordinal scale, and the words that each API family has for it.
//!
//! A family's word may cover several severities; on input every family accepts any word
//! of any of them, in any case. One would get it wrong by storing a family's word: what
//! is `WARNING` for one is two severities for another.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Lowest first; `>=` means at least as severe.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, utoipa::ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum Severity {
    Info,
    Low,
    #[default]
    Medium,
    High,
    Critical,
    Emergency,
}

impl Severity {
    pub const ALL: [Self; 6] =
        [Self::Info, Self::Low, Self::Medium, Self::High, Self::Critical, Self::Emergency];

    /// The canonical word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
            Self::Emergency => "emergency",
        }
    }

    /// Facility, gateway and object-store families.
    pub const fn facility_word(self) -> &'static str {
        match self {
            Self::Info | Self::Low => "LOW",
            Self::Medium => "MEDIUM",
            Self::High => "HIGH",
            Self::Critical | Self::Emergency => "CRITICAL",
        }
    }

    /// Appliance family.
    pub const fn appliance_word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low | Self::Medium | Self::High => "warning",
            Self::Critical | Self::Emergency => "critical",
        }
    }

    /// Orchestrator family.
    pub const fn orchestrator_word(self) -> &'static str {
        match self {
            Self::Info | Self::Low => "INFO",
            Self::Medium | Self::High => "WARNING",
            Self::Critical => "CRITICAL",
            Self::Emergency => "EMERGENCY",
        }
    }

    /// Reads a word of any family, in any case; `warning` means medium.
    pub fn parse(text: &str) -> Option<Self> {
        let word = text.trim().to_ascii_lowercase();
        if word == "warning" {
            return Some(Self::Medium);
        }
        Self::ALL.into_iter().find(|severity| severity.word() == word)
    }

    /// 0 for info to 5 for emergency: how it is stored and exported as a series.
    pub const fn rank(self) -> u8 {
        self as u8
    }

    pub fn of_rank(rank: u8) -> Option<Self> {
        Self::ALL.get(usize::from(rank)).copied()
    }
}

impl std::fmt::Display for Severity {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.word())
    }
}

impl Serialize for Severity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

impl<'de> Deserialize<'de> for Severity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "`{text}` is not a severity; expected info, low, medium, high, critical or emergency"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_is_ordinal_and_every_family_has_its_words() {
        assert!(Severity::ALL.is_sorted());
        let words = |word: fn(Severity) -> &'static str| Severity::ALL.map(word);
        assert_eq!(words(Severity::facility_word), ["LOW", "LOW", "MEDIUM", "HIGH", "CRITICAL", "CRITICAL"]);
        assert_eq!(
            words(Severity::appliance_word),
            ["info", "warning", "warning", "warning", "critical", "critical"]
        );
        assert_eq!(
            words(Severity::orchestrator_word),
            ["INFO", "INFO", "WARNING", "WARNING", "CRITICAL", "EMERGENCY"]
        );
    }

    #[test]
    fn any_word_in_any_case_is_read() {
        for severity in Severity::ALL {
            for word in [severity.word(), &severity.word().to_uppercase()] {
                assert_eq!(Severity::parse(word), Some(severity));
            }
            assert_eq!(Severity::of_rank(severity.rank()), Some(severity));
        }
        assert_eq!(Severity::parse(" WARNING "), Some(Severity::Medium));
        for wrong in ["", "warn", "severe", "5"] {
            assert_eq!(Severity::parse(wrong), None, "{wrong}");
        }
    }
}
