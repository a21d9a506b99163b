//! Flows: a request begins one, its steps call a plain Node handler, and the answer is what the last step gave. Beside
//! Restate, with the same handler, where that is installed.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use clap::Args;
use serde_json::{Value, json};

use super::{Settings, Subject, take_turns};
use crate::{
    error::{Error, Fallible},
    http::Http,
    hub::Hub,
    load,
    meter::{Meter, rss_mib},
    peers::{n8n, node},
    progress,
    report::{Report, Series, Verdict},
    template::{NUMBER, Template},
};

/// What every flow is given.
const INPUT: &str = r#"{"order":"o-17","amount":4200}"#;
/// Pure tasks of one run of the flow that calls nobody.
const PURE: u64 = 1_000;

/// How many runs wait.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Runs that sleep while memory and processor are looked at; 0 leaves it out.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(crate) sleeping: u64,
    /// Runs that wait for an event of their own key each; 0 leaves it out.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub(crate) waiting: u64,
}

fn document(name: &str, tasks: &Value) -> Value {
    json!({
        "document": {"dsl": "1.0.3", "namespace": "bench", "name": name, "version": "1.0.0",
            "metadata": {"nexus.dev/webhook": {"answer": "sync", "timeout": "PT60S"}}},
        "do": tasks,
    })
}

fn calls(handler: &str, steps: usize) -> Value {
    let with = json!({"method": "post", "endpoint": handler, "body": "${ $workflow.input }"});
    (0..steps).map(|n| json!({format!("step{n}"): {"call": "http", "with": with}})).collect()
}

/// Runs it.
pub(crate) async fn run(settings: &Settings, options: &Options) -> Fallible<Vec<Report>> {
    let folder = settings.folder()?;
    let Some(handler) = node::handler(folder.path()).await? else {
        return Err(Error::new("flow: Node is not installed; the steps of the flows call a Node handler"));
    };
    let hub = Hub::start(&settings.nexus()?, &folder.path().join("hub")).await?;
    let url = format!("http://{}/", handler.addr);
    for (name, steps) in [("one", 1), ("five", 5)] {
        hub.call("POST", "/api/v1/flows", Some(document(name, &calls(&url, steps)))).await?;
    }
    let loop_ = json!([{"loop": {"for": {"in": format!("${{ [range(0; {PURE})] }}")}, "do": [{"add": {"set": {"n": "${ $item }"}}}]}}]);
    hub.call("POST", "/api/v1/flows", Some(document("pure", &loop_))).await?;
    let restate = node::restate(folder.path()).await?;
    let mut reports = Vec::new();
    for steps in ["one", "five"] {
        for connections in [settings.connections, 1] {
            let mut subjects = vec![begin(&hub, steps, connections)];
            if let Some(restate) = &restate {
                subjects.push(invoke(restate, steps, connections));
            }
            let series = take_turns(subjects, settings).await?;
            reports.push(compared(steps, connections, series));
        }
    }
    reports.push(pure(&hub, settings).await?);
    reports.extend(answered(&hub, folder.path(), settings).await?);
    hub.server.stop().await?;
    if let Some(restate) = restate {
        restate.server.kill().await?;
        restate.handler.kill().await?;
    }
    if options.sleeping > 0 || options.waiting > 0 {
        reports.push(held(settings, options).await?);
    }
    handler.kill().await?;
    Ok(reports)
}

fn begin(hub: &Hub, flow: &str, connections: usize) -> Subject {
    let input = serde_json::from_str(INPUT).unwrap_or_default();
    let request = hub.request("POST", &format!("/flows/bench/{flow}"), Some(input));
    Subject::http("hub", &hub.server, Template::plain(request.into_bytes(), 1), connections)
}

fn invoke(restate: &node::Restate, flow: &str, connections: usize) -> Subject {
    let request = format!(
        "POST /bench/{flow} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{INPUT}",
        restate.server.addr,
        INPUT.len()
    );
    Subject::http("Restate", &restate.server, Template::plain(request.into_bytes(), 1), connections)
}

