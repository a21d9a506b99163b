//! Fuel for jq: its terms are rewritten so that whatever multiplies or grows values pays before it goes on.
//!
//! jq itself has no fuel, and a value may share its parts: `[.,.] | [.,.] | …` is small in memory and endless once it is
//! written out. So each construction is charged the size its result would have written out, each result of an iteration
//! one unit, and each function that walks its input the size of that. Names with `!` can't be written by an author.

use std::cell::Cell;

use jaq_core::{
    DataT, Error, Exn, Lut, Native,
    box_iter::box_once,
    data::HasLut,
    load::{
        lex::StrPart,
        parse::{BinaryOp, Def, Pattern, Term},
    },
    native::{Fun, v},
    ops::Math,
    path::{Part, Path},
};
use jaq_json::{Num, Val};

/// Levels a value may nest while an expression runs; deeper ones could not be dropped or written safely.
const DEPTH: usize = 100;
/// Bits of a whole number: with more, one multiplication after the other would double its cost.
const BITS: u64 = 4_096;
/// Digits of a number in a text that is read.
const DIGITS: usize = 1_000;

/// What a run of an expression may still spend.
#[derive(Debug)]
pub(super) struct Fuel {
    left: Cell<u64>,
    start: u64,
    dry: Cell<bool>,
}

impl Fuel {
    pub(super) fn new(start: u64) -> Self {
        Self { left: Cell::new(start), start, dry: Cell::new(false) }
    }

    /// True once something could not be paid; `try` may have hidden the error.
    pub(super) fn is_dry(&self) -> bool {
        self.dry.get()
    }

    pub(super) fn spent(&self) -> u64 {
        self.start - self.left.get()
    }

    fn pay(&self, units: u64) -> Result<(), Error<Val>> {
        if let Some(left) = self.left.get().checked_sub(units) {
            self.left.set(left);
            return Ok(());
        }
        self.left.set(0);
        self.dry.set(true);
        Err(Error::str(format_args!("it would cost more than {} steps", self.start)))
    }

    pub(super) fn charge(&self, value: &Val) -> Result<(), Error<Val>> {
        let mut cost = 0;
        let fits = size(value, self.left.get(), DEPTH, &mut cost);
        if fits {
            return self.pay(cost);
        }
        self.pay(u64::MAX)
    }

    /// Both sizes multiplied: for functions that hold every part of one against every part of the other.
    fn charge_product(&self, left: &Val, right: &Val) -> Result<(), Error<Val>> {
        let (mut a, mut b) = (0, 0);
        if size(left, self.left.get(), DEPTH, &mut a) && size(right, self.left.get(), DEPTH, &mut b) {
            return self.pay(a.saturating_mul(b));
        }
        self.pay(u64::MAX)
    }
}

/// Adds up what `value` would take written out, shared parts as often as they stand in it; false once over `limit`.
fn size(value: &Val, limit: u64, depth: usize, cost: &mut u64) -> bool {
    if matches!(value, Val::Num(Num::BigInt(number)) if number.bits() > BITS) {
        return false;
    }
    *cost += match value {
        Val::TStr(text) | Val::BStr(text) => 1 + text.len() as u64 / 32,
        _ => 1,
    };
    if *cost > limit || depth == 0 {
        return false;
    }
    match value {
        Val::Arr(items) => items.iter().all(|item| size(item, limit, depth - 1, cost)),
        Val::Obj(fields) => {
            fields.iter().all(|(key, field)| size(key, limit, depth - 1, cost) && size(field, limit, depth - 1, cost))
        }
        _ => true,
    }
}

/// Whether a text can be read as JSON: jq's reader goes down as deep as the text does, on the stack, and makes a number of
/// as many digits as there are.
fn is_readable(text: &[u8]) -> bool {
    let (mut depth, mut digits, mut quoted, mut escaped) = (0_usize, 0_usize, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        digits = if byte.is_ascii_digit() && !quoted { digits + 1 } else { 0 };
        if depth > DEPTH || digits > DIGITS {
            return false;
        }
    }
    true
}

/// The kind of data that metered filters carry.
pub(super) struct Metered;

/// The filter's table and the run's fuel.
#[derive(Clone, Copy)]
pub(super) struct Run<'a> {
    pub(super) lut: &'a Lut<Metered>,
    pub(super) fuel: &'a Fuel,
}

impl DataT for Metered {
    type V<'a> = Val;
    type Data<'a> = Run<'a>;
}

impl<'a> HasLut<'a, Metered> for Run<'a> {
    fn lut(&self) -> &'a Lut<Metered> {
        self.lut
    }
}

