//! Binary mode: attributes in `ce-*` headers, data in the body.

use bytes::Bytes;
use serde_json::Value;

use super::{
    CloudEvent,
    parts::{Parts, Payload},
};
use crate::problem::{Code, Problem};

/// One event in binary mode, from all headers of the message (names in any case) and its body.
pub fn binary<'a>(headers: impl IntoIterator<Item = (&'a str, &'a [u8])>, body: &Bytes) -> Result<CloudEvent, Problem> {
    let mut parts = Parts::default();
    let mut seen: Vec<String> = Vec::new();
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        let attribute = match name.strip_prefix("ce-") {
            Some("datacontenttype") => {
                return Err(Problem::field("ce-datacontenttype", "must not be sent; Content-Type says it"));
            }
            Some(attribute) => attribute,
            None if name == "content-type" => "datacontenttype",
            None => continue,
        };
        if seen.iter().any(|s| s == attribute) {
            return Err(Problem::field(&name, "stands twice; keep one"));
        }
        let text = if attribute == "datacontenttype" { plain(&name, value)?.to_owned() } else { decode(&name, value)? };
        // An empty Content-Type says as little as none.
        if attribute != "datacontenttype" || !text.is_empty() {
            parts.set(attribute, Value::String(text))?;
        }
        seen.push(attribute.to_owned());
    }
    parts.finish(Payload::Body(body.clone()))
}

fn plain<'a>(name: &str, value: &'a [u8]) -> Result<&'a str, Problem> {
    let text = std::str::from_utf8(value).ok().filter(|t| t.bytes().all(|b| matches!(b, b'\t' | b' '..=b'~')));
    let text = text.ok_or_else(|| malformed(name, "holds a byte outside printable ASCII; percent-encode it"))?;
    Ok(text.trim_matches([' ', '\t']))
}

/// Takes off quotes, then decodes percent-encoding, once.
fn decode(name: &str, value: &[u8]) -> Result<String, Problem> {
    let text = plain(name, value)?;
    let text = match text.strip_prefix('"') {
        Some(quoted) => unquote(quoted).ok_or_else(|| malformed(name, "has an unfinished quoted string"))?,
        None => text.to_owned(),
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first != b'%' {
            bytes.push(*first);
            rest = after;
            continue;
        }
        let byte = match after {
            [high, low, ..] => nibble(*high).zip(nibble(*low)).map(|(h, l)| h << 4 | l),
            _ => None,
        };
        bytes.push(byte.ok_or_else(|| malformed(name, "has a % without two hex digits; write a % itself as %25"))?);
        rest = &after[2..];
    }
    // Refuses overlong forms and surrogates too.
    String::from_utf8(bytes).map_err(|_| malformed(name, "is not UTF-8 after percent-decoding"))
}

/// What stands before the closing quote, without its backslashes; `None` when the quote does not close at the end.
fn unquote(after_quote: &str) -> Option<String> {
    let mut text = String::with_capacity(after_quote.len());
    let mut chars = after_quote.chars();
    loop {
        match chars.next()? {
            '"' => return chars.next().is_none().then_some(text),
            '\\' => text.push(chars.next()?),
            c => text.push(c),
        }
    }
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|n| u8::try_from(n).ok())
}

fn malformed(name: &str, reason: &str) -> Problem {
    Problem::new(Code::Malformed, format!("the header {name} {reason}"))
}
