//! Tokens of OAuth connections: asked for once however many calls wait, and on disk before they are used.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError},
    time::Duration,
};

use data_encoding::BASE64URL_NOPAD;
use http::HeaderMap;
use nexus_core::{
    access::Principal,
    problem::{Code, Problem},
    retry::RetrySchedule,
    sign::Secret,
    time::Timestamp,
};
use nexus_outbound::{Kind, Request};
use ring::digest;
use serde_json::Value;
use tokio::sync::oneshot;

use super::{
    Connectors,
    auth::OAuth,
    check::Connector,
    connection::{ACCESS, Connection, REFRESH, State},
    connections::{Account, Granting},
    error::CallError,
    manifest::Grant,
    oauth::{self, Ask, NoToken, REFRESH_BEFORE, Tokens},
    operation::Filling,
};
use crate::supervisor::TaskKind;

/// For one request to a token endpoint.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes of its answer.
const ANSWER_BYTES: usize = 64 << 10;
/// How long a person has to agree.
const AGREE_WITHIN: Duration = Duration::from_secs(600);
/// People who may be agreeing at once.
const AGREEING: usize = 1_000;
/// How long a token endpoint that fails is left alone.
const BACKOFF: RetrySchedule = RetrySchedule::Exponential { base_ms: 2_000, cap_ms: 60_000 };

/// A person is agreeing.
#[derive(Debug)]
pub(super) struct Agreeing {
    connection: String,
    by: String,
    verifier: Option<Secret>,
    redirect_uri: String,
    /// Monotonic.
    until: Duration,
}

/// By the digest of the state, which itself is kept nowhere.
pub(super) type AgreeingNow = std::sync::Mutex<BTreeMap<String, Agreeing>>;

/// Where a person agrees.
#[derive(Clone, Debug)]
pub struct Authorization {
    /// The address to open.
    pub url: String,
    /// Until when it is good; once.
    pub until: Timestamp,
}

fn digest_of(state: &str) -> String {
    BASE64URL_NOPAD.encode(digest::digest(&digest::SHA256, state.as_bytes()).as_ref())
}

impl Connectors {
    /// A token that may be used now; `None` where there is none to be used. `refused` is one that the provider did not
    /// take.
    pub(super) async fn token(
        &self,
        account: &Arc<Account>,
        connector: &Arc<Connector>,
        refused: Option<&Secret>,
    ) -> Result<Option<Secret>, CallError> {
        if connector.proof.oauth().is_none() {
            return Ok(None);
        }
        if let Some(token) = self.good(&account.connection(), refused) {
            return Ok(Some(token));
        }
        // A task of its own: a caller who goes away must not take a rotated token with it.
        let (tell, told) = oneshot::channel();
        let (own, account, connector) = (self.clone(), Arc::clone(account), Arc::clone(connector));
        let refused = refused.cloned();
        self.0.spawn.start(TaskKind::Delivery, async move {
            // Nobody may be listening any more.
            let _ = tell.send(own.fresh(&account, &connector, refused.as_ref()).await);
        });
        match told.await {
            Ok(result) => result.map(Some),
            Err(_) => Err(CallError::Hub(Problem::new(Code::Unavailable, "the hub is stopping"))),
        }
    }

    /// The token there is, unless it ends soon or was refused.
    fn good(&self, connection: &Connection, refused: Option<&Secret>) -> Option<Secret> {
        let info = connection.token.as_ref()?;
        let ends_soon = info.expires_at.is_some_and(|at| at <= self.0.desk.now().plus(REFRESH_BEFORE));
        let token = self.0.connections.token(connection, ACCESS)?;
        (!ends_soon && refused != Some(&token)).then_some(token)
    }

