//! serde's refusals in the words of whoever sent the value: no types, variants or structs of ours.
//!
//! `invalid value: integer 99999, expected u16` becomes `must be a whole number from 0 to 65535, not 99999`.

use crate::problem::Problem;

/// Bytes of a value that a refusal repeats.
const SHOWN_BYTES: usize = 80;

/// A refusal of what stands at `path` (`.` is the whole) within `whole`, which is named for itself and, with `prefixed`,
/// before each path. `message` is serde's.
pub fn refusal(whole: &str, prefixed: bool, path: &str, message: &str) -> Problem {
    let reason = plain(message);
    // serde names a missing or unknown field in its text only.
    let about_field = reason.starts_with("missing field") || reason.starts_with("unknown field");
    let named = reason.split('`').nth(1).filter(|_| about_field);
    let within = match (path, named) {
        (".", Some(name)) => name.to_owned(),
        (".", None) => return Problem::field(whole, reason),
        (path, Some(name)) if !path.ends_with(name) => format!("{path}.{name}"),
        (path, _) => path.to_owned(),
    };
    let field = if prefixed { format!("{whole}.{within}") } else { within };
    Problem::field(&field, reason)
}

/// serde's message in plain words. What is no refusal of serde's own passes as it is, without the place in the text.
pub fn plain(message: &str) -> String {
    let message = without_place(message);
    if let Some(rest) = message.strip_prefix("unknown variant ") {
        return format!("unknown value {rest}");
    }
    if message.starts_with("data did not match any variant of untagged enum") {
        return "has none of the forms that are allowed here".to_owned();
    }
    let parts = ["invalid type: ", "invalid value: ", "invalid length "]
        .iter()
        .find_map(|kind| message.strip_prefix(kind).map(|rest| (rest, kind.starts_with("invalid length"))))
        .and_then(|(rest, of_length)| {
            rest.rsplit_once(", expected ").map(|(found, wanted)| (found, wanted, of_length))
        });
    match parts {
        Some((length, wanted, true)) => wrong_length(length, wanted),
        Some((found, wanted, false)) => format!("must be {}, not {}", expected(wanted), found_words(found)),
        None => message.to_owned(),
    }
}

/// Why a parameter's text could not be read: the standard library's words on numbers in plain ones.
pub fn unreadable(text: &str, reason: &str) -> String {
    match reason {
        "invalid digit found in string" | "cannot parse integer from empty string" => {
            format!("must be a whole number, 0 or more, not {}", shown(&format!("{text:?}")))
        }
        "number too large to fit in target type" => format!("{} is too large a number", shown(text)),
        other => format!("{}: {other}", shown(&format!("{text:?}"))),
    }
}

/// The message without ` at line 3 column 7`: the field's path says more.
fn without_place(message: &str) -> &str {
    let Some((before, place)) = message.rsplit_once(" at line ") else { return message };
    let is_place = place
        .split_once(" column ")
        .is_some_and(|(line, column)| [line, column].iter().all(|n| n.bytes().all(|b| b.is_ascii_digit())));
    if is_place { before } else { message }
}

/// A list where an object with that many fields belongs, or a list of the wrong length.
fn wrong_length(length: &str, wanted: &str) -> String {
    if wanted.starts_with("struct") || wanted.starts_with("internally tagged") {
        return "must be an object, not a list".to_owned();
    }
    format!("must be {}, not one of {length}", expected(wanted))
}

/// What serde expected.
fn expected(wanted: &str) -> String {
    let words = match wanted {
        "i8" => "a whole number from -128 to 127",
        "i16" => "a whole number from -32768 to 32767",
        "i32" => "a whole number from -2147483648 to 2147483647",
        "i64" | "isize" => "a whole number from -9223372036854775808 to 9223372036854775807",
        "i128" => "a whole number",
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number from 0 to 18446744073709551615",
        "u128" => "a whole number, 0 or more",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a string" | "a borrowed string" | "string" | "str" | "identifier" | "a character" => "a text",
        "variant identifier" | "field identifier" | "string only" => "a name as text",
        "string or map" | "string or object" => "a name as text or an object",
        "a sequence" => "a list",
        "a map" | "map with a single key" => "an object",
        "unit" | "null" => "null",
        "option" | "any value" | "any valid JSON value" | "JSON value" => "any JSON value",
        _ => return expected_kind(wanted),
    };
    words.to_owned()
}

