//! Routes.
use utoipa_actix_web::service_config::ServiceConfig;

/// Mounts the routes.
pub fn routes(_: &mut ServiceConfig) {}
