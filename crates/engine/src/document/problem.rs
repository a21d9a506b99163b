//! What is wrong with a document, said so that a person can act on it: where, what, and what would be right.

use std::fmt;

use serde::Serialize;

use super::pointer::Pointer;

/// One thing that keeps a document from being used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// JSON pointer to the place.
    pub path: String,
    /// Line of the document (from 1), where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{} (line {line}): {}", self.path, self.message),
            None => write!(f, "{}: {}", self.path, self.message),
        }
    }
}

/// Everything found wrong, in the order of the document as it is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

/// Problems kept for one document; the first ones are the useful ones.
const KEPT: usize = 100;

impl Problems {
    /// Adds one.
    pub fn add(&mut self, at: &Pointer, message: impl Into<String>) {
        if self.0.len() < KEPT {
            self.0.push(Problem { path: at.to_string(), line: None, message: message.into() });
        }
    }

    /// Adds those of `other` that are not among these.
    pub fn absorb(&mut self, other: Self) {
        for problem in other.0 {
            if self.0.len() < KEPT && !self.0.contains(&problem) {
                self.0.push(problem);
            }
        }
    }

    /// Keeps those for which this holds.
    pub fn retain(&mut self, keep: impl FnMut(&Problem) -> bool) {
        self.0.retain(keep);
    }

    /// In the order of their lines.
    #[must_use]
    pub fn by_line(mut self) -> Self {
        self.0.sort_by_key(|problem| problem.line);
        self
    }

    /// True when nothing was found.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    pub fn list(&self) -> &[Problem] {
        &self.0
    }

    /// Fills in the lines.
    #[must_use]
    pub fn located(mut self, line_of: impl Fn(&str) -> Option<usize>) -> Self {
        for problem in &mut self.0 {
            problem.line = line_of(&problem.path);
        }
        self
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            if n > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// `, did you mean "x"?` where one of `known` is near.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let best =
        known.into_iter().map(|k| (strsim::damerau_levenshtein(name, k), k)).min_by_key(|(distance, _)| *distance);
    match best {
        Some((distance, near)) if distance <= 1 + name.chars().count() / 4 => format!("; did you mean {near:?}?"),
        _ => String::new(),
    }
}
