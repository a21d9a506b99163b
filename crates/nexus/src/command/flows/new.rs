//! `nexus flows new`: a flow to begin with.

use std::{
    fs::OpenOptions,
    io::Write as _,
    path::{Path, PathBuf},
};

use clap::Args;
use nexus_flows::template::{self, TEMPLATES};
use serde_json::json;

use crate::{
    cli::Global,
    output::{Failure, table},
};

/// `nexus flows new`
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The flow's name: letters, digits and hyphens
    #[arg(required_unless_present = "list")]
    name: Option<String>,
    /// What to begin with; --list shows what there is
    #[arg(long, default_value = "webhook-to-http")]
    template: String,
    /// The flow's namespace
    #[arg(long, default_value = "main")]
    namespace: String,
    /// The file to write; standard output when absent
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write the cases that test it, too: NAME.cases.yaml beside FILE
    #[arg(long, requires = "out")]
    cases: bool,
    /// Show the templates
    #[arg(long)]
    list: bool,
}

pub(crate) fn run(global: &Global, args: &Arguments) -> Result<(), Failure> {
    let screen = global.screen();
    if args.list {
        let listed: Vec<_> = TEMPLATES.iter().map(|t| json!({"name": t.name, "about": t.about})).collect();
        let rows: Vec<_> = TEMPLATES.iter().map(|t| vec![t.name.to_owned(), t.about.to_owned()]).collect();
        return screen.either(&listed, || table(&["template", "for"], &rows, "none"));
    }
    let Some(template) = template::find(&args.template) else {
        let known: Vec<&str> = TEMPLATES.iter().map(|t| t.name).collect();
        return Err(Failure::usage(format!(
            "there is no template {:?}; there are {}",
            args.template,
            known.join(", ")
        )));
    };
    let name = args.name.as_deref().unwrap_or_default();
    let (text, definition) =
        template.write(&args.namespace, name).map_err(|problems| Failure::usage(problems.to_string()))?;
    let Some(out) = &args.out else {
        return screen.either(&json!({"flow": definition.id.to_string(), "text": text}), || text.clone());
    };
    write(out, &text)?;
    let cases = args.cases.then(|| out.with_extension("cases.yaml"));
    if let Some(cases) = &cases {
        write(cases, template.cases())?;
    }
    let shown = |path: &PathBuf| path.display().to_string();
    let answer = json!({
        "flow": definition.id.to_string(), "file": shown(out), "cases": cases.as_ref().map(shown),
    });
    screen.either(&answer, || {
        let mut text = format!("wrote {} ({})", out.display(), definition.id);
        if let Some(cases) = &cases {
            text.push_str(&format!("\nwrote {}; run them with: nexus flows test {}", cases.display(), out.display()));
        }
        text
    })
}

/// A file that is there already stays as it is.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let wrong = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Failure::usage(format!("{} is there already; name another file, or move it away", path.display()))
        }
        _ => Failure::failed(format!("{} can't be written: {e}", path.display())),
    };
    // The folder of flows is often made with its first file.
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(wrong)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(wrong)?;
    file.write_all(text.as_bytes()).map_err(wrong)
}
