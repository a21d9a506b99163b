//! Screened and metered jq: expressions from configuration and flows, without the parts that could stall or sink the
//! process.
//!
//! jq has no fuel and its stack overflow can't be caught. So an expression's text is capped before it is parsed, its
//! syntax tree is held against an allow-list ([`Rules`]), and what remains is rewritten to pay for its work from a fixed
//! amount of fuel. An expression sees its input and the variables it is given: no environment, no input, no clock.

mod meter;
mod screen;

use std::sync::LazyLock;

use jaq_core::{
    Compiler, Ctx, Filter, Vars,
    load::{
        Arena, File, Loader,
        parse::{Def, Term},
    },
    unwrap_valr,
};
pub use jaq_json::Val;
use meter::{Fuel, Metered, Run};
pub use screen::Usage;

/// Bytes of an expression.
pub const TEXT_BYTES: usize = 4096;
/// Open brackets, parentheses and braces at once.
pub const NESTING: usize = 64;
/// Bytes of an expression's result.
pub const RESULT_BYTES: usize = 1 << 20;
/// What one run of a predicate may cost.
const PREDICATE_FUEL: u64 = 250_000;
/// What one run of a wide expression may cost.
const WIDE_FUEL: u64 = 500_000;
/// Levels a result may nest; what is stored is read back by readers that stop at 128.
const RESULT_DEPTH: usize = 64;

/// How much of jq an expression may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// Conditions and mappings over an event: no folds, no assignment, a bounded number of iterations.
    Predicate,
    /// Flows: also variables, `reduce`, `foreach`, assignment, `range`, `..`; still no `def`, no recursion, no input.
    Wide,
}

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
    /// A variable that is not given here.
    #[error("${0} is not known here")]
    Unknown(String),
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
    rules: Rules,
    variables: Vec<(String, Usage)>,
    filter: Filter<Metered>,
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

/// The definition that holds the author's expression; no author can write this name.
const MAIN: &str = "expression__";

impl Jq {
    /// Screens and compiles a predicate or mapping.
    pub fn compile(text: &str) -> Result<Self, JqError> {
        Self::compile_with(text, Rules::Predicate, &[])
    }

    /// Screens and compiles `text`, which may use the variables `given` (without `$`) where `rules` allow variables.
    pub fn compile_with(text: &str, rules: Rules, given: &[&str]) -> Result<Self, JqError> {
        screen::screen_text(text)?;
        let term = jaq_core::load::parse(text, |p| p.term())
            .ok_or_else(|| JqError::Syntax(format!("{text:?} does not parse")))?;
        let found = screen::screen(&term, rules)?;
        if let Some(unknown) = found.variables.iter().find(|name| !given.contains(&name.as_str())) {
            return Err(JqError::Unknown(unknown.clone()));
        }
        let usages: Vec<Usage> = found.variables.iter().map(|name| screen::usage(&term, name)).collect();
        let filter = build(meter::metered(term), &found.variables)?;
        let variables = found.variables.into_iter().zip(usages).collect();
        Ok(Self { text: text.to_owned(), rules, variables, filter })
    }

    /// The expression as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The variables it uses, without `$`, and how; [`eval`](Self::eval) takes their values in this order.
    pub fn variables(&self) -> &[(String, Usage)] {
        &self.variables
    }

    /// Runs it; exactly one result is right. The second part of the answer is what it cost.
    pub fn eval(&self, input: Val, variables: Vec<Val>) -> (Result<Val, JqError>, u64) {
        let fuel = Fuel::new(match self.rules {
            Rules::Predicate => PREDICATE_FUEL,
            Rules::Wide => WIDE_FUEL,
        });
        let result = self.eval_on(&fuel, input, variables);
        (result, fuel.spent())
    }

    fn eval_on(&self, fuel: &Fuel, input: Val, variables: Vec<Val>) -> Result<Val, JqError> {
        let context = Ctx::<Metered>::new(Run { lut: &self.filter.lut, fuel }, Vars::new(variables));
        let mut results = self.filter.id.run((context, input)).map(unwrap_valr);
        let first = results.next();
        let second = results.next();
        if fuel.is_dry() {
            return Err(JqError::Failed("it works on too much: narrow its input, or do it in several steps".into()));
        }
        let first = first.ok_or(JqError::Results("no"))?.map_err(|e| JqError::Failed(shortened(&e.to_string())))?;
        if second.is_some() {
            return Err(JqError::Results("several"));
        }
        fuel.charge(&first).map_err(|_| JqError::Failed("its result is too large".into()))?;
        Ok(first)
    }

