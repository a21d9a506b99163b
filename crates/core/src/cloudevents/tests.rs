//! The three modes by example, and that no input panics.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    event::{Data, Priority, StoredEvent},
    id::EventId,
    limits::{ATTRIBUTES_BYTES, BATCH_EVENTS},
};

fn from(value: &Value) -> Result<CloudEvent, Problem> {
    structured(&Bytes::from(value.to_string()))
}

/// A valid event with some members changed; `null` unsets.
fn with(changes: Value) -> Result<CloudEvent, Problem> {
    let mut event = json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "a.b"});
    for (name, value) in changes.as_object().expect("an object") {
        event[name] = value.clone();
    }
    from(&event)
}

fn reason(changes: Value) -> String {
    with(changes.clone()).map_or_else(|problem| problem.message, |_| panic!("{changes} passed"))
}

fn in_headers(headers: &[(&str, &str)], body: &'static [u8]) -> Result<CloudEvent, Problem> {
    let required = [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/s"), ("ce-type", "a.b")];
    let own = required.iter().filter(|(name, _)| !headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name)));
    binary(own.chain(headers).map(|(n, v)| (*n, v.as_bytes())), &Bytes::from_static(body))
}

fn text(event: &CloudEvent) -> &str {
    std::str::from_utf8(&event.data).expect("UTF-8")
}

#[test]
fn the_content_type_tells_the_mode() {
    for (content_type, mode) in [
        ("application/cloudevents+json", Mode::Structured),
        ("Application/CloudEvents+JSON; charset=utf-8", Mode::Structured),
        ("application/cloudevents-batch+json", Mode::Batch),
        ("application/json", Mode::Binary),
        ("text/plain", Mode::Binary),
        ("", Mode::Binary),
    ] {
        assert_eq!(Mode::of(Some(content_type)), Ok(mode));
    }
    assert_eq!(Mode::of(None), Ok(Mode::Binary));
    for unknown in ["application/cloudevents+avro", "application/cloudevents-batch+xml"] {
        assert_eq!(Mode::of(Some(unknown)).map_err(|p| p.code), Err(Code::UnsupportedMediaType));
    }
}