const TICK: &str = "!tick";
const CHARGE: &str = "!charge";
const PRODUCT: &str = "!product";
const MUL: &str = "!mul";
const READABLE: &str = "!readable";
const SAVED: &str = "$!in";
const OPERAND: &str = "$!by";

/// The functions that terms are rewritten to.
pub(super) fn funs() -> impl Iterator<Item = Fun<Metered>> {
    let tick = Native::<Metered>::new(|cv| box_once(cv.0.data().fuel.pay(1).map(|()| cv.1).map_err(Exn::from)))
        .with_paths(|cv| box_once(cv.0.data().fuel.pay(1).map(|()| cv.1).map_err(Exn::from)))
        .with_update(|cv, f| match cv.0.data().fuel.pay(1) {
            Ok(()) => f(cv.1),
            Err(error) => box_once(Err(Exn::from(error))),
        });
    let charge =
        Native::<Metered>::new(|cv| box_once(cv.0.data().fuel.charge(&cv.1).map(|()| cv.1).map_err(Exn::from)))
            .with_paths(|cv| box_once(cv.0.data().fuel.charge(&cv.1.0).map(|()| cv.1).map_err(Exn::from)))
            .with_update(|cv, f| match cv.0.data().fuel.charge(&cv.1) {
                Ok(()) => f(cv.1),
                Err(error) => box_once(Err(Exn::from(error))),
            });
    let product = Native::<Metered>::new(|mut cv| {
        let other = cv.0.pop_var();
        box_once(cv.0.data().fuel.charge_product(&other, &cv.1).map(|()| cv.1).map_err(Exn::from))
    });
    let mul = Native::<Metered>::new(|mut cv| {
        let right = cv.0.pop_var();
        let left = cv.0.pop_var();
        let paid = match (&left, &right) {
            (Val::TStr(text) | Val::BStr(text), Val::Num(count))
            | (Val::Num(count), Val::TStr(text) | Val::BStr(text)) => {
                let count = u64::try_from(count.as_isize().unwrap_or(isize::MAX)).unwrap_or(0);
                cv.0.data().fuel.pay(count.saturating_mul(1 + text.len() as u64 / 32))
            }
            _ => Ok(()),
        };
        let result = paid.and_then(|()| left * right).and_then(|value| cv.0.data().fuel.charge(&value).map(|()| value));
        box_once(result.map_err(Exn::from))
    });
    let readable = Native::<Metered>::new(|cv| {
        let paid = cv.0.data().fuel.charge(&cv.1);
        let read = paid.and_then(|()| match &cv.1 {
            Val::TStr(text) | Val::BStr(text) if !is_readable(text) => Err(Error::str(format_args!(
                "a text that nests more than {DEPTH} levels or has a number of more than {DIGITS} digits is not read"
            ))),
            _ => Ok(cv.1),
        });
        box_once(read.map_err(Exn::from))
    });
    [(TICK, v(0), tick), (CHARGE, v(0), charge), (PRODUCT, v(1), product), (MUL, v(2), mul), (READABLE, v(0), readable)]
        .into_iter()
}

/// Functions whose cost does not grow with their input, or that pay by their arguments alone.
const CHEAP: &[&str] = &[
    "abs",
    "arrays",
    "booleans",
    "ceil",
    "empty",
    "error",
    "false",
    "floor",
    "has",
    "isempty",
    "iterables",
    "length",
    "nan",
    "not",
    "null",
    "nulls",
    "numbers",
    "objects",
    "round",
    "scalars",
    "select",
    "strings",
    "true",
    "type",
    "values",
    "first",
    "last",
    "in",
    "startswith",
    "endswith",
];
/// Functions that read a text as JSON.
const READING: &[&str] = &["fromjson", "tonumber", "toboolean"];
/// Functions that hold each part of their argument against each part of their input.
const PAIRING: &[&str] = &[
    "contains", "inside", "index", "rindex", "indices", "test", "match", "capture", "scan", "sub", "gsub", "split",
    "splits",
];

type T<'s> = Term<&'s str>;

fn call<'s>(name: &'static str, args: Vec<T<'s>>) -> T<'s> {
    Term::Call(name, args)
}

fn then<'s>(left: T<'s>, right: T<'s>) -> T<'s> {
    Term::BinOp(Box::new(left), BinaryOp::Pipe(None), Box::new(right))
}

