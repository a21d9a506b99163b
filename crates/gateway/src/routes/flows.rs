//! Routes of automations: flows, their runs, and the addresses that begin runs.

use http::Method;

use super::{Audit, Auth, Param, Rate, Route, Shape, json, route};
use crate::flows::{self, approvals, approvals::link, door, past};

const GROUP: &str = "Flows";

const RUNS: &[Param] = &[
    Param { name: "flow", about: "of this flow, namespace/name" },
    Param {
        name: "status",
        about: "pending, queued, running, waiting, suspended, cancelled, faulted or completed; open for all that have not ended",
    },
    Param { name: "correlation", about: "that belong to this" },
    Param { name: "cursor", about: "next_cursor of the page before" },
    Param { name: "limit", about: "at most so many; 1 to 200, default 50" },
];
const START: &[Param] = &[Param {
    name: "wait",
    about: "for its end at most this long, for example 10s; then the run is shown as it stands",
}];
const REPORT: &[Param] = &[Param { name: "limit", about: "over so many of the newest runs; 1 to 1000, default 200" }];
const DOCUMENT: &[Shape] = &[
    Shape { media: "application/yaml", schema: "FlowText" },
    Shape { media: "application/json", schema: "FlowDocument" },
];

const APPROVALS: &[Param] = &[
    Param { name: "state", about: "open, decided, expired or withdrawn" },
    Param { name: "assignee", about: "of which this one is asked" },
    Param { name: "run", about: "of this run" },
    Param { name: "cursor", about: "next_cursor of the page before" },
    Param { name: "limit", about: "at most so many; 1 to 200, default 50" },
];
const PAGE: Shape = Shape { media: "text/html; charset=utf-8", schema: "Text" };
const FORM: Shape = Shape { media: "application/x-www-form-urlencoded", schema: "ApprovalForm" };

const fn door(method: Method, name: &'static str) -> Route {
    route(method, "/flows/{path}", name, |c| Box::pin(door::begin(c)))
        .about(GROUP, "Begin a run of the flow whose nexus.dev/webhook has this path, and answer what it gives")
        .auth(Auth::Flow)
        .rate(Rate::Publish)
        .bare()
        .audit(Audit::Event)
        .gives(json("Anything"))
}

