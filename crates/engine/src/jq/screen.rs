//! What an expression may be made of, decided on its text and its syntax tree before anything compiles it.
//!
//! jq's stack overflow can't be caught, so the text is capped before it is parsed; then the tree is held against an
//! allow-list. What is left may still be costly: that is what [`meter`](super::meter) is for.

use jaq_core::{
    load::{
        lex::StrPart,
        parse::{BinaryOp, Pattern, Term},
    },
    ops::Math,
    path::{Part, Path},
};

use super::{JqError, NESTING, Rules, TEXT_BYTES};

/// Constructs that visit every element of a predicate; nested they multiply.
const ITERATIONS: usize = 6;
/// Levels of the syntax tree: chains such as `1|1|1|…` nest without brackets.
const TREE: usize = 200;

/// Functions an expression may call: each ends, in time and size linear in its input (sorting aside).
#[rustfmt::skip]
const FUNCTIONS: &[&str] = &[
    "abs", "add", "all", "any", "arrays", "ascii_downcase", "ascii_upcase", "booleans", "capture", "ceil",
    "contains", "del", "empty", "endswith", "error", "explode", "false", "first", "flatten", "floor",
    "from_entries", "fromdate", "fromjson", "group_by", "gsub", "has", "implode", "in", "index", "indices",
    "inside", "isempty", "iterables", "join", "keys", "last", "length", "ltrim", "ltrimstr", "map", "map_values",
    "match", "max", "max_by", "min", "min_by", "nan", "not", "null", "nulls", "numbers", "objects", "pick",
    "reverse", "round", "rtrim", "rtrimstr", "scalars", "scan", "select", "sort", "sort_by", "split", "startswith",
    "strings", "sub", "test", "to_entries", "toboolean", "todate", "tojson", "tonumber", "tostring", "trim",
    "trimstr", "true", "type", "unique", "unique_by", "values", "with_entries",
];
/// What a wide expression may call besides: its fuel ends what would go on.
#[rustfmt::skip]
const WIDE_FUNCTIONS: &[&str] = &[
    "getpath", "gmtime", "isarray", "isboolean", "isnumber", "isobject", "isstring", "limit", "mktime", "nth",
    "paths", "pow", "range", "rindex", "skip", "splits", "sqrt", "strftime", "strptime", "transpose",
    "utf8bytelength",
];
/// Those of them that visit every element.
#[rustfmt::skip]
const ITERATING: &[&str] = &[
    "map", "map_values", "all", "any", "add", "with_entries", "group_by", "sort_by", "unique_by", "min_by",
    "max_by", "flatten", "to_entries", "from_entries", "scan", "gsub",
];
/// Calls that give a number, whatever they are given.
const NUMERIC: &[&str] = &["tonumber", "length", "floor", "round", "ceil", "abs"];

/// What the screen learns on its way through the tree.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Variables that come from outside, each once, without their `$`.
    pub(super) variables: Vec<String>,
    iterations: usize,
}

/// How an expression uses one of its variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The fields it takes from it by name: `a` in `$v.a.b`.
    pub fields: Vec<String>,
    /// True when it also uses the variable as a whole.
    pub whole: bool,
    /// True when it does more with it than passing it on: tests it, counts it, calls a function on it.
    pub computed: bool,
}

/// How `term` uses `$name`.
pub(super) fn usage(term: &Term<&str>, name: &str) -> Usage {
    let mut usage = Usage::default();
    pass(term, &format!("${name}"), true, &mut usage);
    usage
}

