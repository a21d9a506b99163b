//! Whether a GraphQL document is small enough to be looked at more closely. Pure: text in, parsed document or reason out.
//!
//! Validation and execution walk fragments where they are spread, so a few hundred bytes of fragments that spread each
//! other can stand for millions of fields. What a document amounts to is therefore counted here first, each fragment once.

use std::collections::HashMap;

use async_graphql::{
    Pos,
    parser::{
        self, parse_query,
        types::{ExecutableDocument, OperationType, Selection, SelectionSet},
    },
};
use nexus_core::problem::{Code, Problem};

/// Bytes of a document; above: refused.
pub(super) const DOCUMENT_BYTES: usize = 64 << 10;
/// Levels of fields; deeper is refused. The introspection query of common tools has 15.
pub(super) const DEPTH: usize = 20;
/// Brackets inside each other, of any kind; the parser descends as deep.
const BRACKETS: usize = 60;
/// Fields of one operation, with every fragment counted wherever it is spread; above: refused.
const FIELDS: u64 = 2_000;
/// Fields at the top of one operation, aliases included: each is a question of its own to the hub.
const TOP_FIELDS: u64 = 30;
/// Operations and fragments of one document.
const DEFINITIONS: usize = 100;

/// A document within all limits.
#[derive(Debug)]
pub(super) struct Admitted {
    /// Parsed.
    pub(super) document: ExecutableDocument,
    /// What the chosen operation is; `None` where no such operation is there, which validation will say.
    pub(super) kind: Option<OperationType>,
}

/// Why a document is not run, and where in it that shows.
#[derive(Debug)]
pub(super) struct Unfit {
    /// Why.
    pub(super) problem: Problem,
    /// Lines and columns, the most telling first.
    pub(super) at: Vec<Pos>,
}

impl From<Problem> for Unfit {
    fn from(problem: Problem) -> Self {
        Self { problem, at: Vec::new() }
    }
}

/// The parser's refusal in one line. It draws the place over several; what it says stands in the last.
fn unreadable(error: &parser::Error) -> Unfit {
    let at: Vec<Pos> = error.positions().collect();
    let drawn = error.to_string();
    let last = drawn.lines().next_back().unwrap_or_default().trim();
    let said = last.strip_prefix("= ").unwrap_or(last).replace('_', " ");
    let place = at.first().map(|pos| format!(" at line {}, column {}", pos.line, pos.column)).unwrap_or_default();
    Unfit { problem: Problem::new(Code::Malformed, format!("the document can't be read{place}: {said}")), at }
}

/// Parses and measures `text`. `operation` is the name of the one to run.
pub(super) fn admit(text: &str, operation: Option<&str>) -> Result<Admitted, Unfit> {
    let large = |what: String| Unfit::from(Problem::new(Code::TooLarge, what));
    if text.len() > DOCUMENT_BYTES {
        return Err(large(format!("the document is larger than {DOCUMENT_BYTES} bytes")));
    }
    if brackets(text) > BRACKETS {
        return Err(large(format!("the document is nested too deep: at most {DEPTH} levels of fields are possible")));
    }
    let document = parse_query(text).map_err(|error| unreadable(&error))?;
    if document.operations.iter().count() + document.fragments.len() > DEFINITIONS {
        return Err(large(format!("the document has more than {DEFINITIONS} operations and fragments")));
    }
    let mut measured = HashMap::new();
    for (_, definition) in document.operations.iter() {
        let set = &definition.node.selection_set.node;
        let size = measure(&document, set, &mut measured, &mut Vec::new())?;
        if size.depth > DEPTH {
            return Err(large(format!("the query is {} levels deep; at most {DEPTH} are possible", size.depth)));
        }
        if size.fields > FIELDS {
            return Err(large(format!("the query has more than {FIELDS} fields, with fragments written out")));
        }
        if size.top > TOP_FIELDS {
            return Err(large(format!("the query asks for more than {TOP_FIELDS} things at its top")));
        }
    }
    let kind = kind(&document, operation);
    Ok(Admitted { document, kind })
}

fn kind(document: &ExecutableDocument, operation: Option<&str>) -> Option<OperationType> {
    let mut all = document.operations.iter();
    let chosen = match operation {
        Some(wanted) => all.find(|(name, _)| name.is_some_and(|n| n.as_str() == wanted)),
        None => all.next(),
    };
    chosen.map(|(_, definition)| definition.node.ty)
}

/// How deep brackets of any kind stand inside each other, strings and comments left out.
fn brackets(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut open, mut deepest) = (0, 0usize, 0usize);
    while let Some(byte) = bytes.get(at) {
        let rest = bytes.get(at..).unwrap_or_default();
        match byte {
            b'"' if rest.starts_with(b"\"\"\"") => {
                at += block_string(rest);
                continue;
            }
            b'"' => {
                at += string(rest);
                continue;
            }
            b'#' => {
                at += rest.iter().position(|b| matches!(b, b'\n' | b'\r')).unwrap_or(rest.len());
                continue;
            }
            b'{' | b'(' | b'[' => {
                open += 1;
                deepest = deepest.max(open);
            }
            b'}' | b')' | b']' => open = open.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    deepest
}

/// Bytes of the string that `rest` begins with. One that does not end on its line is none: it is passed over as a mark.
fn string(rest: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = rest.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            b'\n' | b'\r' => return 1,
            _ => at += 1,
        }
    }
    1
}

