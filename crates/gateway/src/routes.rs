//! The one table of all routes: what each is, who may use it, how it is counted, dressed, described and answered.
//!
//! The router is built from it, `/openapi.json` is generated from it, and a test walks it. A route that is not here
//! does not exist.

use std::{borrow::Cow, future::Future, pin::Pin};

use http::Method;
use nexus_core::problem::Problem;

use crate::{answer::Answer, call::Call};

mod admin;
mod connectors;
mod consumers;
mod doors;
mod flows;
mod log;
mod pages;
mod services;
mod state;
mod tokens;

/// What a handler gives back, in time.
pub(crate) type Answering = Pin<Box<dyn Future<Output = Result<Answer, Problem>> + Send>>;

/// Who may use a route. Each takes its own kind of proof only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Auth {
    /// Everyone.
    Open,
    /// A bearer token with this scope (for some topics at least, where it can be narrowed to topics).
    Bearer(&'static str),
    /// A bearer token acting on itself, or one with this scope.
    OwnOr(&'static str),
    /// Any valid bearer token.
    AnyToken,
    /// The signature of a source over the raw body.
    Signature,
    /// What the flow that lives at the path demands: a token with `flows:run`, or the signature of a source.
    Flow,
    /// The token of a link, which is the last part of the path.
    Link,
    /// A token with `events:read`, `events:publish`, `state:read` or `subscriptions:consume`: as header, `?token=`,
    /// one-time `?ticket=`, or WebSocket protocol.
    Socket,
    /// A token that may read some state; proven as for a socket.
    Watch,
    /// Only with the test clock; otherwise the path does not exist.
    TestClock,
}

/// Whose requests to a route are counted together, and by which limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rate {
    /// Never refused.
    Free,
    /// Signed events, per address and by the source's own limit.
    Ingress,
    /// Publishing with a token, per principal.
    Publish,
    /// Everything that administers or reads, per principal.
    Api,
    /// Opening sockets and streams, per address.
    Stream,
}

/// How an answer is dressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Envelope {
    /// JSON as it is.
    Bare,
    /// `{success,data,error,timestamp,requestId}`.
    Enveloped,
    /// No JSON: pages, metrics, streams, files. Its refusals are bare.
    Exempt,
}

impl Envelope {
    /// How a refusal at a path that is no route is dressed.
    pub(crate) fn of_path(path: &str) -> Self {
        if path.starts_with("/api/v1/") { Self::Enveloped } else { Self::Bare }
    }
}

/// What of its use stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audit {
    /// It changes nothing.
    Reads,
    /// What it stores is itself an event.
    Event,
    /// The service writes `audit.<this>` with who did it.
    Writes(&'static str),
    /// Each type of command writes its own.
    Commands,
    /// It changes something of this process only (a ticket, the test clock).
    Transient,
}

/// A parameter of the query, or a header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Param {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it does.
    pub(crate) about: &'static str,
}

/// A body type: media type and the name of its schema.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Media type.
    pub(crate) media: &'static str,
    /// Name under `components/schemas`.
    pub(crate) schema: &'static str,
}

/// JSON of this schema.
pub(crate) const fn json(schema: &'static str) -> Shape {
    Shape { media: "application/json", schema }
}

/// One route.
pub(crate) struct Route {
    /// Method.
    pub(crate) method: Method,
    /// Path with `{name}` for one segment.
    pub(crate) path: &'static str,
    /// Group on the page.
    pub(crate) group: &'static str,
    /// Name of the operation, unique.
    pub(crate) name: &'static str,
    /// What it does, one line.
    pub(crate) summary: &'static str,
    /// Who may.
    pub(crate) auth: Auth,
    /// How often.
    pub(crate) rate: Rate,
    /// Dress.
    pub(crate) envelope: Envelope,
    /// Trace it leaves.
    pub(crate) audit: Audit,
    /// Parameters of the query.
    pub(crate) query: &'static [Param],
    /// Headers of its own.
    pub(crate) headers: &'static [Param],
    /// Bodies it takes; none = it takes none.
    pub(crate) takes: &'static [Shape],
    /// What it answers.
    pub(crate) gives: Shape,
    /// Other forms of its answer.
    pub(crate) also: &'static [Shape],
    /// It answers 201 when it stored something new.
    pub(crate) creates: bool,
    /// It also answers 200, when nothing new was stored.
    pub(crate) again: bool,
    /// What answers.
    pub(crate) handler: fn(Call) -> Answering,
}

