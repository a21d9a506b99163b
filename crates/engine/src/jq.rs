//! Screened jq: expressions from configuration over events, without the parts that could stall or sink the process.
//!
//! jq has no fuel and its stack overflow can't be caught, so the text is capped before it is parsed and its syntax tree
//! is held against an allow-list: no definitions, no folds, no assignment, no unbounded iteration, no environment.

use std::sync::LazyLock;

use jaq_core::{
    Compiler, Ctx, Filter, Vars, data,
    load::{
        Arena, File, Loader,
        lex::StrPart,
        parse::{BinaryOp, Pattern, Term},
    },
    ops::Math,
    path::Part,
    unwrap_valr,
};
use jaq_json::Val;

/// Bytes of an expression.
const TEXT_BYTES: usize = 4096;
/// Open brackets, parentheses and braces at once.
const NESTING: usize = 32;
/// Constructs that visit every element; nested they multiply.
const ITERATIONS: usize = 6;
/// Bytes of an expression's result.
const RESULT_BYTES: usize = 1 << 20;

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

/// Why an expression is refused, or failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JqError {
    /// Over the byte cap.
    #[error("the expression has {0} bytes; at most {TEXT_BYTES} are allowed")]
    TooLong(usize),
    /// Over the nesting cap.
    #[error("the expression nests deeper than {NESTING} brackets")]
    TooDeep,
    /// Not jq.
    #[error("not a jq expression: {0}")]
    Syntax(String),
    /// Outside the allowed part of jq.
    #[error("{0}")]
    Refused(String),
    /// It failed on its input.
    #[error("the expression failed: {0}")]
    Failed(String),
    /// It gave none or several results where one is needed.
    #[error("the expression gave {0} results; exactly one is needed")]
    Results(&'static str),
}

/// A compiled expression.
pub struct Jq {
    text: String,
    filter: Filter<data::JustLut<Val>>,
}

impl std::fmt::Debug for Jq {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "jq({:?})", self.text)
    }
}

/// `env`, `halt`, `debug` and the like are not even known to the compiler.
static HIDDEN: LazyLock<Vec<&str>> = LazyLock::new(|| {
    vec!["env", "halt", "debug_empty", "stderr_empty", "debug", "stderr", "halt_error", "input", "inputs", "now"]
});

impl Jq {
    /// Screens and compiles `text`.
    pub fn compile(text: &str) -> Result<Self, JqError> {
        screen(text)?;
        let defs = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
        let funs = jaq_core::funs::<data::JustLut<Val>>().chain(jaq_std::funs()).chain(jaq_json::funs());
        let arena = Arena::default();
        let modules = Loader::new(defs.filter(|d| !HIDDEN.contains(&d.name)))
            .load(&arena, File { code: text, path: () })
            .map_err(|_| JqError::Syntax(format!("{text:?} does not parse")))?;
        let filter = Compiler::default()
            .with_funs(funs.filter(|(name, ..)| !HIDDEN.contains(name)))
            .compile(modules)
            .map_err(|e| {
            let names: Vec<String> =
                e.iter().flat_map(|(_, undefined)| undefined.iter().map(|(name, _)| (*name).to_owned())).collect();
            JqError::Refused(format!("not known here: {}", names.join(", ")))
        })?;
        Ok(Self { text: text.to_owned(), filter })
    }

    /// The expression as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Runs it over one JSON text; the result is JSON text too.
    pub fn run_text(&self, input: &[u8]) -> Result<String, JqError> {
        let input = jaq_json::read::parse_single(input).map_err(|e| JqError::Failed(e.to_string()))?;
        let context = Ctx::<data::JustLut<Val>>::new(&self.filter.lut, Vars::new([]));
        let mut results = self.filter.id.run((context, input)).map(unwrap_valr);
        let first = results.next().ok_or(JqError::Results("no"))?.map_err(|e| JqError::Failed(e.to_string()))?;
        if results.next().is_some() {
            return Err(JqError::Results("several"));
        }
        let text = first.to_string();
        if text.len() > RESULT_BYTES {
            return Err(JqError::Failed(format!(
                "its result has {} bytes; at most {RESULT_BYTES} are allowed",
                text.len()
            )));
        }
        Ok(text)
    }

    /// Runs it over one JSON text.
    pub fn run(&self, input: &[u8]) -> Result<serde_json::Value, JqError> {
        let text = self.run_text(input)?;
        serde_json::from_str(&text)
            .map_err(|_| JqError::Failed("its result is no JSON (NaN, or a binary string)".into()))
    }

    /// Runs it as a predicate: `false` and `null` are false, everything else is true; a failure is false.
    pub fn holds(&self, input: &[u8]) -> bool {
        !matches!(self.run_text(input).as_deref(), Err(_) | Ok("false" | "null"))
    }
}

/// Refuses what could hang or sink the process, before the compiler sees it.
fn screen(text: &str) -> Result<(), JqError> {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(text: &str, input: &str) -> String {
        Jq::compile(text).and_then(|jq| jq.run_text(input.as_bytes())).unwrap_or_else(|e| format!("error: {e}"))
    }

    #[test]
    fn plain_expressions_work() {
        assert_eq!(
            run("{address: .payload.payerId, amount: .payload.amount}", r#"{"payload":{"payerId":"p","amount":5}}"#),
            r#"{"address":"p","amount":5}"#
        );
        assert_eq!(run("(.amount | tonumber) * 100 > 500", r#"{"amount":"6"}"#), "true");
        assert_eq!(run(r#".items | map(.name) | join(",")"#, r#"{"items":[{"name":"a"},{"name":"b"}]}"#), r#""a,b""#);
        assert_eq!(run(r#"if .x then "y" else "n" end"#, r#"{"x":1}"#), r#""y""#);
        assert!(run(".[]", "[1,2]").contains("several"));
        assert!(run("empty", "1").contains("no results"));
    }

    #[test]
    fn what_could_hang_or_sink_the_process_is_refused() {
        let deep = "(".repeat(50_000) + "1" + &")".repeat(50_000);
        let minus = "-".repeat(4000) + "1";
        for bad in [
            "def f: f; f",
            "env.HOME",
            "$ENV",
            "input",
            "repeat(1)",
            "range(1000000000)",
            "last(range(1e9))",
            "until(false;.)",
            "reduce range(1000000) as $i (0; [.])",
            r#""x" * 1000000000"#,
            ".a * .b",
            "halt",
            "..",
            "[limit(10; repeat(1))]",
            ".[1000000000] = 1",
            "debug",
            "now",
            "import \"a\" as a; 1",
            "\"\\(range(9))\"",
            &deep,
            &minus,
            "recurse",
            "combinations",
            "[.[] | .[] | .[] | .[] | .[] | .[] | .[]]",
        ] {
            assert!(Jq::compile(bad).is_err(), "{bad:.60}");
        }
    }

    proptest! {
        #[test]
        fn no_expression_panics(text in "[.a-z0-9|\\[\\]{}()\" ,:*+-]{0,60}", input in "[0-9a\"\\[\\]{},:]{0,20}") {
            if let Ok(jq) = Jq::compile(&text) {
                let _ = jq.run(input.as_bytes());
            }
        }
    }
}
