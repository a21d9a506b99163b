//! A vendor's stand-in: a real server that refuses what the specification refuses, in the vendor's words, and that
//! misbehaves when it is told to.

#![expect(clippy::disallowed_methods, reason = "a test's own servers are not the hub's tasks")]

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
};

use data_encoding::BASE64URL_NOPAD;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{
    spec::{Asked, Operation, Refusal, Spec},
    text,
};

/// An answer: status, further headers, body.
pub(crate) type Answer = (u16, Vec<(String, String)>, Value);

/// What a vendor is like beyond its specification.
#[derive(Clone, Copy)]
pub(crate) struct Manners {
    /// The vendor's own words for a refusal.
    pub(crate) refusal: fn(&Refusal) -> Answer,
    /// What it answers to the nth request that it takes.
    pub(crate) answer: fn(&Spec, &Operation, &Asked, usize) -> Answer,
    /// What it makes of a repeat.
    pub(crate) repeats: Repeats,
}

/// What a vendor makes of a request that it took before.
#[derive(Clone, Copy)]
pub(crate) enum Repeats {
    /// It does it again.
    Does,
    /// It gives the same answer to the same value of this header, and refuses another body under it.
    Header(&'static str),
    /// It gives the same answer to what this names alike.
    Known(fn(&Operation) -> Option<String>),
    /// It refuses what this names alike, so.
    Refuses(fn(&Operation) -> Option<String>, fn() -> Answer),
}

/// How it misbehaves, once.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// It answers so and does nothing.
    Answers(u16, Vec<(&'static str, String)>, Value),
    /// It takes the request, does nothing and is silent.
    Hangs,
    /// It does what is asked and is silent.
    DoesAndHangs,
    /// It does what is asked and answers 500.
    DoesAndBreaks,
}

/// A request and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) asked: Asked,
    /// The operation, where the specification took it.
    pub(crate) operation: Option<Operation>,
    pub(crate) refusal: Option<Refusal>,
    /// 0: none.
    pub(crate) status: u16,
    /// It did something for the first time.
    pub(crate) done: bool,
}

/// Who may call.
#[derive(Clone, Debug, Default)]
struct Proofs {
    /// `Authorization` values that are taken, and whose they are.
    accepted: Vec<(String, String)>,
    /// Codes that a person's consent gave: the code, its challenge, where it goes, whose it is.
    codes: Vec<(String, Option<String>, String, String)>,
    /// Refresh tokens that are good, and whose they are.
    refresh: Vec<(String, String)>,
    given: usize,
    /// Refusing refreshes for good.
    revoked: bool,
}

struct Inner {
    spec: Spec,
    manners: Manners,
    /// The path where tokens are given.
    token_path: Option<&'static str>,
    proofs: Mutex<Option<Proofs>>,
    faults: Mutex<VecDeque<Fault>>,
    seen: Mutex<Vec<Seen>>,
    tokens: Mutex<Vec<Asked>>,
    known: Mutex<Vec<(String, String, Answer)>>,
}

/// The stand-in; its tasks end with the test's runtime.
#[derive(Clone)]
pub(crate) struct StandIn {
    /// `http://127.0.0.1:port`.
    pub(crate) origin: String,
    inner: Arc<Inner>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("unpoisoned")
}

impl StandIn {
    /// Opens one that obeys `spec`.
    pub(crate) async fn open(spec: Spec, manners: Manners, token_path: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let origin = format!("http://{}", listener.local_addr().expect("bound"));
        let inner = Inner {
            spec,
            manners,
            token_path,
            proofs: Mutex::default(),
            faults: Mutex::default(),
            seen: Mutex::default(),
            tokens: Mutex::default(),
            known: Mutex::default(),
        };
        let stand_in = Self { origin, inner: Arc::new(inner) };
        let serving = stand_in.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        stand_in
    }

    /// One that takes everything and only remembers it; tokens are given at every path that ends with `token` or `Token`.
    pub(crate) async fn recorder() -> Self {
        let manners = Manners {
            refusal: |_| (400, Vec::new(), Value::Null),
            answer: |_, _, _, _| (200, Vec::new(), json!({})),
            repeats: Repeats::Does,
        };
        Self::open(Spec::anything(), manners, None).await
    }

