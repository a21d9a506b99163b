//! JSON from outside, checked strictly and without building anything.
//!
//! One pass over the bytes, no recursion. What [`check`] accepts, every JSON reader reads to the same value: no key
//! stands twice, no number is beyond a double, no string holds a half surrogate or U+0000 (which stores and C readers
//! cut at). The bytes can then be kept as they came.

use std::borrow::Cow;

use crate::problem::{Code, Problem};

/// What is wrong with a text that should be JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum What {
    /// Nothing, or only white space.
    #[error("it is empty; a JSON value is expected")]
    Empty,
    /// Bytes that are no UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// Nested beyond the limit.
    #[error("it is nested deeper than {0} levels")]
    TooDeep(usize),
    /// A key stands twice in one object.
    #[error("the key {0:?} stands twice in one object; keep one")]
    DuplicateKey(String),
    /// A number that no double can hold.
    #[error("a number is too large; at most about 1.8e308 is allowed")]
    NumberOutOfRange,
    /// Something after the value.
    #[error("something follows the JSON value; send one value")]
    Trailing,
    /// Half of a surrogate pair.
    #[error("a \\u escape is half of a surrogate pair; write both halves")]
    LoneSurrogate,
    /// U+0000.
    #[error("a string holds U+0000, which can't be stored")]
    Nul,
    /// A raw control character in a string.
    #[error("a string holds a raw control character; escape it")]
    Control,
    /// An escape that JSON does not have.
    #[error(
        "a string holds an unknown escape; JSON has \\\" \\\\ \\/ \\b \\f \\n \\r \\t and \\u with four hex digits"
    )]
    BadEscape,
    /// The text ends too early.
    #[error("it ends where {0} is expected")]
    End(&'static str),
    /// Something else than what has to come.
    #[error("{expected} is expected here, not {found:?}")]
    Unexpected {
        /// The character that stands there.
        found: char,
        /// What would be right.
        expected: &'static str,
    },
}

/// Where a text stops being acceptable JSON, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not acceptable JSON at line {line}, column {column} (byte {at}): {what}")]
pub struct JsonError {
    /// Byte offset, from 0.
    pub at: usize,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The reason.
    pub what: What,
}

impl From<JsonError> for Problem {
    fn from(error: JsonError) -> Self {
        Self::new(Code::Malformed, error.to_string())
    }
}

/// Checks that `bytes` are one JSON value, nested at most `depth_limit` levels (normally
/// [`JSON_DEPTH`](crate::limits::JSON_DEPTH); serde_json itself reads up to 127).
pub fn check(bytes: &[u8], depth_limit: usize) -> Result<(), JsonError> {
    let located = |(at, what)| locate(bytes, at, what);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => return Err(located((error.valid_up_to(), What::NotUtf8))),
    };
    let mut scanner =
        Scanner { text, bytes, at: 0, open: Vec::with_capacity(8), keys: Vec::with_capacity(16), depth_limit };
    scanner.document().map_err(located)
}

/// Line and column are counted only once something is wrong.
fn locate(bytes: &[u8], at: usize, what: What) -> JsonError {
    let before = &bytes[..at.min(bytes.len())];
    let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    let line = 1 + before.iter().filter(|b| **b == b'\n').count();
    // Continuation bytes are not characters of their own.
    let column = 1 + before[line_start..].iter().filter(|b| **b & 0xc0 != 0x80).count();
    JsonError { at, line, column, what }
}

type Step<T = ()> = Result<T, (usize, What)>;

/// A container that is still open.
enum Open {
    Array,
    /// Index in `keys` of its first key.
    Object(usize),
}

struct Key<'a> {
    text: Cow<'a, str>,
    at: usize,
}

struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    open: Vec<Open>,
    /// The keys of all open objects, innermost last.
    keys: Vec<Key<'a>>,
    depth_limit: usize,
}

impl<'a> Scanner<'a> {
    fn document(&mut self) -> Step {
        self.space();
        if self.at == self.bytes.len() {
            return Err((self.at, What::Empty));
        }
        loop {
            if self.value()? {
                continue;
            }
            if !self.after_value()? {
                break;
            }
        }
        self.space();
        if self.at < self.bytes.len() { Err((self.at, What::Trailing)) } else { Ok(()) }
    }

    /// Reads a scalar, an empty container, or the opening of one up to its first value; true when a value must follow.
    fn value(&mut self) -> Step<bool> {
        self.space();
        match self.peek() {
            Some(b'"') => self.string().map(|_| false),
            Some(b'-' | b'0'..=b'9') => self.number().map(|()| false),
            Some(b'{') => {
                self.push(Open::Object(self.keys.len()))?;
                if self.closes(b'}') {
                    self.open.pop();
                    return Ok(false);
                }
                self.key().map(|()| true)
            }
            Some(b'[') => {
                self.push(Open::Array)?;
                let empty = self.closes(b']');
                if empty {
                    self.open.pop();
                }
                Ok(!empty)
            }
            Some(b't') => self.literal(b"true").map(|()| false),
            Some(b'f') => self.literal(b"false").map(|()| false),
            Some(b'n') => self.literal(b"null").map(|()| false),
            _ => Err(self.unexpected("a JSON value")),
        }
    }

