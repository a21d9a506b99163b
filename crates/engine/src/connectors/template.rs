//! The two ways in which a manifest is filled in: placeholders inside texts, and data with jq in it.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::jq::{Jq, JqError, Rules, to_json, to_val};

/// What a placeholder names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// A setting of the connection.
    Setting(String),
    /// A secret of the connection.
    Secret(String),
    /// Something that stands for itself where this text is used: a field of the input, a part of a signed message.
    Own(String),
}

impl Name {
    /// As a person is told of it.
    pub(super) fn told(&self) -> String {
        match self {
            Self::Setting(name) => format!("setting {name:?}"),
            Self::Secret(name) => format!("secret {name:?}"),
            Self::Own(name) => format!("field {name:?}"),
        }
    }

    /// Where in its input an operation finds it.
    pub(super) fn pointer(&self) -> String {
        let (Self::Setting(name) | Self::Secret(name) | Self::Own(name)) = self;
        format!("/{name}")
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Plain(String),
    Name(Name),
}

/// A text with placeholders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Text(Vec<Piece>);

impl Text {
    /// Reads a text; `{{` and `}}` are braces.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (mut pieces, mut plain) = (Vec::new(), String::new());
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '{' | '}' if chars.peek() == Some(&c) => {
                    chars.next();
                    plain.push(c);
                }
                '}' => {
                    return Err(format!("{text:?} closes a brace that was not opened; a literal one is written }}}}"));
                }
                '{' => {
                    let name: String = chars.by_ref().take_while(|c| *c != '}').collect();
                    if !plain.is_empty() {
                        pieces.push(Piece::Plain(std::mem::take(&mut plain)));
                    }
                    pieces.push(Piece::Name(named(&name).ok_or_else(|| {
                        format!("{{{name}}} is no placeholder; write {{settings.x}}, {{secrets.x}} or a name, and {{{{ for a brace")
                    })?));
                }
                c => plain.push(c),
            }
        }
        if !plain.is_empty() {
            pieces.push(Piece::Plain(plain));
        }
        Ok(Self(pieces))
    }

    /// What its placeholders name, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &Name> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Name(name) => Some(name),
            Piece::Plain(_) => None,
        })
    }

    /// Its pieces in order: what a placeholder names, or text as it is.
    pub(super) fn pieces(&self) -> impl Iterator<Item = Result<&Name, &str>> {
        self.0.iter().map(|piece| match piece {
            Piece::Name(name) => Ok(name),
            Piece::Plain(text) => Err(text.as_str()),
        })
    }

    /// Without any placeholder.
    pub(super) fn is_plain(&self) -> bool {
        self.names().next().is_none()
    }

    /// Fills in what `find` gives.
    pub(super) fn fill<E>(&self, mut find: impl FnMut(&Name) -> Result<String, E>) -> Result<String, E> {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Plain(text) => out.push_str(text),
                Piece::Name(name) => out.push_str(&find(name)?),
            }
        }
        Ok(out)
    }
}

fn named(text: &str) -> Option<Name> {
    let fits = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
    };
    let (name, make): (&str, fn(String) -> Name) = if let Some(rest) = text.strip_prefix("settings.") {
        (rest, Name::Setting)
    } else if let Some(rest) = text.strip_prefix("secrets.") {
        (rest, Name::Secret)
    } else {
        (text, Name::Own)
    };
    fits(name).then(|| make(name.to_owned()))
}

/// Percent-encodes everything but letters, digits, `-`, `.`, `_` and `~`. What a path must not hold even so is refused
/// in [`super::path`].
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing into a String can't fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// A scalar as text; `None` for `null`, an error for a list or an object.
pub(super) fn scalar(value: &Value) -> Result<Option<String>, &'static str> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        Value::Bool(b) => Ok(Some(b.to_string())),
        Value::Number(n) => Ok(Some(n.to_string())),
        Value::Array(_) => Err("a list"),
        Value::Object(_) => Err("an object"),
    }
}

/// What jq finds beside its input.
pub(super) type Given<'a> = [(&'static str, &'a Value)];

/// An expression.
#[derive(Debug)]
pub(super) struct Expression(Jq);

impl Expression {
    /// Compiles jq that may use the variables `given`.
    pub(super) fn compile(text: &str, given: &[&str]) -> Result<Self, JqError> {
        Jq::compile_with(text, Rules::Wide, given).map(Self)
    }

    /// Runs it.
    pub(super) fn eval(&self, input: &Value, given: &Given<'_>) -> Result<Value, JqError> {
        let find = |name: &str| given.iter().find(|(n, _)| *n == name).map_or(&Value::Null, |(_, value)| *value);
        let variables = self.0.variables().iter().map(|(name, _)| to_val(find(name))).collect();
        self.0.eval(to_val(input), variables).0.and_then(|value| to_json(&value))
    }