/// Bytes of the block string that `rest` begins with; to the end where it has none.
fn block_string(rest: &[u8]) -> usize {
    let mut at = 3;
    while at < rest.len() {
        let here = rest.get(at..).unwrap_or_default();
        if here.starts_with(b"\\\"\"\"") {
            at += 4;
        } else if here.starts_with(b"\"\"\"") {
            return at + 3;
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// What a selection amounts to.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    depth: usize,
    fields: u64,
    top: u64,
}

/// Measures a selection; each fragment is measured once. A fragment that spreads itself is refused.
fn measure<'d>(
    document: &'d ExecutableDocument,
    set: &'d SelectionSet,
    measured: &mut HashMap<&'d str, Size>,
    within: &mut Vec<&'d str>,
) -> Result<Size, Problem> {
    let mut size = Size::default();
    for item in &set.items {
        match &item.node {
            Selection::Field(field) => {
                let below = measure(document, &field.node.selection_set.node, measured, within)?;
                size.depth = size.depth.max(below.depth + 1);
                size.fields = size.fields.saturating_add(below.fields).saturating_add(1);
                size.top = size.top.saturating_add(1);
            }
            Selection::InlineFragment(inline) => {
                size.add(measure(document, &inline.node.selection_set.node, measured, within)?);
            }
            Selection::FragmentSpread(spread) => {
                let name = spread.node.fragment_name.node.as_str();
                // An unknown fragment is validation's to refuse.
                let Some((name, fragment)) = document.fragments.get_key_value(name) else { continue };
                let name = name.as_str();
                if within.contains(&name) {
                    let message = format!("the fragment {name} spreads itself");
                    return Err(Problem::new(Code::Invalid, message));
                }
                if !measured.contains_key(name) {
                    within.push(name);
                    let found = measure(document, &fragment.node.selection_set.node, measured, within)?;
                    within.pop();
                    measured.insert(name, found);
                }
                size.add(measured.get(name).copied().unwrap_or_default());
            }
        }
    }
    Ok(size)
}

impl Size {
    /// Beside this, as a spread or an inline fragment is.
    fn add(&mut self, other: Self) {
        self.depth = self.depth.max(other.depth);
        self.fields = self.fields.saturating_add(other.fields);
        self.top = self.top.saturating_add(other.top);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(text: &str) -> (Code, String) {
        let problem = admit(text, None).expect_err("must be refused").problem;
        (problem.code, problem.message)
    }

    #[test]
    fn a_deep_query_is_refused_however_the_depth_is_written() {
        let plain = format!("{{{}a{}}}", "a{".repeat(49), "}".repeat(49));
        assert_eq!(refused(&plain).0, Code::TooLarge);
        let inline = format!("{{{}a{}}}", "...{a{".repeat(20), "}}".repeat(20));
        assert_eq!(refused(&inline).0, Code::TooLarge);
        let mut spread = String::from("{...f0}");
        for n in 0..30 {
            spread.push_str(&format!(" fragment f{n} on Query {{ a {{ ...f{} }} }}", n + 1));
        }
        spread.push_str(" fragment f30 on Query { a }");
        assert_eq!(refused(&spread).0, Code::TooLarge);
        // A hundred thousand brackets must not reach the parser, which descends once for each.
        assert_eq!(refused(&"{a".repeat(30_000)).0, Code::TooLarge);
        assert!(
            admit("{ a(x: \"{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{\") }", None)
                .is_ok()
        );
    }

    #[test]
    fn fragments_that_multiply_are_counted_as_written_out() {
        let mut bomb = String::from("{...f0}");
        for n in 0..60 {
            bomb.push_str(&format!(" fragment f{n} on Query {{ ...f{m} ...f{m} }}", m = n + 1));
        }
        bomb.push_str(" fragment f60 on Query { a }");
        assert_eq!(refused(&bomb).0, Code::TooLarge);
        let cycle = refused("{...a} fragment a on Query {...b} fragment b on Query {...a}");
        assert_eq!(cycle, (Code::Invalid, "the fragment a spreads itself".into()));
    }

    #[test]
    fn many_aliases_and_large_documents_are_refused() {
        let aliases: String = (0..40).map(|n| format!("a{n}: health {{ status }} ")).collect();
        assert_eq!(refused(&format!("{{{aliases}}}")).0, Code::TooLarge);
        assert_eq!(refused(&format!("{{a}} #{}", "x".repeat(DOCUMENT_BYTES))).0, Code::TooLarge);
        let fragments: String = (0..200).map(|n| format!("fragment f{n} on Query {{ a }} ")).collect();
        assert_eq!(refused(&format!("{{a}} {fragments}")).0, Code::TooLarge);
        assert_eq!(refused("{").0, Code::Malformed);
        assert_eq!(refused("").0, Code::Malformed);
    }

    #[test]
    fn what_can_not_be_read_is_told_in_one_line_with_its_place() {
        for (text, line, column) in [
            ("{", 1, 2),
            ("", 1, 1),
            ("{ health { status }\n  state(key: }", 2, 14),
            ("query A {a} query A {b}", 1, 13),
        ] {
            let unfit = admit(text, None).expect_err(text);
            assert_eq!(unfit.at.first(), Some(&Pos { line, column }), "{text}: {unfit:?}");
            let message = &unfit.problem.message;
            assert!(message.contains(&format!("at line {line}, column {column}: ")), "{message}");
            assert!(!message.contains('\n') && !message.contains("-->") && !message.ends_with(": "), "{message}");
        }
    }

    #[test]
    fn the_operation_that_runs_decides_the_kind() {
        let text = "query A {a} mutation B {b}";
        assert_eq!(admit(text, Some("B")).expect("fine").kind, Some(OperationType::Mutation));
        assert_eq!(admit(text, Some("C")).expect("fine").kind, None);
        assert_eq!(admit("subscription {a}", None).expect("fine").kind, Some(OperationType::Subscription));
    }

    proptest! {
        #[test]
        fn no_document_panics(text in "[{}()\\[\\]\"a$:.! #\\\\\n@]{0,200}") {
            let _ = admit(&text, None);
        }
    }
}
