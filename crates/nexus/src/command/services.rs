//! `nexus services`: who is registered, how they are, and calling them.

use clap::{Args, Subcommand};
use nexus_client::service::{InvokeOptions, NewService, Service, ServiceFilter};
use serde_json::Value;

use crate::{
    cli::Global,
    output::{Failure, object, plain, table},
};

/// What can be done with services.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List registered services and how they are
    List(List),
    /// Show the instance of an id, or all of a name
    Show {
        /// Name or id
        name: String,
    },
    /// Register an instance, or update the one of this id
    Register(Register),
    /// Take an instance out
    Deregister {
        /// Its id
        id: String,
    },
    /// Call a service through the hub
    Invoke(Invoke),
}

/// `nexus services list`
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Of this name
    #[arg(long)]
    name: Option<String>,
    /// That can do this; repeat it for several, all of which are wanted
    #[arg(long = "capability", value_name = "CAPABILITY")]
    capabilities: Vec<String>,
    /// healthy, degraded, unhealthy or expired; repeat it for several
    #[arg(long, value_name = "STATUS")]
    status: Vec<String>,
    /// KEY=VALUE that its metadata say; repeat it for several
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    metadata: Vec<(String, String)>,
}

/// `nexus services register`
#[derive(Debug, Args)]
pub(crate) struct Register {
    /// Unique; the same id again updates it
    id: String,
    /// Host name or address
    #[arg(long)]
    host: String,
    /// Port
    #[arg(long)]
    port: u16,
    /// Shared by its instances [default: the id]
    #[arg(long)]
    name: Option<String>,
    /// Its version
    #[arg(long, value_name = "VERSION")]
    service_version: Option<String>,
    /// http or https
    #[arg(long)]
    protocol: Option<String>,
    /// What it can do; repeat it for several
    #[arg(long = "capability", value_name = "CAPABILITY")]
    capabilities: Vec<String>,
    /// Path or URL of its health check [default: its port is knocked at]
    #[arg(long, value_name = "URL")]
    health: Option<String>,
    /// KEY=VALUE, where a value that is JSON is taken as such; repeat it for several
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    metadata: Vec<(String, String)>,
    /// It promises a heartbeat this often at least
    #[arg(long, value_name = "SECONDS")]
    ttl: Option<u64>,
}

/// `nexus services invoke`
#[derive(Debug, Args)]
pub(crate) struct Invoke {
    /// Name of the service, or id of an instance
    name: String,
    /// Any JSON
    #[arg(default_value = "null")]
    body: String,
    /// For the whole call, for example 500ms
    #[arg(long)]
    timeout: Option<String>,
    /// least_loaded, round_robin, weighted or consistent_hash
    #[arg(long)]
    strategy: Option<String>,
    /// The same key goes to the same instance
    #[arg(long)]
    key: Option<String>,
    /// Makes a repeat harmless, so that another instance may be tried
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

pub(crate) async fn run(global: &Global, command: Command) -> Result<(), Failure> {
    let (hub, screen) = (global.client()?, global.screen());
    match command {
        Command::List(List { name, capabilities, status, metadata }) => {
            let found = hub.services(&ServiceFilter { name, capabilities, status, metadata }).await?;
            screen.either(&found, || listed(&found))
        }
        Command::Show { name } => {
            let found = hub.service(&name).await?;
            screen.either(&found, || match found.as_slice() {
                [one] => serde_json::to_value(one).map_or_else(|e| e.to_string(), |v| object(&v)),
                several => listed(several),
            })
        }
        Command::Register(new) => {
            let service = hub.register_service(&described(new)).await?;
            screen.either(&service, || format!("registered {} of {}: {}", service.id, service.name, service.status))
        }
        Command::Deregister { id } => {
            let gone = hub.deregister_service(&id).await?;
            screen.either(&gone, || format!("deregistered {id}"))
        }
        Command::Invoke(Invoke { name, body, timeout, strategy, key, idempotency_key }) => {
            let body: Value =
                serde_json::from_str(&body).map_err(|e| Failure::usage(format!("the body is no JSON: {e}")))?;
            let hub = match timeout.as_deref().map(nexus_core::retry::parse_duration) {
                Some(Ok(limit)) => hub.timeout(limit + std::time::Duration::from_secs(5)),
                Some(Err(error)) => return Err(Failure::usage(format!("--timeout: {error}"))),
                None => hub,
            };
            let options = InvokeOptions { timeout, strategy, key, idempotency_key };
            let answer = hub.invoke(&name, &body, &options).await?;
            screen.either(&answer, || plain(&answer))
        }
    }
}

fn described(new: Register) -> NewService {
    let value = |text: String| serde_json::from_str(&text).unwrap_or(Value::String(text));
    NewService {
        id: new.id,
        name: new.name,
        version: new.service_version,
        host: new.host,
        port: new.port,
        protocol: new.protocol,
        capabilities: new.capabilities,
        health_check_url: new.health,
        metadata: new.metadata.into_iter().map(|(key, text)| (key, value(text))).collect(),
        load: None,
        ttl_seconds: new.ttl,
    }
}

fn listed(services: &[Service]) -> String {
    let rows: Vec<_> = services
        .iter()
        .map(|s| {
            let reason = s.status_reason.clone().unwrap_or_default();
            let place = format!("{}://{}:{}", s.protocol, s.host, s.port);
            vec![s.id.clone(), s.name.clone(), s.status.clone(), place, s.capabilities.join(", "), reason]
        })
        .collect();
    let nothing = "no services; register one with `nexus services register ID --host HOST --port PORT`";
    table(&["id", "name", "status", "at", "can", "why"], &rows, nothing)
}