/// A route with the usual values: reads, enveloped, counted as administration.
const fn route(method: Method, path: &'static str, name: &'static str, handler: fn(Call) -> Answering) -> Route {
    Route {
        method,
        path,
        group: "",
        name,
        summary: "",
        auth: Auth::Open,
        rate: Rate::Api,
        envelope: Envelope::Enveloped,
        audit: Audit::Reads,
        query: &[],
        headers: &[],
        takes: &[],
        gives: json("Anything"),
        also: &[],
        creates: false,
        again: false,
        handler,
    }
}

impl Route {
    /// Whether a parameter that it does not know is refused: where it knows any, and wherever the API is read. Whoever
    /// else calls may bring parameters of their own: providers to webhooks and back from a consent, probes of health.
    pub(crate) fn is_exact(&self) -> bool {
        let reads = self.method == Method::GET && self.path.starts_with("/api/v1/") && self.rate != Rate::Free;
        !self.query.is_empty() || reads
    }

    const fn about(mut self, group: &'static str, summary: &'static str) -> Self {
        self.group = group;
        self.summary = summary;
        self
    }

    const fn may(mut self, scope: &'static str) -> Self {
        self.auth = Auth::Bearer(scope);
        self
    }

    const fn auth(mut self, auth: Auth) -> Self {
        self.auth = auth;
        self
    }

    const fn rate(mut self, rate: Rate) -> Self {
        self.rate = rate;
        self
    }

    const fn bare(mut self) -> Self {
        self.envelope = Envelope::Bare;
        self
    }

    const fn exempt(mut self) -> Self {
        self.envelope = Envelope::Exempt;
        self
    }

    const fn audit(mut self, audit: Audit) -> Self {
        self.audit = audit;
        self
    }

    const fn query(mut self, query: &'static [Param]) -> Self {
        self.query = query;
        self
    }

    const fn headers(mut self, headers: &'static [Param]) -> Self {
        self.headers = headers;
        self
    }

    const fn takes(mut self, takes: &'static [Shape]) -> Self {
        self.takes = takes;
        self
    }

    const fn gives(mut self, gives: Shape) -> Self {
        self.gives = gives;
        self
    }

    const fn also(mut self, also: &'static [Shape]) -> Self {
        self.also = also;
        self
    }

    const fn creates(mut self) -> Self {
        self.creates = true;
        self
    }

    /// 201 for what is new, 200 for what was there or is only counted.
    const fn creates_or_finds(mut self) -> Self {
        self.again = true;
        self.creates()
    }
}

/// All routes, in the order of the page.
pub(crate) fn all() -> impl Iterator<Item = &'static Route> {
    let parts = [
        doors::ROUTES,
        services::ROUTES,
        state::ROUTES,
        flows::ROUTES,
        connectors::ROUTES,
        admin::ROUTES,
        tokens::ROUTES,
        consumers::ROUTES,
        log::ROUTES,
        pages::ROUTES,
    ];
    parts.into_iter().flatten()
}

