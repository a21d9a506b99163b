//! What an expression may be made of: its text capped, its syntax tree held against an allow-list.

use jaq_core::{
    load::{
        lex::StrPart,
        parse::{BinaryOp, Pattern, Term},
    },
    ops::Math,
    path::Part,
};

use super::JqError;

/// Bytes of an expression.
pub(super) const TEXT_BYTES: usize = 4096;
/// Open brackets, parentheses and braces at once.
pub(super) const NESTING: usize = 32;
/// Constructs that visit every element; nested they multiply.
const ITERATIONS: usize = 6;
/// Functions an expression may call: each ends, in time and size linear in its input (sorting aside).
const FUNCTIONS: &[&str] = &[
    "abs",
    "add",
    "all",
    "any",
    "arrays",
    "ascii_downcase",
    "ascii_upcase",
    "booleans",
    "capture",
    "ceil",
    "contains",
    "del",
    "empty",
    "endswith",
    "error",
    "explode",
    "false",
    "first",
    "flatten",
    "floor",
    "from_entries",
    "fromdate",
    "group_by",
    "has",
    "implode",
    "index",
    "indices",
    "inside",
    "isempty",
    "iterables",
    "join",
    "keys",
    "last",
    "length",
    "ltrimstr",
    "map",
    "map_values",
    "match",
    "max",
    "max_by",
    "min",
    "min_by",
    "not",
    "null",
    "nulls",
    "numbers",
    "objects",
    "pick",
    "reverse",
    "round",
    "rtrimstr",
    "scalars",
    "select",
    "sort",
    "sort_by",
    "split",
    "startswith",
    "strings",
    "sub",
    "test",
    "to_entries",
    "todate",
    "tojson",
    "tonumber",
    "tostring",
    "trim",
    "true",
    "type",
    "unique",
    "unique_by",
    "values",
    "with_entries",
    "in",
    "nan",
    "fromjson",
    "gsub",
    "toboolean",
    "scan",
    "trimstr",
    "ltrim",
    "rtrim",
];
/// Those of them that visit every element.
const ITERATING: &[&str] = &[
    "map",
    "map_values",
    "all",
    "any",
    "add",
    "with_entries",
    "group_by",
    "sort_by",
    "unique_by",
    "min_by",
    "max_by",
    "flatten",
    "to_entries",
    "from_entries",
    "scan",
    "gsub",
];
/// Calls that give a number, whatever they are given.
const NUMERIC: &[&str] = &["tonumber", "length", "floor", "round", "ceil", "abs"];

/// Refuses what could hang or sink the process, before the compiler sees it.
pub(super) fn screen(text: &str) -> Result<(), JqError> {
    if text.len() > TEXT_BYTES {
        return Err(JqError::TooLong(text.len()));
    }
    let mut open = 0usize;
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => open += 1,
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        if open > NESTING {
            return Err(JqError::TooDeep);
        }
    }
    // Chains such as `----1` or `if…elif…` nest without brackets; their length is bounded by the byte cap.
    if text.bytes().filter(|b| *b == b'-').count() > 64 || text.matches("if").count() + text.matches("try").count() > 32
    {
        return Err(JqError::TooDeep);
    }
    let term =
        jaq_core::load::parse(text, |p| p.term()).ok_or_else(|| JqError::Syntax(format!("{text:?} does not parse")))?;
    let mut iterations = 0;
    walk(&term, &mut iterations)?;
    if iterations > ITERATIONS {
        return Err(JqError::Refused(format!(
            "the expression iterates {iterations} times; at most {ITERATIONS} are allowed"
        )));
    }
    Ok(())
}

fn refuse<T>(what: &str) -> Result<T, JqError> {
    Err(JqError::Refused(format!("{what} may not be used here")))
}

fn walk(term: &Term<&str>, iterations: &mut usize) -> Result<(), JqError> {
    match term {
        Term::Id | Term::Num(_) | Term::Var(_) => Ok(()),
        Term::Recurse => refuse("`..`"),
        Term::Def(..) => refuse("`def`"),
        Term::Fold(name, ..) => refuse(&format!("`{name}`")),
        Term::Label(..) | Term::Break(_) => refuse("`label`"),
        Term::Str(_, parts) => parts.iter().try_for_each(|part| match part {
            StrPart::Term(inner) => walk(inner, iterations),
            StrPart::Str(_) | StrPart::Char(_) => Ok(()),
        }),
        Term::Arr(inner) => inner.iter().try_for_each(|t| walk(t, iterations)),
        Term::Obj(pairs) => pairs.iter().try_for_each(|(key, value)| {
            walk(key, iterations)?;
            value.iter().try_for_each(|v| walk(v, iterations))
        }),
        Term::Neg(inner) => walk(inner, iterations),
        Term::TryCatch(body, catch) => {
            walk(body, iterations)?;
            catch.iter().try_for_each(|c| walk(c, iterations))
        }
        Term::IfThenElse(branches, otherwise) => {
            for (condition, then) in branches {
                walk(condition, iterations)?;
                walk(then, iterations)?;
            }
            otherwise.iter().try_for_each(|o| walk(o, iterations))
        }
        Term::Call(name, args) => walk_call(name, args, iterations),
        Term::BinOp(left, op, right) => walk_operation(left, op, right, iterations),
        Term::Path(head, path) => {
            walk(head, iterations)?;
            for (part, _) in &path.0 {
                match part {
                    Part::Index(index) => walk(index, iterations)?,
                    Part::Range(None, None) => *iterations += 1,
                    Part::Range(from, until) => {
                        from.iter().chain(until.iter()).try_for_each(|bound| walk(bound, iterations))?;
                    }
                }
            }
            Ok(())
        }
    }
}

fn walk_call(name: &str, args: &[Term<&str>], iterations: &mut usize) -> Result<(), JqError> {
    if !FUNCTIONS.contains(&name) && !name.starts_with('@') {
        return refuse(&format!("`{name}`"));
    }
    if ITERATING.contains(&name) {
        *iterations += 1;
    }
    args.iter().try_for_each(|arg| walk(arg, iterations))
}

fn walk_operation(
    left: &Term<&str>,
    op: &BinaryOp<&str>,
    right: &Term<&str>,
    iterations: &mut usize,
) -> Result<(), JqError> {
    match op {
        BinaryOp::Assign | BinaryOp::Update | BinaryOp::UpdateMath(_) | BinaryOp::UpdateAlt => {
            return refuse("assignment");
        }
        // A text times a number repeats the text.
        BinaryOp::Math(Math::Mul) if !(is_number(left) && is_number(right)) => {
            return Err(JqError::Refused("`*` needs numbers on both sides; write (.x | tonumber) * 2".into()));
        }
        BinaryOp::Pipe(Some(Pattern::Arr(_) | Pattern::Obj(_))) => return refuse("a destructuring pattern"),
        _ => {}
    }
    walk(left, iterations)?;
    walk(right, iterations)
}

fn is_number(term: &Term<&str>) -> bool {
    match term {
        Term::Num(_) => true,
        Term::Neg(inner) => is_number(inner),
        Term::Call(name, _) => NUMERIC.contains(name),
        Term::BinOp(_, BinaryOp::Pipe(_), right) => is_number(right),
        Term::BinOp(left, BinaryOp::Math(_), right) => is_number(left) && is_number(right),
        _ => false,
    }
}
