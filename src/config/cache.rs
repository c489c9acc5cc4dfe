//! `[cache]`

use serde::{Deserialize, Serialize};

use super::check::Checker;
use crate::base::units::Span;

const SHORTEST: Span = Span::from_secs(1);
const LONGEST: Span = Span::from_secs(86_400);

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cache {
    /// Keep answers to queries over a range for whoever asks the same.
    pub enabled: bool,
    /// An answer is kept so long at most; one that ends now no longer than its step.
    pub ttl: Span,
}

impl Default for Cache {
    fn default() -> Self {
        Self { enabled: true, ttl: Span::from_secs(300) }
    }
}

impl Cache {
    /// Says what is wrong.
    pub fn check(&self, checker: &mut Checker<'_>) {
        let ttl = self.ttl;
        if ttl < SHORTEST || ttl > LONGEST {
            checker.say("cache.ttl", format!("{ttl} is out of range, expected {SHORTEST} to {LONGEST}"));
        }
    }
}
