//! YAML (and so JSON) as plain values, with the line each of them stands in.
//!
//! YAML 1.2 core schema: `yes`, `no` and `on` are text. Keys must be text and stand once, tags are refused, and what is
//! written out by aliases counts against the same limits as everything else: no document grows beyond what it says.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};
use serde_json::{Map, Value};

use super::pointer::Pointer;

/// Bytes of a document.
pub const DOCUMENT_BYTES: usize = 256 << 10;
/// Values in a document, aliases written out.
const NODES: usize = 50_000;
/// Nesting of a document.
const DEPTH: usize = 64;

/// Why a text is no document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum YamlError {
    /// Over the byte cap.
    #[error("the document has {0} bytes; at most {DOCUMENT_BYTES} are allowed")]
    TooLong(usize),
    /// Not YAML.
    #[error("line {line}, column {column}: not YAML: {what}")]
    Syntax {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// The parser's words.
        what: String,
    },
    /// YAML that has no place here.
    #[error("line {line}: {what}")]
    Refused {
        /// From 1.
        line: usize,
        /// What, and what would be right.
        what: String,
    },
    /// Nothing in it.
    #[error("the document is empty; a flow begins with `document:`, a connector with `connector: 1`")]
    Empty,
}

impl YamlError {
    /// The line (from 1) that it is about.
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::Syntax { line, .. } | Self::Refused { line, .. } => Some(*line),
            Self::TooLong(_) | Self::Empty => None,
        }
    }
}

/// One document and where its parts stand.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// The document.
    pub value: Value,
    lines: BTreeMap<String, usize>,
}

impl Source {
    /// The line (from 1) of the value at `pointer`, or of the nearest value around it.
    pub fn line(&self, pointer: &str) -> Option<usize> {
        let mut at = pointer;
        loop {
            if let Some(line) = self.lines.get(at) {
                return Some(*line);
            }
            at = &at[..at.rfind('/')?];
        }
    }
}

/// Reads exactly one document.
pub fn parse(text: &str) -> Result<Source, YamlError> {
    if text.len() > DOCUMENT_BYTES {
        return Err(YamlError::TooLong(text.len()));
    }
    let mut composer = Composer::default();
    let mut documents = 0;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| syntax(&error))?;
        match event {
            Event::DocumentStart(_) => {
                documents += 1;
                if documents > 1 {
                    return Err(refused(&span, "a second document begins; a file holds one"));
                }
            }
            other => composer.event(other, &span)?,
        }
    }
    let value = composer.root.filter(|value| !value.is_null()).ok_or(YamlError::Empty)?;
    Ok(Source { value, lines: composer.lines })
}

fn syntax(error: &ScanError) -> YamlError {
    let marker = error.marker();
    YamlError::Syntax { line: marker.line(), column: marker.col() + 1, what: error.info().to_owned() }
}

fn refused(span: &Span, what: impl Into<String>) -> YamlError {
    YamlError::Refused { line: span.start.line(), what: what.into() }
}

/// A container that is not complete yet.
enum Open {
    Array(Vec<Value>, usize),
    Object(Map<String, Value>, Option<String>, usize),
}

#[derive(Default)]
struct Composer {
    open: Vec<Open>,
    root: Option<Value>,
    anchors: BTreeMap<usize, Value>,
    lines: BTreeMap<String, usize>,
    nodes: usize,
}

