//! `[memory]`

use serde::{Deserialize, Serialize};

use super::check::Checker;
use crate::base::units::ByteSize;

/// Below this the agent does not run at all.
const SMALLEST: ByteSize = ByteSize::mebibytes(8);

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Memory {
    /// Give caches back when memory becomes short.
    pub budget: bool,
    /// Resident memory that the process should stay below; control groups have their own.
    pub limit: Option<ByteSize>,
}

impl Default for Memory {
    fn default() -> Self {
        Self { budget: true, limit: None }
    }
}

impl Memory {
    /// Says what is wrong.
    pub fn check(&self, checker: &mut Checker<'_>) {
        if let Some(limit) = self.limit.filter(|limit| *limit < SMALLEST) {
            checker.say("memory.limit", format!("{limit} is too little, expected {SMALLEST} or more"));
        }
    }
}