    /// Runs it as a condition.
    pub(super) fn holds(&self, input: &Value, given: &Given<'_>) -> Result<bool, JqError> {
        Ok(!matches!(self.eval(input, given)?, Value::Null | Value::Bool(false)))
    }
}

/// Data with expressions in it.
#[derive(Debug)]
pub(super) enum Template {
    /// Data.
    Plain(Value),
    /// A text with placeholders.
    Text(Text),
    /// One expression.
    Expression(Expression),
    /// A list.
    List(Vec<Template>),
    /// A map.
    Map(Vec<(String, Template)>),
}

/// The inside of a text that is one expression.
pub(super) fn inside(text: &str) -> Option<&str> {
    text.trim().strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).map(str::trim)
}

impl Template {
    /// Compiles data; the error is where in it something is wrong, and what.
    pub(super) fn compile(data: &Value, given: &[&str]) -> Result<Self, (String, String)> {
        match data {
            Value::String(text) => match inside(text) {
                Some(jq) => {
                    Expression::compile(jq, given).map(Self::Expression).map_err(|e| (String::new(), e.to_string()))
                }
                None => Ok(Self::Plain(data.clone())),
            },
            Value::Array(items) => {
                let items = items
                    .iter()
                    .enumerate()
                    .map(|(n, item)| Self::compile(item, given).map_err(|(at, what)| (format!("/{n}{at}"), what)));
                items.collect::<Result<_, _>>().map(Self::List)
            }
            Value::Object(fields) => {
                let fields = fields.iter().map(|(key, field)| {
                    let field = Self::compile(field, given).map_err(|(at, what)| (format!("/{key}{at}"), what))?;
                    Ok((key.clone(), field))
                });
                fields.collect::<Result<_, _>>().map(Self::Map)
            }
            other => Ok(Self::Plain(other.clone())),
        }
    }

    /// Fills it in. Fields whose expression gives `null` are left out.
    pub(super) fn eval(&self, input: &Value, given: &Given<'_>) -> Result<Value, String> {
        match self {
            Self::Plain(value) => Ok(value.clone()),
            Self::Text(text) => text.fill(|name| setting(name, given)).map(Value::String),
            Self::Expression(expression) => expression.eval(input, given).map_err(|e| e.to_string()),
            Self::List(items) => items.iter().map(|item| item.eval(input, given)).collect(),
            Self::Map(fields) => {
                let mut object = Map::new();
                for (key, field) in fields {
                    let value = field.eval(input, given).map_err(|e| format!("{key}: {e}"))?;
                    let absent = value.is_null() && !matches!(field, Self::Plain(_));
                    if !absent {
                        object.insert(key.clone(), value);
                    }
                }
                Ok(Value::Object(object))
            }
        }
    }
}

/// A setting for a placeholder; an absent one is empty.
fn setting(name: &Name, given: &Given<'_>) -> Result<String, String> {
    let Name::Setting(name) = name else { return Err("only settings stand here".into()) };
    let settings = given.iter().find(|(n, _)| *n == "settings").map_or(&Value::Null, |(_, value)| *value);
    let value = settings.get(name).unwrap_or(&Value::Null);
    scalar(value).map(Option::unwrap_or_default).map_err(|what| format!("the setting {name:?} is {what}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn placeholders_are_named_and_braces_can_be_written() {
        let text = Text::parse("a{{b}}/{settings.x}/{secrets.y}{z}").unwrap();
        let names: Vec<_> = text.names().cloned().collect();
        assert_eq!(names, [Name::Setting("x".into()), Name::Secret("y".into()), Name::Own("z".into())]);
        let filled = text.fill::<()>(|name| Ok(format!("<{name:?}>"))).unwrap();
        assert!(filled.starts_with("a{b}/<Setting"), "{filled}");
        for wrong in ["{", "{a b}", "}", "{settings.}", "{}"] {
            assert!(Text::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_has_a_meaning_in_a_url_is_encoded() {
        assert_eq!(encode("../a b?c#d&é"), "..%2Fa%20b%3Fc%23d%26%C3%A9");
    }

    #[test]
    fn fields_whose_expression_gives_null_are_left_out_and_data_is_never_looked_through() {
        let template = Template::compile(
            &json!({"a": "${ .a }", "b": "${ .b }", "c": null, "d": ["${ .b }", "x"], "k": "${ $key.raw }"}),
            &["key"],
        )
        .unwrap();
        let key = json!({"raw": "r"});
        let made = template.eval(&json!({"a": "${ .b }"}), &[("key", &key)]).unwrap();
        assert_eq!(made, json!({"a": "${ .b }", "c": null, "d": [null, "x"], "k": "r"}));
        let (at, what) = Template::compile(&json!({"x": [1, "${ env }"]}), &[]).unwrap_err();
        assert_eq!(at, "/x/1");
        assert!(!what.is_empty());
    }
}