/// The routes.
pub(crate) static ROUTES: &[Route] = &[
    route(Method::GET, "/api/v1/flows", "list_flows", |c| Box::pin(flows::list(c)))
        .about(GROUP, "Every flow, with the version that new runs begin with")
        .may("flows:read")
        .gives(json("FlowList")),
    route(Method::POST, "/api/v1/flows", "publish_flow", |c| Box::pin(flows::publish(c)))
        .about(GROUP, "Publish a document; the same again changes nothing (200). Versions never change")
        .may("flows:publish")
        .audit(Audit::Writes("flow.published"))
        .takes(DOCUMENT)
        .gives(json("Flow"))
        .creates_or_finds(),
    route(Method::POST, "/api/v1/flows/check", "check_flow", |c| Box::pin(flows::check(c)))
        .about(GROUP, "Check a document as publishing does, and change nothing")
        .may("flows:read")
        .takes(DOCUMENT)
        .gives(json("FlowChecked")),
    route(Method::POST, "/api/v1/flows/backtest", "backtest_flow", |c| Box::pin(past::backtest(c)))
        .about(GROUP, "What a flow would have been begun by over a stretch of the log; changes nothing. Needs events:read for the types it looks at")
        .may("flows:read")
        .takes(&[json("NewBacktest")])
        .gives(json("Backtest")),
    route(Method::POST, "/api/v1/flows/rehearse", "rehearse_flow", |c| Box::pin(past::rehearse(c)))
        .about(GROUP, "What another version would have done with past runs, answered as they were; changes nothing, calls nobody")
        .may("flows:read")
        .takes(&[json("NewRehearsal")])
        .gives(json("Rehearsal")),
    route(Method::GET, "/api/v1/flows/{namespace}/{name}", "get_flow", |c| Box::pin(flows::get(c)))
        .about(GROUP, "One flow, with its present document")
        .may("flows:read")
        .gives(json("Flow")),
    route(Method::DELETE, "/api/v1/flows/{namespace}/{name}", "remove_flow", |c| Box::pin(flows::remove(c)))
        .about(GROUP, "Take a flow away: no new run begins; those that run go on")
        .may("flows:publish")
        .audit(Audit::Writes("flow.removed"))
        .gives(json("Removed")),
    route(Method::POST, "/api/v1/flows/{namespace}/{name}/enable", "enable_flow", |c| Box::pin(flows::enable(c)))
        .about(GROUP, "Turn its triggers on")
        .may("flows:publish")
        .audit(Audit::Writes("flow.enabled"))
        .gives(json("Flow")),
    route(Method::POST, "/api/v1/flows/{namespace}/{name}/disable", "disable_flow", |c| Box::pin(flows::disable(c)))
        .about(GROUP, "Turn its triggers off; runs go on, and what comes meanwhile begins none")
        .may("flows:publish")
        .audit(Audit::Writes("flow.disabled"))
        .gives(json("Flow")),
    route(Method::GET, "/api/v1/flows/{namespace}/{name}/report", "report_flow", |c| Box::pin(flows::report(c)))
        .about(GROUP, "How its newest runs went: outcomes, success rate, and the times of runs and of each task")
        .may("flows:read")
        .query(REPORT)
        .gives(json("FlowReport")),
    route(Method::POST, "/api/v1/flows/{namespace}/{name}/runs", "start_run", |c| Box::pin(flows::start(c)))
        .about(GROUP, "Begin a run with this input; with an Idempotency-Key at most one")
        .may("flows:run")
        .rate(Rate::Publish)
        .audit(Audit::Event)
        .query(START)
        .takes(&[json("NewRun")])
        .gives(json("Run"))
        .creates_or_finds(),
    route(Method::GET, "/api/v1/runs", "list_runs", |c| Box::pin(flows::runs(c)))
        .about(GROUP, "Runs, the newest first, and what each waits for")
        .may("flows:read")
        .query(RUNS)
        .gives(json("RunList")),
    route(Method::GET, "/api/v1/runs/{id}", "get_run", |c| Box::pin(flows::run(c)))
        .about(GROUP, "One run: where it stands, what it waits for and until when")
        .may("flows:read")
        .gives(json("Run")),
    route(Method::GET, "/api/v1/runs/{id}/steps", "run_steps", |c| Box::pin(flows::steps(c)))
        .about(GROUP, "What the tasks of a run took, gave and met, in order")
        .may("flows:read")
        .gives(json("RunSteps")),
    route(Method::POST, "/api/v1/runs/{id}/cancel", "cancel_run", |c| Box::pin(flows::cancel(c)))
        .about(GROUP, "End a run and those that it started; what it has done stays done")
        .may("flows:run")
        .audit(Audit::Writes("flow.run_cancelled"))
        .gives(json("Run")),
    route(Method::POST, "/api/v1/runs/{id}/suspend", "suspend_run", |c| Box::pin(flows::suspend(c)))
        .about(GROUP, "Halt a run: what comes is kept, nothing is done")
        .may("flows:run")
        .audit(Audit::Writes("flow.run_suspended"))
        .gives(json("Run")),
    route(Method::POST, "/api/v1/runs/{id}/resume", "resume_run", |c| Box::pin(flows::resume(c)))
        .about(GROUP, "Let a halted run go on")
        .may("flows:run")
        .audit(Audit::Writes("flow.run_resumed"))
        .gives(json("Run")),
    route(Method::POST, "/api/v1/runs/{id}/retry", "retry_run", |c| Box::pin(flows::retry(c)))
        .about(GROUP, "Have a faulted run do the failed task again, or the task named: one around it or before it, by its name or its place")
        .may("flows:run")
        .audit(Audit::Writes("flow.run_retried"))
        .takes(&[json("RetryRun")])
        .gives(json("Run")),
    route(Method::GET, "/api/v1/approvals", "list_approvals", |c| Box::pin(approvals::list(c)))
        .about(GROUP, "What people are asked by flows, the newest first")
        .may("flows:read")
        .query(APPROVALS)
        .gives(json("ApprovalList")),
    route(Method::GET, "/api/v1/approvals/{id}", "get_approval", |c| Box::pin(approvals::get(c)))
        .about(GROUP, "One approval: what is asked, of whom, until when, and how it ended")
        .may("flows:read")
        .gives(json("Approval")),
    route(Method::POST, "/api/v1/approvals/{id}", "decide_approval", |c| Box::pin(approvals::decide(c)))
        .about(GROUP, "Approve or reject; once. The run goes on with it")
        .may("flows:approve")
        .audit(Audit::Writes("flow.approval_decided"))
        .takes(&[json("Verdict")])
        .gives(json("Approval")),
    route(Method::POST, "/api/v1/approvals/{id}/link", "link_approval", |c| Box::pin(approvals::renew(c)))
        .about(GROUP, "A new link to the page on which it is decided, shown this once; the link before ends")
        .may("flows:approve")
        .audit(Audit::Writes("flow.approval_linked"))
        .gives(json("ApprovalLink")),
    route(Method::GET, "/approvals/{token}", "approval_page", |c| Box::pin(link::look(c)))
        .about(GROUP, "The page of a link to an approval; looking at it changes nothing")
        .auth(Auth::Link)
        .exempt()
        .gives(PAGE),
    route(Method::POST, "/approvals/{token}", "decide_on_page", |c| Box::pin(link::decide(c)))
        .about(GROUP, "Decide by the form of that page; once, then the link is used up (410)")
        .auth(Auth::Link)
        .exempt()
        .audit(Audit::Writes("flow.approval_decided"))
        .takes(&[FORM])
        .gives(PAGE),
    door(Method::POST, "begin_flow_post"),
    door(Method::PUT, "begin_flow_put"),
    door(Method::PATCH, "begin_flow_patch"),
    door(Method::DELETE, "begin_flow_delete"),
    door(Method::GET, "begin_flow_get"),
];
