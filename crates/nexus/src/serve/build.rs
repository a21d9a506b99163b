//! Opens the store, recovers, and puts the hub together from the configuration.

use std::{
    fs::OpenOptions,
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
    sync::Arc,
};

use nexus_core::{
    access::{Principal, Scope},
    breaker::BreakerPolicy,
    plugin::NoPlugins,
    time::Clock,
    topic::TopicFilter,
};
use nexus_engine::{
    Hub, HubConfig, StartError,
    alerts::AlertTarget,
    connectors::Library,
    delivery::machine::Policy,
    desk::Desk,
    retention::{Keeping, RetentionRule},
    sources::EnvironmentSecrets,
    tokens::{NewToken, Tokens},
};
use nexus_flows::host::{Door, Flows};
use nexus_gateway::{GatewayConfig, Rooms};
use nexus_outbound::ClientOptions;
use nexus_services::{Registry, StateOptions, StateStore};
use nexus_store::{SqliteOptions, SqliteStore};

use super::{Plan, flows, functions, jwks, key::read_key, permissions, tls::TlsFiles};
use crate::{
    command::backup::whole,
    config::{Config, Data},
    output::{Failure, note},
};

/// A hub that has recovered and waits for its doors.
pub(super) struct Built {
    pub(super) rooms: Rooms,
    pub(super) store: Arc<SqliteStore>,
    pub(super) gateway: GatewayConfig,
}

/// Builds everything below the doors.
pub(super) async fn build(plan: &Plan, tls: Option<TlsFiles>) -> Result<Built, Failure> {
    let config = &plan.config;
    make_folder(&config.data.dir)?;
    let store = open_store(&config.data, plan.clock())?;
    let key = read_key(plan.given_key.as_deref(), plan.previous_keys.as_deref(), &config.data.key_path())?;
    let mut builder = Hub::builder(Arc::clone(&store) as Arc<_>, plan.clock(), key).config(hub_config(plan)?);
    if plan.test_clock {
        builder = builder.test_clock(plan.clock.clone());
    }
    let door = Door::default();
    let hub = door
        .attach(builder)
        .start()
        .await
        .map_err(|e| Failure::failed(format!("the hub can't start: {}", whole(&e))))?;
    permissions::start(&hub, plan.permissions.clone())?;
    first_token(&hub, &config.data.dir).await?;
    let gateway = GatewayConfig { tls: tls.map(|files| files.watch(&hub)), ..gateway_config(plan)? };
    let rooms = rooms(hub, config, state_options(plan), &door)
        .await
        .map_err(|e| Failure::failed(format!("the hub can't start: {}", whole(&e))))?;
    if let Some(dir) = plan.flow_files.clone() {
        flows::start(&rooms.hub, &rooms.flows, dir).await;
    }
    Ok(Built { rooms, store, gateway })
}

/// The hub's customers; their timers fire from here on.
async fn rooms(hub: Hub, config: &Config, state: StateOptions, door: &Door) -> Result<Rooms, StartError> {
    let plugins = Arc::new(NoPlugins);
    let registry = Registry::open(&hub, config.services.options(), Arc::clone(&plugins) as _).await?;
    let state = StateStore::open(&hub, state, plugins).await?;
    let flows = Flows::open(&hub, door).await?;
    if let Some(url) = &config.server.public_url {
        flows.reached_at(url);
    }
    functions::register(&flows, &registry, &state);
    flows.go_on(config.flows.history.0).await?;
    hub.start_timers();
    Ok(Rooms { hub, registry, state, flows })
}

fn state_options(plan: &Plan) -> StateOptions {
    let Config { state, data, .. } = &plan.config;
    StateOptions {
        history_versions: state.history_versions,
        history_age: state.history_age.0,
        file: state.file_in(&data.dir),
        snapshot_interval: state.snapshot_interval.0,
        policies: state.rules(),
    }
}

/// For its owner only: the log holds what customers sent.
fn make_folder(dir: &Path) -> Result<(), Failure> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|e| Failure::failed(format!("the data folder {} can't be made: {e}", dir.display())))
}

pub(super) fn open_store(data: &Data, clock: Arc<dyn Clock>) -> Result<Arc<SqliteStore>, Failure> {
    let collections = [Hub::collections(), nexus_services::collections(), nexus_flows::host::collections()].concat();
    let options = SqliteOptions {
        reader_count: data.readers,
        disk_reserve_bytes: data.disk_reserve.0,
        ..SqliteOptions::default()
    };
    let store = SqliteStore::open(&data.dir, &collections, clock, options)
        .map_err(|e| Failure::failed(format!("the store in {} can't be opened: {}", data.dir.display(), whole(&e))))?;
    Ok(Arc::new(store))
}

