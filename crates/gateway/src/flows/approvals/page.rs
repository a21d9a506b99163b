//! The page of a link: one document that loads nothing, runs nothing, and may be framed by nobody.

use std::{collections::BTreeMap, fmt::Write as _, sync::LazyLock};

use data_encoding::BASE64;
use http::{HeaderName, HeaderValue, StatusCode, header};
use nexus_core::time::Timestamp;
use nexus_flows::host::{
    approval::{
        decide::{COMMENT, Decided},
        record::{Approval, Outcome},
    },
    form::{self, Field, Kind},
};
use ring::digest;
use serde_json::Value;

use crate::answer::{Answer, Body};

const STYLE: &str = include_str!("page.css");

/// Only this very style is used; forms go nowhere else.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = BASE64.encode(digest::digest(&digest::SHA256, STYLE.as_bytes()).as_ref());
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
});

/// What was sent before, and what was wrong with it.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// Fields of the form, by their names in the page.
    pub(super) given: Option<BTreeMap<String, String>>,
    /// What was wrong.
    pub(super) wrong: Vec<String>,
}

/// The name of a field's input; no field of a flow can take that of a button.
pub(super) fn input_name(field: &str) -> String {
    format!("answer.{field}")
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Control characters have no meaning on a page, and those that turn the direction of text can deceive.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.push('\u{fffd}'),
            c if c.is_control() && c != '\n' && c != '\t' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

fn whole(status: StatusCode, title: &str, main: &str) -> Answer {
    let text = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"robots\" content=\"noindex\">\n<title>{}</title>\n<style>{STYLE}</style>\n</head>\n\
         <body>\n<main>\n{main}</main>\n</body>\n</html>\n",
        escaped(title)
    );
    let policy = HeaderValue::try_from(POLICY.as_str()).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    let fixed = [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("x-robots-tag"), "noindex"),
    ];
    let answer = Answer::raw("text/html; charset=utf-8", Body::full(text)).status(status);
    let answer = answer.header(header::CONTENT_SECURITY_POLICY, policy);
    fixed.into_iter().fold(answer, |answer, (name, value)| answer.header(name, HeaderValue::from_static(value)))
}

/// A page that only says something.
pub(super) fn notice(status: StatusCode, title: &str, text: &str) -> Answer {
    whole(status, title, &format!("<h1>{}</h1>\n<p>{}</p>\n", escaped(title), escaped(text)))
}

/// `2026-01-02 03:04 UTC`.
fn moment(at: Timestamp) -> String {
    let text = at.to_string();
    format!("{} UTC", text.get(..16).unwrap_or(&text).replace('T', " "))
}

/// In the largest unit that counts at least two.
fn left(now: Timestamp, until: Timestamp) -> String {
    let seconds = until.since(now).as_secs();
    match seconds {
        0..120 => "in less than two minutes".to_owned(),
        120..7_200 => format!("in {} minutes", seconds / 60),
        7_200..172_800 => format!("in {} hours", seconds / 3_600),
        _ => format!("in {} days", seconds / 86_400),
    }
}

fn facts(pairs: &[(&str, String)]) -> String {
    let mut out = "<dl>\n".to_owned();
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        let _ = writeln!(out, "<div><dt>{name}</dt><dd>{}</dd></div>", escaped(value));
    }
    out + "</dl>\n"
}

