//! JSON texts as values: when two of them are the same, and numbers without loss. Pure.
//!
//! Programs write one value in many ways: `1` and `1.0`, `"é"` and `"\u00e9"`, fields in any order. A merge asks whether
//! somebody changed something, so it compares values and not texts.

use std::fmt::{self, Write as _};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// Levels that are looked into; what lies deeper is compared as text. Doors let less through.
const DEEPEST: usize = 128;
/// White space of JSON.
const SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

/// Whether two texts are the same JSON value: numbers by what they are worth, objects whatever the order of their fields.
pub(super) fn same(a: &str, b: &str) -> bool {
    a == b || essence(a) == essence(b)
}

/// One text for all texts of one value. For comparing only: it is no JSON.
pub(super) fn essence(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    distil(text, DEEPEST, &mut out);
    out
}

fn distil(text: &str, levels: usize, out: &mut String) {
    let text = text.trim_matches(SPACE);
    match text.as_bytes().first() {
        Some(b'{') if levels > 0 => {
            if let Some(mut fields) = Fields::read(text) {
                fields.0.sort_by(|a, b| a.0.cmp(&b.0));
                out.push('{');
                for (name, value) in fields.0 {
                    out.push_str(&quoted(&name));
                    out.push(':');
                    distil(value.get(), levels - 1, out);
                    out.push(',');
                }
                return out.push('}');
            }
        }
        Some(b'[') if levels > 0 => {
            if let Some(items) = items(text) {
                out.push('[');
                for item in items {
                    distil(item.get(), levels - 1, out);
                    out.push(',');
                }
                return out.push(']');
            }
        }
        Some(b'"') => {
            if let Ok(text) = serde_json::from_str::<String>(text) {
                return out.push_str(&quoted(&text));
            }
        }
        _ => {
            if let Some(number) = Decimal::read(text) {
                // Writing to a String can't fail.
                let _ = write!(out, "{number}");
                return;
            }
        }
    }
    out.push_str(text);
}

/// The fields of an object in their order.
#[derive(Default)]
pub(super) struct Fields<'a>(pub(super) Vec<(String, &'a RawValue)>);

impl<'a> Fields<'a> {
    /// `None` for what is no object.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The text of one of them.
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.get())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Vec<(String, &'de RawValue)>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(fields)
            }
        }
        d.deserialize_map(Reader).map(Fields)
    }
}

/// The members of an array; `None` for what is none.
pub(super) fn items(text: &str) -> Option<Vec<&RawValue>> {
    serde_json::from_str(text).ok()
}

/// A text as JSON.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A JSON number as it is written: digits without zeros at either end, times a power of ten. Zero has no digits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Decimal {
    is_negative: bool,
    digits: String,
    exponent: i64,
}

impl Decimal {
    /// `None` for what is no number, or one with an exponent beyond 64 bits.
    pub(super) fn read(text: &str) -> Option<Self> {
        let text = text.trim_matches(SPACE);
        let (is_negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) =
            rest.split_once(['e', 'E']).map_or((rest, None), |(mantissa, exponent)| (mantissa, Some(exponent)));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        if whole.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        if digits.bytes().all(|b| b == b'0') {
            return Some(Self::default());
        }
        let exponent = exponent.map_or(Some(0), |text| text.parse::<i64>().ok())?;
        let exponent = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?;
        Self::of(is_negative, &digits, exponent)
    }

    /// Of digits with zeros at their ends, maybe of them alone.
    fn of(is_negative: bool, digits: &str, exponent: i64) -> Option<Self> {
        let kept = digits.trim_end_matches('0');
        let exponent = exponent.checked_add(i64::try_from(digits.len() - kept.len()).ok()?)?;
        let digits = kept.trim_start_matches('0').to_owned();
        Some(if digits.is_empty() { Self::default() } else { Self { is_negative, digits, exponent } })
    }

    /// Its negative.
    pub(super) fn negated(mut self) -> Self {
        self.is_negative = !self.is_negative && !self.digits.is_empty();
        self
    }

    /// The exact sum; `None` where it takes more than 38 digits.
    pub(super) fn sum(terms: &[Self]) -> Option<Self> {
        let terms = || terms.iter().filter(|term| !term.digits.is_empty());
        let least = terms().map(|term| term.exponent).min().unwrap_or(0);
        let total = terms().try_fold(0_i128, |total, term| total.checked_add(term.in_units_of(least)?))?;
        Self::of(total < 0, &total.unsigned_abs().to_string(), least)
    }

    /// How many times ten to this power it is.
    fn in_units_of(&self, exponent: i64) -> Option<i128> {
        let shift = u32::try_from(self.exponent.checked_sub(exponent)?).ok()?;
        let size = self.digits.parse::<i128>().ok()?.checked_mul(10_i128.checked_pow(shift)?)?;
        Some(if self.is_negative { -size } else { size })
    }

