//! `nexus flows functions`: what the hub's own functions take and give, from the table that calls are checked by.

use clap::Args;
use nexus_flows::catalog::{FUNCTIONS, Kind, Signature, VERSION, find, unknown};

use crate::{
    cli::Global,
    output::{Failure, table},
};

/// `nexus flows functions`
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only this one, for example state.set
    name: Option<String>,
}

pub(crate) fn run(global: &Global, args: &Arguments) -> Result<(), Failure> {
    let shown: Vec<&Signature> = match &args.name {
        None => FUNCTIONS.iter().collect(),
        Some(name) => {
            let name = name.split([':', '@']).next().unwrap_or(name);
            let names = FUNCTIONS.iter().map(|function| function.name);
            vec![find(name).ok_or_else(|| Failure::usage(unknown(name, names)))?]
        }
    };
    global.screen().either(&shown, || shown.iter().map(|function| text(function)).collect::<Vec<_>>().join("\n\n"))
}

fn text(function: &Signature) -> String {
    let name = function.call.unwrap_or(function.name);
    // What stands in the docs as a link or as code is plain here.
    let plain = |text: &str| text.split(" ([").next().unwrap_or(text).replace('`', "");
    let rows: Vec<Vec<String>> = function
        .takes
        .iter()
        .map(|argument| {
            let needed = if argument.required { "needed" } else { "" };
            let kind = match argument.kind {
                Kind::Anything => String::new(),
                kind => kind.words(),
            };
            vec![argument.name.to_owned(), needed.to_owned(), argument.about.replace('`', ""), kind]
        })
        .collect();
    format!(
        "{name}:{VERSION}@default\n{}. Gives {}.\n{}",
        plain(function.about),
        plain(function.gives),
        table(&["takes", "", "for", "which is"], &rows, "nothing")
    )
}
