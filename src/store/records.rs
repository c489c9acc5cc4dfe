//! What is stored, field by field, apart from the model.
//!
//! The model's structs follow the needs of the interfaces; these follow nothing
//! but the bytes on disk, so a field added to the model cannot change the file
//! behind our back. One would get it wrong by storing the model's types directly:
//! their serde attributes are made for JSON and would read back as something
//! else.

use serde::{Deserialize, Serialize};

use super::record::Record;
use crate::base::id::Name;
use crate::base::time::Timestamp;
use crate::model::access::{AuditEntry, Scope, Token};
use crate::model::probe::{OperationOutcome, OutcomeClass, ProbeRecord};

/// A blob of a tier: `(start, end]` in hours since the epoch, and its length.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Holding {
    pub start: u32,
    pub end: u32,
    pub len: u64,
}

impl Record for Holding {
    const NAME: &'static str = "holdfast::Holding";
    const VERSION: u8 = 1;
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TokenRecord {
    name: String,
    digest: [u8; 32],
    /// Words of the scopes; a word this version does not know is kept out.
    scopes: Vec<String>,
    created_at: i64,
    expires_at: Option<i64>,
}

impl Record for TokenRecord {
    const NAME: &'static str = "holdfast::Token";
    const VERSION: u8 = 1;
}

impl TokenRecord {
    pub fn of(token: &Token) -> Self {
        Self {
            name: token.name.clone(),
            digest: token.digest,
            scopes: token.scopes.iter().map(|scope| scope.word().to_owned()).collect(),
            created_at: token.created_at.millis(),
            expires_at: token.expires_at.map(Timestamp::millis),
        }
    }

    pub fn token(self, id: &str) -> Token {
        let known = |word: &String| Scope::ALL.into_iter().find(|scope| scope.word() == word);
        Token {
            id: id.to_owned(),
            name: self.name,
            digest: self.digest,
            scopes: self.scopes.iter().filter_map(known).collect(),
            created_at: Timestamp(self.created_at),
            expires_at: self.expires_at.map(Timestamp),
        }
    }
}

/// A configuration document as JSON text.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OverlayRecord {
    pub json: String,
}

impl Record for OverlayRecord {
    const NAME: &'static str = "holdfast::Overlay";
    const VERSION: u8 = 1;
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AuditRecord {
    at: i64,
    who: String,
    action: String,
    object: String,
    detail: String,
}

impl Record for AuditRecord {
    const NAME: &'static str = "holdfast::Audit";
    const VERSION: u8 = 1;
}

impl AuditRecord {
    pub fn of(entry: &AuditEntry) -> Self {
        Self {
            at: entry.at.millis(),
            who: entry.who.clone(),
            action: entry.action.clone(),
            object: entry.object.clone(),
            detail: entry.detail.clone(),
        }
    }

    pub fn action(&self) -> &str {
        &self.action
    }

    pub fn entry(self) -> AuditEntry {
        AuditEntry {
            at: Timestamp(self.at),
            who: self.who,
            action: self.action,
            object: self.object,
            detail: self.detail,
        }
    }
}

/// A probe; classes as their place in [`OutcomeClass::ALL`].
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct StoredProbe {
    target: String,
    kind: String,
    at: i64,
    class: u8,
    latency_ms: f64,
    operations: Vec<StoredOperation>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct StoredOperation {
    operation: String,
    class: u8,
    code: String,
    detail: String,
    latency_ms: f64,
}

impl Record for StoredProbe {
    const NAME: &'static str = "holdfast::Probe";
    const VERSION: u8 = 1;
}

fn class_number(class: OutcomeClass) -> u8 {
    OutcomeClass::ALL.iter().position(|known| *known == class).unwrap_or(0) as u8
}

/// A class of a newer version reads as the worst one.
fn class_of(number: u8) -> OutcomeClass {
    OutcomeClass::ALL.get(usize::from(number)).copied().unwrap_or(OutcomeClass::Hard)
}

impl StoredProbe {
    pub fn of(probe: &ProbeRecord) -> Self {
        let operation = |outcome: &OperationOutcome| StoredOperation {
            operation: outcome.operation.clone(),
            class: class_number(outcome.class),
            code: outcome.code.clone(),
            detail: outcome.detail.clone(),
            latency_ms: outcome.latency_ms,
        };
        Self {
            target: probe.target.as_str().to_owned(),
            kind: probe.kind.clone(),
            at: probe.at.millis(),
            class: class_number(probe.class),
            latency_ms: probe.latency_ms,
            operations: probe.operations.iter().map(operation).collect(),
        }
    }

    pub fn target(&self) -> &str {
        &self.target
    }

    pub fn at(&self) -> i64 {
        self.at
    }

    /// Absent when the stored target is no valid name.
    pub fn probe(self) -> Option<ProbeRecord> {
        let operation = |stored: StoredOperation| OperationOutcome {
            operation: stored.operation,
            class: class_of(stored.class),
            code: stored.code,
            detail: stored.detail,
            latency_ms: stored.latency_ms,
        };
        Some(ProbeRecord {
            target: Name::new(self.target).ok()?,
            kind: self.kind,
            at: Timestamp(self.at),
            class: class_of(self.class),
            latency_ms: self.latency_ms,
            operations: self.operations.into_iter().map(operation).collect(),
        })
    }
}

/// What one flush writes, as one blob: the samples of all series and whatever
/// rides along.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct FlushRecord {
    /// Newest sample or probe inside, ms.
    pub last: i64,
    /// A block of `ring/`, which writes its own version; empty when only probes came.
    pub samples: Vec<u8>,
    pub probes: Vec<StoredProbe>,
}

impl Record for FlushRecord {
    const NAME: &'static str = "holdfast::Flush";
    const VERSION: u8 = 1;
}

#[cfg(test)]
#[path = "tests/golden.rs"]
mod golden;