/// The methods of one path.
type Methods = Vec<(&'static Route, usize)>;

/// Finds routes by method and path.
pub(crate) struct Router {
    paths: matchit::Router<Methods>,
}

/// What was found for a method and a path.
pub(crate) enum Found {
    /// A route, its number in [`all`], and the raw values of its path parameters.
    Route(&'static Route, usize, Params),
    /// The path exists, the method does not; these do.
    Methods(String),
    /// No such path.
    Nothing,
    /// It was not looked for: the request's head is ambiguous.
    Unfit(Problem),
}

/// Raw values of path parameters.
pub(crate) type Params = Vec<(&'static str, String)>;

/// Two paths of the table are the same or in each other's way.
#[derive(Debug, thiserror::Error)]
#[error("the route table contradicts itself at {path}: {error}")]
pub(crate) struct TableError {
    path: &'static str,
    error: matchit::InsertError,
}

impl Router {
    /// From the table. Routes of the test clock are left out unless it runs.
    pub(crate) fn new(test_clock: bool) -> Result<Self, TableError> {
        let mut grouped: Vec<(&'static str, Methods)> = Vec::new();
        for (number, route) in all().enumerate().filter(|(_, r)| test_clock || r.auth != Auth::TestClock) {
            match grouped.iter_mut().find(|(path, _)| *path == route.path) {
                Some((_, methods)) => methods.push((route, number)),
                None => grouped.push((route.path, vec![(route, number)])),
            }
        }
        let mut paths = matchit::Router::new();
        for (path, methods) in grouped {
            paths.insert(path, methods).map_err(|error| TableError { path, error })?;
        }
        Ok(Self { paths })
    }

    /// The route for a request; `HEAD` is answered as `GET` without its body.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Found {
        let keyless = keyless(path);
        let path = keyless.map_or_else(|| spanning(path), Cow::from);
        let Ok(hit) = self.paths.at(&path) else { return Found::Nothing };
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        let Some((route, number)) = hit.value.iter().find(|(route, _)| route.method == *method) else {
            return Found::Methods(allowed(hit.value));
        };
        let mut params = Params::new();
        for (name, value) in hit.params.iter() {
            let known = param_names(route.path).find(|n| *n == name).unwrap_or("");
            params.push((known, if keyless.is_some() { String::new() } else { value.to_owned() }));
        }
        Found::Route(route, *number, params)
    }
}

/// Below these the rest of a path is one parameter, slashes and all.
const SPANNING: &str = "/state/";
const FLOWS: &str = "/flows/";
/// What may stand behind such a parameter.
const BEHIND: &str = "/history";

/// For a path with an empty key of state, which the router takes for no parameter, the path of another one: whoever asks
/// is told what is wrong with the key, instead of that nothing is there.
fn keyless(path: &str) -> Option<&'static str> {
    match path {
        "/state/" => Some("/state/-"),
        "/state//history" => Some("/state/-/history"),
        _ => None,
    }
}

/// A path in which the slashes of a key of `/state/{key}` and `/state/{key}/history` are escaped, as the router takes
/// one segment for a parameter.
fn spanning(path: &str) -> Cow<'_, str> {
    if let Some(rest) = path.strip_prefix(FLOWS).filter(|rest| rest.contains('/')) {
        return format!("{FLOWS}{}", rest.replace('/', "%2F")).into();
    }
    let Some(rest) = path.strip_prefix(SPANNING) else { return path.into() };
    let (key, behind) = match rest.strip_suffix(BEHIND) {
        Some(key) if !key.is_empty() => (key, BEHIND),
        _ => (rest, ""),
    };
    if key.contains('/') { format!("{SPANNING}{}{behind}", key.replace('/', "%2F")).into() } else { path.into() }
}

/// The names in `{}` of a path.
pub(crate) fn param_names(path: &'static str) -> impl Iterator<Item = &'static str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn allowed(methods: &Methods) -> String {
    let mut names: Vec<&str> = methods.iter().map(|(route, _)| route.method.as_str()).collect();
    if names.contains(&"GET") {
        names.push("HEAD");
    }
    names.push("OPTIONS");
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_route_says_all_there_is_to_say_of_it() {
        let mut names = BTreeSet::new();
        let mut places = BTreeSet::new();
        for route in all() {
            let place = format!("{} {}", route.method, route.path);
            assert!(!route.group.is_empty() && !route.summary.is_empty(), "{place} is not described");
            assert!(names.insert(route.name), "{place}: the name {} stands twice", route.name);
            assert!(places.insert(place.clone()), "{place} stands twice");
            assert_eq!(
                route.envelope == Envelope::Bare,
                route.envelope != Envelope::Exempt && !route.path.starts_with("/api/v1/"),
                "{place}: what is under /api/v1/ is enveloped and nothing else is"
            );
            let reads = route.audit == Audit::Reads;
            // An address of a flow begins a run with whatever method the flow asks for.
            let safe = (route.method == Method::GET && route.auth != Auth::Flow)
                || ["verify_log", "test_subscription", "check_flow", "backtest_flow", "rehearse_flow"]
                    .contains(&route.name);
            // The standard makes a browser come back with a GET; what it may change is bound to a state that is good once.
            let by_state = route.name == "oauth_callback";
            assert!(
                reads == safe || by_state || route.name == "backup",
                "{place}: a change leaves a trace, a read none"
            );
            assert_eq!(
                route.rate == Rate::Free,
                ["health", "health_enveloped", "metrics", "openapi", "page", "docs", "advance_clock"]
                    .contains(&route.name),
                "{place}: only what must always answer is not counted"
            );
            let by_signature = route.auth == Auth::Signature;
            assert_eq!(by_signature, route.rate == Rate::Ingress, "{place}: what is signed is counted by its source");
            if route.auth == Auth::Open {
                assert!(reads || by_state, "{place}: nobody changes anything without a proof");
            }
            if let Auth::Bearer(scope) | Auth::OwnOr(scope) = route.auth {
                assert!(nexus_core::access::SCOPES.iter().any(|(s, _)| *s == scope), "{place}: {scope} is no scope");
            }
        }
        assert!(names.len() > 60, "only {} routes", names.len());
    }

    #[test]
    fn a_key_of_state_may_hold_slashes_unless_its_last_segment_is_history() {
        let router = Router::new(false).expect("the table is sound");
        let find = |path: &str| match router.find(&Method::GET, path) {
            Found::Route(route, _, params) => (route.name, params.first().map(|(_, v)| v.clone()).unwrap_or_default()),
            _ => ("", String::new()),
        };
        let state = |key: &str| ("get_state", key.to_owned());
        assert_eq!(find("/state/a"), state("a"));
        assert_eq!(find("/state/a/b//c/"), state("a%2Fb%2F%2Fc%2F"));
        assert_eq!(find("/state/a%2Fhistory"), state("a%2Fhistory"));
        assert_eq!(find("/state/history"), state("history"));
        assert_eq!(find("/state/a/b/history"), ("state_history", "a%2Fb".to_owned()));
        assert_eq!(find("/state").0, "list_state");
        assert_eq!(find("/state/"), state(""));
        assert_eq!(find("/state//history"), ("state_history", String::new()));
        assert_eq!(find("/state/-"), state("-"));
    }

    #[test]
    fn the_router_finds_routes_and_names_the_methods_of_a_path() {
        let router = Router::new(false).expect("the table is sound");
        assert!(matches!(router.find(&Method::POST, "/events"), Found::Route(r, _, _) if r.name == "ingest"));
        assert!(matches!(router.find(&Method::HEAD, "/health"), Found::Route(r, _, _) if r.name == "health"));
        let Found::Route(route, _, params) = router.find(&Method::POST, "/events/user%2Fx") else {
            panic!("not found");
        };
        assert_eq!((route.name, params), ("publish", vec![("topic", "user%2Fx".to_owned())]));
        assert!(matches!(router.find(&Method::GET, "/events"), Found::Methods(m) if m == "POST, OPTIONS"));
        assert!(matches!(router.find(&Method::GET, "/nope"), Found::Nothing));
        assert!(matches!(router.find(&Method::POST, "/__clock"), Found::Nothing));
        let clocked = Router::new(true).expect("the table is sound");
        assert!(matches!(clocked.find(&Method::POST, "/__clock"), Found::Route(..)));
    }
}