    /// A new token. One at a time per connection; whoever waited finds what the one before got.
    async fn fresh(
        &self,
        account: &Account,
        connector: &Connector,
        refused: Option<&Secret>,
    ) -> Result<Secret, CallError> {
        let mut granting = account.grant.lock().await;
        let connection = account.connection();
        demand_usable(&connection)?;
        if let Some(tokens) = granting.unsaved.take() {
            self.keep(account, &mut granting, tokens, &[], None).await?;
        }
        if let Some(token) = self.good(&account.connection(), refused) {
            return Ok(token);
        }
        let result = if self.0.desk.clock.mono() < granting.not_before {
            Err(NoToken::Later(granting.message.clone()))
        } else {
            self.renew(&connection, connector).await?
        };
        match result {
            Ok(tokens) => {
                let access = tokens.access.clone();
                self.keep(account, &mut granting, tokens, &self.scopes(&connection, connector), None).await?;
                Ok(access)
            }
            Err(NoToken::Gone(words)) => {
                let reason = format!("the provider gives no token any more ({words})");
                self.lost(account, &connection, connector, &reason).await
            }
            Err(NoToken::Later(words)) => {
                self.later(&mut granting, &words);
                // One that still holds for some seconds is better than none.
                let valid =
                    connection.token.as_ref().and_then(|t| t.expires_at).is_some_and(|at| at > self.0.desk.now());
                match self.0.connections.token(&connection, ACCESS).filter(|token| valid && refused != Some(token)) {
                    Some(token) => Ok(token),
                    None => {
                        let until = self.wall(granting.not_before);
                        Err(CallError::Failed {
                            operation: format!("getting a token for {:?}", connection.name),
                            status: None,
                            message: format!("{words}; the hub asks for one again at {until} at the earliest"),
                            attempts: granting.failures,
                            until: Some(until),
                        })
                    }
                }
            }
        }
    }

    /// The provider no longer takes the connection's proof: says so, once, and tells what to do.
    pub(super) async fn lost<T>(
        &self,
        account: &Account,
        connection: &Connection,
        connector: &Connector,
        reason: &str,
    ) -> Result<T, CallError> {
        let (name, manifest) = (&connection.name, &connector.manifest);
        let secrets: Vec<&str> = manifest.secrets.keys().map(String::as_str).collect();
        let settings: Vec<&str> = manifest.settings.keys().map(String::as_str).collect();
        let remedy = match (connector.proof.oauth().map(|oauth| oauth.said.grant), &*secrets, &*settings) {
            (Some(Grant::AuthorizationCode), ..) => format!("nexus connections authorize {name}"),
            (_, [one], _) => format!("nexus connections set-secret {name} {one}"),
            (_, [_, _, ..], _) => format!("nexus connections set-secret {name} NAME, of {}", secrets.join(", ")),
            // It proves itself by nothing, so it is the address that is another, or wrong.
            (_, [], [one, ..]) => format!("nexus connections set {name} --set {one}=…"),
            (_, [], []) => {
                format!("nexus connections disable {name}, then enable {name}, when it lets the hub in again")
            }
        };
        let reason = format!("{reason}; put it right with: {remedy}");
        if let Err(error) = self.0.connections.reconnect_needed(account, &reason).await {
            tracing::warn!(connection = %connection.name, %error, "that it must be connected again was not written down");
        }
        Err(CallError::Reconnect { connection: connection.name.clone(), reason })
    }

    fn later(&self, granting: &mut Granting, words: &str) {
        let now = self.0.desk.clock.mono();
        if now >= granting.not_before {
            granting.failures = granting.failures.saturating_add(1);
            granting.not_before = now + BACKOFF.wait(granting.failures, self.0.desk.jitter());
            words.clone_into(&mut granting.message);
        }
    }

    pub(super) fn wall(&self, mono: Duration) -> Timestamp {
        self.0.desk.now().plus(mono.saturating_sub(self.0.desk.clock.mono()))
    }

    /// Asks for a token with what the connection has.
    async fn renew(
        &self,
        connection: &Connection,
        connector: &Connector,
    ) -> Result<Result<Tokens, NoToken>, CallError> {
        let Some(oauth) = connector.proof.oauth() else {
            return Err(CallError::Request("the connector has no OAuth".into()));
        };
        let refresh = self.0.connections.token(connection, REFRESH);
        let scopes = self.scopes(connection, connector);
        let ask = match (&refresh, oauth.said.grant) {
            (Some(token), Grant::AuthorizationCode) => Ask::Refresh { token },
            (None, Grant::AuthorizationCode) => {
                return Ok(Err(NoToken::Gone("its token ended, and it gave none to refresh it with".into())));
            }
            (_, Grant::ClientCredentials) => Ask::Client { scopes: &scopes },
        };
        self.ask(connection, connector, &ask).await
    }

