//! Topics (event types), filters over them, and the names under which the same topic is known elsewhere.
//!
//! Canonical topics are dotted lower case: `payment.received`. The `SCREAMING_SNAKE` form of the NEO vocabulary maps to
//! it by rule (lower case, first `_` becomes `.`), so `PAYMENT_RECEIVED` and `payment.received` are one topic.

use std::{borrow::Cow, fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::limits::{TOPIC_BYTES, TOPIC_SEGMENTS};

/// A canonical event type: 1 to 16 segments of `[a-z0-9_-]`, at most 200 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(Arc<str>);

/// Why a text is no topic or filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// Empty text.
    #[error("an event name is empty; give one such as payment.received or PAYMENT_RECEIVED")]
    Empty,
    /// Over the byte limit.
    #[error("an event name has {0} bytes; at most 200 are allowed")]
    TooLong(usize),
    /// Over the segment limit.
    #[error("an event name has more than 16 segments")]
    TooManySegments,
    /// `a..b`, `.a` or `a.`.
    #[error("an event name has an empty segment; write payment.received, not payment..received")]
    EmptySegment,
    /// A character outside the set.
    #[error("an event name has the character {0:?}; letters, digits, _ and - in dot-separated segments are allowed")]
    BadCharacter(char),
    /// `>` or `**` before the end, or a wildcard inside a segment.
    #[error("a filter has a misplaced wildcard: * stands for one whole segment, > or ** for the rest at the end")]
    Wildcard,
}

/// Names that are another topic's second name, carried only by events published under them.
const ALIASES: &[(&str, &str)] = &[("lead.captured", "lead.created")];

impl Topic {
    /// Reads a topic in canonical, mixed-case or SCREAMING form and folds it to the canonical one. Aliases stay themselves.
    pub fn parse(text: &str) -> Result<Self, TopicError> {
        let canonical = canonical(text)?;
        for segment in canonical.split('.') {
            check_segment(segment)?;
        }
        Ok(Self(canonical.into()))
    }

    /// A topic as the log holds it, already canonical.
    pub fn from_canonical(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The canonical text, shared.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// The second names of a topic.
    pub fn aliases(topic: &str) -> impl Iterator<Item = &'static str> {
        ALIASES.iter().filter(move |(_, of)| *of == topic).map(|(alias, _)| *alias)
    }

    /// The topic this one is a second name of, if it is an alias.
    pub fn alias_of(&self) -> Option<Self> {
        ALIASES.iter().find(|(alias, _)| *alias == self.as_str()).map(|(_, of)| Self((*of).into()))
    }

