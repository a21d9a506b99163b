//! `nexus flows validate`: every file published purely, and all of them looked at together.

use std::path::{Path, PathBuf};

use clap::Args;
use nexus_engine::connectors::Library;
use nexus_flows::{
    Definition,
    catalog::{check_calls, known},
    problem::{Problem, Problems},
    validate::{check_circles, check_connectors, examine},
};
use serde::Serialize;

use super::file;
use crate::{
    cli::Global,
    output::{Failure, Screen},
};

/// `nexus flows validate`
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Flow files, or folders of them
    #[arg(required = true, value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
    /// Where connectors of your own lie, as the hub's `[connectors] dir` says
    #[arg(long, value_name = "DIR", default_value = "connectors")]
    connectors: PathBuf,
}

/// What was found in one file.
#[derive(Debug, Serialize)]
struct Checked {
    file: String,
    /// `namespace/name@version`, where it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    flow: Option<String>,
    problems: Vec<Problem>,
    /// What may be meant otherwise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Problem>,
}

/// What was found in all of them.
#[derive(Debug, Serialize)]
struct Report {
    ok: bool,
    files: Vec<Checked>,
    /// What is wrong with the files together.
    together: Vec<String>,
    /// What is no mistake by itself.
    notes: Vec<String>,
}

pub(crate) fn run(global: &Global, args: &Arguments) -> Result<(), Failure> {
    let library = Library::shipped().with_folder(&args.connectors);
    let mut files = Vec::new();
    let mut definitions = Vec::new();
    for path in file::find(&args.paths)? {
        let text = file::read(&path)?;
        let name = path.display().to_string();
        match look(&text, &library) {
            Ok(definition) => {
                let flow = Some(definition.id.to_string());
                let warnings = definition.warnings.list().to_vec();
                files.push(Checked { file: name.clone(), flow, problems: Vec::new(), warnings });
                definitions.push((name, definition));
            }
            Err(problems) => {
                let problems = problems.list().iter().map(|problem| own(problem, &args.connectors)).collect();
                files.push(Checked { file: name, flow: None, problems, warnings: Vec::new() });
            }
        }
    }
    let together = together(&definitions);
    let ok = together.is_empty() && files.iter().all(|file| file.problems.is_empty());
    let mut notes = notes(&definitions);
    notes.extend(
        library.unusable().iter().map(|left_out| format!("{} is no connector: {}", left_out.file, left_out.message)),
    );
    let report = Report { ok, files, together, notes };
    show(global.screen(), &report)?;
    if report.ok { Ok(()) } else { Err(Failure::failed(summary(&report))) }
}

/// All that is wrong with a file by itself, its calls of functions and connectors included.
fn look(text: &str, library: &Library) -> Result<Definition, Problems> {
    let mut examined = examine(text)?;
    examined.check_calls(|definition| {
        let mut found = check_calls(definition, known);
        found.absorb(check_connectors(definition, library));
        found
    });
    examined.into_result()
}

/// The hub that a flow is for may have other connectors than are known here.
fn own(problem: &Problem, dir: &Path) -> Problem {
    let mut problem = problem.clone();
    if problem.message.starts_with("there is no connector") {
        problem.message += &format!("; files of your own are looked for in {} (--connectors)", dir.display());
    }
    problem
}

/// Two files for one version, and flows that run each other in a circle.
fn together(definitions: &[(String, Definition)]) -> Vec<String> {
    let mut found = Vec::new();
    for (n, (name, definition)) in definitions.iter().enumerate() {
        let twin = definitions.iter().take(n).find(|(_, other)| other.id == definition.id);
        if let Some((other, _)) = twin {
            found.push(format!("{other} and {name} are both {}; give one another name or version", definition.id));
        }
    }
    found.extend(check_circles(definitions.iter().map(|(_, definition)| definition)).err());
    found
}

/// Flows that are run and not among these files: the hub may have them.
fn notes(definitions: &[(String, Definition)]) -> Vec<String> {
    let mut found = Vec::new();
    for (name, definition) in definitions {
        for run in definition.runs() {
            let here = definitions.iter().any(|(_, other)| {
                (&other.id.namespace, &other.id.name) == (&run.namespace, &run.name)
                    && (run.version == "latest" || other.id.version == run.version)
            });
            if !here {
                found.push(format!("{name} runs {run}, which is not among these files; the hub must have it"));
            }
        }
    }
    found
}

fn show(screen: Screen, report: &Report) -> Result<(), Failure> {
    screen.either(report, || {
        let mut lines = Vec::new();
        for file in &report.files {
            if let Some(flow) = &file.flow {
                lines.push(format!("{}: {flow} is good", file.file));
            }
            let said = |problem: &Problem, mark: &str| {
                let line = problem.line.map(|line| format!(":{line}")).unwrap_or_default();
                format!("{}{line}: {mark}{}: {}", file.file, problem.path, problem.message)
            };
            lines.extend(file.problems.iter().map(|problem| said(problem, "")));
            lines.extend(file.warnings.iter().map(|warning| said(warning, "warning: ")));
        }
        lines.extend(report.together.iter().cloned());
        lines.extend(report.notes.iter().map(|note| format!("note: {note}")));
        lines.join("\n")
    })
}

fn summary(report: &Report) -> String {
    let count = report.together.len() + report.files.iter().map(|file| file.problems.len()).sum::<usize>();
    let bad = report.files.iter().filter(|file| !file.problems.is_empty()).count();
    let problems = if count == 1 { "1 problem".to_owned() } else { format!("{count} problems") };
    match bad {
        0 => format!("{problems} with these files together"),
        _ => format!("{problems}; {bad} of {} files can't be published", report.files.len()),
    }
}
