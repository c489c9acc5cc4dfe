//! The surfaces of five earlier systems, one file each.
//!
//! Each is a view: it adds names and shapes to what the canonical surface has, and
//! never state or logic.

pub mod facility;
pub mod facility_enable;
pub mod facility_failover;
pub mod facility_metrics;
pub mod facility_status;
pub mod gateway;
pub mod object_store;
pub mod orchestrator;

use super::registry::Registry;

/// Every route of every family.
pub fn routes<R: Registry>(registry: R) -> R {
    registry
        .routes(facility::routes)
        .routes(facility_metrics::routes)
        .routes(facility_status::routes)
        .routes(facility_failover::routes)
        .routes(gateway::routes)
        .routes(orchestrator::routes)
        .routes(object_store::routes)
}
