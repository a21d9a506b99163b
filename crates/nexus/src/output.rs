//! What people and programs get to see: tables and sentences, or JSON; and how a failure ends the process.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal, Write},
};

use serde::Serialize;
use serde_json::Value;

/// Why a command did not do what it was asked. Exit codes: 1 failed, 2 wrong usage or configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// It was tried and did not work, or a check came out negative.
    #[error("{0}")]
    Failed(String),
    /// It was not tried: the arguments or the configuration are wrong.
    #[error("{0}")]
    Usage(String),
    /// Standard output was closed.
    #[error("standard output is closed")]
    Closed,
}

impl Failure {
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::Failed(message.into())
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }

    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Closed => 0,
        }
    }
}

impl From<nexus_client::Error> for Failure {
    fn from(error: nexus_client::Error) -> Self {
        match &error {
            nexus_client::Error::Setting(_) => Self::Usage(error.to_string()),
            nexus_client::Error::Refused(problem) if problem.status == 401 => Self::Failed(format!(
                "{error}\ngive a token with --token or NEXUS_TOKEN, or name the hub's data folder with --data or NEXUS_DATA"
            )),
            _ => Self::Failed(error.to_string()),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Self::Closed } else { Self::Failed(error.to_string()) }
    }
}

/// Says on standard error why `verb` ended.
pub(crate) fn complain(verb: &str, failure: &Failure) {
    // There is nobody left to tell when standard error is gone.
    let _ = writeln!(io::stderr(), "nexus {verb}: {failure}");
}

/// Says something to a person beside the output proper.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Where a command's output goes, in which form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    /// Machine output.
    pub(crate) json: bool,
}

impl Screen {
    /// One line of text.
    #[expect(
        clippy::unused_self,
        reason = "a screen is where lines go; callers need not know that it is standard output"
    )]
    pub(crate) fn line(self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.write_all(b"\n")?;
        out.flush()?;
        Ok(())
    }

    /// The same thing twice: JSON for programs, words for people.
    pub(crate) fn either(self, value: &impl Serialize, words: impl FnOnce() -> String) -> Result<(), Failure> {
        if self.json { self.json(value) } else { self.line(words().trim_end_matches('\n')) }
    }

    /// One JSON document: indented at a terminal, one line otherwise.
    pub(crate) fn json(self, value: &impl Serialize) -> Result<(), Failure> {
        let text =
            if io::stdout().is_terminal() { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
        self.line(&text.map_err(|e| Failure::failed(e.to_string()))?)
    }
}

/// Lines up columns; an empty table says `nothing`.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>], nothing: &str) -> String {
    if rows.is_empty() {
        return nothing.to_owned();
    }
    let columns = head.len();
    let mut widths: Vec<usize> = head.iter().map(|h| h.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    let heads: Vec<String> = head.iter().map(|h| h.to_uppercase()).collect();
    for row in std::iter::once(&heads).chain(rows) {
        let mut line = String::new();
        for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let pad = if at + 1 == columns { 0 } else { width - cell.chars().count() + 2 };
            let _ = write!(line, "{cell}{}", " ".repeat(pad));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Pairs of a name and a value, lined up; pairs without a value are left out.
pub(crate) fn pairs(pairs: &[(&str, String)]) -> String {
    let shown: Vec<_> = pairs.iter().filter(|(_, v)| !v.is_empty()).collect();
    let width = shown.iter().map(|(n, _)| n.chars().count()).max().unwrap_or(0);
    shown.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "{name:width$}  {value}");
        text
    })
}

/// A field of a JSON object as a person reads it; nothing for `null` and absent ones.
pub(crate) fn text(value: &Value, field: &str) -> String {
    value.get(field).map_or_else(String::new, plain)
}

/// A JSON value as a person reads it.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(|i| !i.is_object() && !i.is_array()) => {
            items.iter().map(plain).collect::<Vec<_>>().join(", ")
        }
        // A list of records has no place in a cell; --json shows it.
        Value::Array(items) => items.len().to_string(),
        other => other.to_string(),
    }
}

/// A JSON object as lines of name and value.
pub(crate) fn object(value: &Value) -> String {
    match value.as_object() {
        Some(map) => pairs(&map.iter().map(|(k, v)| (k.as_str(), plain(v))).collect::<Vec<_>>()),
        None => plain(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_end_without_spaces() {
        let rows = vec![vec!["flowpay".into(), "yes".into()], vec!["x".into(), String::new()]];
        assert_eq!(table(&["id", "on"], &rows, "none"), "ID       ON\nflowpay  yes\nx\n");
        assert_eq!(table(&["id"], &[], "no sources"), "no sources");
    }
}
