//! `nexus connectors`: outside services that can be called.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use nexus_client::connector::{Connector, ConnectorCall};
use nexus_engine::{
    connectors::{Connector as Manifest, import},
    document::yaml::{self, DOCUMENT_BYTES},
};
use serde_json::Value;

use crate::{
    cli::Global,
    output::{Failure, note, pairs, plain, table, text},
};

/// Bytes of a description that is imported.
const DESCRIPTION_BYTES: u64 = 32 << 20;

/// What can be done with connectors.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List connectors, their operations and connections
    List,
    /// Show a connector: what it needs and what can be called
    Show {
        /// Its name
        name: String,
    },
    /// Call an operation
    Call(Call),
    /// Check a manifest without a hub: what is wrong, where, and what would be right
    Check {
        /// The file
        file: PathBuf,
    },
    /// Make a manifest from a description in OpenAPI 3 or Swagger 2 (JSON or small YAML)
    Import(Import),
}

/// `nexus connectors call`
#[derive(Debug, Args)]
pub(crate) struct Call {
    /// Name of the connector
    name: String,
    /// Id of the operation
    operation: String,
    /// What it is called with, as JSON
    #[arg(default_value = "{}")]
    input: String,
    /// Whose account [default: the only one]
    #[arg(long, value_name = "NAME")]
    connection: Option<String>,
    /// Makes a repeat harmless, where the operation knows repeats
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// LOW, NORMAL, HIGH or CRITICAL
    #[arg(long)]
    priority: Option<String>,
    /// How long it may wait for its turn, for example 30s
    #[arg(long, value_name = "TIME")]
    patience: Option<String>,
}

/// `nexus connectors import`
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The description
    file: PathBuf,
    /// Name of the connector [default: made from the description's title]
    #[arg(long)]
    name: Option<String>,
    /// Only the operation with this id; repeat it for several
    #[arg(long = "operation", value_name = "ID")]
    operations: Vec<String>,
    /// Where it is written; it must not be there yet [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(crate) async fn run(global: &Global, command: Command) -> Result<(), Failure> {
    let screen = global.screen();
    match command {
        Command::List => {
            let page = global.client()?.connectors().await?;
            screen.either(&page.items, || listed(&page.items))
        }
        Command::Show { name } => {
            let found = global.client()?.connector(&name).await?;
            screen.either(&found, || shown(&found))
        }
        Command::Call(call) => {
            let input =
                serde_json::from_str(&call.input).map_err(|e| Failure::usage(format!("the input is no JSON: {e}")))?;
            let asked = ConnectorCall {
                operation: call.operation,
                input,
                connection: call.connection,
                priority: call.priority.map(|p| p.to_ascii_uppercase()),
                patience: call.patience,
                idempotency_key: call.idempotency_key,
            };
            let hub = global.client()?.timeout(std::time::Duration::from_secs(300));
            let called = hub.call_connector(&call.name, &asked).await?;
            screen.either(&called, || plain(&called.output))
        }
        Command::Check { file } => {
            let manifest = Manifest::read(&read(&file, DOCUMENT_BYTES as u64 + 1)?)
                .map_err(|problems| Failure::failed(format!("{}:\n{problems}", file.display())))?;
            let operations: Vec<&str> = manifest.operations().collect();
            let value = serde_json::json!({"file": file, "name": manifest.manifest.name, "operations": operations});
            screen.either(&value, || {
                format!("{} is sound: {} with {}", file.display(), manifest.manifest.name, operations.join(", "))
            })
        }
        Command::Import(args) => import_file(global, &args),
    }
}

fn read(file: &Path, most: u64) -> Result<String, Failure> {
    let wrong = |e: std::io::Error| Failure::failed(format!("{} can't be read: {e}", file.display()));
    let size = std::fs::metadata(file).map_err(wrong)?.len();
    if size > most {
        return Err(Failure::failed(format!("{} has {size} bytes; at most {most} are read", file.display())));
    }
    std::fs::read_to_string(file).map_err(wrong)
}

fn import_file(global: &Global, args: &Import) -> Result<(), Failure> {
    let description = read(&args.file, DESCRIPTION_BYTES)?;
    let document: Value = match serde_json::from_str(&description) {
        Ok(document) => document,
        Err(as_json) => yaml::parse(&description).map(|source| source.value).map_err(|as_yaml| {
            Failure::failed(format!("{} is neither JSON ({as_json}) nor YAML ({as_yaml})", args.file.display()))
        })?,
    };
    let imported = import::import(&document, args.name.as_deref(), &args.operations)
        .map_err(|problems| Failure::failed(format!("{}:\n{problems}", args.file.display())))?;
    let mut manifest = serde_json::to_string_pretty(&imported.manifest).map_err(|e| Failure::failed(e.to_string()))?;
    manifest.push('\n');
    imported.notes.iter().for_each(|text| note(text));
    if manifest.len() > DOCUMENT_BYTES {
        let size = manifest.len();
        note(&format!("it has {size} bytes, and a hub reads {DOCUMENT_BYTES}: take over some with --operation ID"));
    }
    let Some(out) = &args.out else { return global.screen().line(manifest.trim_end()) };
    let wrong = |e: std::io::Error| {
        let what = match e.kind() {
            std::io::ErrorKind::AlreadyExists => "it is there already; name another, or move it away".to_owned(),
            _ => e.to_string(),
        };
        Failure::failed(format!("{} can't be written: {what}", out.display()))
    };
    let mut file = std::fs::File::create_new(out).map_err(wrong)?;
    std::io::Write::write_all(&mut file, manifest.as_bytes()).map_err(wrong)?;
    let done = serde_json::json!({"file": out, "name": imported.manifest["name"], "notes": imported.notes});
    global.screen().either(&done, || format!("wrote {}; read it over before you use it", out.display()))
}

fn listed(connectors: &[Connector]) -> String {
    let row = |c: &Connector| {
        vec![
            c.name.clone(),
            c.title.clone(),
            c.operations.len().to_string(),
            c.connections.join(", "),
            c.checked.clone(),
        ]
    };
    let rows: Vec<_> = connectors.iter().map(row).collect();
    table(&["name", "title", "operations", "connections", "checked against"], &rows, "no connectors")
}

fn shown(connector: &Connector) -> String {
    let none = Value::Null;
    let manifest = connector.more.get("manifest").unwrap_or(&none);
    let fields = |kind: &str| {
        let all = manifest.get(kind).and_then(Value::as_object).into_iter().flatten();
        let each = all.map(|(name, field)| format!("{name} ({})", text(field, "title")));
        each.collect::<Vec<_>>().join(", ")
    };
    let head = pairs(&[
        ("name", connector.name.clone()),
        ("title", connector.title.clone()),
        ("about", text(manifest, "about")),
        ("checked against", connector.checked.clone()),
        ("docs", text(manifest, "docs")),
        ("settings", fields("settings")),
        ("secrets", fields("secrets")),
        ("connections", connector.connections.join(", ")),
    ]);
    let operations = manifest.get("operations").and_then(Value::as_object).into_iter().flatten();
    let row = |(id, operation): (&String, &Value)| {
        let example = operation.get("example").map(Value::to_string).unwrap_or_default();
        vec![id.clone(), text(operation, "title"), example]
    };
    let rows: Vec<_> = operations.map(row).collect();
    format!("{head}\n\n{}", table(&["operation", "what it does", "for example"], &rows, "no operations"))
}