    /// Takes this `Authorization` and no other that it was not told of; `whose` it is, [`Seen`] tells.
    pub(crate) fn accept(&self, authorization: &str, whose: &str) {
        let mut proofs = lock(&self.inner.proofs);
        proofs.get_or_insert_default().accepted.push((authorization.to_owned(), whose.to_owned()));
    }

    /// A person opens the page and agrees; gives the state and the code that the browser brings back.
    pub(crate) fn consent(&self, page: &str, whose: &str) -> (String, String) {
        let asked = text::pairs(page.split_once('?').expect("a query").1);
        let field = |name: &str| asked.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone());
        assert_eq!(field("response_type").as_deref(), Some("code"));
        let challenge = field("code_challenge");
        assert_eq!(challenge.is_some(), field("code_challenge_method").as_deref() == Some("S256"));
        let mut proofs = lock(&self.inner.proofs);
        let proofs = proofs.get_or_insert_default();
        let code = format!("code-{whose}-{}", proofs.codes.len());
        proofs.codes.push((code.clone(), challenge, field("redirect_uri").expect("where to go"), whose.to_owned()));
        (field("state").expect("a state"), code)
    }

    /// Ends every access token that it gave or was told of.
    pub(crate) fn expire_tokens(&self) {
        lock(&self.inner.proofs).get_or_insert_default().accepted.clear();
    }

    /// From now on every refresh is `invalid_grant`.
    pub(crate) fn revoke(&self) {
        lock(&self.inner.proofs).get_or_insert_default().revoked = true;
    }

    /// Misbehaves so at the next requests, one each.
    pub(crate) fn misbehave(&self, faults: impl IntoIterator<Item = Fault>) {
        lock(&self.inner.faults).extend(faults);
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        lock(&self.inner.seen).clone()
    }

    /// Requests to the token endpoint.
    pub(crate) fn token_requests(&self) -> Vec<Asked> {
        lock(&self.inner.tokens).clone()
    }

    /// How often something was done for the first time.
    pub(crate) fn done(&self) -> usize {
        lock(&self.inner.seen).iter().filter(|seen| seen.done).count()
    }

    /// Whose proof a request carried.
    pub(crate) fn whose(&self, asked: &Asked) -> Option<String> {
        let proofs = lock(&self.inner.proofs);
        let given = asked.header("authorization")?;
        proofs.as_ref()?.accepted.iter().find(|(known, _)| known == given).map(|(_, whose)| whose.clone())
    }

