//! `nexus flows …` of a running hub: flows published, runs begun, looked at, ended, repeated.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, Subcommand};
use nexus_client::{
    Error,
    flow::{Flow, Runs, Start},
};
use serde_json::Value;

use super::{
    approvals, file, input, past,
    shown::{listed, reason, row, shown_flow, shown_report, shown_run},
};
use crate::{
    cli::Global,
    output::{Failure, note, object, plain, table},
};

/// What a running hub can be asked.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the flows of the hub, and the files that could not be published
    List,
    /// Publish flow files to the hub; the same again changes nothing
    Publish {
        /// Flow files or folders of them
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Begin a run and, with --wait, print what it gives
    Run(RunArguments),
    /// List runs, the newest first
    Runs(RunsArguments),
    /// Show a flow, or a run: where it stands, what it waits for and until when, what its tasks did
    Show {
        /// A flow (namespace/name), or the id of a run
        what: String,
    },
    /// How the newest runs of a flow went: success rate, times of runs and of each task
    Report {
        /// The flow, namespace/name
        flow: String,
        /// Over so many runs
        #[arg(long, default_value_t = 200)]
        limit: usize,
    },
    /// What a flow would have been begun by over a stretch of the log; nothing is begun
    Backtest(past::BacktestArguments),
    /// What a new version would have done with past runs, answered as they were; nothing is called
    Rehearse(past::RehearseArguments),
    /// Turn a flow's triggers on
    Enable {
        /// The flow, namespace/name
        flow: String,
    },
    /// Turn a flow's triggers off; runs go on
    Disable {
        /// The flow, namespace/name
        flow: String,
    },
    /// Take a flow away; its runs go on
    Remove {
        /// The flow, namespace/name
        flow: String,
    },
    /// End a run and those that it started
    Cancel {
        /// The run
        run: String,
    },
    /// Halt a run: what comes is kept, nothing is done
    Suspend {
        /// The run
        run: String,
    },
    /// Let a halted run go on
    Resume {
        /// The run
        run: String,
    },
    /// List what people are asked by flows, the newest first
    Approvals(approvals::Listed),
    /// Approve what a flow asks
    Approve(approvals::Decision),
    /// Reject what a flow asks
    Reject(approvals::Decision),
    /// Make a new link to the page on which an approval is decided; the link before ends
    ApprovalLink {
        /// The approval
        id: String,
    },
    /// Have a faulted run do the failed task again
    Retry {
        /// The run
        run: String,
        /// Another task: one around it or before it, by its name or its place, for example pay or /do/0/pay
        #[arg(long, value_name = "TASK")]
        from: Option<String>,
    },
}

/// `nexus flows run`
#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    /// The flow, namespace/name
    flow: String,
    /// Its input, as JSON; without it, on a terminal, the fields of the flow's input.schema are asked for
    input: Option<String>,
    /// A field of its input, by the flow's input.schema; again for more
    #[arg(long = "set", value_name = "NAME=VALUE", conflicts_with = "input")]
    fields: Vec<String>,
    /// Wait for its end, for example 30s
    #[arg(long, value_name = "TIME", value_parser = nexus_core::retry::parse_duration)]
    wait: Option<Duration>,
    /// One key, one run
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

/// `nexus flows runs`
#[derive(Debug, Args)]
pub(crate) struct RunsArguments {
    /// Of this flow
    flow: Option<String>,
    /// Of this status: running, waiting, faulted, …; open for all that have not ended
    #[arg(long)]
    status: Option<String>,
    /// That belong to this
    #[arg(long)]
    correlation: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 50)]
    limit: usize,
    /// Go on after this cursor
    #[arg(long)]
    cursor: Option<String>,
}

pub(super) async fn run(global: &Global, command: Command) -> Result<(), Failure> {
    let (hub, screen) = (global.client()?, global.screen());
    match command {
        Command::List => {
            let found = hub.flows().await?;
            screen.either(&found, || listed(&found.flows))?;
            for (file, reason) in &found.wrong_files {
                note(&format!("{file} is not published: {reason}"));
            }
            for (run, reason) in &found.unreadable_runs {
                note(&format!("run {run} is set aside: {reason}"));
            }
            Ok(())
        }
        Command::Publish { files } => publish(global, &files).await,
        Command::Run(args) => begin(global, args).await,
        Command::Runs(args) => {
            let RunsArguments { flow, status, correlation, limit, cursor } = args;
            let which = Runs { flow, status, correlation, cursor, limit: Some(limit) };
            let page = hub.runs(&which).await?;
            screen.either(&page, || {
                let rows: Vec<Vec<String>> = page.items.iter().map(row).collect();
                let more = page.next_cursor.as_deref().map_or_else(String::new, |c| format!("\nmore: --cursor {c:?}"));
                table(&["run", "flow", "status", "began", "ms", "waits for"], &rows, "no runs") + &more
            })
        }
        Command::Show { what } if what.contains('/') => {
            let flow = hub.flow(&what).await?;
            screen.either(&flow, || shown_flow(&flow))
        }
        Command::Show { what } => show(global, &what).await,
        Command::Report { flow, limit } => {
            let report = hub.flow_report(&flow, limit).await?;
            screen.either(&report, || shown_report(&report))
        }
        Command::Backtest(args) => past::backtest(global, args).await,
        Command::Rehearse(args) => past::rehearse(global, args).await,
        Command::Enable { flow } => {
            let flow = hub.enable_flow(&flow, true).await?;
            screen.either(&flow, || format!("{} is on", flow.name))?;
            warnings(&flow).iter().for_each(|line| note(&format!("{}{line}", flow.name)));
            Ok(())
        }
        Command::Disable { flow } => {
            let flow = hub.enable_flow(&flow, false).await?;
            screen.either(&flow, || format!("{} is off; its runs go on", flow.name))
        }
        Command::Remove { flow } => {
            let removed = hub.remove_flow(&flow).await?;
            screen.either(&removed, || format!("{flow} is gone; its runs go on"))
        }
        Command::Cancel { run } => command_run(global, &run, "cancel").await,
        Command::Suspend { run } => command_run(global, &run, "suspend").await,
        Command::Resume { run } => command_run(global, &run, "resume").await,
        Command::Approvals(args) => approvals::list(global, args).await,
        Command::Approve(args) => approvals::decide(global, args, true).await,
        Command::Reject(args) => approvals::decide(global, args, false).await,
        Command::ApprovalLink { id } => {
            let made = hub.link_approval(&id).await?;
            screen.either(&made, || made.link.clone())
        }
        Command::Retry { run, from } => {
            let run = hub.retry_run(&run, from.as_deref()).await?;
            screen.either(&run, || format!("{} is {}", run.id, run.status))
        }
    }
}

