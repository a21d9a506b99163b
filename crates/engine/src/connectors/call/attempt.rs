//! The attempts of one request. What each answer means is decided elsewhere.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use http::HeaderMap;
use nexus_core::{event::Priority, retry::RetrySchedule, sign::Secret, time::Timestamp};
use nexus_outbound::{Kind, Request};
use serde_json::Value;

use super::pages::same_host;
use crate::{
    connectors::{
        Connectors,
        answer::{Answer, Asked, Judged, judge, limited},
        check::Connector,
        connection::Connection,
        connections::Account,
        error::CallError,
        grant::demand_usable,
        limit::Wanted,
        mail,
        manifest::{Retry, Span, Transport},
        operation::{Call, Filling},
        turn::{Held, NoTurn},
    },
    hide::Hider,
};

/// Bytes of one answer.
const ANSWER_BYTES: usize = 4 << 20;

/// How one attempt ended.
pub(super) enum Attempt {
    Answered(Judged, Box<Answer>),
    /// It can't have arrived.
    Unsent(String),
    /// It may have.
    Lost(String),
    /// Its address may not be called.
    Address(String),
}

/// What comes after an attempt.
pub(super) enum Next {
    /// What the call gives, and the answer that it was made from.
    Give(Value, Box<Answer>),
    /// After a while, because of this.
    Again(Duration, String),
    /// Once more with another token.
    Renew(String),
    Stop(CallError),
}

/// What is called, and by whom.
#[derive(Clone, Copy)]
pub(super) struct What<'a> {
    pub(super) connector: &'a Arc<Connector>,
    pub(super) account: &'a Arc<Account>,
    pub(super) operation: &'a str,
    /// The operation itself, or its batch.
    pub(super) call: &'a Call,
    pub(super) input: &'a Value,
    pub(super) priority: Priority,
    /// Monotonic.
    pub(super) deadline: Duration,
    pub(super) lineage: &'a HeaderMap,
}

impl What<'_> {
    pub(super) fn wanted(&self) -> Wanted {
        Wanted {
            account: self.account.connection().name,
            operation: self.operation.to_owned(),
            priority: self.priority,
            quotas: self.call.quotas.clone(),
        }
    }
}

/// Everything about a call that stays the same from attempt to attempt.
pub(super) struct Under<'a> {
    pub(super) connectors: &'a Connectors,
    pub(super) account: Arc<Account>,
    pub(super) connection: Connection,
    pub(super) connector: Arc<Connector>,
    pub(super) operation: &'a str,
    pub(super) call: &'a Call,
    pub(super) settings: Value,
    secrets: BTreeMap<String, Secret>,
    key: Value,
    pub(super) input: &'a Value,
    now: Value,
    lineage: HeaderMap,
    wanted: Wanted,
    /// Monotonic.
    deadline: Duration,
    /// It is this call's turn already.
    pub(super) has_turn: bool,
    pub(super) hider: Hider,
    pub(super) requests: u32,
    /// What went wrong at the attempt before.
    last: String,
}

/// A request that was let through by the breaker; its probe is given back when nothing comes of it.
struct Admitted<'a>(Option<&'a Account>);

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        if let Some(account) = self.0 {
            account.live().breaker.probe_lost();
        }
    }
}

impl<'a> Under<'a> {
    /// With what the connection is now; refused where it can't be used.
    pub(super) fn new(connectors: &'a Connectors, what: What<'a>, key: Value) -> Result<Self, CallError> {
        let connection = what.account.connection();
        demand_usable(&connection)?;
        let secrets = connectors.0.connections.secrets(&connection);
        let mut hider = Hider::default();
        secrets.iter().for_each(|(name, secret)| hider.add(name, secret));
        Ok(Self {
            connectors,
            account: Arc::clone(what.account),
            settings: connection.full_settings(what.connector),
            connection,
            connector: Arc::clone(what.connector),
            operation: what.operation,
            call: what.call,
            secrets,
            key,
            input: what.input,
            now: connectors.0.desk.now().secs().into(),
            lineage: what.lineage.clone(),
            wanted: what.wanted(),
            deadline: what.deadline,
            has_turn: false,
            hider,
            requests: 0,
            last: String::new(),
        })
    }

    /// One request, tried as often as may be; gives the output and the answer.
    pub(super) async fn attempts(
        &mut self,
        page: &Value,
        follow: Option<&str>,
    ) -> Result<(Value, Box<Answer>), CallError> {
        let retry = self.connector.manifest.retry.clone();
        let (mut attempt, mut refused) = (0, None);
        loop {
            attempt += 1;
            let token = self.ready(refused.as_ref()).await?;
            let outcome = self.attempt(page, follow, token.as_ref(), attempt).await?;
            match self.decide(outcome, attempt, &retry, refused.is_some()) {
                Next::Give(output, answer) => return Ok((output, answer)),
                Next::Stop(CallError::Reconnect { reason, .. }) => {
                    let account = Arc::clone(&self.account);
                    return self.connectors.lost(&account, &self.connection, &self.connector, &reason).await;
                }
                Next::Stop(error) => return Err(error),
                Next::Renew(reason) => match token {
                    Some(token) => refused = Some(token),
                    None => {
                        let account = Arc::clone(&self.account);
                        return self.connectors.lost(&account, &self.connection, &self.connector, &reason).await;
                    }
                },
                Next::Again(wait, why) => {
                    let desk = &self.connectors.0.desk;
                    let what = format!("attempt {} after: {why}", attempt + 1);
                    let _told = self.connectors.0.waits.begin(self.raw_key(), what, desk.now().plus(wait));
                    self.last = why;
                    desk.clock.sleep(wait).await;
                }
            }
        }
    }

