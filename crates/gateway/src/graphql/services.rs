//! The registry: who is there, and how they are.

use async_graphql::{Context, ID, Object, Result, SimpleObject};
use nexus_core::problem::Problem;
use nexus_services::registry::{Filter, ServiceView, Status};

use super::{
    ask::{Ask, refusal},
    scalars::Json,
};

/// An instance of a service.
#[derive(SimpleObject)]
struct Service {
    id: ID,
    /// Shared by its instances.
    name: String,
    version: String,
    /// healthy, degraded, unhealthy or expired.
    status: String,
    /// Why, when it is not healthy.
    status_reason: Option<String>,
    host: String,
    port: u16,
    /// How it is spoken to.
    protocol: Json,
    capabilities: Vec<String>,
    /// Where it is checked.
    health_check_url: Option<String>,
    /// The load that it reported last.
    load: f64,
    /// Calls of this hub under way.
    in_flight: u32,
    /// Epoch seconds.
    last_heartbeat: f64,
    metadata: Json,
}

impl From<ServiceView> for Service {
    fn from(s: ServiceView) -> Self {
        let json = |value| Json(async_graphql::Value::from_json(value).unwrap_or_default());
        Self {
            id: s.id.into(),
            name: s.name,
            version: s.version,
            status: s.status.as_str().to_owned(),
            status_reason: s.status_reason,
            host: s.host,
            port: s.port,
            protocol: json(serde_json::json!(s.protocol)),
            capabilities: s.capabilities,
            health_check_url: s.health_check_url,
            load: s.load,
            in_flight: s.in_flight,
            last_heartbeat: s.last_heartbeat,
            metadata: json(serde_json::Value::Object(s.metadata)),
        }
    }
}

/// Questions about services.
#[derive(Default)]
pub(crate) struct ServicesQuery;

#[Object]
impl ServicesQuery {
    /// Services that are registered, as the REST list has them; all conditions must hold.
    #[graphql(complexity = "5 + 20 * child_complexity")]
    async fn services(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Of this name")] name: Option<String>,
        #[graphql(desc = "With this capability")] capability: Option<String>,
        #[graphql(desc = "healthy, degraded, unhealthy or expired")] status: Option<String>,
    ) -> Result<Vec<Service>> {
        let ask = Ask::may(ctx, "services:read")?;
        let status = status.map(|text| text.parse::<Status>()).transpose();
        let status = status.map_err(|reason| refusal(&Problem::field("status", reason)))?;
        let filter = Filter {
            name,
            capabilities: capability.into_iter().collect(),
            status: status.into_iter().collect(),
            ..Filter::default()
        };
        Ok(ask.gate.registry.list(&filter).into_iter().map(Service::from).collect())
    }
}