/// What serde expected where a name or a number of ours stands in its words.
fn expected_kind(wanted: &str) -> String {
    let starts = |kinds: &[&str]| kinds.iter().any(|kind| wanted.starts_with(kind));
    if let Some(number) = wanted.strip_prefix("a nonzero ") {
        return format!("{}, but not 0", expected(number));
    }
    if let Some(size) = wanted.strip_prefix("a tuple of size ").or_else(|| wanted.strip_prefix("an array of length ")) {
        return format!("a list of {size}");
    }
    if starts(&["unit struct ", "unit variant "]) {
        return "a name as text".to_owned();
    }
    if starts(&["struct ", "internally tagged enum ", "adjacently tagged enum "]) {
        return "an object".to_owned();
    }
    if starts(&["tuple struct ", "tuple variant "]) {
        return "a list".to_owned();
    }
    if starts(&["enum ", "newtype "]) {
        return "one of the values that are allowed here".to_owned();
    }
    wanted.to_owned()
}

/// What stood there.
fn found_words(found: &str) -> String {
    let quoted = |kind: &str| found.strip_prefix(kind).and_then(|rest| rest.strip_prefix(" `")?.strip_suffix('`'));
    if let Some(value) = ["boolean", "integer", "floating point"].into_iter().find_map(quoted) {
        return value.to_owned();
    }
    if let Some(text) = found.strip_prefix("string ") {
        return format!("the text {}", shown(text));
    }
    match found {
        "sequence" => "a list".to_owned(),
        "map" => "an object".to_owned(),
        "unit value" | "Option value" | "null" => "null".to_owned(),
        "unit variant" => "only a name".to_owned(),
        "newtype variant" | "tuple variant" | "struct variant" | "enum" | "newtype struct" => {
            "a value of its own".to_owned()
        }
        other => shown(other),
    }
}

