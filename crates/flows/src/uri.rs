//! URI templates, level 1 of RFC 6570: `{name}` is a top-level field of the task's input, percent-encoded.

use nexus_outbound::is_dot_segment;
use serde_json::Value;

/// A parsed template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UriTemplate(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(String),
}

impl UriTemplate {
    /// Reads a template; the message says what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let (before, after) = rest.split_at(open);
            if before.contains('}') {
                return Err(format!("{text:?} closes a brace that it did not open"));
            }
            let close = after.find('}').ok_or_else(|| format!("{text:?} opens a brace that it does not close"))?;
            let name = &after[1..close];
            if name.is_empty()
                || name.starts_with(['+', '#', '.', '/', ';', '?', '&', '=', ',', '!', '@', '|', '{'])
                || name.contains(['*', ':', ',', '{'])
            {
                return Err(format!(
                    "{{{name}}} is not a plain name; only {{name}} is known, or use an expression ${{ … }}"
                ));
            }
            parts.push(Part::Text(before.to_owned()));
            parts.push(Part::Field(name.to_owned()));
            rest = &after[close + 1..];
        }
        if rest.contains('}') {
            return Err(format!("{text:?} closes a brace that it did not open"));
        }
        parts.push(Part::Text(rest.to_owned()));
        let template = Self(parts);
        template.check_scheme(text)?;
        Ok(template)
    }

    fn check_scheme(&self, text: &str) -> Result<(), String> {
        let Some(Part::Text(start)) = self.0.first() else { return Ok(()) };
        let scheme = start.split("://").next().unwrap_or_default();
        let named = start.contains("://") && scheme.starts_with(|c: char| c.is_ascii_alphabetic());
        if named && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')) {
            return Ok(());
        }
        Err(format!("{text:?} is no absolute URI; it begins with its scheme, for example https://"))
    }

    /// True when nothing is to be filled in.
    pub fn is_plain(&self) -> bool {
        self.0.iter().all(|part| matches!(part, Part::Text(_)))
    }

    /// Fills in fields of `input`; what is not there is empty, which a whole segment of the path can't be. Nor can it be made
    /// to lead elsewhere.
    pub fn expand(&self, input: &Value) -> Result<String, String> {
        let mut uri = String::new();
        let mut segment = Segment::default();
        for part in &self.0 {
            match part {
                Part::Text(text) => {
                    for c in text.chars() {
                        if matches!(c, '/' | '\\' | '?' | '#') {
                            segment.check(&uri)?;
                            segment.next(c, uri.len() + c.len_utf8());
                        }
                        uri.push(c);
                    }
                }
                Part::Field(name) => {
                    segment.filled = Some(name);
                    fill(name, input.get(name), &mut uri)?;
                }
            }
        }
        segment.check(&uri)?;
        Ok(uri)
    }
}

fn fill(name: &str, value: Option<&Value>, uri: &mut String) -> Result<(), String> {
    match value {
        None | Some(Value::Null) => {}
        Some(Value::String(text)) => encode(text, uri),
        Some(Value::Bool(b)) => uri.push_str(if *b { "true" } else { "false" }),
        Some(Value::Number(n)) => encode(&n.to_string(), uri),
        Some(_) => {
            return Err(format!(
                "{{{name}}} is a list or a map; only text, numbers and true or false can stand in a URI"
            ));
        }
    }
    Ok(())
}

/// What is being filled in: a segment of the path, where the path has not ended.
#[derive(Default)]
struct Segment<'t> {
    /// Where in the URI it begins.
    start: usize,
    /// By this field, the last of several.
    filled: Option<&'t str>,
    path_is_over: bool,
}

impl Segment<'_> {
    fn next(&mut self, separator: char, start: usize) {
        let path_is_over = self.path_is_over || matches!(separator, '?' | '#');
        *self = Self { start, filled: None, path_is_over };
    }

    fn check(&self, uri: &str) -> Result<(), String> {
        let Some(name) = self.filled.filter(|_| !self.path_is_over) else { return Ok(()) };
        refuse_elsewhere(name, uri.get(self.start..).unwrap_or_default())
    }
}

/// Refuses a segment of a path that, filled in, is none: with it another address would be called than the template says.
pub fn refuse_elsewhere(name: &str, segment: &str) -> Result<(), String> {
    if segment.is_empty() {
        return Err(format!("{{{name}}} is empty or missing; a URI whose path lacks it would call something else"));
    }
    if is_dot_segment(segment) {
        return Err(format!(
            "{{{name}}} would make a segment of the path {segment:?}, which leads to another address; give it another value"
        ));
    }
    Ok(())
}

impl std::fmt::Display for UriTemplate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(text),
            Part::Field(name) => write!(f, "{{{name}}}"),
        })
    }
}

/// Percent-encodes everything but unreserved characters.
pub fn encode(text: &str, into: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            into.push(char::from(byte));
        } else {
            into.push('%');
            into.push(char::from(HEX[usize::from(byte >> 4)]));
            into.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn top_level_fields_are_filled_in_and_encoded() {
        let template = UriTemplate::parse("https://x.example/a/{id}?q={q}&n={none}").unwrap();
        let uri = template.expand(&serde_json::json!({"id": 7, "q": "a b/ü&{z}"})).unwrap();
        assert_eq!(uri, "https://x.example/a/7?q=a%20b%2F%C3%BC%26%7Bz%7D&n=");
        assert!(template.expand(&serde_json::json!({"id": [1]})).is_err());
        for bad in [
            "/relative",
            "x.example/a",
            "https://a/{+id}",
            "https://a/{a",
            "https://a/a}",
            "https://a/{}",
            "https://a/{a,b}",
            "{scheme}://x",
        ] {
            assert!(UriTemplate::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn no_field_makes_a_path_lead_elsewhere() {
        let expand = |template: &str, id: &str| {
            UriTemplate::parse(template).unwrap().expand(&serde_json::json!({"id": id, "dot": "."}))
        };
        assert_eq!(expand("https://x.example/a/{id}/b", "../c").unwrap(), "https://x.example/a/..%2Fc/b");
        assert_eq!(expand("https://x.example/a{id}?q={id}", "..").unwrap(), "https://x.example/a..?q=..");
        for (template, id, part) in [
            ("https://x.example/a/{id}", "..", "{id} would make a segment of the path \"..\""),
            ("https://x.example/a/{id}/b", ".", "{id} would make"),
            ("https://x.example/a/{id}?q", "%2e%2E", "{id} would make"),
            ("https://x.example/a/{id}{dot}#x", ".", "{dot} would make"),
            ("https://x.example/a/%2e{id}", ".", "{id} would make"),
            ("https://x.example/a/{id}", "", "{id} is empty or missing"),
            ("https://x.example/a/{none}/b", "", "{none} is empty or missing"),
        ] {
            let refused = expand(template, id).unwrap_err();
            assert!(refused.contains(part), "{template} {id}: {refused}");
        }
    }
}
