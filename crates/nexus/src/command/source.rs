//! `nexus source`: who may send events in.

use clap::{Args, Subcommand};
use nexus_client::source::{NewSource, Source};

use crate::{
    cli::Global,
    output::{Failure, object, table},
};

/// What can be done with sources.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Add a source; without --secret the hub makes one and shows it once
    Add(Add),
    /// List sources
    List,
    /// Show one source
    Show {
        /// Its id
        id: String,
    },
    /// Remove a source; what it sent stays in the log
    Remove {
        /// Its id
        id: String,
    },
    /// Give a source a new secret; older ones are accepted for the overlap
    Rotate {
        /// Its id
        id: String,
        /// The new secret; without it the hub makes one and shows it once
        #[arg(long)]
        secret: Option<String>,
        /// How long older secrets are still accepted, for example 24h
        #[arg(long, value_parser = nexus_core::retry::parse_duration, default_value = "24h")]
        overlap: std::time::Duration,
    },
}

/// `nexus source add`
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// Its id: a-z, 0-9, _ and -
    id: String,
    /// How it proves itself: nexus, flowpay, factory, standard-webhooks, github, stripe, …
    #[arg(long)]
    preset: Option<String>,
    /// A shared secret; repeat it for several
    #[arg(long = "secret", value_name = "SECRET")]
    secrets: Vec<String>,
    /// An event type or filter that it may dispatch; repeat it for several. None given = every type
    #[arg(long, value_name = "TYPE")]
    allow: Vec<String>,
    /// Requests per client address, for example 10/s, or off
    #[arg(long, value_name = "RATE")]
    rate_limit: Option<String>,
    /// How long a repeat of an event is known as one, for example 2h; 24h when absent
    #[arg(long, value_name = "TIME")]
    idempotency_window: Option<String>,
    /// Refuse event types that are neither built in nor named by --allow
    #[arg(long)]
    closed: bool,
    /// jq from the parsed body to {event, payload, subject?}, instead of the preset's mapping
    #[arg(long, value_name = "JQ")]
    mapping: Option<String>,
}

pub(crate) async fn run(global: &Global, command: Command) -> Result<(), Failure> {
    let (hub, screen) = (global.client()?, global.screen());
    match command {
        Command::Add(add) => {
            let new = NewSource {
                id: add.id,
                preset: add.preset,
                secrets: add.secrets,
                allow: add.allow,
                rate_limit: add.rate_limit,
                idempotency_window: add.idempotency_window,
                closed: add.closed,
                mapping: add.mapping,
            };
            let source = hub.add_source(&new).await?;
            screen.either(&source, || format!("added source {}{}", source.id, shown_once(&source)))
        }
        Command::List => {
            let page = hub.sources().await?;
            screen.either(&page.items, || {
                let rows: Vec<_> = page.items.iter().map(row).collect();
                table(&["id", "preset", "on", "may dispatch"], &rows, "no sources; add one with `nexus source add ID`")
            })
        }
        Command::Show { id } => {
            let source = hub.source(&id).await?;
            screen.either(&source, || serde_json::to_value(&source).map_or_else(|e| e.to_string(), |v| object(&v)))
        }
        Command::Remove { id } => {
            let gone = hub.remove_source(&id).await?;
            screen.either(&gone, || format!("removed source {id}"))
        }
        Command::Rotate { id, secret, overlap } => {
            let source = hub.rotate_source(&id, secret.as_deref(), Some(overlap.as_secs())).await?;
            screen.either(&source, || format!("source {id} has a new secret{}", shown_once(&source)))
        }
    }
}

fn row(source: &Source) -> Vec<String> {
    let allow = if source.allow.is_empty() { "everything".to_owned() } else { source.allow.join(", ") };
    let on = if source.enabled { "yes" } else { "no" };
    vec![source.id.clone(), source.preset.clone(), on.to_owned(), allow]
}

fn shown_once(source: &Source) -> String {
    source.secret.as_ref().map_or_else(String::new, |s| format!("\nits secret, shown this once: {s}"))
}