    async fn serve(self, mut stream: TcpStream) {
        let mut buffer = Vec::new();
        while let Some(asked) = request(&mut stream, &mut buffer).await {
            let Some((status, headers, body)) = self.react(asked) else { return std::future::pending().await };
            let body = if body.is_null() {
                String::new()
            } else {
                body.as_str().map_or_else(|| body.to_string(), ToOwned::to_owned)
            };
            let mut head =
                format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n", body.len());
            for (name, value) in headers {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            if stream.write_all(format!("{head}\r\n{body}").as_bytes()).await.is_err() {
                return;
            }
        }
    }

    /// The answer, or none at all.
    fn react(&self, asked: Asked) -> Option<Answer> {
        let path = asked.path();
        let at_tokens =
            self.inner.token_path.map_or(path.ends_with("token") || path.ends_with("Token"), |at| at == path);
        if at_tokens && asked.body.contains("grant_type=") {
            lock(&self.inner.tokens).push(asked.clone());
            return Some(self.token(&asked));
        }
        let fault = lock(&self.inner.faults).pop_front();
        let checked = self.inner.spec.check(&asked).and_then(|operation| {
            let refused = lock(&self.inner.proofs).is_some() && self.whose(&asked).is_none();
            if refused { Err(Refusal::Proof("this proof is not taken".into())) } else { Ok(operation) }
        });
        let mut seen = Seen { asked: asked.clone(), operation: None, refusal: None, status: 0, done: false };
        let answer = match (checked, fault) {
            (Err(refusal), _) => {
                let answer = (self.inner.manners.refusal)(&refusal);
                seen.refusal = Some(refusal);
                Some(answer)
            }
            (Ok(operation), fault) => {
                seen.operation = Some(operation.clone());
                match fault {
                    Some(Fault::Answers(status, headers, body)) => Some((
                        status,
                        headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
                        body,
                    )),
                    Some(Fault::Hangs) => None,
                    fault => {
                        let (answer, done) = self.perform(&operation, &asked);
                        seen.done = done;
                        match fault {
                            Some(Fault::DoesAndHangs) => None,
                            Some(_) => Some((500, Vec::new(), json!({}))),
                            None => Some(answer),
                        }
                    }
                }
            }
        };
        seen.status = answer.as_ref().map_or(0, |(status, ..)| *status);
        lock(&self.inner.seen).push(seen);
        answer
    }

    /// Does what is asked, unless it was done before; its answers are as the specification has them.
    fn perform(&self, operation: &Operation, asked: &Asked) -> (Answer, bool) {
        let mut known = lock(&self.inner.known);
        let name = match self.inner.manners.repeats {
            Repeats::Does => None,
            Repeats::Header(header) => asked.header(header).map(ToOwned::to_owned),
            Repeats::Known(name) | Repeats::Refuses(name, _) => name(operation),
        };
        let name = name.map(|name| format!("{} {name}", operation.id));
        if let Some((_, body, answer)) = known.iter().find(|(key, ..)| Some(key) == name.as_ref()) {
            let again = match self.inner.manners.repeats {
                Repeats::Refuses(_, refusal) => refusal(),
                Repeats::Header(_) if *body != asked.body => (
                    400,
                    Vec::new(),
                    json!({"error": {"type": "idempotency_error", "message": "another body under a used key"}}),
                ),
                _ => answer.clone(),
            };
            return (again, false);
        }
        let answer = (self.inner.manners.answer)(&self.inner.spec, operation, asked, known.len() + 1);
        if let Err(why) = self.inner.spec.check_answer(operation, answer.0, &answer.2) {
            panic!("the stand-in's own answer to {} is wrong: {why}", operation.id);
        }
        let name = name.unwrap_or_else(|| format!("#{}", known.len()));
        known.push((name, asked.body.clone(), answer.clone()));
        (answer, true)
    }

    /// OAuth's token endpoint: a refresh token is good once and is replaced.
    fn token(&self, asked: &Asked) -> Answer {
        let fields = text::pairs(&asked.body);
        let field = |name: &str| fields.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value);
        let refused =
            |error: &str| (400, Vec::new(), json!({"error": error, "error_description": "as the vendor says it"}));
        let mut proofs = lock(&self.inner.proofs);
        let proofs = proofs.get_or_insert_default();
        let whose = match field("grant_type") {
            "refresh_token" => {
                let good = proofs.refresh.iter().position(|(token, _)| token == field("refresh_token"));
                good.filter(|_| !proofs.revoked).map(|at| proofs.refresh.remove(at).1)
            }
            "authorization_code" => {
                let proved = BASE64URL_NOPAD.encode(digest(&SHA256, field("code_verifier").as_bytes()).as_ref());
                let good = proofs.codes.iter().position(|(code, challenge, redirect, _)| {
                    code == field("code")
                        && redirect == field("redirect_uri")
                        && challenge.as_ref().is_none_or(|c| *c == proved)
                });
                good.map(|at| proofs.codes.remove(at).3)
            }
            _ => return refused("unsupported_grant_type"),
        };
        let Some(whose) = whose else { return refused("invalid_grant") };
        proofs.given += 1;
        let (access, refresh) =
            (format!("access-{whose}-{}", proofs.given), format!("refresh-{whose}-{}", proofs.given));
        proofs.accepted.push((format!("Bearer {access}"), whose.clone()));
        proofs.refresh.push((refresh.clone(), whose));
        (
            200,
            Vec::new(),
            json!({"token_type": "bearer", "expires_in": 7200, "access_token": access, "refresh_token": refresh}),
        )
    }
}

/// Reads one request; `None` when the connection ends.
async fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Asked> {
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(buffer[..end].to_vec()).expect("a head in ASCII");
    let mut lines = head.lines();
    let mut first = lines.next().expect("a request line").split(' ');
    let (method, target) = (first.next().expect("a method").to_owned(), first.next().expect("a target").to_owned());
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length =
        headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, v)| v.parse().expect("a length"));
    while buffer.len() < end + 4 + length {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    let body = String::from_utf8(buffer[end + 4..end + 4 + length].to_vec()).expect("a body in UTF-8");
    buffer.drain(..end + 4 + length);
    Some(Asked { method, target, headers, body })
}