/// The page that asks.
pub(super) fn ask(status: StatusCode, approval: &Approval, said: &Said, now: Timestamp) -> Answer {
    let mut main = format!("<p class=\"kind\">Approval</p>\n<h1>{}</h1>\n", escaped(&approval.title));
    if let Some(text) = &approval.description {
        let _ = writeln!(main, "<p class=\"text\">{}</p>", escaped(text));
    }
    main += &facts(&[
        ("Asked by", format!("flow {}", approval.flow)),
        ("Begun by", approval.asked_by.clone()),
        ("For", approval.assignee.clone().unwrap_or_default()),
        ("Until", format!("{} ({})", moment(approval.expires_at), left(now, approval.expires_at))),
    ]);
    if !said.wrong.is_empty() {
        main += "<ul class=\"wrong\" role=\"alert\">\n";
        for what in &said.wrong {
            let _ = writeln!(main, "<li>{}</li>", escaped(what));
        }
        main += "</ul>\n";
    }
    main += "<form method=\"post\" autocomplete=\"off\">\n";
    let fields = approval.form.as_ref().and_then(|form| form::fields(form).ok()).unwrap_or_default();
    for field in &fields {
        main += &input(field, said);
    }
    let comment = said.given.as_ref().and_then(|given| given.get("comment")).map_or("", String::as_str);
    let _ = write!(
        main,
        "<p class=\"field\"><label for=\"comment\">Comment <small>optional</small></label>\n\
         <textarea id=\"comment\" name=\"comment\" rows=\"3\" maxlength=\"{COMMENT}\">{}</textarea></p>\n\
         <p class=\"buttons\">\
         <button class=\"yes\" name=\"decision\" value=\"approved\">Approve</button>\n\
         <button class=\"no\" name=\"decision\" value=\"rejected\" formnovalidate>Reject</button></p>\n</form>\n\
         <p class=\"small\">This page works once. Opening it decides nothing; only the buttons do.</p>\n",
        escaped(comment)
    );
    whole(status, &approval.title, &main)
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn input(field: &Field, said: &Said) -> String {
    let name = escaped(&input_name(&field.name));
    let value = match &said.given {
        Some(given) => given.get(&input_name(&field.name)).cloned().unwrap_or_default(),
        None => field.preset.as_ref().map(text_of).unwrap_or_default(),
    };
    let help = field.help.as_ref().map(|help| format!("<small>{}</small>", escaped(help))).unwrap_or_default();
    let label = escaped(&field.label);
    let required = if field.required { " required" } else { "" };
    if field.kind == Kind::Boolean && field.choices.is_empty() {
        let checked = if matches!(value.as_str(), "" | "false") { "" } else { " checked" };
        return format!(
            "<p class=\"field box\"><label><input type=\"checkbox\" name=\"{name}\" value=\"true\"{checked}> {label}</label>{help}</p>\n"
        );
    }
    let optional = if field.required { "" } else { " <small>optional</small>" };
    let control = if field.choices.is_empty() {
        let kind = match field.kind {
            Kind::Integer => "type=\"number\" step=\"1\"",
            Kind::Number => "type=\"number\" step=\"any\"",
            _ => "type=\"text\"",
        };
        format!("<input id=\"{name}\" name=\"{name}\" {kind} value=\"{}\"{required}>", escaped(&value))
    } else {
        let mut options = "<option value=\"\"></option>".to_owned();
        for choice in field.choices.iter().map(text_of) {
            let chosen = if choice == value { " selected" } else { "" };
            let shown = escaped(&choice);
            let _ = write!(options, "<option value=\"{shown}\"{chosen}>{shown}</option>");
        }
        format!("<select id=\"{name}\" name=\"{name}\"{required}>{options}</select>")
    };
    format!("<p class=\"field\"><label for=\"{name}\">{label}{optional}</label>\n{control}{help}</p>\n")
}

/// The page that says what was recorded.
pub(super) fn recorded(done: &Decided) -> Answer {
    let Decided { approval, heard } = done;
    let Some(decision) = &approval.decision else {
        return notice(StatusCode::OK, "Recorded", "The decision was recorded.");
    };
    let (word, class) = if decision.outcome == Outcome::Approved { ("Approved", "yes") } else { ("Rejected", "no") };
    let mut main = format!("<p class=\"kind {class}\">{word}</p>\n<h1>{}</h1>\n", escaped(&approval.title));
    let mut pairs = vec![
        ("Recorded", moment(decision.at)),
        ("Asked by", format!("flow {}", approval.flow)),
        ("Comment", decision.comment.clone().unwrap_or_default()),
    ];
    let fields = approval.form.as_ref().and_then(|form| form::fields(form).ok()).unwrap_or_default();
    let answers: Vec<String> = fields
        .iter()
        .filter_map(|field| Some(format!("{}: {}", field.label, text_of(decision.answers.get(&field.name)?))))
        .collect();
    pairs.push(("Answers", answers.join("\n")));
    main += &facts(&pairs);
    main += if *heard {
        "<p>The flow goes on. You can close this page; its link is used up.</p>\n"
    } else {
        "<p>It was recorded, but the flow stopped waiting in the same moment.</p>\n"
    };
    whole(StatusCode::OK, word, &main)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_text_on_the_page() {
        assert_eq!(
            escaped("<b a=\"x\" b='y'>&\u{202e}\u{7}\n"),
            "&lt;b a=&quot;x&quot; b=&#39;y&#39;&gt;&amp;\u{fffd}\u{fffd}\n"
        );
    }

    #[test]
    fn the_page_loads_and_runs_nothing() {
        for tag in ["@import", "url(", "expression("] {
            assert!(!STYLE.contains(tag), "{tag}");
        }
        assert!(POLICY.starts_with("default-src 'none'; style-src 'sha256-"), "{}", *POLICY);
        assert!(!POLICY.contains("unsafe"), "{}", *POLICY);
    }

    #[test]
    fn the_time_that_is_left_is_told_in_its_largest_unit() {
        let at = Timestamp::from_secs;
        for (seconds, text) in [(30, "less than"), (600, "10 minutes"), (7_200, "2 hours"), (604_800, "7 days")] {
            assert!(left(at(1_000), at(1_000 + seconds)).contains(text), "{seconds}");
        }
    }
}