async fn command_run(global: &Global, run: &str, verb: &str) -> Result<(), Failure> {
    let run = global.client()?.command_run(run, verb).await?;
    global.screen().either(&run, || format!("{} is {}", run.id, run.status))
}

async fn publish(global: &Global, paths: &[PathBuf]) -> Result<(), Failure> {
    let (hub, screen) = (global.client()?, global.screen());
    let mut wrong = 0;
    for path in file::find(paths)? {
        match hub.publish_flow(&file::read(&path)?).await {
            Ok(flow) => {
                screen.either(&flow, || format!("{} is {}@{}", path.display(), flow.name, flow.version))?;
                warnings(&flow).iter().for_each(|line| note(&format!("{}{line}", path.display())));
            }
            Err(error) => {
                wrong += 1;
                refused(&path, &error).iter().for_each(|line| note(line));
            }
        }
    }
    if wrong == 0 { Ok(()) } else { Err(Failure::failed(format!("{wrong} of the files were not published"))) }
}

/// What the hub has to say about a flow that it took.
fn warnings(flow: &Flow) -> Vec<String> {
    let listed = flow.more.get("warnings").and_then(Value::as_array);
    listed.into_iter().flatten().map(|warning| format!("{}", Said(warning, "warning: "))).collect()
}

/// `:12: warning: /do/0/a: …`
struct Said<'p>(&'p Value, &'p str);

impl std::fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |name: &str| self.0.get(name).map(plain).unwrap_or_default();
        if let Some(line) = self.0.get("line") {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}{}: {}", self.1, text("path"), text("message"))
    }
}

/// Why a file was not published: what is wrong in it, a line each, where the hub lists that.
fn refused(path: &Path, error: &Error) -> Vec<String> {
    let listed = match error {
        Error::Refused(problem) => problem.details.get("problems").map(String::as_str).unwrap_or_default(),
        _ => "",
    };
    let problems: Vec<Value> = serde_json::from_str(listed).unwrap_or_default();
    let one = |problem: &Value| format!("{}{}", path.display(), Said(problem, ""));
    if problems.is_empty() { vec![format!("{}: {error}", path.display())] } else { problems.iter().map(one).collect() }
}

async fn begin(global: &Global, args: RunArguments) -> Result<(), Failure> {
    let (hub, screen) = (global.client()?, global.screen());
    let given = input::Given { input: args.input.as_deref(), fields: &args.fields };
    let input = input::of(&hub, &args.flow, given).await?;
    let with = Start { wait: args.wait, idempotency_key: args.idempotency_key };
    let hub = match args.wait {
        Some(wait) => hub.timeout(wait + Duration::from_secs(10)),
        None => hub,
    };
    let run = hub.start_run(&args.flow, &input, &with).await?;
    screen.either(&run, || match (run.status.as_str(), run.more.get("output")) {
        // Only the output on standard output, so that `V=$(nexus flows run …)` works.
        ("completed", Some(output)) => output.to_string(),
        _ => run.id.clone(),
    })?;
    match run.status.as_str() {
        "faulted" => Err(Failure::failed(format!("run {} faulted: {}", run.id, reason(&run)))),
        status if args.wait.is_some() && status != "completed" => {
            note(&format!("run {} is {status}; see `nexus flows show {}`", run.id, run.id));
            Ok(())
        }
        _ => Ok(()),
    }
}

async fn show(global: &Global, id: &str) -> Result<(), Failure> {
    let (hub, screen) = (global.client()?, global.screen());
    let run = hub.run(id).await?;
    let steps = hub.run_steps(id).await?;
    let both = serde_json::json!({"run": run, "steps": steps.steps});
    screen.either(&both, || shown_run(&run, &steps.steps))
}
