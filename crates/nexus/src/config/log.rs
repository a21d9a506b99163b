//! `[log]`: what the process says about itself.

use serde::{Deserialize, Serialize};

/// Form of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// Pretty at a terminal, JSON otherwise
    #[default]
    Auto,
    /// One JSON object per line
    Json,
    /// For people
    Pretty,
}

/// The process's own log.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Log {
    /// Form of the lines.
    pub(crate) format: Format,
    /// `error`, `warn`, `info`, `debug`, `trace`, or per module: `info,nexus_engine=debug`.
    pub(crate) level: String,
    /// Base URL of an OTLP/HTTP collector for traces, for example `http://127.0.0.1:4318`; also
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`. Absent = no traces are sent.
    pub(crate) otlp_endpoint: Option<String>,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: Format::Auto, level: "info".into(), otlp_endpoint: None }
    }
}