/// `passing`: what this term gives is handed on as it is.
fn pass(term: &Term<&str>, name: &str, passing: bool, usage: &mut Usage) {
    match term {
        Term::Var(var) if *var == name => {
            usage.whole = true;
            usage.computed |= !passing;
        }
        Term::Path(head, path) => pass_path(head, path, name, passing, usage),
        Term::Str(format, parts) => parts.iter().for_each(|part| {
            if let StrPart::Term(inner) = part {
                pass(inner, name, passing && format.is_none(), usage);
            }
        }),
        Term::Arr(inner) => inner.iter().for_each(|t| pass(t, name, passing, usage)),
        Term::Obj(pairs) => pairs.iter().for_each(|(key, value)| {
            pass(key, name, false, usage);
            value.iter().for_each(|v| pass(v, name, passing, usage));
        }),
        Term::BinOp(left, op, right) => {
            let (l, r) = match op {
                BinaryOp::Comma | BinaryOp::Math(Math::Add) => (passing, passing),
                BinaryOp::Pipe(_) => (false, passing),
                _ => (false, false),
            };
            pass(left, name, l, usage);
            pass(right, name, r, usage);
        }
        Term::IfThenElse(branches, otherwise) => {
            for (condition, then) in branches {
                pass(condition, name, false, usage);
                pass(then, name, passing, usage);
            }
            otherwise.iter().for_each(|o| pass(o, name, passing, usage));
        }
        Term::Neg(inner) | Term::Label(_, inner) => pass(inner, name, false, usage),
        Term::TryCatch(body, catch) => {
            pass(body, name, false, usage);
            catch.iter().for_each(|c| pass(c, name, false, usage));
        }
        Term::Fold(_, source, _, args) => {
            pass(source, name, false, usage);
            args.iter().for_each(|arg| pass(arg, name, false, usage));
        }
        Term::Call(_, args) => args.iter().for_each(|arg| pass(arg, name, false, usage)),
        Term::Def(defs, rest) => {
            defs.iter().for_each(|def| pass(&def.body, name, false, usage));
            pass(rest, name, false, usage);
        }
        Term::Id | Term::Recurse | Term::Num(_) | Term::Var(_) | Term::Break(_) => {}
    }
}

fn pass_path(head: &Term<&str>, path: &Path<Term<&str>>, name: &str, passing: bool, usage: &mut Usage) {
    let literals: Vec<Option<&str>> = path
        .0
        .iter()
        .map(|(part, _)| match part {
            Part::Index(index) => literal(index),
            Part::Range(..) => None,
        })
        .collect();
    match (head, literals.first()) {
        (Term::Var(var), Some(Some(field))) if *var == name => {
            usage.fields.push((*field).to_owned());
            usage.computed |= !passing || literals.contains(&None);
        }
        _ => pass(head, name, false, usage),
    }
    for (part, _) in &path.0 {
        match part {
            Part::Index(index) => pass(index, name, false, usage),
            Part::Range(from, until) => {
                from.iter().chain(until.iter()).for_each(|bound| pass(bound, name, false, usage));
            }
        }
    }
}

/// The text of `"a"`, where it is one piece.
fn literal<'s>(term: &Term<&'s str>) -> Option<&'s str> {
    match term {
        Term::Str(None, parts) => match parts.as_slice() {
            [StrPart::Str(text)] => Some(text),
            _ => None,
        },
        _ => None,
    }
}

/// Refuses text that could sink the parser itself.
pub(super) fn screen_text(text: &str) -> Result<(), JqError> {
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
    Ok(())
}

/// Refuses what could hang or sink the process, before the compiler sees it.
pub(super) fn screen(term: &Term<&str>, rules: Rules) -> Result<Found, JqError> {
    let mut walker = Walker { rules, bound: Vec::new(), found: Found::default() };
    walker.walk(term, TREE)?;
    if rules == Rules::Predicate && walker.found.iterations > ITERATIONS {
        return Err(JqError::Refused(format!(
            "the expression iterates {} times; at most {ITERATIONS} are allowed",
            walker.found.iterations
        )));
    }
    Ok(walker.found)
}

fn refuse<T>(what: &str) -> Result<T, JqError> {
    Err(JqError::Refused(format!("{what} may not be used here")))
}

struct Walker<'s> {
    rules: Rules,
    /// Variables bound by the expression itself, innermost last.
    bound: Vec<&'s str>,
    found: Found,
}

impl<'s> Walker<'s> {
    fn wide(&self) -> bool {
        self.rules == Rules::Wide
    }

