//! `nexus connections`: accounts at outside services.

use clap::{Args, Subcommand};
use nexus_client::connector::{Connection, ConnectionPatch, NewConnection};
use serde_json::{Map, Value};

use super::secret::read_value;
use crate::{
    cli::Global,
    output::{Failure, note, table, text},
};

/// What can be done with connections.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List connections and how they are
    List {
        /// Of this connector
        #[arg(long)]
        connector: Option<String>,
    },
    /// Make a connection; set its secrets afterwards with set-secret
    Add(Add),
    /// Change settings or scopes
    Set(Set),
    /// Set a secret; without VALUE it is read from standard input
    SetSecret {
        /// Name of the connection
        name: String,
        /// Name of the secret, as `nexus connectors show` lists it
        secret: String,
        /// The secret; an argument is seen by whoever lists processes, standard input is not
        value: Option<String>,
    },
    /// Print the address where a person agrees (OAuth)
    Authorize {
        /// Name of the connection
        name: String,
        /// The hub's own address as the browser reaches it, ending in /oauth/callback [default: from server.public_url]
        #[arg(long, value_name = "URL")]
        callback: Option<String>,
    },
    /// Switch a connection on again
    Enable {
        /// Its name
        name: String,
    },
    /// Switch a connection off
    Disable {
        /// Its name
        name: String,
    },
    /// Take a connection out, with its secrets
    Remove {
        /// Its name
        name: String,
    },
}

/// `nexus connections add`
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// Its name
    name: String,
    /// Its connector
    #[arg(long)]
    connector: String,
    #[command(flatten)]
    set: Given,
}

/// `nexus connections set`
#[derive(Debug, Args)]
pub(crate) struct Set {
    /// Its name
    name: String,
    #[command(flatten)]
    set: Given,
}

#[derive(Debug, Args)]
struct Given {
    /// KEY=VALUE, a setting; repeat it for several
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = pair)]
    settings: Vec<(String, String)>,
    /// A scope: for OAuth one to ask for, otherwise one that the secret was granted; repeat it for several
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
}

impl Given {
    fn settings(&self) -> Map<String, Value> {
        self.settings.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect()
    }

    fn scopes(&self) -> Option<Vec<String>> {
        (!self.scopes.is_empty()).then(|| self.scopes.clone())
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

pub(crate) async fn run(global: &Global, command: Command) -> Result<(), Failure> {
    let (hub, screen) = (global.client()?, global.screen());
    let told = |connection: Connection, done: &str| {
        screen.either(&connection, || {
            let why = connection.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
            format!("{done} {}, which is {}{why}", connection.name, connection.state)
        })
    };
    match command {
        Command::List { connector } => {
            let page = hub.connections(connector.as_deref()).await?;
            screen.either(&page.items, || listed(&page.items))
        }
        Command::Add(Add { name, connector, set }) => {
            let new =
                NewConnection { name, connector, settings: set.settings(), secrets: Map::new(), scopes: set.scopes() };
            told(hub.create_connection(&new).await?, "made")
        }
        Command::Set(Set { name, set }) => {
            let patch = ConnectionPatch { settings: set.settings(), scopes: set.scopes(), enabled: None };
            told(hub.update_connection(&name, &patch).await?, "changed")
        }
        Command::SetSecret { name, secret, value } => {
            let value = value.map_or_else(read_value, Ok)?;
            told(hub.put_connection_secret(&name, &secret, &value).await?, "changed")
        }
        Command::Authorize { name, callback } => {
            let begun = hub.authorize_connection(&name, callback.as_deref()).await?;
            if !global.json {
                note("open this address within ten minutes; it is good once");
            }
            screen.either(&begun, || text(&begun, "url"))
        }
        Command::Enable { name } => {
            let patch = ConnectionPatch { enabled: Some(true), ..ConnectionPatch::default() };
            told(hub.update_connection(&name, &patch).await?, "switched on")
        }
        Command::Disable { name } => {
            let patch = ConnectionPatch { enabled: Some(false), ..ConnectionPatch::default() };
            told(hub.update_connection(&name, &patch).await?, "switched off")
        }
        Command::Remove { name } => {
            let gone = hub.remove_connection(&name).await?;
            screen.either(&gone, || format!("removed {name}"))
        }
    }
}

/// Why nothing is sent by a connection that is connected.
fn rests(connection: &Connection) -> Option<String> {
    let health = connection.more.get("health")?;
    let last = text(health, "last_error");
    match text(health, "breaker").as_str() {
        "open" => Some(format!("rests after several failures; at last: {last}")),
        "half_open" => Some(format!("one call may try whether it works again; at last: {last}")),
        _ => None,
    }
}

fn listed(connections: &[Connection]) -> String {
    let row = |c: &Connection| {
        let reason = c.reason.clone().or_else(|| rests(c)).unwrap_or_default();
        vec![c.name.clone(), c.connector.clone(), c.state.clone(), reason]
    };
    let rows: Vec<_> = connections.iter().map(row).collect();
    let nothing = "no connections; make one with `nexus connections add NAME --connector CONNECTOR`";
    table(&["name", "connector", "state", "why"], &rows, nothing)
}