    /// As JSON; `None` for a whole number that 64 bits with a sign do not hold, as few programs read such without loss.
    pub(super) fn to_json(&self) -> Option<String> {
        if self.digits.is_empty() {
            return Some("0".to_owned());
        }
        if self.exponent >= 0 {
            let whole = i64::try_from(self.in_units_of(0)?).ok()?;
            return Some(whole.to_string());
        }
        let sign = if self.is_negative { "-" } else { "" };
        let places = usize::try_from(self.exponent.unsigned_abs()).ok()?;
        if places > 40 {
            return Some(format!("{sign}{}e{}", self.digits, self.exponent));
        }
        let digits = format!("{:0>width$}", self.digits, width = places + 1);
        let (whole, fraction) = digits.split_at(digits.len() - places);
        Some(format!("{sign}{whole}.{fraction}"))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.is_negative { "-" } else { "" };
        if self.digits.is_empty() { f.write_str("0") } else { write!(f, "{sign}{}e{}", self.digits, self.exponent) }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;

    fn leaf() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<bool>().prop_map(Value::from),
            (0..5i64).prop_map(Value::from),
            "[a-c\"\\\\ é]{0,3}".prop_map(Value::from)
        ]
    }

    /// Any small value.
    pub(in crate::state) fn tree() -> impl Strategy<Value = Value> {
        leaf().prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                proptest::collection::btree_map("[a-d]", inner, 0..4)
                    .prop_map(|m| Value::Object(m.into_iter().collect::<Map<_, _>>())),
            ]
        })
    }

    /// The same value by another program's hand: spaced, its fields backwards, whole numbers with a point, text escaped.
    fn rewritten(value: &Value) -> String {
        match value {
            Value::Object(fields) => {
                let fields =
                    fields.iter().rev().map(|(name, value)| format!("{} : {}", quoted(name), rewritten(value)));
                format!("{{ {} }}", fields.collect::<Vec<_>>().join(" ,\n"))
            }
            Value::Array(items) => format!("[ {} ]", items.iter().map(rewritten).collect::<Vec<_>>().join("\t,")),
            Value::Number(n) => format!("{n}.0e+0"),
            Value::String(text) => {
                let escaped = text.encode_utf16().fold(String::new(), |out, unit| out + &format!("\\u{unit:04x}"));
                format!("\"{escaped}\"")
            }
            other => other.to_string(),
        }
    }

    #[test]
    fn numbers_are_the_same_by_what_they_are_worth() {
        for (a, b) in [
            ("1", "1.0"),
            ("100", "1e2"),
            ("-0", "0.000e7"),
            ("0", "0e99999999999999999999"),
            ("0.5", "5E-1"),
            ("12345678901234567890123", "1234567890123456789012.30e+1"),
        ] {
            assert!(same(a, b), "{a} {b}");
        }
        for (a, b) in [("1", "-1"), ("1", "10"), ("1", "\"1\""), ("12345678901234567890123", "12345678901234567890124")]
        {
            assert!(!same(a, b), "{a} {b}");
        }
    }

    #[test]
    fn what_lies_too_deep_is_compared_as_text() {
        let deep = |leaf: &str| format!("{}{leaf}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(same(&deep("1"), &deep("1")) && !same(&deep("1"), &deep("2")));
    }

    #[test]
    fn sums_are_exact_or_none() {
        let sum = |terms: &[&str]| {
            let terms: Vec<_> = terms.iter().map(|text| Decimal::read(text).expect("a number")).collect();
            Decimal::sum(&terms).and_then(|sum| sum.to_json())
        };
        assert_eq!(sum(&["0.1", "0.2"]).as_deref(), Some("0.3"));
        assert_eq!(sum(&["1.5", "-1.5"]).as_deref(), Some("0"));
        assert_eq!(sum(&["-1.25", "0.2"]).as_deref(), Some("-1.05"));
        assert_eq!(sum(&["9007199254740993", "0.5"]).as_deref(), Some("9007199254740993.5"));
        assert_eq!(sum(&["1e-300", "2e-300"]).as_deref(), Some("3e-300"));
        assert_eq!(sum(&["-9223372036854775807", "-1"]).as_deref(), Some("-9223372036854775808"));
        for beyond in [&["18446744073709551615", "1"], &["1e300", "1"], &["1e300", "1e300"], &["1e-30", "1e30"]] {
            assert_eq!(sum(beyond), None, "{beyond:?}");
        }
    }

    proptest! {
        #[test]
        fn a_value_is_the_same_however_it_is_written(value in tree()) {
            let again = rewritten(&value);
            prop_assert!(same(&value.to_string(), &again), "{again}");
        }

        #[test]
        fn only_the_same_values_are_the_same(a in tree(), b in tree()) {
            prop_assert_eq!(same(&a.to_string(), &b.to_string()), a == b);
        }

        #[test]
        fn sums_of_fractions_are_those_of_their_units(a in -10_000_000_i64..10_000_000, b in -10_000_000_i64..10_000_000) {
            // In millionths, so that whole numbers give the right answer.
            let text = |n: i64| format!("{n}e-6");
            let sum = Decimal::sum(&[Decimal::read(&text(a)).expect("a"), Decimal::read(&text(b)).expect("b")]);
            let told = sum.and_then(|sum| sum.to_json()).expect("a small number");
            prop_assert!(serde_json::from_str::<f64>(&told).is_ok(), "{} is no JSON", told);
            prop_assert_eq!(Decimal::read(&told), Decimal::read(&text(a + b)));
        }
    }
}
