//! What passes and what does not, by example and against serde_json.

use proptest::prelude::*;

use super::*;
use crate::limits::JSON_DEPTH;

fn what(text: &str) -> Option<What> {
    check(text.as_bytes(), JSON_DEPTH).err().map(|e| e.what)
}

#[test]
fn every_kind_of_value_passes() {
    for good in [
        "null",
        "true",
        "false",
        "0",
        "-0",
        "1",
        "-1.5e-3",
        "1E+2",
        "\"\"",
        "\"a\\n\\u00e9\\/\"",
        "[]",
        "{}",
        " [ 1 , 2 ] ",
        "{\"a\":{},\"b\":[{}],\"c\":\"\"}",
        "\"\\ud83d\\ude00\"",
        "\"\u{1f600}\"",
        "\"\u{7f}\"",
        "\t\r\n1\n",
        "1e308",
        "1.7976931348623157e308",
        "1e-400",
        "0e999999999999",
        "{\"\":1}",
        "{\"a\":{\"a\":1},\"b\":{\"a\":1}}",
        "18446744073709551616",
    ] {
        assert_eq!(what(good), None, "{good}");
    }
}

#[test]
fn an_empty_body_and_trailing_text_are_refused() {
    assert_eq!(what(""), Some(What::Empty));
    assert_eq!(what(" \n"), Some(What::Empty));
    for bad in ["1 2", "{}{}", "null,", "[]]", "{}}", "01"] {
        assert_eq!(what(bad), Some(What::Trailing), "{bad}");
    }
}

#[test]
fn what_is_no_json_is_refused() {
    for bad in [
        "{",
        "[",
        "\"",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,",
        "{\"a\":1,}",
        "[1,]",
        "[,1]",
        "{,}",
        "{a:1}",
        "{1:1}",
        "'a'",
        "tru",
        "nul",
        "True",
        "NaN",
        "Infinity",
        "-",
        "-a",
        "+1",
        ".5",
        "1.",
        "1.e1",
        "1e",
        "1e+",
        "0x10",
        "[1 2]",
        "{\"a\" 1}",
        "]",
        "}",
        "[}",
        "{]",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\u+123\"",
        "\"\\",
        "\"a\nb\"",
        "\"\u{1}\"",
        "\u{feff}1",
        "// c\n1",
        "\u{a0}1",
    ] {
        assert!(what(bad).is_some(), "{bad}");
        assert!(serde_json::from_str::<serde_json::Value>(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_key_that_stands_twice_is_named() {
    let twice = |name: &str| Some(What::DuplicateKey(name.into()));
    assert_eq!(what(r#"{"a":1,"b":2,"a":3}"#), twice("a"));
    assert_eq!(what(r#"{"a":1,"\u0061":3}"#), twice("a"));
    assert_eq!(what(r#"[{"x":{"y":1,"y":1}}]"#), twice("y"));
    assert_eq!(what(r#"{"":1,"":1}"#), twice(""));
    let many: Vec<String> = (0..1_000).map(|i| format!("\"k{}\":{i}", i % 999)).collect();
    assert_eq!(what(&format!("{{{}}}", many.join(","))), twice("k0"));
    let error = check(b"{\n \"\xc3\xa9\": 1, \"a\":1,\"a\":1}", JSON_DEPTH).expect_err("a twice");
    assert_eq!((error.at, error.line, error.column), (18, 2, 16));
    assert!(error.to_string().contains("line 2, column 16"));
    assert_eq!(Problem::from(error).code, Code::Malformed);
}

#[test]
fn numbers_beyond_a_double_are_refused() {
    for bad in ["1e400", "-1e400", "[1e309]", "1e99999999999999999999", &"9".repeat(400)] {
        assert_eq!(what(bad), Some(What::NumberOutOfRange), "{bad}");
    }
    assert_eq!(what(&format!("1{}e-300", "0".repeat(310))), None);
}

#[test]
fn nesting_stops_at_the_limit_without_touching_the_stack() {
    let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    assert_eq!(what(&nested(JSON_DEPTH)), None);
    assert_eq!(what(&nested(JSON_DEPTH + 1)), Some(What::TooDeep(JSON_DEPTH)));
    for n in [10_000, 1_000_000] {
        assert_eq!(what(&"[".repeat(n)), Some(What::TooDeep(JSON_DEPTH)));
        assert_eq!(what(&"{\"a\":".repeat(n)), Some(What::TooDeep(JSON_DEPTH)));
        assert_eq!(check(nested(n).as_bytes(), usize::MAX), Ok(()));
    }
}

#[test]
fn half_surrogates_and_nul_are_refused() {
    for bad in ["\"\\ud83d\"", "\"\\ud83dx\"", "\"\\ude00\"", "\"\\ud83d\\n\"", "\"\\ud83d\\ud83d\"", "{\"\\udfff\":1}"]
    {
        assert_eq!(what(bad), Some(What::LoneSurrogate), "{bad}");
    }
    assert_eq!(what("\"a\\u0000\""), Some(What::Nul));
    assert_eq!(what("\"a\0\""), Some(What::Nul));
    assert_eq!(what("{\"\\u0000\":1}"), Some(What::Nul));
}

#[test]
fn bytes_that_are_no_utf_8_are_refused_where_they_stand() {
    let error = check(b"\"a\xff\"", JSON_DEPTH).expect_err("no UTF-8");
    assert_eq!((error.at, error.what), (2, What::NotUtf8));
    assert!(check(b"\"\xed\xa0\x80\"", JSON_DEPTH).is_err());
    assert!(check(b"\"\xc0\x80\"", JSON_DEPTH).is_err());
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let scalar = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        "[^\0]{0,8}".prop_map(Into::into),
    ];
    scalar.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            proptest::collection::btree_map("[^\0]{0,3}", inner, 0..20)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

fn agrees(bytes: &[u8]) -> Result<(), TestCaseError> {
    if check(bytes, JSON_DEPTH).is_ok() {
        prop_assert!(
            serde_json::from_slice::<serde_json::Value>(bytes).is_ok(),
            "{:?}",
            String::from_utf8_lossy(bytes)
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_serde_json_writes_passes(value in value()) {
        prop_assert_eq!(check(value.to_string().as_bytes(), JSON_DEPTH), Ok(()));
    }

    #[test]
    fn what_passes_serde_json_reads(
        value in value(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), prop_oneof![any::<u8>(), prop::sample::select(b"{}[]\",:0\\ue-.".to_vec())]), 0..4),
    ) {
        let mut bytes = value.to_string().into_bytes();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        agrees(&bytes)?;
    }

    #[test]
    fn any_text_of_json_characters_is_judged_as_serde_json_does(text in r#"[\[\]{}":,0-9eE+\-.\\untrfalsd8 ]{0,24}"#) {
        agrees(text.as_bytes())?;
    }

    #[test]
    fn numbers_are_judged_as_serde_json_does(text in "-?(0|[1-9][0-9]{0,330})(\\.[0-9]{1,330})?([eE][+-]?[0-9]{1,4})?") {
        prop_assert_eq!(check(text.as_bytes(), 1).is_ok(), serde_json::from_str::<f64>(&text).is_ok());
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        agrees(&bytes)?;
    }
}