    /// Waits for its turn and for a token.
    async fn ready(&mut self, refused: Option<&Secret>) -> Result<Option<Secret>, CallError> {
        let connectors = self.connectors;
        let clock = &connectors.0.desk.clock;
        {
            let live = self.account.live();
            let now = clock.mono();
            if !live.breaker.would_admit(now) {
                let until = live.breaker.open_until().unwrap_or(now).max(now + Duration::from_secs(1));
                drop(live);
                return Err(self.open(connectors.wall(until)));
            }
        }
        if !std::mem::take(&mut self.has_turn) {
            let held = connectors.0.turns.too_late(&self.connector, &self.wanted, clock.mono());
            let _told = held.map(|held| {
                let what = held_by(held, &self.connector, &self.connection.name, self.operation);
                connectors.0.waits.begin(self.raw_key(), what, held.until)
            });
            let turn = connectors.0.turns.wait(&self.connector, self.wanted.clone(), self.deadline).await;
            turn.map_err(|error| no_turn(error, &self.connector, &self.connection.name, self.operation))?;
        }
        let token = connectors.token(&self.account, &self.connector, refused).await?;
        if let Some(token) = &token {
            self.hider.add("token", token);
        }
        Ok(token)
    }

    fn raw_key(&self) -> &str {
        self.key.get("raw").and_then(Value::as_str).unwrap_or_default()
    }

    /// The breaker is open.
    fn open(&self, until: Timestamp) -> CallError {
        // What this call met itself is newer than what the one before it did.
        let last = if self.last.is_empty() { self.account.last_error().unwrap_or_default() } else { self.last.clone() };
        CallError::Open { connection: self.connection.name.clone(), last, until }
    }

    fn filling<'f>(&'f self, page: &'f Value) -> Filling<'f> {
        Filling {
            input: self.input,
            settings: &self.settings,
            secrets: &self.secrets,
            key: &self.key,
            page,
            now: &self.now,
            lineage: &self.lineage,
        }
    }

    /// One request.
    async fn attempt(
        &mut self,
        page: &Value,
        follow: Option<&str>,
        token: Option<&Secret>,
        attempt: u16,
    ) -> Result<Attempt, CallError> {
        let connectors = self.connectors;
        let desk = &connectors.0.desk;
        let mut draft = self.call.draft(&self.connector, &self.filling(page))?;
        if let Some(url) = follow {
            draft.url = same_host(&draft.url, url)?;
            draft.query.clear();
        }
        let proof = self.connector.proof.apply(&mut draft, &self.filling(page), token, desk.now())?;
        if let Some(secret) = &proof {
            self.hider.add("proof", secret);
        }
        if !self.account.live().breaker.admit(desk.clock.mono()) {
            let until = desk.now().plus(Duration::from_secs(1));
            return Err(self.open(until));
        }
        let account = Arc::clone(&self.account);
        let mut admitted = Admitted(Some(&account));
        self.requests += 1;
        let request = Request {
            method: draft.method.clone(),
            url: draft.whole_url(),
            headers: draft.headers,
            body: draft.body,
            reach: self.connection.reach,
            timeout: Some(self.call.timeout),
            keep: Some(ANSWER_BYTES),
        };
        let sent = match self.connector.manifest.transport {
            Transport::Http => connectors.0.client.send(request).await,
            Transport::Smtp => mail::send(&connectors.0.client, request, desk.now()).await,
        };
        let healthy = match &sent {
            Ok(answer) => Some(!answer.status.is_server_error()),
            Err(error) if error.kind.is_permanent() => None,
            Err(_) => Some(false),
        };
        if let Some(healthy) = healthy {
            admitted.0 = None;
            let now = desk.clock.mono();
            let mut live = account.live();
            if healthy {
                live.breaker.success();
            } else {
                live.breaker.failure(now);
            }
        }
        drop(admitted);
        match sent {
            Ok(response) => {
                let answer = Answer::read(response.status.as_u16(), &response.headers, &response.body_head);
                Ok(self.judged(answer, response.truncated, attempt).await)
            }
            Err(error) => Ok(match error.kind {
                Kind::Refused => Attempt::Address(self.hider.text(&error.message)),
                Kind::BadUrl => return Err(CallError::Request(self.hider.text(&error.message))),
                Kind::Dns | Kind::Connect | Kind::Tls => Attempt::Unsent(self.hider.text(&error.message)),
                Kind::Timeout | Kind::Closed | Kind::TooSlow | Kind::Protocol => {
                    Attempt::Lost(self.hider.text(&error.message))
                }
            }),
        }
    }

