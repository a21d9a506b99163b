//! Every limit of the hub, named in one place with its default and what happens at it.

use std::time::Duration;

/// Bytes of one event's data; a larger one is refused (413).
pub const EVENT_DATA_BYTES: usize = 1 << 20;
/// Bytes of one request body at an event door (a batch may be larger than one event); above: 413.
pub const BODY_BYTES: usize = 4 << 20;
/// Events in one batch; above: 413.
pub const BATCH_EVENTS: usize = 1_000;
/// Nesting of JSON from outside; deeper is refused (400).
pub const JSON_DEPTH: usize = 64;
/// Bytes of a topic or a filter; longer is refused (400).
pub const TOPIC_BYTES: usize = 200;
/// Segments of a topic or a filter.
pub const TOPIC_SEGMENTS: usize = 16;
/// Bytes of a subject, correlation id, source id or idempotency key; longer is refused (400).
pub const ID_BYTES: usize = 256;
/// Bytes of an event's extension attributes together; above: 400.
pub const ATTRIBUTES_BYTES: usize = 8 << 10;
/// Distinct event types (and, separately, sources) in one log; a new one beyond is refused (409).
pub const DICTIONARY_ENTRIES: usize = 131_072;
/// Bytes of one document; above: 413.
pub const DOCUMENT_BYTES: usize = 256 << 10;
/// Depth of cause and effect at which a chain of events is stopped.
pub const EVENT_DEPTH: u8 = 16;
/// How long an idempotency key is remembered unless a source says otherwise.
pub const IDEMPOTENCY_WINDOW: Duration = Duration::from_secs(24 * 3600);
/// Commits waiting in each queue to the writer, the doors' and the hub's own; above: a door gets 503, own work waits.
pub const WRITER_QUEUE_ITEMS: usize = 8_192;
/// Bytes waiting in each of these queues, or one commit that is larger by itself; above: the same.
pub const WRITER_QUEUE_BYTES: usize = 64 << 20;
/// Estimated wait for the writer at which doors answer 503.
pub const WRITER_WAIT: Duration = Duration::from_millis(250);
/// Free bytes on the disk below which doors refuse (503) while the hub's own commits go on.
pub const DISK_RESERVE_BYTES: u64 = 256 << 20;
/// Bytes of a response body that a delivery reads and keeps.
pub const RESPONSE_KEPT_BYTES: usize = 4 << 10;
/// Open exceptions (retrying) of one subscription at which it is paused, with an event.
pub const OPEN_EXCEPTIONS: usize = 10_000;
/// Events waiting behind one retrying key of an ordered subscription; at it the subscription waits.
pub const KEY_WAITERS: usize = 1_000;
/// Events of one lane held in memory for one subscription; beyond it the subscription reads the log by itself.
pub const WINDOW_EVENTS: usize = 256;
/// Bytes of recent events kept in memory for sockets and dispatch.
pub const RECENT_BYTES: usize = 16 << 20;
/// Events kept in memory for sockets and dispatch.
pub const RECENT_EVENTS: usize = 16_384;
/// Events a socket may lag behind the head before it is told of a gap and moved on.
pub const SOCKET_LAG_EVENTS: u64 = 100_000;
/// Bytes of one WebSocket message from a client; above: close 1009.
pub const SOCKET_MESSAGE_BYTES: usize = 1 << 20;
/// Subscriptions of one socket; one more is answered with an error frame.
pub const SOCKET_SUBSCRIPTIONS: usize = 256;
/// Subscriptions that one socket consumes; one more is answered with an error frame.
pub const SOCKET_CONSUMERS: usize = 32;
/// Deliveries that one consumer holds unacknowledged, or takes with one pull; more are refused (422).
pub const CONSUMER_HELD: usize = 1_000;
/// Bytes of payloads handed over at once; a single delivery may be larger, the rest waits for the next take.
pub const CONSUMER_BATCH_BYTES: usize = 2 << 20;
/// How long a pull waits for a delivery at most; a longer wait is refused (422).
pub const CONSUMER_WAIT: Duration = Duration::from_secs(60);
/// Longest time to which one extension moves the end of a lease; more is refused (422).
pub const LEASE_EXTENSION: Duration = Duration::from_secs(12 * 3600);
/// How long receipts of successful deliveries are kept.
pub const RECEIPT_RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);
/// GraphQL operations of one socket at once; one more is answered with an error.
pub const GRAPHQL_OPERATIONS: usize = 64;
