//! Calls made: an HTTP request through the guarded client, or a function of the hub.

use std::{sync::Arc, time::Duration};

use data_encoding::BASE64;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use nexus_outbound::{Kind, Reach, Request, SendError};
use serde_json::Value;

use super::{
    Flows, commit::correlation, follow::failed, function::FunctionCall, record::Lineage, runner::Loaded,
    shelf::Published,
};
use crate::{
    effect::{Answer, Call, CallTarget, HttpResponse, Outgoing},
    error::Standard,
    plan::AuthScheme,
};

/// For one request; a task's own timeout may be shorter.
const LONGEST_REQUEST: Duration = Duration::from_secs(120);
/// Bytes of an answer that a run may take.
const ANSWER_BYTES: usize = 200 << 10;

/// What a call has to know of its run.
pub(super) struct About {
    pub(super) published: Arc<Published>,
    pub(super) run: String,
    pub(super) flow: String,
    nonce: String,
    pub(super) lineage: Lineage,
}

impl About {
    pub(super) fn of(held: &Loaded, _call: &Call) -> Self {
        let run = &held.run;
        Self {
            published: Arc::clone(&held.published),
            run: run.state.id.clone(),
            flow: run.flow(),
            nonce: run.state.nonce().to_owned(),
            lineage: Lineage { correlation: Some(correlation(run)), ..run.lineage.clone() },
        }
    }

    pub(super) fn reach(&self) -> Reach {
        if self.published.private { Reach::Private } else { Reach::Public }
    }
}

impl Flows {
    /// Makes a call. `None`: somebody else will answer it.
    pub(super) async fn perform(&self, call: Call, about: About) -> Option<Answer> {
        let _places = self.inner.slots.enter(&about.flow, about.published.definition.settings.calls).await;
        let secrets = self.secrets(&about.published.definition.secrets);
        match call.target {
            CallTarget::Http(request) => {
                let outgoing = request.outgoing(&secrets, &about.nonce);
                Some(self.request(outgoing, &call.key, &about).await)
            }
            CallTarget::Function { name, version, mut with } => {
                secrets.reveal_value(&about.nonce, &mut with);
                let asked = FunctionCall {
                    name,
                    version,
                    with,
                    key: call.key,
                    task: call.task,
                    wait: call.id,
                    run: about.run,
                    flow: about.flow,
                    private: about.published.private,
                    principal: about.published.principal.clone(),
                    lineage: about.lineage,
                };
                match self.inner.functions.call(self, asked).await {
                    Ok(super::function::Reply::Done(value)) => Some(Answer::Value { value }),
                    Ok(super::function::Reply::Later) => None,
                    Err(error) => Some(Answer::Failed { error }),
                }
            }
        }
    }

    async fn request(&self, outgoing: Outgoing, key: &str, about: &About) -> Answer {
        let mut headers = HeaderMap::new();
        for (name, value) in &outgoing.headers {
            match (HeaderName::try_from(name.as_str()), HeaderValue::try_from(value.as_str())) {
                (Ok(name), Ok(value)) => drop(headers.insert(name, value)),
                (Err(_), _) => return failed(Standard::Configuration, format!("{name:?} is no name of a header")),
                // The value may hold a secret.
                (_, Err(_)) => {
                    return failed(
                        Standard::Configuration,
                        format!("the value of the header {name:?} has characters that none may have"),
                    );
                }
            }
        }
        let mut ours = |name: &'static str, value: &str| {
            if let (false, Ok(value)) = (headers.contains_key(name), HeaderValue::try_from(value)) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        if outgoing.body.is_some() {
            ours("content-type", "application/json");
        }
        ours("accept", "application/json, */*;q=0.8");
        ours("idempotency-key", key);
        ours("x-nexus-depth", &about.lineage.depth.to_string());
        ours("x-correlation-id", about.lineage.correlation.as_deref().unwrap_or_default());
        if let Some(causation) = about.lineage.causation {
            ours("x-causation-id", &causation.to_string());
        }
        if let Some(traceparent) = &about.lineage.traceparent {
            ours("traceparent", traceparent);
        }
        if let Some(authentication) = &outgoing.authentication {
            match self.authorization(authentication.scheme, &authentication.parameters, about).await {
                Ok(value) => match HeaderValue::try_from(value) {
                    Ok(mut value) => {
                        value.set_sensitive(true);
                        headers.insert(http::header::AUTHORIZATION, value);
                    }
                    Err(_) => {
                        return failed(
                            Standard::Authentication,
                            "the credentials have characters that no header may have",
                        );
                    }
                },
                Err(answer) => return answer,
            }
        }
        let Ok(method) = Method::from_bytes(outgoing.method.as_bytes()) else {
            return failed(Standard::Configuration, format!("{:?} is no HTTP method", outgoing.method));
        };
        let request = Request {
            method,
            url: outgoing.uri,
            headers,
            body: outgoing.body.unwrap_or_default().into(),
            reach: about.reach(),
            timeout: Some(LONGEST_REQUEST),
            keep: Some(ANSWER_BYTES),
        };
        match self.inner.hub.client().send(request).await {
            Ok(response) if response.truncated => failed(
                Standard::Communication,
                format!("the answer has more than {ANSWER_BYTES} bytes, which is what a run may take"),
            ),
            Ok(response) => Answer::Http(HttpResponse {
                status: response.status.as_u16(),
                headers: response
                    .headers
                    .iter()
                    .map(|(name, value)| {
                        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
                    })
                    .collect(),
                body: response.body_head.to_vec(),
            }),
            Err(error) => unsent(&error),
        }
    }

    /// The value of `Authorization`.
    async fn authorization(&self, scheme: AuthScheme, parameters: &Value, about: &About) -> Result<String, Answer> {
        let text = |name: &str| parameters.get(name).and_then(Value::as_str);
        match scheme {
            AuthScheme::Basic => {
                let pair = format!("{}:{}", text("username").unwrap_or_default(), text("password").unwrap_or_default());
                Ok(format!("Basic {}", BASE64.encode(pair.as_bytes())))
            }
            AuthScheme::Bearer => {
                // A secret that is a plain text is the token itself.
                let token = text("token").or_else(|| parameters.as_str());
                let missing = || failed(Standard::Authentication, "the bearer authentication has no token");
                Ok(format!("Bearer {}", token.ok_or_else(missing)?))
            }
            AuthScheme::OAuth2 => {
                let found = self.inner.grants.token(self, parameters, about.reach()).await;
                found.map(|token| format!("Bearer {token}")).map_err(|error| Answer::Failed { error })
            }
        }
    }
}

/// Why no answer came, as a flow sees it.
fn unsent(error: &SendError) -> Answer {
    match error.kind {
        Kind::Refused => failed(Standard::Authorization, format!("{error}")),
        Kind::BadUrl => failed(Standard::Configuration, error.to_string()),
        Kind::Timeout | Kind::TooSlow => failed(Standard::Timeout, error.to_string()),
        Kind::Dns | Kind::Connect | Kind::Tls | Kind::Closed | Kind::Protocol => {
            failed(Standard::Communication, error.to_string())
        }
    }
}