    /// Closes what ends here; true when another value must follow, false at the end of the outermost.
    fn after_value(&mut self) -> Step<bool> {
        while let Some(open) = self.open.last() {
            let first_key = match open {
                Open::Array => None,
                Open::Object(first) => Some(*first),
            };
            self.space();
            match (self.peek(), first_key) {
                (Some(b','), None) => {
                    self.at += 1;
                    return Ok(true);
                }
                (Some(b','), Some(_)) => {
                    self.at += 1;
                    self.space();
                    self.key()?;
                    return Ok(true);
                }
                (Some(b']'), None) => self.at += 1,
                (Some(b'}'), Some(first)) => {
                    self.no_key_twice(first)?;
                    self.at += 1;
                }
                (_, None) => return Err(self.unexpected("a comma or ]")),
                (_, Some(_)) => return Err(self.unexpected("a comma or }")),
            }
            self.open.pop();
        }
        Ok(false)
    }

    fn push(&mut self, open: Open) -> Step {
        if self.open.len() >= self.depth_limit {
            return Err((self.at, What::TooDeep(self.depth_limit)));
        }
        self.open.push(open);
        self.at += 1;
        Ok(())
    }

    fn closes(&mut self, close: u8) -> bool {
        self.space();
        let closes = self.peek() == Some(close);
        self.at += usize::from(closes);
        closes
    }

    fn key(&mut self) -> Step {
        let at = self.at;
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("a key in double quotes"));
        }
        let escaped = self.string()?;
        // The quotes are ASCII, so these are character boundaries.
        let raw = &self.text[at + 1..self.at - 1];
        let text = if escaped { Cow::Owned(unescape(raw)) } else { Cow::Borrowed(raw) };
        self.keys.push(Key { text, at });
        self.space();
        if self.peek() != Some(b':') {
            return Err(self.unexpected("a colon"));
        }
        self.at += 1;
        Ok(())
    }

    /// Compares the keys of the innermost object, pairwise while they are few, else sorted, and forgets them.
    fn no_key_twice(&mut self, first: usize) -> Step {
        const FEW: usize = 12;
        let keys = &mut self.keys[first..];
        let twice = if keys.len() <= FEW {
            (1..keys.len()).find(|&i| keys[..i].iter().any(|k| k.text == keys[i].text))
        } else {
            keys.sort_unstable_by(|a, b| a.text.cmp(&b.text).then(a.at.cmp(&b.at)));
            (1..keys.len()).find(|&i| keys[i - 1].text == keys[i].text)
        };
        if let Some(i) = twice {
            return Err((keys[i].at, What::DuplicateKey(keys[i].text.clone().into_owned())));
        }
        self.keys.truncate(first);
        Ok(())
    }

    /// Reads a string from its opening quote past its closing one; true when it holds an escape.
    fn string(&mut self) -> Step<bool> {
        let mut escaped = false;
        self.at += 1;
        loop {
            let plain = self.bytes[self.at..].iter().position(|b| matches!(b, b'"' | b'\\' | 0..=0x1f));
            let Some(plain) = plain else {
                return Err((self.bytes.len(), What::End("the closing quote of a string")));
            };
            self.at += plain;
            match self.bytes[self.at] {
                b'"' => {
                    self.at += 1;
                    return Ok(escaped);
                }
                b'\\' => {
                    escaped = true;
                    self.escape()?;
                }
                0 => return Err((self.at, What::Nul)),
                _ => return Err((self.at, What::Control)),
            }
        }
    }

    fn escape(&mut self) -> Step {
        let at = self.at;
        match self.bytes.get(at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let unit = hex4(self.bytes, at + 2).ok_or((at, What::BadEscape))?;
                self.at += 6;
                match unit {
                    0 => return Err((at, What::Nul)),
                    0xd800..=0xdbff => {
                        let low = self.bytes[self.at..].starts_with(b"\\u").then(|| hex4(self.bytes, self.at + 2));
                        if !matches!(low.flatten(), Some(0xdc00..=0xdfff)) {
                            return Err((at, What::LoneSurrogate));
                        }
                        self.at += 6;
                    }
                    0xdc00..=0xdfff => return Err((at, What::LoneSurrogate)),
                    _ => {}
                }
            }
            Some(_) => return Err((at, What::BadEscape)),
            None => return Err((at + 1, What::End("the rest of an escape"))),
        }
        Ok(())
    }

    fn number(&mut self) -> Step {
        // No number of this length without an exponent reaches the limit of a double.
        const SURELY_FINITE: usize = 300;
        let start = self.at;
        let mut exact = true;
        self.at += usize::from(self.peek() == Some(b'-'));
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            exact = false;
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        if exact && self.at - start <= SURELY_FINITE {
            return Ok(());
        }
        // serde_json's own reader decides, so that it can't refuse later what passes here.
        match serde_json::from_str::<f64>(&self.text[start..self.at]) {
            Ok(number) if number.is_finite() => Ok(()),
            _ => Err((start, What::NumberOutOfRange)),
        }
    }

    fn digits(&mut self) -> Step {
        let count = self.bytes[self.at..].iter().take_while(|b| b.is_ascii_digit()).count();
        if count == 0 {
            return Err(self.unexpected("a digit"));
        }
        self.at += count;
        Ok(())
    }

    fn literal(&mut self, word: &'static [u8]) -> Step {
        if !self.bytes[self.at..].starts_with(word) {
            return Err(self.unexpected("true, false, null or another JSON value"));
        }
        self.at += word.len();
        Ok(())
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn unexpected(&self, expected: &'static str) -> (usize, What) {
        let found = self.text.get(self.at..).and_then(|rest| rest.chars().next());
        (self.at, found.map_or(What::End(expected), |found| What::Unexpected { found, expected }))
    }
}

fn hex4(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 4)?;
    digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))
}

/// The text of a string whose escapes were checked.
fn unescape(raw: &str) -> String {
    let quoted = format!("\"{raw}\"");
    // Checked above; were it ever wrong, the raw spelling is compared instead.
    serde_json::from_str(&quoted).unwrap_or_else(|_| raw.to_owned())
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
