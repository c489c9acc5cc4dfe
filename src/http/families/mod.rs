//! The surfaces of five earlier systems, one file each.
//!
//! Each is a view: it adds names and shapes to what the canonical surface has, and
//! never state or logic.

pub mod admin_backup;
pub mod admin_dashboard;
pub mod admin_profile;
pub mod admin_rules;
pub mod admin_services;
pub mod admin_views;
pub mod facility;
pub mod facility_enable;
pub mod facility_failover;
pub mod facility_metrics;
pub mod facility_status;
pub mod gateway;
pub mod gateway_admin_store;
pub mod gateway_stats;
pub mod object_store;
pub mod orchestrator;
pub mod orchestrator_metrics;
pub mod orchestrator_status;

use super::registry::Registry;

/// Every route of every family.
pub fn routes<R: Registry>(registry: R) -> R {
    registry
        .routes(facility::routes)
        .routes(facility_metrics::routes)
        .routes(facility_status::routes)
        .routes(facility_failover::routes)
        .routes(gateway::routes)
        .routes(gateway_stats::routes)
        .routes(admin_views::routes)
        .routes(admin_services::routes)
        .routes(admin_dashboard::routes)
        .routes(admin_rules::routes)
        .routes(admin_profile::routes)
        .routes(admin_backup::routes)
        .routes(gateway_admin_store::routes)
        .routes(orchestrator::routes)
        .routes(orchestrator_status::routes)
        .routes(orchestrator_metrics::routes)
        .routes(object_store::routes)
}
