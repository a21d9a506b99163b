//! The input of a run that a person begins: JSON, single fields, or the form of the flow, asked for on a terminal.

use std::io::{self, BufRead, IsTerminal, Write};

use nexus_client::Client;
use nexus_flows::host::form::{self, Field, Kind};
use serde_json::{Map, Value};

use crate::{
    command::event::parse_json,
    output::{Failure, plain},
};

/// What was given on the command line.
pub(super) struct Given<'a> {
    /// JSON.
    pub(super) input: Option<&'a str>,
    /// `NAME=VALUE`.
    pub(super) fields: &'a [String],
}

/// The input of a run of this flow.
pub(super) async fn of(hub: &Client, flow: &str, given: Given<'_>) -> Result<Value, Failure> {
    let terminal = || io::stdin().is_terminal() && io::stderr().is_terminal();
    match given.input {
        Some(text) => parse_json(text),
        None if given.fields.is_empty() && !terminal() => Ok(Value::Null),
        None => {
            let Some(fields) = fields(hub, flow).await? else {
                if given.fields.is_empty() {
                    return Ok(Value::Null);
                }
                return Err(Failure::usage(format!(
                    "{flow} has no input.schema of simple fields for --set to fill in; give its input as JSON: nexus flows run {flow} '{{…}}'"
                )));
            };
            let filled = if given.fields.is_empty() {
                ask(&fields, &mut io::stdin().lock())
            } else {
                set(&fields, given.fields)
            };
            filled.map(Value::Object)
        }
    }
}

/// The form of a flow: its `input.schema`, where that has simple fields.
async fn fields(hub: &Client, flow: &str) -> Result<Option<Vec<Field>>, Failure> {
    let flow = hub.flow(flow).await?;
    let schema = flow.more.get("document").and_then(|document| document.pointer("/input/schema/document"));
    Ok(schema.and_then(|schema| form::fields(schema).ok()))
}

fn set(fields: &[Field], given: &[String]) -> Result<Map<String, Value>, Failure> {
    let names = || fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>().join(", ");
    let mut filled: Map<String, Value> =
        fields.iter().filter_map(|field| Some((field.name.clone(), field.preset.clone()?))).collect();
    for one in given {
        let (name, text) = one
            .split_once('=')
            .ok_or_else(|| Failure::usage(format!("--set {one:?}: NAME=VALUE is expected; fields: {}", names())))?;
        let field = fields
            .iter()
            .find(|field| field.name == name)
            .ok_or_else(|| Failure::usage(format!("--set {name}: there is no such field; fields: {}", names())))?;
        match read(field, text).map_err(|what| Failure::usage(format!("--set {name}: {what}")))? {
            Some(value) => filled.insert(name.to_owned(), value),
            None => filled.remove(name),
        };
    }
    Ok(filled)
}

/// Asks on standard error, so that standard output has the answer of the run alone.
fn ask(fields: &[Field], answers: &mut dyn BufRead) -> Result<Map<String, Value>, Failure> {
    let mut filled = Map::new();
    for field in fields {
        loop {
            let mut screen = io::stderr().lock();
            write!(screen, "{}: ", question(field))?;
            screen.flush()?;
            let mut line = String::new();
            if answers.read_line(&mut line)? == 0 {
                return Err(Failure::usage(format!("{} was not answered; nothing was begun", field.name)));
            }
            let text = line.trim();
            let value = match &field.preset {
                Some(preset) if text.is_empty() => Ok(Some(preset.clone())),
                _ => read(field, text),
            };
            match value {
                Ok(Some(value)) => _ = filled.insert(field.name.clone(), value),
                Ok(None) if field.required => {
                    writeln!(screen, "  it is needed")?;
                    continue;
                }
                Ok(None) => {}
                Err(what) => {
                    writeln!(screen, "  {what}")?;
                    continue;
                }
            }
            break;
        }
    }
    Ok(filled)
}

fn question(field: &Field) -> String {
    let mut about: Vec<String> = field.help.iter().cloned().collect();
    match field.kind {
        _ if !field.choices.is_empty() => about.push(choices(field)),
        Kind::Boolean => about.push("yes or no".to_owned()),
        Kind::Text | Kind::Number | Kind::Integer => {}
    }
    if !field.required {
        about.push("may be left empty".to_owned());
    }
    let about = if about.is_empty() { String::new() } else { format!(" ({})", about.join("; ")) };
    let preset = field.preset.as_ref().map(|preset| format!(" [{}]", plain(preset))).unwrap_or_default();
    format!("{}{about}{preset}", field.label)
}

fn choices(field: &Field) -> String {
    format!("one of {}", field.choices.iter().map(plain).collect::<Vec<_>>().join(", "))
}

/// A value for a field; nothing is nothing.
fn read(field: &Field, text: &str) -> Result<Option<Value>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    if field.kind == Kind::Boolean && field.choices.is_empty() {
        return match text.to_ascii_lowercase().as_str() {
            "yes" | "y" | "true" => Ok(Some(true.into())),
            "no" | "n" | "false" => Ok(Some(false.into())),
            _ => Err(format!("{text:?} is neither yes nor no")),
        };
    }
    match form::typed(field, Some(text)) {
        Some(value) if !field.choices.is_empty() && !field.choices.contains(&value) => {
            Err(format!("{text:?} is none of them: {}", choices(field)))
        }
        Some(Value::String(_)) if field.choices.is_empty() && field.kind != Kind::Text => {
            Err(format!("{text:?} is no number"))
        }
        value => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields() -> Vec<Field> {
        form::fields(&json!({"type": "object", "required": ["amount"], "properties": {
            "amount": {"type": "number", "title": "Amount"},
            "gift": {"type": "boolean"},
            "reason": {"type": "string", "enum": ["late", "broken"], "default": "late"},
        }}))
        .unwrap()
    }

    #[test]
    fn fields_of_the_command_line_become_values_of_their_kind_and_presets_stay() {
        let filled = set(&fields(), &["amount=2.5".to_owned(), "gift=yes".to_owned()]).unwrap();
        assert_eq!(Value::Object(filled), json!({"amount": 2.5, "gift": true, "reason": "late"}));
    }

    #[test]
    fn a_field_that_is_wrong_is_refused_with_what_would_be_right() {
        for (given, said) in [
            ("amount", "NAME=VALUE"),
            ("sum=1", "fields: amount, gift, reason"),
            ("amount=much", "no number"),
            ("gift=maybe", "neither yes nor no"),
            ("reason=lost", "one of late, broken"),
        ] {
            let refused = set(&fields(), &[given.to_owned()]).unwrap_err().to_string();
            assert!(refused.contains(said), "{given}: {refused}");
        }
    }

    #[test]
    fn a_form_is_asked_until_every_answer_fits() {
        let filled = ask(&fields(), &mut &b"\nmuch\n7\n\n\n"[..]).unwrap();
        assert_eq!(Value::Object(filled), json!({"amount": 7, "reason": "late"}));
        let refused = ask(&fields(), &mut &b"7\n"[..]).unwrap_err().to_string();
        assert!(refused.contains("gift was not answered"), "{refused}");
    }
}
