//! `[auth]`

use serde::{Deserialize, Serialize};

use super::check::Checker;
use crate::base::secret::Secret;
use crate::base::units::Span;

const SHORTEST_IDLE: Span = Span::from_secs(60);
const LONGEST_SESSION: Span = Span::from_secs(90 * 86_400);
/// A key of fewer bytes can be guessed.
const SHORTEST_KEY: usize = 16;

/// What loopback may do without a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Anonymous {
    #[default]
    Read,
    None,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    pub anonymous: Anonymous,
    /// Further Host names that requests may name.
    pub allowed_hosts: Vec<String>,
    /// A further token of the scope `admin`, for whoever hands out secrets by file or variable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_key: Option<Secret>,
    /// A login of the page ends when it was not used for so long, and after `session_max` in
    /// any case.
    pub session_idle: Span,
    pub session_max: Span,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            anonymous: Anonymous::default(),
            allowed_hosts: Vec::new(),
            admin_key: None,
            session_idle: Span::from_secs(12 * 3600),
            session_max: Span::from_secs(7 * 86_400),
        }
    }
}

impl Auth {
    /// Says what is wrong.
    pub fn check(&self, checker: &mut Checker<'_>) {
        let Self { session_idle, session_max, .. } = self;
        if *session_idle < SHORTEST_IDLE {
            let message = format!("{session_idle} is too short, expected at least {SHORTEST_IDLE}");
            checker.say("auth.session_idle", message);
        }
        if session_max < session_idle || *session_max > LONGEST_SESSION {
            let message = format!("{session_max}, expected `session_idle` to {LONGEST_SESSION}");
            checker.say("auth.session_max", message);
        }
        if self.admin_key.as_ref().is_some_and(Secret::is_empty) {
            checker.say("auth.admin_key", "is empty, expected a key of 16 bytes or more");
        }
    }

    /// What is not wrong, but probably not meant.
    pub fn warning(&self) -> Option<String> {
        let short = |key: &Secret| key.expose().len() < SHORTEST_KEY;
        self.admin_key
            .as_ref()
            .is_some_and(short)
            .then(|| format!("auth.admin_key: it has fewer than {SHORTEST_KEY} bytes, so it can be guessed"))
    }
}
