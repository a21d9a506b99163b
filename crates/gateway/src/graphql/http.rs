//! The doors of GraphQL: POST for questions and changes, GET for questions, the page and the socket.

use async_graphql::{Response, parser::types::OperationType};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use nexus_core::{
    json,
    limits::JSON_DEPTH,
    problem::{Code, Problem},
};

use super::{
    run::{Asked, Ready, answer, refuse},
    socket,
};
use crate::{
    answer::{Answer, Body, render},
    call::Call,
    error::malformed,
    pages::POLICY,
};

const PAGE: &str = include_str!("page.html");

/// `POST /graphql`.
pub(crate) async fn post(mut call: Call) -> Result<Answer, Problem> {
    let asked: Asked = call.json().await?;
    let who = call.who.clone().ok_or_else(needed)?;
    let response = match asked.prepare() {
        Ok(Ready { kind: OperationType::Subscription, .. }) => refuse(only_by_socket()),
        Ok(ready) => answer(&call.gate, who, ready).await,
        Err(unfit) => {
            call.gate.metrics.refused(unfit.problem.code);
            refuse(unfit)
        }
    };
    written(&response)
}

/// `GET /graphql`: the socket where one is asked for, the answer to `?query=`, else the page.
pub(crate) async fn get(call: Call) -> Result<Answer, Problem> {
    if call.header("upgrade").is_some_and(|kind| kind.eq_ignore_ascii_case("websocket")) {
        return socket::open(call).await;
    }
    if call.parts.uri.query().is_some_and(|query| query.split('&').any(|pair| pair.starts_with("query="))) {
        return question(call).await;
    }
    let answer = Answer::raw("text/html; charset=utf-8", Body::full(Bytes::from_static(PAGE.as_bytes())));
    let answer = answer.header(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    let answer = answer.header(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    Ok(answer.header(header::CACHE_CONTROL, HeaderValue::from_static("no-cache")))
}

async fn question(call: Call) -> Result<Answer, Problem> {
    // The page is open, so a proof that does not hold was passed over; here one is needed.
    let who = call.who.clone().ok_or_else(needed)?;
    let query = call.query()?;
    let variables = match query.text("variables") {
        Some(text) => {
            json::check(text.as_bytes(), JSON_DEPTH)?;
            serde_json::from_str(text).map_err(|_| malformed("variables must be a JSON object"))?
        }
        None => None,
    };
    let asked = Asked {
        query: query.text("query").unwrap_or_default().to_owned(),
        operation_name: query.text("operationName").map(str::to_owned),
        variables,
    };
    let response = match asked.prepare() {
        Ok(Ready { kind: OperationType::Subscription, .. }) => refuse(only_by_socket()),
        // A link must not change anything.
        Ok(Ready { kind: OperationType::Mutation, .. }) => return Err(malformed("a mutation is sent by POST")),
        Ok(ready) => answer(&call.gate, who, ready).await,
        Err(unfit) => {
            call.gate.metrics.refused(unfit.problem.code);
            refuse(unfit)
        }
    };
    written(&response)
}

fn written(response: &Response) -> Result<Answer, Problem> {
    Ok(Answer::json(render(response)?).header(header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
}

fn needed() -> Problem {
    Problem::new(Code::Unauthenticated, "a bearer token is needed: Authorization: Bearer nxs_…")
}

fn only_by_socket() -> Problem {
    Problem::new(Code::Invalid, "a subscription needs a WebSocket with the protocol graphql-transport-ws")
}

#[cfg(test)]
mod tests {
    use super::PAGE;

    #[test]
    fn the_page_loads_nothing_from_elsewhere() {
        for tag in ["src=", "href=\"http", "@import", "url(http", "<link", "//cdn", "http://", "https://"] {
            assert!(!PAGE.contains(tag), "{tag}");
        }
    }
}