fn compared(flow: &str, connections: usize, series: Vec<Series>) -> Report {
    let clients = if connections == 1 { "one client".to_owned() } else { format!("{connections} clients") };
    let mut report = Report::new(format!("flow: {flow} step(s), each an HTTP call, {clients}"), "runs");
    report.note("hub: a request with a token; run, steps and two lifecycle events on disk before each call and before the answer; each step is an HTTP request to a Node process.");
    if let [hub, restate] = &series[..] {
        report.note(
            "Restate: the same handler in ctx.run within its own Node process, one journal entry a step; no token.",
        );
        if connections == 1 {
            report.verdict(Verdict::at_most("p50 by Restate's, at most 0.5", hub.p50_by(restate), 0.5));
        } else {
            let wanted = if flow == "one" { 5.0 } else { 3.0 };
            report.verdict(Verdict::at_least(
                format!("rate by Restate's, at least {wanted}"),
                hub.rate_by(restate),
                wanted,
            ));
        }
    } else {
        report.note("Restate is not installed (see NEXUS_BENCH_PEERS); there is nothing to compare with.");
    }
    report.series(series);
    report
}

/// A request, one expression, its answer: what n8n can be asked for as well.
async fn answered(hub: &Hub, folder: &Path, settings: &Settings) -> Fallible<Vec<Report>> {
    let double = json!([{"double": {"set": {"total": "${ $workflow.input.amount * 2 }"}}}]);
    hub.call("POST", "/api/v1/flows", Some(document("double", &double))).await?;
    let n8n = n8n::start(folder).await?;
    let mut reports = Vec::new();
    for connections in [settings.connections, 1] {
        let mut subjects = vec![begin(hub, "double", connections)];
        if let Some(n8n) = &n8n {
            let template = Template::plain(n8n::request(n8n.addr, INPUT).into_bytes(), 1);
            subjects.push(Subject::http("n8n", n8n, template, connections));
        }
        let series = take_turns(subjects, settings).await?;
        let clients = if connections == 1 { "one client".to_owned() } else { format!("{connections} clients") };
        let mut report = Report::new(format!("flow: a request, one expression, its answer, {clients}"), "runs");
        report
            .note("hub: a request with a token; the run, its step and two lifecycle events on disk before the answer.");
        match &series[..] {
            [hub, n8n] => {
                report.note(
                    "n8n: webhook, set, respond to webhook; SQLite, legacy expression engine, runs saved; no token.",
                );
                if connections > 1 {
                    report.verdict(Verdict::at_least("rate by n8n's, at least 30", hub.rate_by(n8n), 30.0));
                }
            }
            _ => report.note("n8n is not installed (see NEXUS_BENCH_PEERS); there is nothing to compare with."),
        }
        report.series(series);
        reports.push(report);
    }
    if let Some(n8n) = n8n {
        n8n.kill().await?;
    }
    Ok(reports)
}

/// Tasks that call nobody, many in one run.
async fn pure(hub: &Hub, settings: &Settings) -> Fallible<Report> {
    let request = hub.request("POST", "/flows/bench/pure", Some(json!(null)));
    let template = Template::plain(request.into_bytes(), PURE);
    let series = take_turns(vec![Subject::http("hub", &hub.server, template, settings.connections)], settings).await?;
    let mut report = Report::new(format!("flow: {PURE} pure tasks a run"), "tasks");
    report.note("each task begun and completed is kept with its input and output, on disk before the answer.");
    if let [hub] = &series[..] {
        report.verdict(Verdict::at_least("tasks a second, at least 100000", hub.rate(), 100_000.0));
    }
    report.series(series);
    Ok(report)
}

