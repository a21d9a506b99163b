//! The functions that the hub brings (`name:1.0.0@default`): what each takes and gives, in one table. What is checked when a
//! flow is published, what a call is refused with, `nexus flows functions` and the table in `docs/flows.md` come from it.

mod check;
mod table;

use std::time::Duration;

use nexus_core::retry::parse_duration;
use serde::{Serialize, Serializer};

pub use self::{
    check::{check_calls, check_values},
    table::FUNCTIONS,
};
use crate::{duration, problem::nearest};

/// The version that all of them have.
pub const VERSION: &str = "1.0.0";
/// How the names of connectors' operations begin.
pub const CONNECTOR: &str = "connector.";
/// Variants of one test.
pub const VARIANTS: usize = 20;

/// A function: its name, what it takes, what it gives.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Signature {
    /// Its name; one that ends with a dot stands for all that begin with it.
    pub name: &'static str,
    /// How it is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<&'static str>,
    /// What it does.
    pub about: &'static str,
    /// What it takes.
    pub takes: &'static [Argument],
    /// What it gives.
    pub gives: &'static str,
}

/// Something that a function takes.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Argument {
    /// Its name.
    pub name: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// It must be there.
    pub required: bool,
    /// What it is for.
    pub about: &'static str,
}

/// What an argument may be.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Anything.
    Anything,
    /// Text of so many characters at most, and not empty.
    Text(usize),
    /// Any text.
    Free,
    /// The type of an event.
    Topic,
    /// True or false.
    Flag,
    /// A whole number, not negative.
    Whole,
    /// A length of time: `30s`, `2h`, `PT30S`.
    Time,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A priority.
    Priority,
    /// A map.
    Map,
    /// A map with these fields.
    Fields(&'static [Argument]),
    /// The variants of a test: names, or maps of `name` and `weight`.
    Variants,
    /// Where a message goes: a URL, or an operation of a connector.
    Channel,
    /// A JSON Schema of simple fields.
    Form,
}

impl Kind {
    /// In words.
    pub fn words(&self) -> String {
        match self {
            Self::Anything => "anything".to_owned(),
            Self::Text(_) | Self::Free => "text".to_owned(),
            Self::Topic => "the type of an event, such as order.created".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Whole => "a whole number, not negative".to_owned(),
            Self::Time => "a time such as 30s, 2h or PT30S".to_owned(),
            Self::Word(words) => format!("one of {}", words.join(", ")),
            Self::Priority => "LOW, NORMAL, HIGH, CRITICAL or 0 to 3".to_owned(),
            Self::Map => "a map".to_owned(),
            Self::Fields(fields) => {
                let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
                format!("a map of {}", names.join(", "))
            }
            Self::Variants => format!("a list of 1 to {VARIANTS} names, or of maps with name and weight"),
            Self::Channel => "a map of url, or of connector, operation, connection, input".to_owned(),
            Self::Form => "a JSON Schema of strings, numbers, booleans and enums".to_owned(),
        }
    }
}

impl Kind {
    /// In a word or two, for a table.
    fn short(&self) -> String {
        match self {
            Self::Time => "time".to_owned(),
            Self::Topic => "type of an event".to_owned(),
            Self::Whole => "whole number".to_owned(),
            Self::Variants => "list".to_owned(),
            Self::Form => "JSON Schema".to_owned(),
            other => other.words(),
        }
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.words())
    }
}

/// The function of this name.
pub fn find(name: &str) -> Option<&'static Signature> {
    let family = FUNCTIONS.iter().find(|known| known.name.ends_with('.') && name.starts_with(known.name));
    FUNCTIONS.iter().find(|known| known.name == name).or(family)
}

/// Refuses a name, or a version, that is not in the table.
pub fn known(name: &str, version: &str) -> Result<(), String> {
    match find(name) {
        None => Err(unknown(name, FUNCTIONS.iter().map(|known| known.name))),
        Some(_) if version != VERSION => {
            Err(format!("the function {name:?} has no version {version}; it has {VERSION}"))
        }
        Some(_) => Ok(()),
    }
}

/// What is said of a function that there is not among `names`.
pub fn unknown<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> String {
    if name == "plugin" || name.starts_with("plugin.") {
        return "this hub has no plugins, and so no function \"plugin\"; call a service (service.invoke) instead"
            .to_owned();
    }
    let names: Vec<&str> = names.into_iter().collect();
    format!("the hub has no function {name:?}{}; it has {}", nearest(name, names.iter().copied()), names.join(", "))
}

/// A length of time as functions take it: `30s`, `2h`, or ISO 8601.
pub fn time(text: &str) -> Result<Duration, String> {
    if text.trim_start().starts_with('P') { duration::parse(text) } else { parse_duration(text) }
}

/// The table of the docs: a function a row, what it needs in bold.
pub fn markdown() -> String {
    let mut rows =
        vec!["| Function | Does | Takes (in bold: needs) | Gives |".to_owned(), "| --- | --- | --- | --- |".to_owned()];
    for function in FUNCTIONS {
        let takes: Vec<String> = function.takes.iter().map(taken).collect();
        let name = function.call.unwrap_or(function.name);
        rows.push(format!("| `{name}` | {} | {} | {} |", function.about, takes.join("<br>"), function.gives));
    }
    rows.join("\n")
}

fn taken(argument: &Argument) -> String {
    let name = if argument.required { format!("**`{}`**", argument.name) } else { format!("`{}`", argument.name) };
    match argument.kind {
        Kind::Anything => format!("{name}: {}", argument.about),
        kind => format!("{name} ({}): {}", kind.short(), argument.about),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_docs_have_the_table_as_it_is() {
        let docs = include_str!("../../../docs/flows.md");
        let table = markdown();
        assert!(docs.contains(&table), "put this table into docs/flows.md, under \"Functions of the hub\":\n{table}");
    }

    #[test]
    fn functions_are_found_by_name_and_by_family() {
        assert_eq!(find("publish").map(|found| found.name), Some("publish"));
        assert_eq!(find("connector.slack.message.post").map(|found| found.name), Some("connector."));
        assert!(find("plugin").is_none() && unknown("plugin", ["publish"]).contains("no plugins"));
        assert!(unknown("pubish", ["publish"]).contains("did you mean \"publish\"?"));
    }

    #[test]
    fn a_time_is_written_in_either_way() {
        for text in ["90s", "PT90S", "PT1M30S"] {
            assert_eq!(time(text), Ok(Duration::from_secs(90)), "{text}");
        }
        assert!(time("soon").is_err());
    }
}
