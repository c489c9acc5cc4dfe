//! The surfaces of five earlier systems, one file each.
//!
//! Each is a view: it adds names and shapes to what the canonical surface has, and
//! never state or logic.

pub mod facility;
pub mod facility_enable;
pub mod facility_failover;
pub mod gateway;
pub mod object_store;
pub mod orchestrator;

use utoipa_axum::router::OpenApiRouter;

use super::state::AppState;

/// Every route of every family.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .merge(facility::routes())
        .merge(facility_failover::routes())
        .merge(gateway::routes())
        .merge(orchestrator::routes())
        .merge(object_store::routes())
}