impl Composer {
    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), YamlError> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                if tag.is_some() {
                    return Err(refused(span, "tags such as !!str are not used here; write the value itself"));
                }
                if self.takes_key() {
                    return self.key(&text, style, span);
                }
                let value = scalar(&text, style);
                self.note(span);
                self.put(value, anchor, span)
            }
            Event::SequenceStart(anchor, tag) => self.open(Open::Array(Vec::new(), anchor), tag.is_some(), span),
            Event::MappingStart(anchor, tag) => self.open(Open::Object(Map::new(), None, anchor), tag.is_some(), span),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::Array(items, anchor)) => self.put(Value::Array(items), anchor, span),
                Some(Open::Object(fields, _, anchor)) => self.put(Value::Object(fields), anchor, span),
                None => Ok(()),
            },
            Event::Alias(anchor) => {
                let value = self.anchors.get(&anchor).cloned();
                let value = value.ok_or_else(|| refused(span, "an alias stands inside the value it names"))?;
                self.note(span);
                self.nodes += count(&value);
                if self.open.len() + depth(&value) > DEPTH {
                    return Err(refused(span, format!("it nests deeper than {DEPTH} levels")));
                }
                self.put(value, 0, span)
            }
            _ => Ok(()),
        }
    }

    fn takes_key(&self) -> bool {
        matches!(self.open.last(), Some(Open::Object(_, None, _)))
    }

    fn key(&mut self, text: &str, style: ScalarStyle, span: &Span) -> Result<(), YamlError> {
        if text == "<<" && style == ScalarStyle::Plain {
            return Err(refused(span, "merge keys (<<) are not part of YAML 1.2; repeat the fields"));
        }
        if let Some(Open::Object(fields, key, _)) = self.open.last_mut() {
            if fields.contains_key(text) {
                return Err(refused(span, format!("the key {text:?} stands twice; keep one")));
            }
            *key = Some(text.to_owned());
        }
        Ok(())
    }

    fn open(&mut self, container: Open, tagged: bool, span: &Span) -> Result<(), YamlError> {
        if tagged {
            return Err(refused(span, "tags such as !!map are not used here"));
        }
        if self.takes_key() {
            return Err(refused(span, "a key must be text"));
        }
        if self.open.len() >= DEPTH {
            return Err(refused(span, format!("it nests deeper than {DEPTH} levels")));
        }
        self.note(span);
        self.open.push(container);
        Ok(())
    }

    /// Remembers where the value that comes next stands.
    fn note(&mut self, span: &Span) {
        let mut at = Pointer::root();
        for open in &self.open {
            at = match open {
                Open::Array(items, _) => at.index(items.len()),
                Open::Object(_, key, _) => at.key(key.as_deref().unwrap_or_default()),
            };
        }
        self.lines.insert(at.into_string(), span.start.line());
    }

    fn put(&mut self, value: Value, anchor: usize, span: &Span) -> Result<(), YamlError> {
        self.nodes += 1;
        if self.nodes > NODES {
            return Err(refused(span, format!("it holds more than {NODES} values, aliases written out")));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, value.clone());
        }
        match self.open.last_mut() {
            None => self.root = Some(value),
            Some(Open::Array(items, _)) => items.push(value),
            Some(Open::Object(fields, key, _)) => match key.take() {
                Some(name) => {
                    fields.insert(name, value);
                }
                None => return Err(refused(span, "a key must be text")),
            },
        }
        Ok(())
    }
}

fn count(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(count).sum::<usize>(),
        Value::Object(fields) => 1 + fields.values().map(count).sum::<usize>(),
        _ => 1,
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// The core schema of YAML 1.2; what JSON can't hold (infinity, integers beyond 64 bits) stays text.
fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::String(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return true.into(),
        "false" | "False" | "FALSE" => return false.into(),
        _ => {}
    }
    number(text).unwrap_or_else(|| Value::String(text.to_owned()))
}

fn number(text: &str) -> Option<Value> {
    let radix = |digits: &str, radix| u64::from_str_radix(digits, radix).ok().map(Value::from);
    if let Some(hex) = text.strip_prefix("0x") {
        return radix(hex, 16);
    }
    if let Some(octal) = text.strip_prefix("0o") {
        return radix(octal, 8);
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let first = digits.bytes().next()?;
    if !(first.is_ascii_digit() || (first == b'.' && digits.len() > 1)) {
        return None;
    }
    if digits.bytes().all(|b| b.is_ascii_digit()) {
        let unsigned = text.strip_prefix('+').unwrap_or(text);
        return unsigned.parse::<i64>().map(Value::from).ok().or_else(|| unsigned.parse::<u64>().ok().map(Value::from));
    }
    if !digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-')) {
        return None;
    }
    let float = text.parse::<f64>().ok()?;
    serde_json::Number::from_f64(float).map(Value::Number)
}
