//! Every figure of the doors, declared in one place: names, labels, units. Label sets are closed (routes of the table,
//! statuses, codes of refusals), so that no caller can make a new series.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use nexus_core::{event::Seq, problem::Code};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

use crate::{routes, stream::wire::End};

/// A request answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: &'static str,
    method: &'static str,
    status: u16,
}

/// Time of a route.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Timed {
    route: &'static str,
    method: &'static str,
}

/// A request refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    reason: &'static str,
}

/// Open sockets by kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Stream {
    kind: &'static str,
}

/// Sockets that ended, by kind and reason.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    kind: &'static str,
    reason: &'static str,
}

/// What the hot path of one route counts, looked up once.
struct RouteMeter {
    path: &'static str,
    method: &'static str,
    ok: Counter,
    seconds: Histogram,
}

/// The figures of the doors.
pub(crate) struct GatewayMetrics {
    requests: Family<Answered, Counter>,
    seconds: Family<Timed, Histogram, fn() -> Histogram>,
    refused: Family<Refused, Counter>,
    connections: Gauge,
    streams: Family<Stream, Gauge>,
    frames: Family<Stream, Counter>,
    closed: Family<Ended, Counter>,
    gaps: Counter,
    per_minute: Gauge,
    meters: Vec<RouteMeter>,
    /// Sockets and streams open now, for the limit.
    open_streams: Arc<AtomicI64>,
    heads: Mutex<VecDeque<(Duration, Seq)>>,
}

fn latency_buckets() -> Histogram {
    Histogram::new(exponential_buckets(0.000_25, 2.5, 12))
}

impl GatewayMetrics {
    /// All at zero.
    pub(crate) fn new() -> Self {
        let requests = Family::<Answered, Counter>::default();
        let seconds = Family::<Timed, Histogram, fn() -> Histogram>::new_with_constructor(latency_buckets);
        let meters = routes::all()
            .map(|route| {
                let (path, method) = (route.path, method_name(&route.method));
                let answered = Answered { route: path, method, status: 200 };
                RouteMeter {
                    path,
                    method,
                    ok: requests.get_or_create_owned(&answered),
                    seconds: seconds.get_or_create_owned(&Timed { route: path, method }),
                }
            })
            .collect();
        let made = Self {
            requests,
            seconds,
            refused: Family::default(),
            connections: Gauge::default(),
            streams: Family::default(),
            frames: Family::default(),
            closed: Family::default(),
            gaps: Counter::default(),
            per_minute: Gauge::default(),
            meters,
            open_streams: Arc::default(),
            heads: Mutex::default(),
        };
        // A series that begins at zero can be watched from the start.
        for kind in ["websocket", "graphql", "sse"] {
            let _ = (made.streams.get_or_create_owned(&Stream { kind }), made.frames(kind));
        }
        for kind in ["websocket", "graphql", "sse"] {
            for end in End::all() {
                let _ = made.closed.get_or_create_owned(&Ended { kind, reason: end.label() });
            }
        }
        for code in crate::error::CODES {
            let _ = made.refused.get_or_create_owned(&Refused { reason: code.as_str() });
        }
        made
    }

    /// Puts the families into a registry.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register("http_requests", "Requests answered", self.requests.clone());
        registry.register("http_request_seconds", "From head received to answer ready", self.seconds.clone());
        registry.register("refused_requests", "Requests and frames refused, by reason", self.refused.clone());
        registry.register("http_connections", "Open client connections", self.connections.clone());
        registry.register("websocket_connections", "Open sockets and event streams", self.streams.clone());
        registry.register("stream_frames", "Frames sent to sockets and event streams", self.frames.clone());
        registry.register("websocket_closes", "Sockets and event streams that ended, by reason", self.closed.clone());
        registry.register("stream_gaps", "Gap notices sent: a client fell too far behind", self.gaps.clone());
        registry.register("events_per_minute", "Events of the log in the last 60 seconds", self.per_minute.clone());
    }

    /// One request was answered. `number` is the route's in the table; `None` = no route.
    pub(crate) fn answered(&self, number: Option<usize>, status: u16, took: Duration) {
        let Some(meter) = number.and_then(|n| self.meters.get(n)) else {
            self.requests.get_or_create(&Answered { route: "none", method: "any", status }).inc();
            return;
        };
        meter.seconds.observe(took.as_secs_f64());
        if status == 200 {
            meter.ok.inc();
        } else {
            self.requests.get_or_create(&Answered { route: meter.path, method: meter.method, status }).inc();
        }
    }

    /// Something was refused.
    pub(crate) fn refused(&self, code: Code) {
        self.refused.get_or_create(&Refused { reason: code.as_str() }).inc();
    }

    /// A connection is open while the guard lives.
    pub(crate) fn connection(&self) -> Held {
        Held::new(self.connections.clone(), None)
    }

    /// A socket or stream of this kind is open while the guard lives; `None` at the limit.
    pub(crate) fn stream(&self, kind: &'static str, limit: usize) -> Option<Held> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        if self.open_streams.fetch_add(1, Ordering::Relaxed) >= limit {
            self.open_streams.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let gauge = self.streams.get_or_create_owned(&Stream { kind });
        Some(Held::new(gauge, Some(Arc::clone(&self.open_streams))))
    }

    /// The counter of frames sent to streams of this kind.
    pub(crate) fn frames(&self, kind: &'static str) -> Counter {
        self.frames.get_or_create_owned(&Stream { kind })
    }

    /// A socket or stream ended.
    pub(crate) fn closed(&self, kind: &'static str, end: &End) {
        self.closed.get_or_create(&Ended { kind, reason: end.label() }).inc();
    }

    /// A gap notice was sent.
    pub(crate) fn gap(&self) {
        self.gaps.inc();
    }

    /// Notes the head of the log, once a second or so; the gauge is what came in the last minute.
    pub(crate) fn head(&self, now: Duration, seq: Seq) {
        let mut heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        heads.push_back((now, seq));
        while heads.len() > 1 && heads.get(1).is_some_and(|(at, _)| *at + Duration::from_secs(60) <= now) {
            heads.pop_front();
        }
        let before = heads.front().map_or(seq, |(_, first)| *first);
        self.per_minute.set(i64::try_from(seq.saturating_sub(before)).unwrap_or(i64::MAX));
    }
}

/// Something that is counted while it is open.
pub(crate) struct Held {
    gauge: Gauge,
    total: Option<Arc<AtomicI64>>,
}

impl Held {
    fn new(gauge: Gauge, total: Option<Arc<AtomicI64>>) -> Self {
        gauge.inc();
        Self { gauge, total }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.gauge.dec();
        if let Some(total) = &self.total {
            total.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn method_name(method: &http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "OTHER",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_per_minute_forgets_what_is_older_than_a_minute() {
        let metrics = GatewayMetrics::new();
        metrics.head(Duration::from_secs(0), 100);
        metrics.head(Duration::from_secs(30), 150);
        assert_eq!(metrics.per_minute.get(), 50);
        metrics.head(Duration::from_secs(61), 160);
        assert_eq!(metrics.per_minute.get(), 60);
        metrics.head(Duration::from_secs(95), 160);
        assert_eq!(metrics.per_minute.get(), 10);
        metrics.head(Duration::from_secs(400), 160);
        assert_eq!(metrics.per_minute.get(), 0);
    }

    #[test]
    fn streams_are_counted_and_limited() {
        let metrics = GatewayMetrics::new();
        let first = metrics.stream("ws", 1);
        assert!(first.is_some() && metrics.stream("ws", 1).is_none());
        drop(first);
        assert!(metrics.stream("ws", 1).is_some());
    }
}