    /// Runs it over one JSON text; the result is JSON text too.
    pub fn run_text(&self, input: &[u8]) -> Result<String, JqError> {
        let input = jaq_json::read::parse_single(input).map_err(|e| JqError::Failed(e.to_string()))?;
        let text = self.eval(input, Vec::new()).0?.to_string();
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

/// Compiles a rewritten term as the body of a definition that takes its variables as arguments.
fn build(body: Term<&str>, variables: &[String]) -> Result<Filter<Metered>, JqError> {
    let named: Vec<String> = variables.iter().map(|name| format!("${name}")).collect();
    compile(body, &named)
}

fn compile<'s>(body: Term<&'s str>, named: &'s [String]) -> Result<Filter<Metered>, JqError> {
    let main = match named {
        [] => MAIN.to_owned(),
        names => format!("{MAIN}({})", names.join("; ")),
    };
    let defs = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let funs = jaq_core::funs::<Metered>().chain(jaq_std::funs()).chain(jaq_json::funs());
    let visible = defs.filter(|d| !HIDDEN.contains(&d.name)).map(shorter);
    let own = Def { name: MAIN, args: named.iter().map(String::as_str).collect(), body };
    let functions = funs.filter(|(name, ..)| !HIDDEN.contains(name)).chain(meter::funs());
    let functions = functions.map(|(name, args, run)| -> (&'s str, _, _) { (name, args, run) });
    let arena = Arena::default();
    let modules = Loader::new(visible.chain([own]))
        .load(&arena, File { code: main.as_str(), path: () })
        .map_err(|_| JqError::Syntax("it does not parse".into()))?;
    Compiler::default()
        .with_global_vars(named.iter().map(String::as_str))
        .with_funs(functions)
        .compile(modules)
        .map_err(|e| {
            let names: Vec<String> =
                e.iter().flat_map(|(_, undefined)| undefined.iter().map(|(name, _)| (*name).to_owned())).collect();
            JqError::Refused(format!("not known here: {}", names.join(", ")))
        })
}

/// Lets definitions whose names live for ever stand beside one whose names don't.
fn shorter<'s>(def: Def<&'static str>) -> Def<&'s str> {
    def
}

/// jq's messages hold the values they are about; a long one is cut.
fn shortened(message: &str) -> String {
    const KEPT: usize = 300;
    match message.char_indices().nth(KEPT) {
        Some((at, _)) => format!("{} …", &message[..at]),
        None => message.to_owned(),
    }
}

/// A JSON value as jq's.
pub fn to_val(json: &serde_json::Value) -> Val {
    match json {
        serde_json::Value::Null => Val::Null,
        serde_json::Value::Bool(b) => Val::Bool(*b),
        serde_json::Value::Number(n) => number(n),
        serde_json::Value::String(s) => Val::utf8_str(s.clone().into_bytes()),
        serde_json::Value::Array(items) => items.iter().map(to_val).collect(),
        serde_json::Value::Object(fields) => {
            Val::obj(fields.iter().map(|(k, v)| (Val::utf8_str(k.clone().into_bytes()), to_val(v))).collect())
        }
    }
}

fn number(n: &serde_json::Number) -> Val {
    match (n.as_i64(), n.as_u64(), n.as_f64()) {
        (Some(i), ..) => Val::Num(jaq_json::Num::from_integral(i)),
        (_, Some(u), _) => Val::Num(jaq_json::Num::from_integral(u)),
        (.., f) => Val::Num(jaq_json::Num::Float(f.unwrap_or(f64::NAN))),
    }
}

/// One of jq's values as JSON, at most [`RESULT_BYTES`] when written out and nested no deeper than what is stored may be.
pub fn to_json(val: &Val) -> Result<serde_json::Value, JqError> {
    let mut left = RESULT_BYTES;
    json_within(val, &mut left, RESULT_DEPTH)
}

/// Why a number is none to JSON.
fn no_number(number: &jaq_json::Num) -> JqError {
    let what = match number {
        jaq_json::Num::Float(float) if float.is_infinite() => "infinite: it is larger than any that can be stored",
        _ => "NaN: no number came of a calculation",
    };
    JqError::Failed(format!("its result holds a number that JSON does not have ({what})"))
}

fn json_within(val: &Val, left: &mut usize, depth: usize) -> Result<serde_json::Value, JqError> {
    let own = match val {
        Val::TStr(text) => text.len() + 2,
        _ => 2,
    };
    *left = left.checked_sub(own).ok_or_else(|| {
        JqError::Failed(format!("its result has more than {RESULT_BYTES} bytes; give less, or in several steps"))
    })?;
    let Some(depth) = depth.checked_sub(1) else {
        return Err(JqError::Failed(format!("its result nests deeper than {RESULT_DEPTH} levels")));
    };
    let text = |bytes: &[u8]| {
        String::from_utf8(bytes.to_vec()).map_err(|_| JqError::Failed("its result holds text that is no UTF-8".into()))
    };
    Ok(match val {
        Val::Null => serde_json::Value::Null,
        Val::Bool(b) => (*b).into(),
        Val::Num(number) => serde_json::from_str(&val.to_string()).map_err(|_| no_number(number))?,
        Val::TStr(bytes) => text(bytes)?.into(),
        Val::BStr(_) => return Err(JqError::Failed("its result holds bytes; JSON has only text".into())),
        Val::Arr(items) => {
            items.iter().map(|item| json_within(item, left, depth)).collect::<Result<Vec<_>, _>>()?.into()
        }
        Val::Obj(fields) => {
            let mut object = serde_json::Map::new();
            for (key, field) in fields.iter() {
                let Val::TStr(name) = key else {
                    return Err(JqError::Failed("its result has a key that is no text".into()));
                };
                *left = left.saturating_sub(name.len());
                object.insert(text(name)?, json_within(field, left, depth)?);
            }
            object.into()
        }
    })
}

#[cfg(test)]
#[path = "jq_tests.rs"]
mod tests;