#[test]
fn a_structured_event_keeps_its_data_byte_for_byte() {
    let body = Bytes::from_static(
        br#"{"type":"PAYMENT_RECEIVED","specversion":"1.0","id":"A-1","source":"https://pay.example/x","data": {"b" : 1.50,"a":[ ]} ,
            "time":"2026-01-02T03:04:05.678+01:00","subject":"order/1","correlationid":"c-1","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "partitionkey":"p","flag":true,"count":-3,"unset":null,"dataschema":"https://s.example/1","datacontenttype":"application/json; charset=utf-8"}"#,
    );
    let event = structured(&body).expect("valid");
    assert_eq!(text(&event), r#"{"b" : 1.50,"a":[ ]}"#);
    assert_eq!((event.id.as_str(), event.topic.as_str()), ("A-1", "payment.received"));
    assert_eq!((event.subject.as_deref(), event.correlation.as_deref()), (Some("order/1"), Some("c-1")));
    let attributes = &event.attributes;
    assert_eq!(attributes.occurred.as_deref(), Some("2026-01-02T03:04:05.678+01:00"));
    assert_eq!(attributes.dataschema.as_deref(), Some("https://s.example/1"));
    assert!(attributes.traceparent.is_some() && attributes.datacontenttype.is_none() && !attributes.binary);
    let extensions = json!({"partitionkey": "p", "flag": true, "count": -3, "originaltype": "PAYMENT_RECEIVED"});
    assert_eq!(json!(attributes.extensions), extensions);
}

#[test]
fn required_attributes_must_be_there_and_not_empty() {
    for name in ["specversion", "id", "source", "type"] {
        let problem = with(json!({name: null})).expect_err("missing");
        assert_eq!(problem.code, Code::Invalid);
        assert!(problem.details.contains_key(name), "{problem}");
        assert!(reason(json!({name: ""})).contains("empty"));
        assert!(reason(json!({name: 1})).contains("string"));
    }
    assert!(reason(json!({"specversion": "0.3"})).contains("1.0"));
    assert!(reason(json!({"subject": ""})).contains("empty"));
    assert!(reason(json!({"type": "com/example"})).contains("character"));
    assert!(reason(json!({"id": "x".repeat(257)})).contains("256"));
    assert!(reason(json!({"source": "a b"})).contains("URI"));
}

#[test]
fn attribute_names_and_values_keep_to_the_types_of_the_spec() {
    for name in ["Ext", "my-ext", "my_ext", "", "\u{e9}"] {
        assert!(reason(json!({name: "x"})).contains("lower-case"), "{name:?}");
    }
    for value in [json!(1.5), json!(3_000_000_000_u64), json!({}), json!([1])] {
        assert!(with(json!({"ext": value})).is_err(), "{value}");
    }
    for value in ["a\u{1}", "a\u{7f}", "a\u{85}", "\u{fffe}", "\u{fdd0}", "\u{1ffff}"] {
        assert!(reason(json!({"ext": value})).contains("character"), "{value:?}");
    }
    assert!(with(json!({"ext": "\u{fffd} ok \u{1f600}", "n": i32::MIN})).is_ok());
    assert!(reason(json!({"ext": "x".repeat(ATTRIBUTES_BYTES)})).contains("together"));
}

#[test]
fn time_is_rfc_3339() {
    for good in [
        "2026-01-02T03:04:05Z",
        "2026-01-02t03:04:05.123456789z",
        "2026-12-31T23:59:59-23:59",
        "2024-02-29T00:00:00+00:00",
    ] {
        assert!(with(json!({"time": good})).is_ok(), "{good}");
    }
    for bad in [
        "",
        "now",
        "2026-01-02",
        "2026-01-02T03:04:05",
        "2026-01-02 03:04:05Z",
        "2026-13-02T03:04:05Z",
        "2025-02-29T00:00:00Z",
        "2026-01-02T25:04:05Z",
        "2026-01-02T03:04:05.Z",
        "2026-01-02T03:04:05+01",
        "2026-01-02T03:04:05+25:00",
        "2026-01-02T03:04:05+24:00",
        "2026-01-02T03:04:05+xx:00",
        "2026-01-02T03:04:05X",
        "2026-01-02T03:04:05Z[UTC]",
        "2026-01-02T03:04:05+01:00[Europe/Berlin]",
        "20260102T030405Z",
        "2026-01-02T03:04Z",
        "2026-01-02T03:04:05\u{e9}",
    ] {
        assert!(with(json!({"time": bad})).is_err(), "{bad}");
    }
}

#[test]
fn data_and_data_base64_exclude_each_other() {
    assert!(reason(json!({"data": 1, "data_base64": "MQ=="})).contains("exclude"));
    assert!(reason(json!({"data": null, "data_base64": "MQ=="})).contains("exclude"));
    assert!(reason(json!({"data_base64": 5})).contains("base64"));
    assert!(reason(json!({"data_base64": "MQ"})).contains("base64"));
    assert_eq!(text(&with(json!({"data": null})).expect("valid")), "null");
    assert_eq!(text(&with(json!({})).expect("valid")), "null");
    assert_eq!(
        text(&with(json!({"data": "{\"a\":1}"})).expect("valid")),
        r#""{\"a\":1}""#,
        "a string is not read again"
    );
}

#[test]
fn decoded_bytes_are_json_where_they_say_so_and_base64_otherwise() {
    let said = with(json!({"data_base64": "eyJhIjoxfQ==", "datacontenttype": "application/json"})).expect("valid");
    assert_eq!((text(&said), said.attributes.binary), (r#"{"a":1}"#, false));
    assert_eq!(text(&with(json!({"data_base64": "eyJhIjoxfQ=="})).expect("valid")), r#"{"a":1}"#);
    assert!(with(json!({"data_base64": "/w==", "datacontenttype": "application/json"})).is_err());
    let unknown = with(json!({"data_base64": "/w=="})).expect("valid");
    assert_eq!((text(&unknown), unknown.attributes.binary), (r#""/w==""#, true));
    assert_eq!(unknown.attributes.datacontenttype.as_deref(), Some("application/octet-stream"));
    let image = with(json!({"data_base64": "eyJhIjoxfQ==", "datacontenttype": "image/png"})).expect("valid");
    assert_eq!((text(&image), image.attributes.binary), (r#""eyJhIjoxfQ==""#, true));
    assert!(with(json!({"datacontenttype": "nonsense"})).is_err());
}

#[test]
fn text_under_its_own_type_is_a_json_string() {
    let event = with(json!({"data": "<a/>", "datacontenttype": "application/xml"})).expect("valid");
    assert_eq!((text(&event), event.attributes.datacontenttype.as_deref()), (r#""<a/>""#, Some("application/xml")));
    let event = in_headers(&[("content-type", "text/plain")], b"say \"hi\"\n").expect("valid");
    assert_eq!((text(&event), event.attributes.binary), (r#""say \"hi\"\n""#, false));
    for bytes in [&b"\xff\xd8"[..], b"a\0b"] {
        let event = in_headers(&[("content-type", "image/jpeg")], bytes).expect("valid");
        assert!(event.attributes.binary && text(&event).starts_with('"'));
    }
}

#[test]
fn binary_mode_reads_attributes_from_headers() {
    let headers = [
        ("CE-Subject", "Euro%20%E2%82%AC%20%f0%9f%98%80"),
        ("ce-ext", "\"a \\\"q\\\" %25\""),
        ("ce-time", " 2026-01-02T03:04:05Z "),
        ("Content-Type", "application/vnd.x+json"),
        ("x-other", "ignored"),
    ];
    let event = in_headers(&headers, b" {\"a\":1} ").expect("valid");
    assert_eq!(event.subject.as_deref(), Some("Euro \u{20ac} \u{1f600}"));
    assert_eq!(event.attributes.extensions["ext"], "a \"q\" %");
    assert_eq!(event.attributes.datacontenttype.as_deref(), Some("application/vnd.x+json"));
    assert_eq!(text(&event), " {\"a\":1} ");
    assert_eq!(text(&in_headers(&[], b"").expect("valid")), "null");
    assert_eq!(text(&in_headers(&[("content-type", "")], b"[1]").expect("valid")), "[1]");
    let twice = in_headers(&[("ce-ext", "%2541")], b"").expect("valid");
    assert_eq!(twice.attributes.extensions["ext"], "%41", "decoded once");
}

#[test]
fn bad_headers_are_refused() {
    for (name, value) in [
        ("ce-ext", "%C0%A0"),
        ("ce-ext", "%ED%A0%80"),
        ("ce-ext", "%"),
        ("ce-ext", "%4"),
        ("ce-ext", "%zz"),
        ("ce-ext", "\"open"),
        ("ce-ext", "\"a\" b"),
        ("ce-ext", "\"\\"),
        ("ce-ext", "\u{20ac}"),
        ("ce-ext", "%01"),
        ("ce-", "x"),
        ("ce-my-ext", "x"),
        ("ce-data", "x"),
        ("ce-datacontenttype", "text/plain"),
        ("ce-id", ""),
        ("ce-specversion", "1.1"),
        ("content-type", "json"),
        ("ce-time", "yesterday"),
    ] {
        assert!(in_headers(&[(name, value)], b"1").is_err(), "{name}: {value}");
    }
    assert!(in_headers(&[("ce-ext", "a"), ("CE-Ext", "b")], b"1").is_err());
    assert!(in_headers(&[("content-type", "application/json")], b"{").is_err());
}

#[test]
fn a_batch_is_taken_whole_or_not_at_all() {
    let one = r#"{"specversion":"1.0","id":"1","source":"/s","type":"a.b","data":1}"#;
    assert_eq!(batch(b"[]"), Ok(vec![]));
    assert_eq!(batch(format!("[{one},{one}]").as_bytes()).map(|b| b.len()), Ok(2));
    let problem = batch(format!("[{one},{{\"id\":\"x\"}}]").as_bytes()).expect_err("the second is bad");
    assert!(problem.message.starts_with("event 1 of the batch: "), "{problem}");
    assert!(batch(one.as_bytes()).is_err());
    assert!(batch(b"[1]").is_err());
    let many = vec![one; BATCH_EVENTS + 1].join(",");
    assert_eq!(batch(format!("[{many}]").as_bytes()).map_err(|p| p.code), Err(Code::TooLarge));
}

#[test]
fn a_cloud_event_becomes_an_event_of_the_source_that_proved_itself() {
    let event = with(json!({"id": "A-1", "source": "/shop", "type": "LEAD_CAPTURED", "data": 1})).expect("valid");
    let now = Timestamp::from_secs(5);
    let event = event.into_event("flowpay", now);
    assert_eq!((&*event.source, event.topic.as_str()), ("flowpay", "lead.created"));
    assert_eq!(event.attributes.alias.as_deref(), Some("lead.captured"));
    assert_eq!(event.attributes.source_id.as_deref(), Some("A-1"));
    assert_eq!(event.attributes.extensions[ORIGINAL_SOURCE], "/shop");
    assert_eq!(event.attributes.extensions[ORIGINAL_TYPE], "LEAD_CAPTURED");
    let once = event.once.expect("a key");
    assert_eq!((&*once.scope, once.key.as_str()), ("flowpay", "/shop A-1"));
    let long = with(json!({"id": "i".repeat(256), "source": "s".repeat(256)})).expect("valid");
    assert_eq!(long.into_event("flowpay", now).once.map(|o| o.key.len()), Some(64));
}

fn stored(event: NewEvent) -> StoredEvent {
    let attributes = serde_json::to_string(&event.attributes).expect("plain data");
    StoredEvent {
        seq: 7,
        id: EventId::from_bytes([1; 16]),
        topic: event.topic,
        source: event.source,
        subject: event.subject.map(Arc::from),
        time: Timestamp::from_secs(10),
        received: event.received,
        priority: Priority::Normal,
        correlation: event.correlation.map(Arc::from),
        causation: event.causation,
        depth: 0,
        attributes: Some(attributes.into()),
        data: Data::Present { salt: [0; 16], json: event.data },
        hash: [0; 32],
    }
}

#[test]
fn a_rendered_event_is_valid_and_says_what_came_in() {
    let now = Timestamp::from_secs(5);
    for (changes, data, media_type) in [
        (
            json!({"data": {"a": 1}, "subject": "s", "correlationid": "c", "ext": 5}),
            json!({"data": {"a": 1}}),
            "application/json",
        ),
        (json!({"data": "<a/>", "datacontenttype": "text/xml"}), json!({"data": "<a/>"}), "text/xml"),
        (json!({"data_base64": "/w=="}), json!({"data_base64": "/w=="}), "application/octet-stream"),
        (
            json!({"sequence": "9", "id": "x", "recordedtime": "then", "causationid": "z"}),
            json!({"data": null}),
            "application/json",
        ),
    ] {
        let event = with(changes.clone()).expect("valid");
        let rendered = render(&stored(event.clone().into_event("flowpay", now)), "A_B");
        assert_eq!(json::structured(&Bytes::from(rendered.clone())).map(|e| e.data), Ok(event.data));
        let rendered: Value = serde_json::from_slice(&rendered).expect("JSON");
        for (name, value) in data.as_object().expect("an object") {
            assert_eq!(&rendered[name], value, "{rendered}");
        }
        assert_eq!(rendered["datacontenttype"], media_type);
        assert_eq!((&rendered["type"], &rendered["source"]), (&json!("A_B"), &json!("flowpay")));
        assert_eq!(rendered["originalid"], event.id);
        assert_eq!(rendered["originalsource"], "/s");
        assert_eq!(rendered["id"], "01010101-0101-0101-0101-010101010101");
        assert_eq!(rendered["time"], "1970-01-01T00:00:10.000Z");
        assert_eq!(rendered["sequence"], *changes.get("sequence").unwrap_or(&json!("00000000000000000007")));
        assert_eq!(rendered["ext"], *changes.get("ext").unwrap_or(&Value::Null));
    }
    let event = with(json!({"data": 1})).expect("valid").into_event("a", now);
    let erased = StoredEvent { data: Data::Erased { digest: [0; 32] }, ..stored(event) };
    let rendered: Value = serde_json::from_slice(&render(&erased, "a.b")).expect("JSON");
    assert!(rendered.get("data").is_none() && rendered.get("datacontenttype").is_none());
}

fn any_json() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        ".{0,6}".prop_map(Value::from)
    ];
    scalar.prop_recursive(2, 8, 3, |inner| prop_oneof![proptest::collection::vec(inner, 0..3).prop_map(Value::from)])
}

proptest! {
    #[test]
    fn no_members_panic_and_what_passes_renders_as_a_valid_event(
        members in proptest::collection::btree_map(
            prop_oneof!["[a-z0-9]{1,5}", Just("data".to_owned()), Just("data_base64".to_owned()), Just("time".to_owned()), Just("datacontenttype".to_owned()), "\\PC{0,4}"],
            any_json(), 0..6),
    ) {
        let changes = Value::Object(members.into_iter().collect());
        if let Ok(event) = with(changes.clone()) {
            let rendered = render(&stored(event.into_event("a", Timestamp::from_secs(1))), "a.b");
            prop_assert!(structured(&Bytes::from(rendered.clone())).is_ok(), "{} {}", changes, String::from_utf8_lossy(&rendered));
        }
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), content_type in ".{0,30}") {
        let body = Bytes::from(bytes);
        let _ = structured(&body);
        let _ = batch(&body);
        let _ = Mode::of(Some(&content_type));
        let headers = [("ce-id", &body[..]), ("Ce-Source", b"/s"), ("ce-type", b"a"), ("ce-specversion", b"1.0"), ("content-type", content_type.as_bytes())];
        let _ = binary(headers, &body);
    }

    #[test]
    fn a_percent_encoded_header_value_comes_back(value in "[^\\p{C}]{1,20}") {
        let encoded: String = value.bytes().map(|b| format!("%{b:02x}")).collect();
        let seen = in_headers(&[("ce-ext", encoded.as_str())], b"");
        prop_assert_eq!(seen.map(|e| e.attributes.extensions["ext"].clone()), Ok(Value::from(value)));
    }
}
