//! `nexus flows test`: a flow against a table of cases, in memory, on a test clock, with stand-ins for every call.

use std::path::{Path, PathBuf};

use clap::Args;
use nexus_flows::{
    Definition, publish,
    rehearse::{
        Others,
        case::{self, Case},
        check::{Checked, check},
    },
};
use serde_json::json;

use super::file;
use crate::{
    cli::Global,
    output::{Failure, Screen, table},
};

/// `nexus flows test`
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The flow file
    file: PathBuf,
    /// The table of cases [default: NAME.cases.yaml beside the flow file]
    cases: Option<PathBuf>,
    /// Flow files, or folders of them, that the flow may run [default: those beside the flow file]
    #[arg(long = "with", value_name = "FILE|DIR")]
    with: Vec<PathBuf>,
    /// Only cases whose name contains this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

pub(crate) fn run(global: &Global, args: &Arguments) -> Result<(), Failure> {
    let definition = definition(&args.file)?;
    let path = args.cases.clone().unwrap_or_else(|| args.file.with_extension("cases.yaml"));
    if args.cases.is_none() && !path.exists() {
        return Err(Failure::usage(format!(
            "{} is not there; write it, or name the file of cases. A case is: - {{ name: it works, input: {{}}, expect: {{ status: completed }} }}",
            path.display()
        )));
    }
    let mut cases = cases(&path)?;
    if let Some(only) = &args.only {
        cases.retain(|case| case.name.contains(only.as_str()));
        if cases.is_empty() {
            return Err(Failure::usage(format!("no case of {} is called like {only:?}", path.display())));
        }
    }
    let loaded = others(&definition, args)?;
    let others: Others<'_> = loaded.iter().map(|d| (d.id.to_string(), d)).collect();
    let checked: Vec<Checked> = cases.into_iter().map(|case| check(&definition, &others, case)).collect();
    show(global.screen(), &definition, &checked)?;
    let failed = checked.iter().filter(|case| !case.passed).count();
    if failed == 0 { Ok(()) } else { Err(Failure::failed(format!("{failed} of {} cases failed", checked.len()))) }
}

/// The flow that a file holds.
pub(super) fn definition(path: &Path) -> Result<Definition, Failure> {
    publish(&file::read(path)?).map_err(|problems| Failure::failed(located(path, &problems)))
}

fn cases(path: &Path) -> Result<Vec<Case>, Failure> {
    case::read(&file::read(path)?).map_err(|problems| Failure::failed(located(path, &problems)))
}

fn located(path: &Path, problems: &nexus_flows::problem::Problems) -> String {
    let lines = problems.list().iter().map(|problem| {
        let line = problem.line.map(|line| format!(":{line}")).unwrap_or_default();
        format!("{}{line}: {}: {}", path.display(), problem.path, problem.message)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The flows it may run. One that can't be published matters only where it was named.
fn others(definition: &Definition, args: &Arguments) -> Result<Vec<Definition>, Failure> {
    if !args.with.is_empty() {
        return file::find(&args.with)?.iter().map(|path| self::definition(path)).collect();
    }
    if definition.runs().is_empty() {
        return Ok(Vec::new());
    }
    let folder = args.file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut found = Vec::new();
    for path in file::find(&[folder.to_owned()])? {
        found.extend(publish(&file::read(&path)?).ok().filter(|other| other.id != definition.id));
    }
    Ok(found)
}

fn show(screen: Screen, definition: &Definition, checked: &[Checked]) -> Result<(), Failure> {
    let ok = checked.iter().all(|case| case.passed);
    let report = json!({"ok": ok, "flow": definition.id.to_string(), "cases": checked});
    screen.either(&report, || {
        let mut rows = Vec::new();
        for case in checked {
            let (status, took) = case.rehearsal.as_ref().map_or((String::new(), String::new()), |rehearsal| {
                (rehearsal.status.clone(), nexus_flows::duration::text(rehearsal.took_ms))
            });
            let verdict = if case.passed { "pass" } else { "FAIL" };
            rows.push(vec![verdict.to_owned(), case.name.clone(), status, took]);
        }
        let mut text = table(&["", "case", "ended", "took"], &rows, "no cases");
        for case in checked.iter().filter(|case| !case.passed) {
            text.push_str(&format!("\n{}\n", case.name));
            for problem in &case.problems {
                text.push_str(&format!("  {problem}\n"));
            }
        }
        let passed = checked.iter().filter(|case| case.passed).count();
        text.push_str(&format!("\n{}: {passed} of {} cases passed\n", definition.id, checked.len()));
        text
    })
}