    async fn judged(&self, answer: Answer, truncated: bool, attempt: u16) -> Attempt {
        let now = self.connectors.0.desk.now();
        let asked = Asked { input: self.input, settings: &self.settings, attempt, now };
        let retry = &self.connector.manifest.retry;
        let judged = if truncated && answer.status < 300 {
            Judged::Unreadable(format!("it is larger than {ANSWER_BYTES} bytes"))
        } else {
            judge(self.call, retry, &answer, asked)
        };
        let said = self.connector.manifest.limits.headers.as_ref();
        if let Some((of, until)) = limited(said, &answer, &judged, now) {
            self.connectors.0.turns.block(&self.connector, of, &self.wanted, until).await;
        }
        Attempt::Answered(judged, Box::new(answer))
    }

    /// What comes after an attempt: a pure function of it.
    pub(super) fn decide(&self, attempt: Attempt, attempts: u16, retry: &Retry, renewed: bool) -> Next {
        let operation = self.operation.to_owned();
        let hidden = |text: &str| self.hider.text(text);
        let (message, status, untaken, after, limited) = match attempt {
            Attempt::Answered(judged, answer) => match judged {
                Judged::Done(output) => return Next::Give(output, answer),
                Judged::Unreadable(message) => {
                    return Next::Stop(CallError::Answer { operation, message: hidden(&message) });
                }
                Judged::Reconnect(message) => {
                    let (title, said) = (&self.connector.manifest.title, hidden(&message));
                    let reason = format!("{title} answered {} ({said})", answer.status);
                    // A token may have been revoked early: once a new one is asked for.
                    return if self.connector.proof.oauth().is_some() && !renewed {
                        Next::Renew(reason)
                    } else {
                        Next::Stop(CallError::Reconnect { connection: self.connection.name.clone(), reason })
                    };
                }
                Judged::Scope(scope) => {
                    let connection = self.connection.name.clone();
                    return Next::Stop(CallError::Scope { connection, operation, scope: hidden(&scope) });
                }
                Judged::Final(message) => {
                    let (status, message) = (answer.status, hidden(&message));
                    return Next::Stop(CallError::Refused { operation, status, message });
                }
                Judged::Again { message, untaken, limited, after } => {
                    (hidden(&message), Some(answer.status), untaken, after, limited)
                }
            },
            Attempt::Unsent(message) => (message, None, true, None, false),
            Attempt::Lost(message) => (message, None, false, None, false),
            Attempt::Address(message) => return Next::Stop(CallError::Address(message)),
        };
        if !untaken && !self.call.repeat.is_harmless() {
            return Next::Stop(CallError::Unsure { operation, status, message });
        }
        self.later(Later { message, status, after, limited }, attempts, retry)
    }

    /// Tries again, unless that was often enough or would take too long.
    fn later(&self, later: Later, attempts: u16, retry: &Retry) -> Next {
        let desk = &self.connectors.0.desk;
        let Later { message, status, after, limited } = later;
        let millis = |span: Span| u64::try_from(span.0.as_millis()).unwrap_or(u64::MAX);
        let backoff = RetrySchedule::Exponential { base_ms: millis(retry.base), cap_ms: millis(retry.cap) };
        let own = backoff.wait(attempts, desk.jitter());
        let said = after.map(|after| after.since(desk.now()));
        let wait = said.map_or(own, |said| said.max(own.min(Duration::from_secs(1))));
        let too_long = desk.clock.mono() + wait > self.deadline;
        if attempts < retry.attempts && !too_long {
            return Next::Again(wait, message);
        }
        let operation = self.operation.to_owned();
        if limited && let Some(until) = after {
            let what = format!("{} asks for fewer requests: {message}", self.connector.manifest.title);
            return Next::Stop(CallError::RateLimited { what, sent: true, until });
        }
        let until = Some(desk.now().plus(wait));
        Next::Stop(CallError::Failed { operation, status, message, attempts, until })
    }
}

/// A failure after which it may be tried again.
struct Later {
    message: String,
    status: Option<u16>,
    after: Option<Timestamp>,
    limited: bool,
}

/// Why it never became a call's turn, as its caller is told.
pub(super) fn no_turn(error: NoTurn, connector: &Connector, connection: &str, operation: &str) -> CallError {
    match error {
        NoTurn::Full(most) => CallError::Busy(most),
        NoTurn::Held(held) => {
            let what = held_by(held, connector, connection, operation);
            CallError::RateLimited { what, sent: false, until: held.until }
        }
    }
}

/// What holds a call back.
fn held_by(held: Held, connector: &Connector, connection: &str, operation: &str) -> String {
    let title = &connector.manifest.title;
    if held.asked {
        format!("{title} asked for a pause, so nothing is sent by {connection:?}")
    } else {
        format!("a limit that the manifest of {title} sets is reached for {operation} by {connection:?}")
    }
}