    /// The scopes that are asked for.
    fn scopes(&self, connection: &Connection, connector: &Connector) -> Vec<String> {
        let said = || connector.proof.oauth().map(|oauth| oauth.said.scopes.clone()).unwrap_or_default();
        connection.asked.clone().unwrap_or_else(said)
    }

    /// One request to the token endpoint.
    async fn ask(
        &self,
        connection: &Connection,
        connector: &Connector,
        ask: &Ask<'_>,
    ) -> Result<Result<Tokens, NoToken>, CallError> {
        let Some(oauth) = connector.proof.oauth() else {
            return Err(CallError::Request("the connector has no OAuth".into()));
        };
        let draft = self.filled(connection, connector, |filling| oauth::request(oauth, filling, ask))?;
        let request = Request {
            headers: draft.headers.clone(),
            timeout: Some(TIMEOUT),
            keep: Some(ANSWER_BYTES),
            ..Request::post(draft.whole_url(), draft.body.clone(), connection.reach)
        };
        match self.0.client.send(request).await {
            Ok(answer) => Ok(oauth::read(oauth, answer.status.as_u16(), &answer.body_head, self.0.desk.now())),
            Err(error) if error.kind == Kind::Refused => Err(CallError::Address(error.message)),
            Err(error) => Ok(Err(NoToken::Later(error.message))),
        }
    }

