//! Our own settings, as they stand under `document.metadata` in keys that begin with `nexus.dev/`.

use serde_json::{Map, Value};

use super::{part::DurationText, read::record};

record! {
    /// One item of `nexus.dev/detect`.
    Detect: "the detector" {
        required {
            /// Its name.
            name "name": String,
            /// `count`, `absence`, `sequence` or `threshold`.
            detect "detect": String,
            /// The events that are counted, that begin the wait, that come first, that hold the number.
            first "first": Map<String, Value>,
        }
        optional {
            /// The events that end an absence, or that come second.
            second "second": Map<String, Value>,
            /// The events that may not stand between first and second.
            breaking "breaking": Map<String, Value>,
            /// What tells one from another: an expression over the event.
            key "key": String,
            /// The number: an expression over the event.
            number "number": String,
            /// How many (`count`).
            count "count": u32,
            /// Within how long (`count`).
            window "window": DurationText,
            /// For how long (`absence`).
            after "after": DurationText,
            /// Within how long (`sequence`).
            within "within": DurationText,
            /// What is reached (`threshold`).
            limit "limit": f64,
            /// Reached from above (`threshold`).
            falling "falling": bool,
            /// The type of the event that a match publishes.
            emit "emit": String,
        }
    }
}

record! {
    /// `nexus.dev/webhook`.
    Webhook: "the webhook" {
        optional {
            /// `POST` without.
            method "method": String,
            /// `namespace/name` without.
            path "path": String,
            /// `async` (without) or `sync`.
            answer "answer": String,
            /// How long a caller waits for a `sync` answer.
            timeout "timeout": DurationText,
            /// The source whose signature is demanded.
            source "source": String,
            /// `body` (without) or `request`.
            input "input": String,
        }
    }
}
