//! Calls of a service: through the hub, through a bare reverse proxy, and straight to it.

use serde_json::json;

use super::{Settings, Subject, take_turns};
use crate::{
    error::Fallible,
    hub::Hub,
    process::Server,
    reference,
    report::{Report, Series, Verdict},
    template::{BODY_BYTES, Template},
};

/// What the hub may add to half of all calls, in µs.
const ADDED: f64 = 150.0;

/// Runs it: one call at a time for what the hub adds, then as many as the settings say for what it carries.
pub(crate) async fn run(settings: &Settings) -> Fallible<Vec<Report>> {
    let folder = settings.folder()?;
    // The service is a process of its own: neither the hub nor the proxy has it inside.
    let service = reference::start(folder.path()).await?;
    let proxy_folder = folder.path().join("proxy");
    std::fs::create_dir_all(&proxy_folder).map_err(|e| crate::error::Error::new(e.to_string()))?;
    let proxy = reference::start(&proxy_folder).await?;
    let hub = Hub::fresh(&settings.nexus()?, &folder.path().join("hub")).await?;
    let new = json!({"id": "echo-1", "name": "echo", "host": "127.0.0.1", "port": service.addr.port(),
        "health_check_url": "/health"});
    hub.call("POST", "/services", Some(new)).await?;
    let mut reports = Vec::new();
    for connections in [1, settings.connections] {
        let series = take_turns(subjects(&hub, &proxy, &service, connections), settings).await?;
        let calls = if connections == 1 { "one at a time".to_owned() } else { format!("{connections} connections") };
        let mut report =
            Report::new(format!("invoke: calls of a service, {BODY_BYTES} bytes each way, {calls}"), "calls");
        if connections == 1
            && let [hub, proxy, direct] = &series[..]
        {
            added(&mut report, hub, proxy, direct);
        }
        report.series(series);
        reports.push(report);
    }
    hub.server.stop().await?;
    Ok(reports)
}

fn subjects(hub: &Hub, proxy: &Server, service: &Server, connections: usize) -> Vec<Subject> {
    let body = json!({"text": "x".repeat(BODY_BYTES - r#"{"text":""}"#.len())});
    let text = body.to_string();
    let plain = |path: &str| {
        let head = "HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length:";
        Template::plain(format!("POST {path} {head} {}\r\n\r\n{text}", text.len()).into_bytes(), 1)
    };
    let through_hub = hub.request("POST", "/services/echo/invoke", Some(body.clone()));
    let forwarded = plain(&format!("/proxy/{}", service.addr.port()));
    vec![
        Subject::http("hub", &hub.server, Template::plain(through_hub.into_bytes(), 1), connections),
        Subject::http("bare reverse proxy", proxy, forwarded, connections),
        Subject::http("straight to the service", service, plain("/invoke"), connections),
    ]
}

fn added(report: &mut Report, hub: &Series, proxy: &Series, direct: &Series) {
    let (by_hub, by_proxy) = (hub.p50_over(direct), proxy.p50_over(direct));
    report.figure("added to half of all calls by the hub", "µs", &[by_hub]);
    report.figure("added to half of all calls by the bare proxy", "µs", &[by_proxy]);
    report.verdict(Verdict::at_most("p50 over the bare call, at most 150 µs", by_hub, ADDED));
}