fn hub_config(plan: &Plan) -> Result<HubConfig, Failure> {
    let Config { delivery, alerts, retention, log, .. } = &plan.config;
    let discord = alerts.discord.as_ref().map(|url| AlertTarget::Discord { url: url.expose().to_owned() });
    let http = alerts.url.as_ref().map(|url| AlertTarget::Http { url: url.expose().to_owned() });
    let rules = retention.events.iter().map(|rule| {
        let filter =
            TopicFilter::parse(&rule.filter).map_err(|e| Failure::usage(format!("[[retention.events]]: {e}")))?;
        let (max_age, max_bytes) = (rule.age.map(|age| age.0), rule.size.map(|size| size.0));
        Ok(RetentionRule { filter, max_age, max_bytes, grace: rule.grace.0 })
    });
    let extra_ca = match &delivery.ca_file {
        None => Vec::new(),
        Some(file) => std::fs::read(file)
            .map_err(|e| Failure::usage(format!("[delivery] ca_file: {} can't be read: {e}", file.display())))?,
    };
    Ok(HubConfig {
        policy: Policy {
            breaker: BreakerPolicy { failures: delivery.breaker_failures, open_for: delivery.breaker_open.0 },
            disable_after: delivery.disable_after.0,
            open_exceptions: delivery.open_exceptions,
            key_waiters: delivery.key_waiters,
        },
        environment: EnvironmentSecrets {
            shared: plan.secrets.shared.clone(),
            shared_variable: plan.secrets.shared_variable.clone(),
            by_source: plan.secrets.by_source.clone(),
        },
        alerts: discord.into_iter().chain(http).collect(),
        keeping: Keeping { rules: rules.collect::<Result<_, Failure>>()?, receipts: retention.receipts.0 },
        client: ClientOptions {
            connect_timeout: delivery.connect_timeout.0,
            max_idle_per_host: delivery.idle_connections,
            pool_idle: delivery.idle_time.0,
            extra_ca,
            ..ClientOptions::default()
        },
        otlp_endpoint: log.otlp_endpoint.clone(),
        jwt: jwks::settings(&plan.config.jwt)?,
        connectors: Some(library(&plan.config.connectors.dir)),
    })
}

/// The connectors in the binary and those of the folder; what is wrong there is said, and left out.
fn library(dir: &Path) -> Library {
    let library = Library::shipped().with_folder(dir);
    for unusable in library.unusable() {
        tracing::warn!(file = %unusable.file, problem = %unusable.message, "a connector is left out");
    }
    library
}

fn gateway_config(plan: &Plan) -> Result<GatewayConfig, Failure> {
    let Config { server, ingress, data, .. } = &plan.config;
    let networks = server.trusted_proxies.iter().map(|text| text.parse().map_err(Failure::Usage));
    Ok(GatewayConfig {
        dev: plan.dev,
        test_clock: plan.test_clock,
        public_url: server.public_url.clone(),
        cors_origins: server.cors_origins.clone(),
        trusted_proxies: networks.collect::<Result<_, Failure>>()?,
        ingress_rate: ingress.rate_limit.0,
        publish_rate: ingress.publish_rate.0,
        api_rate: ingress.api_rate.0,
        stream_rate: ingress.stream_rate.0,
        frame_rate: ingress.frame_rate,
        connections: server.connections,
        sockets: server.sockets,
        header_timeout: server.header_timeout.0,
        body_timeout: server.body_timeout.0,
        heartbeat: server.heartbeat.0,
        scratch: data.dir.clone(),
        ..GatewayConfig::default()
    })
}

/// The first start leaves one token, so that there is a way in: in a file for this machine, and shown once. The file comes
/// first: a crash in between leaves one that opens nothing, and the next start makes another.
async fn first_token(hub: &Hub, dir: &Path) -> Result<(), Failure> {
    if !hub.tokens().is_empty() {
        return Ok(());
    }
    let token = admin_token(hub.tokens(), hub.desk(), dir, "admin").await?;
    let file = dir.join(nexus_client::discover::TOKEN_FILE);
    note(&format!("admin token, shown this once and kept in {}: {token}", file.display()));
    Ok(())
}

/// Makes a token that may do everything, and leaves it in the folder's file.
pub(super) async fn admin_token(tokens: &Arc<Tokens>, desk: &Desk, dir: &Path, name: &str) -> Result<String, Failure> {
    let (admin, by): (Scope, _) = ("admin".parse().map_err(Failure::Failed)?, Principal::admin("cli"));
    let new = NewToken { name: name.into(), scopes: vec![admin], expires_at: None };
    let plan = tokens.plan_create(new, &by).map_err(|e| Failure::failed(e.message))?;
    let Some(token) = plan.secret.clone() else { return Err(Failure::failed("the first token has no secret")) };
    let file = dir.join(nexus_client::discover::TOKEN_FILE);
    write_token(dir, &file, &token)
        .map_err(|e| Failure::failed(format!("{} can't be written: {e}", file.display())))?;
    plan.carry_out(desk).await.map_err(|e| Failure::failed(e.message))?;
    Ok(token)
}

/// On the disk, its name in the folder included.
fn write_token(dir: &Path, file: &Path, token: &str) -> std::io::Result<()> {
    let mut out = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file)?;
    // A file that was there already has the mode that somebody else gave it.
    out.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    writeln!(out, "{token}")?;
    out.sync_all()?;
    std::fs::File::open(dir)?.sync_all()
}