    /// Runs something that needs the connection's settings and secrets, and no input.
    fn filled<T>(
        &self,
        connection: &Connection,
        connector: &Connector,
        run: impl FnOnce(&Filling<'_>) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        let (settings, secrets) = (connection.full_settings(connector), self.0.connections.secrets(connection));
        let none = &Value::Null;
        run(&Filling {
            input: none,
            settings: &settings,
            secrets: &secrets,
            key: none,
            page: none,
            now: none,
            lineage: &HeaderMap::new(),
        })
    }

    /// Stores tokens. Those that can't be stored are not used, and stored by the next who comes.
    async fn keep(
        &self,
        account: &Account,
        granting: &mut Granting,
        tokens: Tokens,
        asked: &[String],
        by: Option<&str>,
    ) -> Result<(), CallError> {
        match self.0.connections.store_tokens(account, &tokens, asked, by).await {
            Ok(()) => {
                *granting = Granting::default();
                Ok(())
            }
            Err(problem) => {
                granting.unsaved = Some(tokens);
                Err(CallError::Hub(problem))
            }
        }
    }

    /// Refuses a connection of a connector that asks nobody to agree.
    pub fn asks_somebody(&self, name: &str) -> Result<(), Problem> {
        let connector = self.0.connections.connector(&self.0.connections.account(name)?.connection().connector)?;
        code_grant(&connector).map(|_| ())
    }

    /// Begins an agreement: the address is good once and for some minutes.
    pub fn authorize(&self, name: &str, redirect_uri: &str, by: &Principal) -> Result<Authorization, Problem> {
        let desk = &self.0.desk;
        let connection = self.0.connections.account(name)?.connection();
        let connector = self.0.connections.connector(&connection.connector)?;
        let oauth = code_grant(&connector)?;
        let state = BASE64URL_NOPAD.encode(&desk.random::<32>()?);
        let verifier = match oauth.said.pkce {
            true => Some(Secret::new(BASE64URL_NOPAD.encode(&desk.random::<32>()?))),
            false => None,
        };
        let scopes = self.scopes(&connection, &connector);
        let url = self
            .filled(&connection, &connector, |filling| {
                let verifier = verifier.as_ref().map(Secret::expose);
                oauth::address(oauth, filling, redirect_uri, &state, verifier, &scopes)
            })
            .map_err(|error| error.to_problem(desk.now()))?;
        let now = desk.clock.mono();
        let mut agreeing = self.0.agreeing.lock().unwrap_or_else(PoisonError::into_inner);
        agreeing.retain(|_, one| one.until > now);
        if agreeing.len() >= AGREEING {
            let message = format!("{AGREEING} agreements are under way, which is the most; try again in some minutes");
            return Err(Problem::new(Code::Unavailable, message).retry_after(AGREE_WITHIN));
        }
        let one = Agreeing {
            connection: connection.name,
            by: by.name.to_string(),
            verifier,
            redirect_uri: redirect_uri.to_owned(),
            until: now + AGREE_WITHIN,
        };
        agreeing.insert(digest_of(&state), one);
        Ok(Authorization { url, until: desk.now().plus(AGREE_WITHIN) })
    }

    /// The provider sent a person back. Gives the name of the connection that is connected now.
    pub async fn agreed(&self, state: &str, answer: Result<&str, &str>) -> Result<String, Problem> {
        let desk = &self.0.desk;
        let found = self.0.agreeing.lock().unwrap_or_else(PoisonError::into_inner).remove(&digest_of(state));
        let Some(agreeing) = found.filter(|one| one.until > desk.clock.mono()) else {
            let message =
                "this agreement is unknown, was used already, or took longer than ten minutes; begin it again";
            return Err(Problem::field("state", message));
        };
        let code = answer.map_err(|error| {
            let error: String = error.chars().filter(|c| !c.is_control()).take(200).collect();
            Problem::new(Code::Conflict, format!("the provider says that nobody agreed: {error}"))
        })?;
        let account = self.0.connections.account(&agreeing.connection)?;
        let connection = account.connection();
        let connector = self.0.connections.connector(&connection.connector)?;
        let (own, code) = (self.clone(), code.to_owned());
        let (tell, told) = oneshot::channel();
        // A code is good once: a browser that goes away must not lose what it gave.
        self.0.spawn.start(TaskKind::Delivery, async move {
            let _ = tell.send(own.exchange(&account, &connector, &agreeing, &code).await);
        });
        let done = told.await.map_err(|_| Problem::new(Code::Unavailable, "the hub is stopping"))?;
        done.map_err(|error| error.to_problem(desk.now())).map(|()| connection.name)
    }

    async fn exchange(
        &self,
        account: &Account,
        connector: &Connector,
        agreeing: &Agreeing,
        code: &str,
    ) -> Result<(), CallError> {
        let mut granting = account.grant.lock().await;
        let connection = account.connection();
        let verifier = agreeing.verifier.as_ref().map(Secret::expose);
        let ask = Ask::Code { code, redirect_uri: &agreeing.redirect_uri, verifier };
        let tokens = self.ask(&connection, connector, &ask).await?.map_err(|error| {
            let (NoToken::Gone(words) | NoToken::Later(words)) = error;
            CallError::Request(format!("the provider gave no token for this agreement: {words}; begin it again"))
        })?;
        let asked = self.scopes(&connection, connector);
        self.keep(account, &mut granting, tokens, &asked, Some(&agreeing.by)).await
    }
}

fn code_grant(connector: &Connector) -> Result<&OAuth, Problem> {
    connector.proof.oauth().filter(|oauth| oauth.said.grant == Grant::AuthorizationCode).ok_or_else(|| {
        let message = format!("{} asks nobody to agree; set its secrets instead", connector.manifest.name);
        Problem::new(Code::Conflict, message)
    })
}

/// Refuses a connection that can't be used.
pub(super) fn demand_usable(connection: &Connection) -> Result<(), CallError> {
    match connection.state {
        State::Connected => Ok(()),
        State::Disabled => Err(CallError::Disabled(connection.name.clone())),
        State::ReconnectNeeded => Err(CallError::Reconnect {
            connection: connection.name.clone(),
            reason: connection.reason.clone().unwrap_or_else(|| "its proof is no longer taken".into()),
        }),
    }
}
