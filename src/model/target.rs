//! The state of a target as its last probes showed it.

use serde::Serialize;

use super::breaker::BreakerState;
use super::connections::Connections;
use super::probe::{OutcomeClass, ProbeRecord};
use crate::base::time::Timestamp;

/// See `/api/v1/targets`.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct TargetStatus {
    pub name: String,
    pub kind: String,
    /// Host and port, or endpoint and bucket; no credentials.
    pub address: String,
    pub interval_ms: u64,
    /// Whether it is probed at all.
    pub enabled: bool,
    pub breaker: BreakerState,
    /// Class of the last probe; absent before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<OutcomeClass>,
    /// Since when the class is what it is.
    #[serde(with = "crate::model::event::rfc3339::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
    /// Over the probes of the last hour, at most 3,600 of them.
    pub probes: u64,
    pub failed: u64,
    pub error_share: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p95_ms: Option<f64>,
    /// Of kinds that keep some; absent before the first probe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<Connections>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<ProbeRecord>,
}
