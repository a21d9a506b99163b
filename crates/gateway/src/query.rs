//! Query strings: decoded, checked against what the route declares, and read with a reason for everything wrong.

use std::{fmt::Display, str::FromStr};

use nexus_core::{
    problem::{Code, Problem},
    wording::unreadable,
};

use nexus_engine::document::problem::nearest;

use crate::routes::Param;

/// Bytes of a query string; above: 400.
const QUERY_BYTES: usize = 8 << 10;

/// A parsed query.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Parses `text`. A name that is not `known` is refused with the list, so that a typing error does not silently
    /// select everything.
    pub(crate) fn exact(text: &str, known: &[Param]) -> Result<Self, Problem> {
        let query = Self::parse(text)?;
        match query.0.iter().find(|(name, _)| !known.iter().any(|p| p.name == name)) {
            Some((name, _)) => Err(Problem::field(name, unknown(name, known))),
            None => Ok(query),
        }
    }

    /// Parses `text`, whatever its names are.
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        if text.len() > QUERY_BYTES {
            return Err(Problem::new(Code::Malformed, format!("the query is longer than {QUERY_BYTES} bytes")));
        }
        let mut pairs = Vec::new();
        for part in text.split('&').filter(|p| !p.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let decoded = decode(name, true).zip(decode(value, true));
            let Some((name, value)) = decoded else {
                return Err(Problem::new(Code::Malformed, "the query is not UTF-8 when decoded"));
            };
            pairs.push((name, value));
        }
        Ok(Self(pairs))
    }

    /// The first value of `name`, where it is not empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str()).filter(|v| !v.is_empty())
    }

    /// The first value of `name`, be it empty.
    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// All values of `name`, also comma-separated.
    pub(crate) fn list(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(n, _)| n == name).flat_map(|(_, v)| v.split(',')).filter(|v| !v.is_empty())
    }

    /// The value of `name`, read as `T`.
    pub(crate) fn read<T: FromStr<Err: Display>>(&self, name: &str) -> Result<Option<T>, Problem> {
        self.text(name)
            .map(|text| text.parse().map_err(|e: T::Err| Problem::field(name, unreadable(text, &e.to_string()))))
            .transpose()
    }

    /// The value of `name` as a time in RFC 3339.
    pub(crate) fn time(&self, name: &str) -> Result<Option<nexus_core::time::Timestamp>, Problem> {
        self.text(name)
            .map(|text| {
                nexus_core::time::Timestamp::parse(text).ok_or_else(|| {
                    Problem::field(name, format!("{text:?} is no time; write for example 2026-01-02T03:04:05Z"))
                })
            })
            .transpose()
    }

    /// `limit`: 1 to `most`, or `usual` when absent.
    pub(crate) fn limit(&self, usual: usize, most: usize) -> Result<usize, Problem> {
        match self.read::<usize>("limit")? {
            None => Ok(usual),
            Some(n) if (1..=most).contains(&n) => Ok(n),
            Some(n) => Err(Problem::field("limit", format!("{n} is outside 1 to {most}"))),
        }
    }

    /// Whether `name` is set to `true` (or stands there without a value).
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str()) {
            None | Some("false" | "0") => Ok(false),
            Some("" | "true" | "1") => Ok(true),
            Some(other) => Err(Problem::field(name, format!("{other:?} is neither true nor false"))),
        }
    }
}

fn unknown(name: &str, known: &[Param]) -> String {
    let names: Vec<_> = known.iter().map(|p| p.name).collect();
    if names.is_empty() {
        return "unknown parameter; there are none here".to_owned();
    }
    format!("unknown parameter{}; known are {}", nearest(name, names.iter().copied()), names.join(", "))
}

/// Percent-decodes; `+` is a space only in a query. `None` when the result is not UTF-8 or an escape is broken.
pub(crate) fn decode(text: &str, in_query: bool) -> Option<String> {
    let escaped = text.contains('%') || in_query && text.contains('+');
    if !escaped {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let (high, low) = (rest.next().and_then(digit)?, rest.next().and_then(digit)?);
                bytes.push(high << 4 | low);
            }
            b'+' if in_query => bytes.push(b' '),
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).ok()
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KNOWN: &[Param] = &[Param { name: "type", about: "" }, Param { name: "limit", about: "" }];

    #[test]
    fn values_are_decoded_and_unknown_names_refused_with_the_list() {
        let query = Query::exact("type=a%2Eb,c&type=d+e&limit=5", KNOWN).expect("valid");
        assert_eq!(query.list("type").collect::<Vec<_>>(), ["a.b", "c", "d e"]);
        assert_eq!(query.limit(50, 100), Ok(5));
        let refused = Query::exact("typ=x", KNOWN).expect_err("unknown");
        assert_eq!(refused.details["typ"], "unknown parameter; did you mean \"type\"?; known are type, limit");
        let refused = Query::exact("x=1", &[]).expect_err("unknown");
        assert_eq!(refused.details["x"], "unknown parameter; there are none here");
        assert!(Query::exact("", &[]).is_ok() && Query::parse("x=1").is_ok());
        assert_eq!(Query::exact("limit=0", KNOWN).expect("parses").limit(1, 2).map_err(|p| p.code), Err(Code::Invalid));
        assert!(Query::exact("type=%ff", KNOWN).is_err());
        assert!(Query::exact("type=%4", KNOWN).is_err());
    }

    proptest! {
        #[test]
        fn no_query_panics_and_what_was_encoded_comes_back(text in "\\PC{0,60}", value in "\\PC{0,20}") {
            let _ = (Query::parse(&text), Query::exact(&text, KNOWN));
            let encoded: String = value.bytes().map(|b| format!("%{b:02X}")).collect();
            prop_assert_eq!(decode(&encoded, true), Some(value));
        }
    }
}
