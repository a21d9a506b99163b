//! `nexus token`: who may call the hub.

use std::path::PathBuf;

use clap::Subcommand;
use nexus_core::access::SCOPES;
use nexus_engine::tokens::Grace;

use crate::{
    cli::Global,
    command::config::loaded,
    output::{Failure, note, table},
    serve,
};

/// What can be done with tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a token and show it once
    #[command(after_help = scopes_help())]
    Create {
        /// Its name, as the log will show it
        name: String,
        /// What it allows; repeat it for several
        #[arg(long = "scope", short, value_name = "SCOPE", required = true)]
        scopes: Vec<String>,
        /// When it ends: a time (RFC 3339)
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
    },
    /// Keep a key that JSON Web Tokens are verified with, and show it once when the hub made it
    Key {
        /// Its name
        name: String,
        /// HS256, RS256, ES256 or EdDSA
        #[arg(long, short, value_name = "NAME", default_value = "HS256")]
        algorithm: String,
        /// File with the key: a shared secret, or the public part as a JSON Web Key or as PEM
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// List tokens and other credentials, never their secrets
    List,
    /// Give a token other scopes; its open sockets are held to them at once
    Scopes {
        /// Its id
        id: String,
        /// What it allows from now on; repeat it for several
        #[arg(long = "scope", short, value_name = "SCOPE", required = true)]
        scopes: Vec<String>,
    },
    /// Put a new one in its place and show it once; the old one goes on for a while
    Rotate {
        /// Its id
        id: String,
        /// How long the old one goes on, for example 90, 5m or 12h, at most 30d [default: 60s]
        #[arg(long, value_name = "TIME", value_parser = seconds)]
        grace: Option<u32>,
        /// File with the new value, where the hub can't make it (a provider's key, the public part of a pair)
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// End a token at once
    Revoke {
        /// Its id
        id: String,
        /// Why
        #[arg(long)]
        reason: Option<String>,
    },
    /// Make an admin's token in the data folder of a hub that does not run, where the others are lost
    Recover {
        /// Its name, as the log will show it
        #[arg(default_value = "recovered")]
        name: String,
    },
}

async fn recover(global: &Global, name: &str) -> Result<(), Failure> {
    let (file, token) = serve::recover(&loaded(global)?.config, name).await?;
    note(&format!("also kept in {}; start the hub, then revoke what is lost", file.display()));
    global.screen().either(&serde_json::json!({"name": name, "token": token}), || token.clone())
}

fn scopes_help() -> String {
    let rows: Vec<_> = SCOPES.iter().map(|(name, means)| vec![(*name).to_owned(), (*means).to_owned()]).collect();
    format!(
        "{}\nSome may be narrowed: events:publish:order.* (also events:read) to topics, state:write:app/* (also state:read) \
         to keys, services:invoke:billing-* to services.",
        table(&["scope", "allows"], &rows, "")
    )
}

/// A duration, or a plain number of seconds.
fn seconds(text: &str) -> Result<u32, String> {
    let whole = match text.parse::<u128>() {
        Ok(seconds) => seconds,
        Err(_) => nexus_core::retry::parse_duration(text)?.as_millis().div_ceil(1_000),
    };
    let most = u128::from(Grace::MOST_SECONDS);
    u32::try_from(whole.min(most + 1))
        .ok()
        .filter(|_| whole <= most)
        .ok_or_else(|| format!("{text:?} is too long; at most 30d"))
}

/// The key in a file, without the line's end.
fn read(file: Option<PathBuf>) -> Result<Option<String>, Failure> {
    let Some(file) = file else { return Ok(None) };
    let text = std::fs::read_to_string(&file).map_err(|e| Failure::usage(format!("{}: {e}", file.display())))?;
    Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
}

pub(crate) async fn run(global: &Global, command: Command) -> Result<(), Failure> {
    let (hub, screen) = match &command {
        Command::Recover { name } => return recover(global, name).await,
        _ => (global.client()?, global.screen()),
    };
    match command {
        // Done above: there is no hub to ask.
        Command::Recover { .. } => Ok(()),
        Command::Create { name, scopes, expires } => {
            let token = hub.create_token(&name, &scopes, expires.as_deref()).await?;
            let value = token.value().map(str::to_owned).ok_or_else(|| {
                Failure::failed("the hub made the token but did not show it; revoke it and make another")
            })?;
            // Only the token itself on standard output, so that `T=$(nexus token create …)` works.
            screen.either(&token, || value)
        }
        Command::Key { name, algorithm, file } => {
            let key = read(file)?;
            let token = hub.create_jwt_key(&name, &algorithm, key.as_deref()).await?;
            let id = token.id.clone();
            screen.either(&token, || token.value().map_or_else(|| format!("kept key {id}"), str::to_owned))
        }
        Command::List => {
            let page = hub.tokens().await?;
            screen.either(&page.items, || {
                let rows: Vec<_> = page
                    .items
                    .iter()
                    .map(|t| vec![t.id.clone(), t.name.clone(), t.kind.clone(), t.status.clone(), t.scopes.join(", ")])
                    .collect();
                table(&["id", "name", "kind", "status", "scopes"], &rows, "no tokens")
            })
        }
        Command::Scopes { id, scopes } => {
            let token = hub.set_token_scopes(&id, &scopes).await?;
            screen.either(&token, || format!("token {id} may now: {}", token.scopes.join(", ")))
        }
        Command::Rotate { id, grace, file } => {
            let key = read(file)?;
            let token = hub.rotate_token(&id, grace, key.as_deref()).await?;
            let new = token.id.clone();
            screen.either(&token, || token.value().map_or_else(|| format!("rotated to {new}"), str::to_owned))
        }
        Command::Revoke { id, reason } => {
            let done = hub.revoke_token(&id, reason.as_deref()).await?;
            screen.either(&done, || format!("revoked token {id}"))
        }
    }
}
