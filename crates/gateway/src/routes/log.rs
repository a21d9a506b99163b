//! Routes that read the log and care for it.

use http::Method;

use super::{Audit, Param, Route, Shape, json, route};
use crate::admin::{events, log};

const EVENTS: &[Param] = &[
    Param { name: "type", about: "event types or filters, repeated or comma-separated" },
    Param { name: "source", about: "of this source" },
    Param { name: "subject", about: "about this subject" },
    Param { name: "correlation", about: "that belong to this correlation id" },
    Param { name: "from", about: "committed at or after, RFC 3339" },
    Param { name: "until", about: "committed before, RFC 3339" },
    Param { name: "after", about: "with a seq greater than this" },
    Param { name: "before", about: "with a seq less than this" },
    Param { name: "order", about: "asc (default) or desc" },
    Param { name: "cursor", about: "next_cursor of the page before" },
    Param { name: "limit", about: "at most so many; 1 to 1000, default 50" },
];

const EXPORT: &[Param] = &[
    Param { name: "after", about: "begin after this seq" },
    Param { name: "limit", about: "at most so many events; all when absent" },
];

const LINES: Shape = Shape { media: "application/x-ndjson", schema: "ExportLine" };

/// The routes.
pub(crate) static ROUTES: &[Route] = &[
    route(Method::GET, "/api/v1/events", "query_events", |c| Box::pin(events::query(c)))
        .about("Events", "Query the log by time, source, type, subject, correlation")
        .may("events:read")
        .query(EVENTS)
        .gives(json("EventList")),
    route(Method::GET, "/api/v1/events/{id}", "get_event", |c| Box::pin(events::get(c)))
        .about("Events", "One event")
        .may("events:read")
        .gives(json("Event")),
    route(Method::GET, "/api/v1/events/{id}/fate", "event_fate", |c| Box::pin(events::fate(c)))
        .about("Events", "What became of an event: matched, delivered when, retrying or dead why")
        .may("events:read")
        .gives(json("Fate")),
    route(Method::GET, "/api/v1/log", "log_head", |c| Box::pin(log::head(c)))
        .about("Log", "The end of the log")
        .may("log:verify")
        .gives(json("Head")),
    route(Method::POST, "/api/v1/log/verify", "verify_log", |c| Box::pin(log::verify(c)))
        .about("Log", "Check the hash chain, and against a checkpoint that nothing was cut off")
        .may("log:verify")
        .takes(&[json("VerifyRequest")])
        .gives(json("VerifyReport")),
    route(Method::GET, "/api/v1/log/checkpoint", "log_checkpoint", |c| Box::pin(log::checkpoint(c)))
        .about("Log", "A signed statement of the log's present end, to be kept elsewhere")
        .may("log:verify")
        .gives(json("Checkpoint")),
    route(Method::POST, "/api/v1/log/redact", "redact", |c| Box::pin(log::redact(c)))
        .about("Log", "Erase the data of an event, or of all events about a subject; the chain still verifies")
        .may("log:redact")
        .audit(Audit::Writes("log.redacted"))
        .takes(&[json("RedactRequest")])
        .gives(json("Count")),
    route(Method::GET, "/api/v1/log/export", "export_log", |c| Box::pin(log::export(c)))
        .about("Log", "Events as JSON lines")
        .may("backup")
        .exempt()
        .query(EXPORT)
        .gives(LINES),
    route(Method::POST, "/api/v1/log/import", "import_log", |c| Box::pin(log::import(c)))
        .about("Log", "Store exported events; those that are there already are repeats")
        .may("admin")
        .audit(Audit::Writes("log.imported"))
        .takes(&[LINES])
        .gives(json("ImportReport")),
    route(Method::POST, "/api/v1/backup", "backup", |c| Box::pin(log::backup(c)))
        .about("Log", "A consistent copy of the database, made while the hub works")
        .may("backup")
        .exempt()
        .audit(Audit::Writes("backup.written"))
        .gives(Shape { media: "application/octet-stream", schema: "Binary" }),
];
