//! Log lines of the process: one JSON object per line for machines, or lines for people.
//!
//! A JSON line has `level`, `time` and `msg`, then the event's own fields, then those of the spans around it.

use std::{fmt, io::IsTerminal, sync::Arc};

use nexus_core::time::Clock;
use serde_json::{Map, Value};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    EnvFilter, Layer,
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields,
        format::{JsonFields, Writer},
        time::FormatTime,
    },
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use crate::{
    config::{Format, Log},
    output::Failure,
};

/// Starts logging to standard output. Returns whether the lines are JSON.
pub(crate) fn start(log: &Log, clock: Arc<dyn Clock>) -> Result<bool, Failure> {
    let filter = EnvFilter::try_new(&log.level).map_err(|e| {
        Failure::usage(format!("[log] level: {:?} is no level ({e}); write for example info", log.level))
    })?;
    let json = match log.format {
        Format::Json => true,
        Format::Pretty => false,
        Format::Auto => !std::io::stdout().is_terminal(),
    };
    let layer = tracing_subscriber::fmt::layer();
    let layer = if json {
        layer.fmt_fields(JsonFields::new()).event_format(Lines(clock)).boxed()
    } else {
        let colours = std::io::stdout().is_terminal();
        layer.with_timer(Times(clock)).with_ansi(colours).with_target(false).compact().boxed()
    };
    tracing_subscriber::registry()
        .with(layer.with_filter(filter))
        .try_init()
        .map_err(|e| Failure::failed(format!("logging can't start: {e}")))?;
    Ok(json)
}

/// The hub's clock as a log's.
struct Times(Arc<dyn Clock>);

impl FormatTime for Times {
    fn format_time(&self, w: &mut Writer<'_>) -> fmt::Result {
        write!(w, "{}", self.0.now())
    }
}

/// One JSON object per line.
struct Lines(Arc<dyn Clock>);

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut line = Map::new();
        let level = event.metadata().level().as_str().to_ascii_lowercase();
        line.insert("level".into(), level.into());
        line.insert("time".into(), self.0.now().to_string().into());
        line.insert("msg".into(), fields.message.into());
        line.insert("target".into(), event.metadata().target().into());
        merge(&mut line, fields.others);
        for span in ctx.event_scope().into_iter().flatten() {
            let extensions = span.extensions();
            let text = extensions.get::<FormattedFields<N>>().map(|f| f.fields.as_str()).unwrap_or_default();
            if let Ok(Value::Object(of_span)) = serde_json::from_str(text) {
                merge(&mut line, of_span);
            }
        }
        writeln!(writer, "{}", Value::Object(line))
    }
}

/// What is said first stays: the event before its spans, the inner span before the outer one.
fn merge(line: &mut Map<String, Value>, more: Map<String, Value>) {
    for (name, value) in more {
        line.entry(name).or_insert(value);
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        if field.name() == "message" {
            self.message = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        } else {
            self.others.insert(field.name().to_owned(), value);
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }
    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(next) = cause {
            text.push_str(": ");
            text.push_str(&next.to_string());
            cause = next.source();
        }
        self.put(field, text.into());
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }
}
