//! What expressions may do, and what the screen and the fuel keep from happening.

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

/// Runs under the wide rules over JSON.
fn wide(text: &str, input: &serde_json::Value) -> String {
    match Jq::compile_with(text, Rules::Wide, &[])
        .and_then(|jq| jq.eval(to_val(input), Vec::new()).0)
        .and_then(|v| to_json(&v))
    {
        Ok(value) => value.to_string(),
        Err(error) => format!("error: {error}"),
    }
}

#[test]
fn wide_rules_allow_what_flows_need() {
    let order = serde_json::json!({"items": [{"price": 3, "n": 2}, {"price": 5, "n": 1}], "id": "abc"});
    for (text, expected) in [
        ("reduce .items[] as $i (0; . + $i.price * $i.n)", "11"),
        ("[range(3)]", "[0,1,2]"),
        (".items |= map(.n) | .items", "[2,1]"),
        (".items[0].n += 1 | .items[0].n", "3"),
        ("{a: {b: 1}} * {a: {c: 2}}", r#"{"a":{"b":1,"c":2}}"#),
        ("[.. | strings]", r#"["abc"]"#),
        (". as {items: [$first]} | $first.price", "3"),
        (r#""\(.id)-\(.items | length)""#, r#""abc-2""#),
        ("(.id | reduce explode[] as $c (5381; (. * 33 + $c) % 1000003)) % 100", "84"),
        ("del(.items) | keys", r#"["id"]"#),
        ("pick(.id)", r#"{"id":"abc"}"#),
        ("[limit(2; .items[] | .price)]", "[3,5]"),
        (".id | test(\"^a\")", "true"),
        ("[foreach .items[] as $i (0; . + $i.n)]", "[2,3]"),
        (".id | @base64", "\"YWJj\""),
        ("1.5 + 12345678901234567890", "1.2345678901234567e+19"),
        ("12345678901234567890", "12345678901234567890"),
        ("with_entries(select(.key == \"id\"))", r#"{"id":"abc"}"#),
        ("[.items[] | .price] | sort | add / length", "4.0"),
    ] {
        assert_eq!(wide(text, &order), expected, "{text}");
    }
}

#[test]
fn what_grows_without_end_runs_out_of_fuel() {
    let doubling = format!("[1]{}", "|[.,.]".repeat(600));
    let text = format!("\"xxxxxxxx\"{}", "|.+.".repeat(900));
    let interpolated = format!("\"xxxxxxxx\"{}", r#"|"\(.)\(.)""#.repeat(300));
    let commas = format!("[1{}]", "|(.,.)".repeat(300));
    let commas_lost = format!("[1{}|empty]", "|(.,.)".repeat(190));
    let nested = ". as $x | [.[] as $a | .[] as $b | .[] as $c | .[] as $d | select(false)]";
    let big: serde_json::Value = (0..2000).collect::<Vec<u32>>().into();
    for bomb in [
        doubling.as_str(),
        &text,
        &interpolated,
        &commas,
        &commas_lost,
        nested,
        "\"x\" * 1000000000",
        "1000000000 * \"x\"",
        "reduce range(1000000) as $i (0; [.])",
        "reduce range(100000) as $i (\"x\"; . + .)",
        "last(range(1000000000))",
        "[range(1000000000)]",
        "[limit(1000000000; range(2000000000))]",
        "first(range(1000000000) | select(false))",
        "try last(range(1000000000)) catch 1",
        "(last(range(1000000000))? // 1)",
        "[range(1000000)] | tojson",
        "[.[] as $x | .[] | $x == .] | any",
        "reduce range(100) as $i ([]; [.,.,.])",
        "map(. as $x | [range(2000)] | contains([$x])) | all",
        ".[0] |= reduce range(1000000000) as $i (0; . + 1)",
    ] {
        let answer = wide(bomb, &big);
        assert!(answer.starts_with("error"), "{bomb:.60} gave {answer:.60}");
    }
    // Whole numbers grow as well.
    for bomb in [
        "reduce range(25) as $i (9; .*.) | tostring | length",
        "reduce range(40) as $i (9; . * .) | . % 7",
        "reduce range(2000) as $i (1; . * 99999999) | length",
        "[limit(100; range(100))] | map(9223372036854775807) | reduce .[] as $n (1; . * $n)",
    ] {
        let answer = wide(bomb, &big);
        assert!(answer.starts_with("error"), "{bomb} gave {answer:.60}");
    }
    let updates = format!("\"xxxxxxxx\"{}", "|.+=.".repeat(60));
    assert!(wide(&updates, &big).starts_with("error"));
    // The same chains where predicates are allowed.
    assert!(run(&text.replace('x', "y"), "1").contains("error"));
    assert!(run(&doubling, "1").contains("error"));
}

#[test]
fn a_text_that_nests_too_deep_or_counts_too_far_is_not_read() {
    let (open, closed) = ("[".repeat(50_000), format!("{}1{}", "[".repeat(90), "]".repeat(90)));
    let fields = "{\"a\":".repeat(50_000);
    let digits = "9".repeat(200_000);
    for text in [&open, &fields, &digits, &format!("[{open}"), &format!("\"a\"{open}")] {
        for read in ["fromjson", "tonumber", "toboolean", "try fromjson", "[.[]?], fromjson"] {
            let answer = wide(read, &text.as_str().into());
            assert!(!answer.contains("[[") && !answer.contains("999"), "{read} of {text:.20} gave {answer:.60}");
        }
    }
    assert!(wide("fromjson | length", &open.as_str().into()).contains("levels"));
    assert!(run("(fromjson | length) > 3", &serde_json::json!(open).to_string()).contains("error"));
    assert_eq!(wide("fromjson | flatten", &closed.as_str().into()), "[1]");
    assert_eq!(wide("fromjson.a", &r#"{"a":"[[[[\"{"}"#.into()), r#""[[[[\"{""#);
    assert_eq!(wide("\"12.5\" | tonumber", &serde_json::Value::Null), "12.5");
    assert_eq!(wide("[.[] | tonumber?]", &serde_json::json!(["1", "x", 2])), "[1,2]");
}

#[test]
fn an_update_by_an_operator_is_what_it_was() {
    let value = serde_json::json!({"a": 1, "b": [1, 2]});
    assert_eq!(wide(".a += 2", &value), r#"{"a":3,"b":[1,2]}"#);
    assert_eq!(wide(".b[] += .a", &value), r#"{"a":1,"b":[2,3]}"#);
    assert_eq!(wide(".b[] -= 1 | .a += (.b | length)", &value), r#"{"a":3,"b":[0,1]}"#);
    assert_eq!(wide("[.a += (1, 2) | .a]", &value), "[2,3]");
    assert_eq!(wide(".a += (.a += 1 | .a)", &value), r#"{"a":3,"b":[1,2]}"#);
}

#[test]
fn wide_rules_refuse_what_could_sink_the_process() {
    let deep = "(".repeat(50_000) + "1" + &")".repeat(50_000);
    let chain = format!("1{}", "|1".repeat(2000));
    for bad in [
        "def f: [f]; f",
        "def f: f; f",
        "def f($n): if $n == 0 then 0 else 1 + f($n - 1) end; f(100000)",
        "env",
        "env.SECRET_X",
        "$ENV",
        "$ENV.PATH",
        "input",
        "inputs",
        "halt",
        "halt_error",
        "debug",
        "stderr",
        "now",
        "localtime",
        "repeat(1)",
        "[repeat(1)]",
        "until(false; .)",
        "while(true; .)",
        "recurse(.)",
        "recurse",
        "combinations",
        "label $out | 1",
        "import \"a\" as a; 1",
        ". *= 2",
        "expression__",
        "$undefined",
        r#""\(env)""#,
        r#"@sh "\(env)""#,
        "{(env): 1}",
        ".[env]",
        "try env catch 1",
        "if env then 1 else 2 end",
        "reduce env as $x (0; 1)",
        "reduce 1 as $x (0; env)",
        ". as [env] | 1",
        &deep,
        &chain,
    ] {
        assert!(Jq::compile_with(bad, Rules::Wide, &[]).is_err(), "{bad:.60}");
    }
}

#[test]
fn an_expression_sees_the_variables_it_names() {
    let jq = Jq::compile_with("$context.a + $input + .", Rules::Wide, &["context", "input", "output"]).unwrap();
    let names: Vec<&str> = jq.variables().iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["context", "input"]);
    let (result, cost) = jq.eval(1isize.into(), vec![to_val(&serde_json::json!({"a": 5})), 2isize.into()]);
    assert_eq!(to_json(&result.unwrap()).unwrap(), 8);
    assert!(cost > 0 && cost < 20, "{cost}");
    let unknown = Jq::compile_with("$secret", Rules::Wide, &["secrets"]).unwrap_err();
    assert_eq!(unknown, JqError::Unknown("secret".into()));
}

#[test]
fn it_is_known_whether_a_variable_is_only_passed_on() {
    for (text, computed, fields) in [
        ("$secrets.a", false, vec!["a"]),
        ("$secrets[\"a-b\"].c", false, vec!["a-b"]),
        ("{authorization: \"Bearer \\($secrets.a)\"}", false, vec!["a"]),
        ("\"x\" + $secrets.a", false, vec!["a"]),
        ("if .x then $secrets.a else $secrets.b end", false, vec!["a", "b"]),
        (". | $secrets.a", false, vec!["a"]),
        ("$secrets.a | length", true, vec!["a"]),
        ("$secrets.a == .guess", true, vec!["a"]),
        ("$secrets[.name]", true, vec![]),
        ("@base64 \"\\($secrets.a)\"", true, vec!["a"]),
        ("if $secrets.a then 1 else 2 end", true, vec!["a"]),
        ("$secrets.a[0:1]", true, vec!["a"]),
        ("$secrets.a as $x | $x", true, vec!["a"]),
    ] {
        let jq = Jq::compile_with(text, Rules::Wide, &["secrets"]).unwrap();
        let usage = &jq.variables()[0].1;
        assert_eq!(
            (usage.computed, &usage.fields),
            (computed, &fields.iter().map(ToString::to_string).collect()),
            "{text}"
        );
    }
}

#[test]
fn results_that_json_can_not_hold_are_errors() {
    for text in ["nan", "1 / 0", "{(1 | tostring): nan}"] {
        let answer = wide(text, &serde_json::Value::Null);
        assert!(answer.starts_with("error") || answer.contains("null") || answer.contains("1.797"), "{text}: {answer}");
    }
    let deep = format!("1{}", "|[.]".repeat(80));
    assert!(wide(&deep, &serde_json::Value::Null).contains("nests deeper"));
}

proptest! {
    #[test]
    fn no_expression_panics(text in "[.a-z0-9|\\[\\]{}()\" ,:*+-]{0,60}", input in "[0-9a\"\\[\\]{},:]{0,20}") {
        if let Ok(jq) = Jq::compile(&text) {
            let _ = jq.run(input.as_bytes());
        }
    }
}
