//! `nexus secret`: named secrets that targets use as `${secret:NAME}`.

use std::io::{IsTerminal, Read};

use clap::Subcommand;

use crate::{
    cli::Global,
    output::{Failure, note, plain, text},
};

/// What can be done with named secrets.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Set a secret; without VALUE it is read from standard input
    Set {
        /// Its name
        name: String,
        /// The secret; an argument is seen by whoever lists processes, standard input is not
        value: Option<String>,
    },
    /// List names
    List,
    /// Remove a secret
    Remove {
        /// Its name
        name: String,
    },
}

pub(crate) async fn run(global: &Global, command: Command) -> Result<(), Failure> {
    let (hub, screen) = (global.client()?, global.screen());
    match command {
        Command::Set { name, value } => {
            let value = value.map_or_else(read_value, Ok)?;
            let done = hub.put_secret(&name, &value).await?;
            screen.either(&done, || format!("set secret {name}; targets use it as ${{secret:{name}}}"))
        }
        Command::List => {
            let page = hub.secrets().await?;
            screen.either(&page.items, || {
                let names: Vec<_> =
                    page.items.iter().map(|s| if s.is_object() { text(s, "name") } else { plain(s) }).collect();
                if names.is_empty() { "no secrets".to_owned() } else { names.join("\n") }
            })
        }
        Command::Remove { name } => {
            let gone = hub.remove_secret(&name).await?;
            screen.either(&gone, || format!("removed secret {name}"))
        }
    }
}

/// A secret from standard input.
pub(crate) fn read_value() -> Result<String, Failure> {
    if std::io::stdin().is_terminal() {
        note("type the secret, then a new line and Ctrl-D");
    }
    let mut value = String::new();
    std::io::stdin().read_to_string(&mut value)?;
    let value = value.trim_end_matches(['\r', '\n']).to_owned();
    if value.is_empty() { Err(Failure::usage("the secret is empty")) } else { Ok(value) }
}
