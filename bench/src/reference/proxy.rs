//! Calls: a service that gives back what it got, and a bare reverse proxy in front of one.

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path, State},
    http::{Request, Response, StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::{get, post},
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

type Pool = Client<HttpConnector, Body>;

/// `/invoke` and `/health` are the service; `/proxy/{port}` passes a request on to the `/invoke` of another one.
pub(crate) fn router() -> Router {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let pool: Pool = Client::builder(TokioExecutor::new()).build(connector);
    Router::new()
        .route("/invoke", post(echo))
        .route("/health", get(async || StatusCode::OK))
        .route("/proxy/{port}", post(forward))
        .with_state(pool)
}

async fn echo(body: Bytes) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], body)
}

/// As little as a reverse proxy can do: the body and the answer are passed on as they come.
async fn forward(
    State(pool): State<Pool>,
    Path(port): Path<u16>,
    request: Request<Body>,
) -> Result<Response<Body>, StatusCode> {
    let passed = Request::post(format!("http://127.0.0.1:{port}/invoke"))
        .header(CONTENT_TYPE, "application/json")
        .body(request.into_body())
        .map_err(|_| StatusCode::BAD_REQUEST)?;
    let answer = pool.request(passed).await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    Ok(answer.map(Body::new))
}