    /// The SCREAMING form: `payment.received` becomes `PAYMENT_RECEIVED`.
    pub fn screaming(&self) -> String {
        self.0.chars().map(|c| if c == '.' { '_' } else { c.to_ascii_uppercase() }).collect()
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Topic {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Topic {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(d)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// True for `PAYMENT_RECEIVED`: capitals, digits and underscores, at least one capital, no dot.
fn is_screaming(text: &str) -> bool {
    text.bytes().any(|b| b.is_ascii_uppercase())
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

fn canonical(text: &str) -> Result<String, TopicError> {
    if text.is_empty() {
        return Err(TopicError::Empty);
    }
    if text.len() > TOPIC_BYTES {
        return Err(TopicError::TooLong(text.len()));
    }
    let lower = text.to_ascii_lowercase();
    let folded = if is_screaming(text) { lower.replacen('_', ".", 1) } else { lower };
    if folded.split('.').count() > TOPIC_SEGMENTS {
        return Err(TopicError::TooManySegments);
    }
    Ok(folded)
}

fn check_segment(segment: &str) -> Result<(), TopicError> {
    if segment.is_empty() {
        return Err(TopicError::EmptySegment);
    }
    match segment.chars().find(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-'))) {
        Some('*' | '>') => Err(TopicError::Wildcard),
        Some(c) => Err(TopicError::BadCharacter(c)),
        None => Ok(()),
    }
}

/// One step of a filter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    /// This very text.
    Exact(Box<str>),
    /// `*`: any one segment.
    One,
    /// `>` or `**`: one or more segments to the end.
    Rest,
}

/// A pattern over topics, which remembers the form it was asked in so that answers can use the same name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TopicFilter {
    asked: Box<str>,
    segments: Box<[Segment]>,
}

impl TopicFilter {
    /// Reads `payment.received`, `payment.*`, `payment.>`, `>` or `PAYMENT_RECEIVED`.
    pub fn parse(text: &str) -> Result<Self, TopicError> {
        let folded = canonical(text)?;
        let count = folded.split('.').count();
        let mut segments = Vec::with_capacity(count);
        for (i, segment) in folded.split('.').enumerate() {
            segments.push(match segment {
                "*" => Segment::One,
                ">" | "**" if i + 1 == count => Segment::Rest,
                ">" | "**" => return Err(TopicError::Wildcard),
                exact => {
                    check_segment(exact)?;
                    Segment::Exact(exact.into())
                }
            });
        }
        Ok(Self { asked: text.into(), segments: segments.into() })
    }

    /// The filter as it was written.
    pub fn as_str(&self) -> &str {
        &self.asked
    }

    /// Its steps.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The one topic it names, when it has no wildcard.
    pub fn exact(&self) -> Option<Topic> {
        let mut text = String::with_capacity(self.asked.len());
        for segment in &self.segments {
            let Segment::Exact(part) = segment else { return None };
            if !text.is_empty() {
                text.push('.');
            }
            text.push_str(part);
        }
        Some(Topic(text.into()))
    }

    /// Whether `topic` (canonical) matches.
    pub fn matches(&self, topic: &str) -> bool {
        let mut parts = topic.split('.');
        for segment in &self.segments {
            match (segment, parts.next()) {
                (Segment::Rest, Some(_)) => return true,
                (Segment::One, Some(_)) => {}
                (Segment::Exact(want), Some(part)) if **want == *part => {}
                _ => return false,
            }
        }
        parts.next().is_none()
    }

    /// The name to show for `topic` (or its `alias`) to whoever asked with this filter; `None` when neither matches.
    /// An exact filter gets its own wording back, a wildcard the canonical name.
    pub fn name_for<'a>(&'a self, topic: &'a str, alias: Option<&'a str>) -> Option<&'a str> {
        let hit = if self.matches(topic) { topic } else { alias.filter(|a| self.matches(a))? };
        let exact = self.segments.iter().all(|s| matches!(s, Segment::Exact(_)));
        Some(if exact { &self.asked } else { hit })
    }
}

impl fmt::Display for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.asked)
    }
}

impl Serialize for TopicFilter {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.asked)
    }
}

impl<'de> Deserialize<'de> for TopicFilter {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(d)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(filter: &str, topic: &str) -> bool {
        TopicFilter::parse(filter).is_ok_and(|f| f.matches(topic))
    }

    #[test]
    fn a_star_is_one_segment_and_an_arrow_the_rest() {
        assert!(matches("user.*", "user.created"));
        assert!(!matches("user.*", "user.a.b"));
        assert!(!matches("user.*", "order.created"));
        assert!(!matches("user.*", "user"));
        assert!(matches("user.>", "user.a.b"));
        assert!(matches("user.**", "user.a"));
        assert!(!matches("user.>", "user"));
        assert!(matches(">", "anything.at.all"));
    }

    #[test]
    fn the_screaming_form_and_the_dotted_form_are_one_topic() {
        assert_eq!(Topic::parse("PAYMENT_RECEIVED").map(|t| t.to_string()), Ok("payment.received".into()));
        assert_eq!(Topic::parse("FOO_BAR_BAZ").map(|t| t.to_string()), Ok("foo.bar_baz".into()));
        assert_eq!(Topic::parse("foo.bar_baz").map(|t| t.screaming()), Ok("FOO_BAR_BAZ".into()));
        let asked = TopicFilter::parse("PAYMENT_RECEIVED").expect("valid");
        assert_eq!(asked.name_for("payment.received", None), Some("PAYMENT_RECEIVED"));
    }

    #[test]
    fn path_tricks_and_wildcards_are_no_topics() {
        for bad in ["", ".", "a..b", "a.", "../etc", "a/b", "a.*", "a.>", "a b", "ä", "a\0b"] {
            assert!(Topic::parse(bad).is_err(), "{bad:?}");
        }
        for bad in ["a.>.b", "a*", "**.a", ""] {
            assert!(TopicFilter::parse(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_parses_round_trips(text in "\\PC{0,40}") {
            if let Ok(topic) = Topic::parse(&text) {
                prop_assert_eq!(Topic::parse(topic.as_str()), Ok(topic.clone()));
                prop_assert!(TopicFilter::parse(topic.as_str()).is_ok_and(|f| f.matches(topic.as_str())));
            }
            let _ = TopicFilter::parse(&text);
        }
    }
}