/// The beginning of a value: a refusal is no place for all of it.
fn shown(text: &str) -> String {
    let mut end = text.len().min(SHOWN_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    match text.get(..end) {
        Some(head) if head.len() < text.len() => format!("{head}…"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, de::DeserializeOwned};

    use super::*;

    fn said<T: DeserializeOwned>(text: &str) -> String {
        match serde_json::from_str::<T>(text) {
            Ok(_) => panic!("{text} must be refused"),
            Err(error) => plain(&error.to_string()),
        }
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Sample {
        name: String,
        port: u16,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    #[expect(dead_code, reason = "only its shape matters")]
    enum Choice {
        Left,
        Held(u8),
        Pair { a: u8 },
    }

    #[derive(Debug, Deserialize)]
    #[serde(tag = "kind", rename_all = "snake_case")]
    #[expect(dead_code, reason = "only its shape matters")]
    enum Tagged {
        One { a: u8 },
    }

    #[derive(Debug, Deserialize)]
    #[serde(untagged)]
    #[expect(dead_code, reason = "only its shape matters")]
    enum Either {
        Text(String),
        Number(u8),
    }

    #[test]
    fn numbers_are_said_as_ranges() {
        assert_eq!(said::<u16>("99999"), "must be a whole number from 0 to 65535, not 99999");
        assert_eq!(said::<u16>("-1"), "must be a whole number from 0 to 65535, not -1");
        assert_eq!(said::<u8>("1.5"), "must be a whole number from 0 to 255, not 1.5");
        assert_eq!(said::<u64>("\"7\""), "must be a whole number from 0 to 18446744073709551615, not the text \"7\"");
        assert_eq!(
            said::<i64>("null"),
            "must be a whole number from -9223372036854775808 to 9223372036854775807, not null"
        );
        assert_eq!(said::<f64>("[]"), "must be a number, not a list");
        assert_eq!(said::<std::num::NonZeroU16>("0"), "must be a whole number from 0 to 65535, but not 0, not 0");
    }

    #[test]
    fn kinds_of_values_are_said_as_json_has_them() {
        assert_eq!(said::<bool>("7"), "must be true or false, not 7");
        assert_eq!(said::<String>("true"), "must be a text, not true");
        assert_eq!(said::<Vec<u8>>("{}"), "must be a list, not an object");
        assert_eq!(said::<std::collections::BTreeMap<String, u8>>("[1]"), "must be an object, not a list");
        assert_eq!(said::<Sample>("7"), "must be an object, not 7");
        assert_eq!(said::<Sample>("[]"), "must be an object, not a list");
        assert_eq!(said::<Sample>("[\"a\"]"), "must be an object, not a list");
        assert_eq!(said::<(u8, u8)>("[1]"), "must be a list of 2, not one of 1");
    }

    #[test]
    fn choices_are_said_without_variants() {
        assert_eq!(said::<Choice>("\"middle\""), "unknown value `middle`, expected one of `left`, `held`, `pair`");
        for text in ["7", "[]", "\"held\"", "{\"left\": 7}", "{\"pair\": 3}", "{\"held\": \"a\"}", "{}"] {
            let said = said::<Choice>(text);
            for word in ["variant", "struct", "enum", "identifier", "u8", "newtype", "unit"] {
                assert!(!said.contains(word), "{text}: {said}");
            }
        }
        for text in ["7", "{}", "{\"kind\": \"two\"}", "{\"kind\": 3}", "[]", "{\"kind\": \"one\", \"a\": []}"] {
            let said = said::<Tagged>(text);
            for word in ["variant", "struct", "enum", "identifier", "u8", "Tagged"] {
                assert!(!said.contains(word), "{text}: {said}");
            }
        }
        assert_eq!(said::<Either>("true"), "has none of the forms that are allowed here");
    }

    #[test]
    fn a_long_value_is_cut_and_its_own_words_do_not_confuse() {
        let long = format!("\"{}\"", "é".repeat(500));
        assert!(said::<u8>(&long).len() < 200, "{}", said::<u8>(&long));
        assert_eq!(
            said::<bool>("\"x, expected u8 at line 3\""),
            "must be true or false, not the text \"x, expected u8 at line 3\""
        );
    }

    #[test]
    fn a_parameter_that_is_no_number_is_said_plainly() {
        let said = |text: &str| unreadable(text, &text.parse::<u64>().expect_err("no number").to_string());
        assert_eq!(said("abc"), "must be a whole number, 0 or more, not \"abc\"");
        assert_eq!(said("-1"), "must be a whole number, 0 or more, not \"-1\"");
        assert_eq!(said(""), "must be a whole number, 0 or more, not \"\"");
        assert_eq!(said("99999999999999999999"), "99999999999999999999 is too large a number");
        assert_eq!(unreadable("x", "is no strategy"), "\"x\": is no strategy");
    }

    #[test]
    fn a_refusal_names_the_field() {
        let field = |whole, prefixed, path, message| {
            refusal(whole, prefixed, path, message).details.into_keys().next().unwrap_or_default()
        };
        assert_eq!(field("body", false, ".", "missing field `name` at line 1 column 2"), "name");
        assert_eq!(field("body", false, ".", "invalid type: map, expected a string"), "body");
        assert_eq!(field("body", false, "deep[0]", "missing field `name`"), "deep[0].name");
        assert_eq!(field("body", false, "nmae", "unknown field `nmae`, expected `name`"), "nmae");
        assert_eq!(field("payload", true, ".", "missing field `name`"), "payload.name");
        assert_eq!(field("payload", true, ".", "invalid type: map, expected a string"), "payload");
        assert_eq!(field("payload", true, "a.b", "invalid value: integer `300`, expected u8"), "payload.a.b");
    }
}