fn charged(term: T<'_>) -> T<'_> {
    then(term, call(CHARGE, Vec::new()))
}

fn ticked(term: T<'_>) -> T<'_> {
    then(term, call(TICK, Vec::new()))
}

fn boxed(term: T<'_>) -> Box<T<'_>> {
    Box::new(metered(term))
}

/// The same term, paying its way.
pub(super) fn metered(term: T<'_>) -> T<'_> {
    match term {
        Term::Str(format, parts) => {
            let plain = !parts.iter().any(|part| matches!(part, StrPart::Term(_)));
            let parts = parts
                .into_iter()
                .map(|part| match part {
                    StrPart::Term(inner) => StrPart::Term(metered(inner)),
                    other => other,
                })
                .collect();
            let text = Term::Str(format, parts);
            if plain { text } else { charged(text) }
        }
        Term::Arr(None) => Term::Arr(None),
        Term::Arr(Some(inner)) => charged(Term::Arr(Some(boxed(*inner)))),
        Term::Obj(fields) => {
            let fields = fields.into_iter().map(|(key, value)| (metered(key), value.map(metered))).collect();
            charged(Term::Obj(fields))
        }
        Term::Neg(inner) => Term::Neg(boxed(*inner)),
        Term::BinOp(left, op, right) => operation(metered(*left), op, metered(*right)),
        Term::Label(name, inner) => Term::Label(name, boxed(*inner)),
        Term::Fold(name, source, pattern, args) => {
            let args = args.into_iter().map(|arg| charged(metered(arg))).collect();
            ticked(Term::Fold(name, Box::new(ticked(metered(*source))), pattern, args))
        }
        Term::TryCatch(body, catch) => Term::TryCatch(boxed(*body), catch.map(|c| boxed(*c))),
        Term::IfThenElse(branches, otherwise) => {
            let branches = branches.into_iter().map(|(test, value)| (metered(test), metered(value))).collect();
            Term::IfThenElse(branches, otherwise.map(|o| boxed(*o)))
        }
        Term::Def(defs, rest) => {
            let defs = defs.into_iter().map(|d| Def { name: d.name, args: d.args, body: metered(d.body) }).collect();
            Term::Def(defs, boxed(*rest))
        }
        Term::Call(name, args) => function(name, args.into_iter().map(metered).collect()),
        Term::Path(head, path) => {
            let iterates = path.0.iter().any(|(part, _)| matches!(part, Part::Range(None, None)));
            let path = Path(path.0.into_iter().map(|(part, opt)| (metered_part(part), opt)).collect());
            let whole = Term::Path(boxed(*head), path);
            if iterates { ticked(whole) } else { whole }
        }
        Term::Recurse => ticked(Term::Recurse),
        Term::Id | Term::Num(_) | Term::Var(_) | Term::Break(_) => term,
    }
}

fn metered_part<'s>(part: Part<T<'s>>) -> Part<T<'s>> {
    match part {
        Part::Index(index) => Part::Index(metered(index)),
        Part::Range(from, until) => Part::Range(from.map(metered), until.map(metered)),
    }
}

fn operation<'s>(left: T<'s>, op: BinaryOp<&'s str>, right: T<'s>) -> T<'s> {
    match op {
        BinaryOp::Math(Math::Mul) => call(MUL, vec![left, right]),
        BinaryOp::Math(Math::Add | Math::Div) => charged(Term::BinOp(Box::new(left), op, Box::new(right))),
        // `l += r` is `r as $by | l |= . + $by`, where each sum pays.
        BinaryOp::UpdateMath(math) => {
            let changed = operation(Term::Id, BinaryOp::Math(math), Term::Var(OPERAND));
            let update = ticked(Term::BinOp(Box::new(left), BinaryOp::Update, Box::new(changed)));
            Term::BinOp(Box::new(right), BinaryOp::Pipe(Some(Pattern::Var(OPERAND))), Box::new(update))
        }
        BinaryOp::Comma | BinaryOp::Assign | BinaryOp::Update | BinaryOp::UpdateAlt => {
            ticked(Term::BinOp(Box::new(left), op, Box::new(right)))
        }
        _ => Term::BinOp(Box::new(left), op, Box::new(right)),
    }
}

fn function<'s>(name: &'s str, args: Vec<T<'s>>) -> T<'s> {
    if PAIRING.contains(&name) {
        let pay = |arg| then(arg, call(PRODUCT, vec![Term::Var(SAVED)]));
        let called = charged(Term::Call(name, args.into_iter().map(pay).collect()));
        return Term::BinOp(Box::new(Term::Id), BinaryOp::Pipe(Some(Pattern::Var(SAVED))), Box::new(called));
    }
    if READING.contains(&name) {
        return then(call(READABLE, Vec::new()), charged(Term::Call(name, args)));
    }
    if CHEAP.contains(&name) {
        return Term::Call(name, args.into_iter().map(ticked).collect());
    }
    let called = charged(Term::Call(name, args.into_iter().map(charged).collect()));
    then(call(CHARGE, Vec::new()), called)
}
