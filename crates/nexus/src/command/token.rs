//! `nexus token`: who may call the hub.

use clap::Subcommand;
use nexus_core::access::SCOPES;

use crate::{
    cli::Global,
    output::{Failure, table},
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
    /// List tokens, never their secrets
    List,
    /// End a token at once
    Revoke {
        /// Its id
        id: String,
        /// Why
        #[arg(long)]
        reason: Option<String>,
    },
}

fn scopes_help() -> String {
    let rows: Vec<_> = SCOPES.iter().map(|(name, means)| vec![(*name).to_owned(), (*means).to_owned()]).collect();
    format!(
        "{}\nSome may be narrowed: events:publish:order.* (also events:read) to topics, state:write:app/* (also state:read) \
         to keys, services:invoke:billing-* to services.",
        table(&["scope", "allows"], &rows, "")
    )
}

pub(crate) async fn run(global: &Global, command: Command) -> Result<(), Failure> {
    let (hub, screen) = (global.client()?, global.screen());
    match command {
        Command::Create { name, scopes, expires } => {
            let token = hub.create_token(&name, &scopes, expires.as_deref()).await?;
            // Only the token itself on standard output, so that `T=$(nexus token create …)` works.
            let value = token.value().map(str::to_owned).ok_or_else(|| {
                Failure::failed("the hub made the token but did not show it; revoke it and make another")
            })?;
            screen.either(&token, || value)
        }
        Command::List => {
            let page = hub.tokens().await?;
            screen.either(&page.items, || {
                let rows: Vec<_> = page
                    .items
                    .iter()
                    .map(|t| vec![t.id.clone(), t.name.clone(), t.status.clone(), t.scopes.join(", ")])
                    .collect();
                table(&["id", "name", "status", "scopes"], &rows, "no tokens")
            })
        }
        Command::Revoke { id, reason } => {
            let done = hub.revoke_token(&id, reason.as_deref()).await?;
            screen.either(&done, || format!("revoked token {id}"))
        }
    }
}