/// Many runs that wait: what they take, and what an event for one of them costs.
async fn held(settings: &Settings, options: &Options) -> Fallible<Report> {
    let folder = settings.folder()?;
    let hub = Hub::fresh(&settings.nexus()?, &folder.path().join("hub")).await?;
    let asleep = json!({
        "document": {"dsl": "1.0.3", "namespace": "bench", "name": "asleep", "version": "1.0.0",
            "metadata": {"nexus.dev/webhook": {}}},
        "do": [{"rest": {"wait": "PT10H"}}],
    });
    let waiting = json!({
        "document": {"dsl": "1.0.3", "namespace": "bench", "name": "waiting", "version": "1.0.0",
            "metadata": {"nexus.dev/webhook": {}}},
        "do": [{"paid": {"listen": {"to": {"one": {
            "with": {"type": "order.paid"},
            "correlate": {"order": {"from": ".data.order", "expect": "${ .order }"}},
        }}}}}],
    });
    for flow in [asleep, waiting] {
        hub.call("POST", "/api/v1/flows", Some(flow)).await?;
    }
    let mut report = Report::new("flow: runs that wait", "");
    let before = rss_mib(hub.server.pid);
    if options.sleeping > 0 {
        begin_many(&hub, "asleep", options.sleeping).await?;
        let taken = (rss_mib(hub.server.pid) - before) * 1.048_576;
        report.figure(format!("{} sleeping runs", options.sleeping), "MB", &[taken]);
        report.verdict(Verdict::at_most("sleeping runs in MB, at most 100", taken, 100.0));
        let meter = Meter::start(&[hub.server.pid]);
        tokio::time::sleep(Duration::from_secs(5)).await;
        let busy = meter.stop().server_seconds / 5.0 * 100.0;
        report.figure("processor while they sleep", "% of a core", &[busy]);
        report.verdict(Verdict::at_most("processor while they sleep in % of a core, at most 1", busy, 1.0));
    }
    if options.waiting > 0 {
        begin_many(&hub, "waiting", options.waiting).await?;
        report.figure(
            format!("{} waiting runs besides", options.waiting),
            "MB",
            &[(rss_mib(hub.server.pid) - before) * 1.048_576],
        );
        matched(&hub, &mut report).await?;
    }
    hub.server.stop().await?;
    Ok(report)
}

async fn begin_many(hub: &Hub, flow: &str, runs: u64) -> Fallible<()> {
    progress(format_args!("beginning {runs} runs of {flow}"));
    let request = hub.request("POST", &format!("/flows/bench/{flow}"), Some(json!({"order": NUMBER})));
    let template = Template::plain(request.into_bytes(), 1);
    let limit = Duration::from_secs(60 + runs / 100);
    load::send(hub.server.addr, &Http, &template, 64, runs, limit).await.map(|_| ())
}

/// Processor time of the hub for events that nobody waits for by key, and for the same number that somebody might.
async fn matched(hub: &Hub, report: &mut Report) -> Fallible<()> {
    const EVENTS: u64 = 20_000;
    let mut cost = Vec::new();
    for kind in ["order.other", "order.paid"] {
        let body = json!({"payload": {"order": format!("nobody-{NUMBER}")}});
        let request = hub.request("POST", &format!("/events/{kind}"), Some(body));
        let template = Template::plain(request.into_bytes(), 1);
        let meter = Meter::start(&[hub.server.pid]);
        load::send(hub.server.addr, &Http, &template, 64, EVENTS, Duration::from_secs(120)).await?;
        let settled = Instant::now();
        while settled.elapsed() < Duration::from_millis(500) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        cost.push(meter.stop().server_seconds * 1e6 / EVENTS as f64);
    }
    let matching = (cost[1] - cost[0]).max(0.0);
    report.figure("an event of a type that nobody waits for", "µs of CPU", &[cost[0]]);
    report.figure("an event of the type that all wait for, for none of them", "µs of CPU", &[cost[1]]);
    report.verdict(Verdict::at_most("matching an event in µs, at most 50", matching, 50.0));
    Ok(())
}