    fn walk(&mut self, term: &Term<&'s str>, depth: usize) -> Result<(), JqError> {
        let Some(depth) = depth.checked_sub(1) else { return Err(JqError::TooDeep) };
        match term {
            Term::Id | Term::Num(_) => Ok(()),
            Term::Var(name) => self.variable(name),
            Term::Recurse if self.wide() => Ok(()),
            Term::Recurse => refuse("`..`"),
            Term::Def(..) => refuse("`def`"),
            Term::Fold(name, source, pattern, args) if self.wide() => {
                self.walk(source, depth)?;
                let outer = self.bound.len();
                self.bind(pattern, depth)?;
                let walked = args.iter().try_for_each(|arg| self.walk(arg, depth));
                self.bound.truncate(outer);
                walked.map_err(|error| match error {
                    JqError::Refused(what) => JqError::Refused(format!("in `{name}`: {what}")),
                    other => other,
                })
            }
            Term::Fold(name, ..) => refuse(&format!("`{name}`")),
            Term::Label(..) | Term::Break(_) => refuse("`label`"),
            Term::Str(format, parts) => {
                if let Some(format) = format {
                    self.call(format, &[], depth)?;
                }
                parts.iter().try_for_each(|part| match part {
                    StrPart::Term(inner) => self.walk(inner, depth),
                    StrPart::Str(_) | StrPart::Char(_) => Ok(()),
                })
            }
            Term::Arr(inner) => inner.iter().try_for_each(|t| self.walk(t, depth)),
            Term::Obj(pairs) => pairs.iter().try_for_each(|(key, value)| {
                self.walk(key, depth)?;
                value.iter().try_for_each(|v| self.walk(v, depth))
            }),
            Term::Neg(inner) => self.walk(inner, depth),
            Term::TryCatch(body, catch) => {
                self.walk(body, depth)?;
                catch.iter().try_for_each(|c| self.walk(c, depth))
            }
            Term::IfThenElse(branches, otherwise) => {
                for (condition, then) in branches {
                    self.walk(condition, depth)?;
                    self.walk(then, depth)?;
                }
                otherwise.iter().try_for_each(|o| self.walk(o, depth))
            }
            Term::Call(name, args) => self.call(name, args, depth),
            Term::BinOp(left, op, right) => self.operation(left, op, right, depth),
            Term::Path(head, path) => {
                self.walk(head, depth)?;
                path.0.iter().try_for_each(|(part, _)| self.part(part, depth))
            }
        }
    }

    fn part(&mut self, part: &Part<Term<&'s str>>, depth: usize) -> Result<(), JqError> {
        match part {
            Part::Index(index) => self.walk(index, depth),
            Part::Range(None, None) => {
                self.found.iterations += 1;
                Ok(())
            }
            Part::Range(from, until) => from.iter().chain(until.iter()).try_for_each(|bound| self.walk(bound, depth)),
        }
    }

    fn variable(&mut self, name: &str) -> Result<(), JqError> {
        if name == "$ENV" || name == "$__loc__" || name == "$__prog_args" {
            return refuse(&format!("`{name}`"));
        }
        let plain = name.trim_start_matches('$');
        if !self.bound.contains(&name) && !self.found.variables.iter().any(|known| known == plain) {
            self.found.variables.push(plain.to_owned());
        }
        Ok(())
    }

    fn bind(&mut self, pattern: &Pattern<&'s str>, depth: usize) -> Result<(), JqError> {
        let Some(depth) = depth.checked_sub(1) else { return Err(JqError::TooDeep) };
        match pattern {
            Pattern::Var(name) => {
                self.bound.push(name);
                Ok(())
            }
            _ if !self.wide() => refuse("a destructuring pattern"),
            Pattern::Arr(items) => items.iter().try_for_each(|item| self.bind(item, depth)),
            Pattern::Obj(fields) => fields.iter().try_for_each(|(key, value)| {
                if !matches!(key, Term::Var(_)) {
                    self.walk(key, depth)?;
                }
                self.bind(value, depth)
            }),
        }
    }

    fn call(&mut self, name: &str, args: &[Term<&'s str>], depth: usize) -> Result<(), JqError> {
        let known =
            FUNCTIONS.contains(&name) || name.starts_with('@') || (self.wide() && WIDE_FUNCTIONS.contains(&name));
        if !known {
            return refuse(&format!("`{name}`"));
        }
        if ITERATING.contains(&name) {
            self.found.iterations += 1;
        }
        args.iter().try_for_each(|arg| self.walk(arg, depth))
    }

    fn operation(
        &mut self,
        left: &Term<&'s str>,
        op: &BinaryOp<&'s str>,
        right: &Term<&'s str>,
        depth: usize,
    ) -> Result<(), JqError> {
        match op {
            BinaryOp::Assign | BinaryOp::Update | BinaryOp::UpdateMath(_) | BinaryOp::UpdateAlt if !self.wide() => {
                return refuse("assignment");
            }
            // `*` in an update would not be metered: it grows what it updates by itself.
            BinaryOp::UpdateMath(Math::Mul) => return refuse("`*=`"),
            // A text times a number repeats the text.
            BinaryOp::Math(Math::Mul) if !(self.wide() || is_number(left) && is_number(right)) => {
                return Err(JqError::Refused("`*` needs numbers on both sides; write (.x | tonumber) * 2".into()));
            }
            _ => {}
        }
        self.walk(left, depth)?;
        let outer = self.bound.len();
        if let BinaryOp::Pipe(Some(pattern)) = op {
            self.bind(pattern, depth)?;
        }
        let walked = self.walk(right, depth);
        self.bound.truncate(outer);
        walked
    }
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
