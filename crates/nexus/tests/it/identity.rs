//! Identity as an operator and a client meet it: commands over a restart, secrets that stay secret, limits that are kept,
//! TLS that is renewed, plain HTTP that is refused.

use std::{path::Path, sync::Arc, time::Duration};

use nexus_core::time::Clock;
use nexus_engine::clock::SystemClock;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    http,
    hub::{Hub, PATIENCE, nexus, run, text},
    serve::holds,
};

async fn post(hub: &Hub, token: &str, path: &str, body: &Value) -> http::Answer {
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    http::send("127.0.0.1", hub.address(), "POST", path, &headers, &body.to_string()).await
}

async fn get(hub: &Hub, token: &str, path: &str) -> http::Answer {
    http::get(hub.address(), path, &[("Authorization", &format!("Bearer {token}"))]).await
}

/// K-010, K-034, K-035
#[tokio::test]
async fn a_command_is_answered_the_same_after_the_plug_was_pulled() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = Hub::start(dir.path(), &[]).await;
    let admin = hub.token();
    let body = json!({"type": "token.create", "correlationId": "c1", "timestamp": "2026-01-02T03:04:05Z",
                      "payload": {"name": "ci", "scopes": ["events:read", "commands"]}});
    let first = post(&hub, &admin, "/api/v1/commands", &body).await;
    assert_eq!(first.status, 200, "{first:?}");
    hub.kill().await;
    let hub = Hub::start(dir.path(), &[]).await;
    let again = post(&hub, &admin, "/api/v1/commands", &body).await;
    assert_eq!((again.status, again.json()["data"].clone()), (200, first.json()["data"].clone()));
    let token = again.json()["data"]["token"].as_str().expect("shown again").to_owned();
    let id = again.json()["data"]["id"].as_str().expect("an id").to_owned();
    assert_eq!(get(&hub, &token, "/api/v1/events").await.status, 200);
    let rotate = json!({"type": "token.rotate", "correlationId": "c2", "payload": {"tokenId": id, "graceSeconds": 0}});
    let rotated = post(&hub, &admin, "/api/v1/commands", &rotate).await;
    let new = rotated.json()["data"]["token"].as_str().expect("shown once").to_owned();
    assert_eq!(get(&hub, &token, "/api/v1/events").await.status, 401);
    assert_eq!(get(&hub, &new, "/api/v1/events").await.status, 200);
    let new_id = rotated.json()["data"]["id"].clone();
    let revoke =
        json!({"type": "token.revoke", "correlationId": "c3", "payload": {"tokenId": new_id, "reason": "lost"}});
    assert_eq!(post(&hub, &admin, "/api/v1/commands", &revoke).await.status, 200);
    assert_eq!(get(&hub, &new, "/api/v1/events").await.status, 401);
    hub.kill().await;
    let hub = Hub::start(dir.path(), &[]).await;
    assert_eq!(get(&hub, &new, "/api/v1/events").await.status, 401);
    assert_eq!(post(&hub, &admin, "/api/v1/commands", &rotate).await.json()["data"], rotated.json()["data"]);
    hub.stop().await;
}

#[tokio::test]
async fn no_token_or_key_is_found_in_the_folder_in_a_log_line_or_in_an_answer_about_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = Hub::start_with(dir.path(), &[], &[("NEXUS_LOG_LEVEL", "debug")]).await;
    let admin = hub.token();
    let command = |id: &str| json!({"type": "token.create", "correlationId": id, "payload": {"name": "ci", "scopes": ["events:read"]}});
    let made = post(&hub, &admin, "/api/v1/commands", &command("a")).await.json();
    let key = json!({"name": "idp", "kind": "jwt_key", "algorithm": "HS256"});
    let key = post(&hub, &admin, "/api/v1/tokens", &key).await.json();
    let id = made["data"]["id"].as_str().expect("an id");
    let rotated = post(&hub, &admin, &format!("/api/v1/tokens/{id}/rotate"), &json!({})).await.json();
    let secret = |answer: &Value| answer["data"]["token"].as_str().expect("shown once").to_owned();
    let secrets = [secret(&made), secret(&key), secret(&rotated)];
    for secret in &secrets {
        // A refused proof is not told to the log either.
        get(&hub, &format!("{secret}x"), "/api/v1/tokens").await;
        for path in ["/api/v1/tokens", "/api/v1/events", "/metrics"] {
            assert!(!get(&hub, &admin, path).await.body.contains(secret.as_str()), "{path}");
        }
    }
    hub.terminate();
    hub.logged("\"stopped\"").await;
    for line in hub.stdout().iter().chain(&hub.stderr()) {
        assert!(secrets.iter().all(|secret| !line.contains(secret.as_str())), "{line}");
    }
    assert!(secrets.iter().all(|secret| !holds(dir.path(), secret.as_bytes())));
}

/// A role is what its scopes say: given and taken while its token is in use.
async fn a_role_is_given_and_taken(hub: &Hub, admin: &str) -> String {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let clerk = json!({"name": "clerk", "scopes": ["sources:read"]});
    let clerk = post(hub, admin, "/api/v1/tokens", &clerk).await.json()["data"].clone();
    let token = text(&clerk["token"]);
    let another = |id: &str| json!({"id": id, "secrets": ["secret-of-another"]});
    assert_eq!(get(hub, &token, "/api/v1/sources").await.status, 200);
    let refused = post(hub, &token, "/api/v1/sources", &another("a")).await;
    assert_eq!(refused.status, 403);
    assert!(refused.body.contains("sources:write"), "{refused:?}");
    let role = async |scopes: Value| {
        let bearer = format!("Bearer {admin}");
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        let path = format!("/api/v1/tokens/{}", text(&clerk["id"]));
        let body = json!({"scopes": scopes}).to_string();
        http::send("127.0.0.1", hub.address(), "PATCH", &path, &headers, &body).await.status
    };
    assert_eq!(role(json!(["sources:read", "sources:write"])).await, 200);
    assert_eq!(post(hub, &token, "/api/v1/sources", &another("a")).await.status, 201);
    assert_eq!(role(json!(["sources:read"])).await, 200);
    assert_eq!(post(hub, &token, "/api/v1/sources", &another("b")).await.status, 403);
    token
}

/// C-155
#[tokio::test]
async fn keys_are_rotated_and_roles_changed_while_the_hub_runs_and_its_log_tells_no_secret() {
    let dir = tempfile::tempdir().expect("a folder");
    let env = [("NEXUS_LOG_LEVEL", "trace"), ("NEXUS_SECRET_KEY", "secret-of-the-environment")];
    let hub = Hub::start_with(dir.path(), &[], &env).await;
    let admin = hub.token();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let source = json!({"id": "pay", "secrets": ["first-secret-of-pay"]});
    assert_eq!(post(&hub, &admin, "/api/v1/sources", &source).await.status, 201);
    // A source's secret: the next one beside it, until the grace ends.
    let event = |n: u8| format!(r#"{{"event":"pay.done","payload":{{"n":{n}}}}}"#);
    let signed = async |secret: &str, n: u8| {
        let mac = nexus_core::sign::hmac_sha256(secret.as_bytes(), &[event(n).as_bytes()]);
        let signature = nexus_core::sign::hex(&mac);
        let headers = [("X-Nexus-Signature", signature.as_str()), ("Content-Type", "application/json")];
        http::send("127.0.0.1", hub.address(), "POST", "/events", &headers, &event(n)).await.status
    };
    assert_eq!(signed("first-secret-of-pay", 1).await, 200);
    let list = get(&hub, &admin, "/api/v1/tokens").await.json();
    let of_pay = list["data"].as_array().and_then(|all| all.iter().find(|t| t["owner"] == "pay")).expect("listed");
    let path = format!("/api/v1/tokens/{}", text(&of_pay["id"]));
    let rotated = post(&hub, &admin, &format!("{path}/rotate"), &json!({"graceSeconds": 600})).await.json();
    let second = text(&rotated["data"]["token"]);
    assert_eq!((signed("first-secret-of-pay", 2).await, signed(&second, 3).await), (200, 200));
    assert_eq!(post(&hub, &admin, &format!("{path}/revoke"), &json!({})).await.status, 200);
    assert_eq!((signed("first-secret-of-pay", 4).await, signed(&second, 5).await), (401, 200));
    // A key of JSON Web Tokens: the same, at once.
    let key = json!({"name": "idp", "kind": "jwt_key", "algorithm": "HS256"});
    let key = post(&hub, &admin, "/api/v1/tokens", &key).await.json()["data"].clone();
    let b64 = |bytes: &[u8]| data_encoding::BASE64URL_NOPAD.encode(bytes);
    let claims = json!({"sub": "ann", "aud": "nexus", "exp": 4_000_000_000u64, "scope": "sources:read"}).to_string();
    let jwt = |secret: &str| {
        let head = format!("{}.{}", b64(br#"{"alg":"HS256"}"#), b64(claims.as_bytes()));
        let mac = nexus_core::sign::hmac_sha256(secret.as_bytes(), &[head.as_bytes()]);
        format!("{head}.{}", b64(&mac))
    };
    let old = jwt(&text(&key["token"]));
    assert_eq!(get(&hub, &old, "/api/v1/sources").await.status, 200);
    let path = format!("/api/v1/tokens/{}/rotate", text(&key["id"]));
    let next = post(&hub, &admin, &path, &json!({"graceSeconds": 0})).await.json()["data"].clone();
    let new = jwt(&text(&next["token"]));
    assert_eq!(get(&hub, &old, "/api/v1/sources").await.status, 401);
    assert_eq!(get(&hub, &new, "/api/v1/sources").await.status, 200);
    let token = a_role_is_given_and_taken(&hub, &admin).await;
    hub.terminate();
    hub.logged("\"stopped\"").await;
    let secrets = [
        "secret-of-the-environment".to_owned(),
        "first-secret-of-pay".to_owned(),
        "secret-of-another".to_owned(),
        second,
        text(&key["token"]),
        text(&next["token"]),
        old,
        new,
        token,
    ];
    for line in hub.stdout().iter().chain(&hub.stderr()) {
        assert!(secrets.iter().all(|secret| !line.contains(secret.as_str())), "{line}");
    }
}

/// C-142, C-076, K-165
#[tokio::test]
async fn a_rate_is_what_is_configured_and_a_long_one_outlives_a_restart() {
    let dir = tempfile::tempdir().expect("a folder");
    let rate = [("NEXUS_INGRESS_API_RATE", "5/h")];
    let hub = Hub::start_with(dir.path(), &[], &rate).await;
    let admin = hub.token();
    let other = hub.client().create_token("other", &["admin".into()], None).await.expect("a token");
    for left in ["3", "2", "1", "0"] {
        let answer = get(&hub, &admin, "/api/v1/sources").await;
        assert_eq!((answer.status, answer.header("ratelimit-remaining")), (200, left), "{answer:?}");
    }
    assert_eq!(get(&hub, &admin, "/api/v1/sources").await.status, 429);
    hub.stop().await;
    let hub = Hub::start_with(dir.path(), &[], &rate).await;
    let refused = get(&hub, &admin, "/api/v1/sources").await;
    assert_eq!((refused.status, refused.json()["retryable"].as_bool()), (429, Some(true)), "{refused:?}");
    assert!(refused.header("retry-after").parse::<u64>().is_ok_and(|s| s > 60), "{refused:?}");
    assert_eq!(get(&hub, other.value().expect("shown once"), "/api/v1/sources").await.status, 200);
    hub.stop().await;
    let hub = Hub::start_with(dir.path(), &[], &[("NEXUS_INGRESS_API_RATE", "off")]).await;
    let answer = get(&hub, &admin, "/api/v1/sources").await;
    assert_eq!((answer.status, answer.header("ratelimit-limit")), (200, ""));
    hub.stop().await;
}

/// K-164
#[tokio::test]
async fn plain_http_beyond_this_machine_needs_a_proxy_or_a_word() {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = dir.path().to_str().expect("text");
    let open = ["serve", "--listen", "0.0.0.0:0", "--data", folder];
    let refused = run(dir.path(), &open).await;
    assert_eq!(refused.status.code(), Some(2));
    for word in ["--tls-cert", "trusted_proxies", "--plain-http"] {
        assert!(text(&refused.stderr).contains(word), "{}", text(&refused.stderr));
    }
    assert!(!dir.path().join("admin.token").exists(), "nothing was begun");
    for (args, env) in [
        (&["--listen", "0.0.0.0:0", "--plain-http"][..], None),
        (&["--listen", "0.0.0.0:0"], Some(("NEXUS_SERVER_PLAIN_HTTP", "true"))),
        (&["--listen", "0.0.0.0:0"], Some(("NEXUS_SERVER_TRUSTED_PROXIES", "10.0.0.0/8"))),
        (&["--listen", "0.0.0.0:0"], Some(("PORT", "1"))),
    ] {
        let env: Vec<_> = env.into_iter().collect();
        let hub = Hub::start_with(dir.path(), args, &env).await;
        hub.stop().await;
    }
}

/// A self-signed certificate for localhost and its key, both PEM.
fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    (made.cert.pem(), made.signing_key.serialize_pem())
}

fn write(dir: &Path, (cert, key): &(String, String)) {
    std::fs::write(dir.join("key.pem"), key).expect("written");
    std::fs::write(dir.join("cert.pem"), cert).expect("written");
}

/// A connection by TLS to a hub that must show this certificate.
async fn connect(address: &str, cert: &str, alpn: &[&str]) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(cert.as_bytes()).expect("PEM")).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().expect("versions");
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").expect("a name");
    let handshake = TlsConnector::from(Arc::new(config)).connect(name, stream);
    tokio::time::timeout(PATIENCE, handshake).await.expect("in time")
}

async fn ask(stream: &mut TlsStream<TcpStream>) -> String {
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("written");
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(PATIENCE, stream.read(&mut answer)).await.expect("in time").expect("an answer");
    String::from_utf8_lossy(&answer[..read]).into_owned()
}

/// Starts a hub with TLS; its addresses without the scheme.
async fn start_tls(dir: &Path) -> (tokio::process::Child, Vec<String>) {
    use tokio::io::AsyncBufReadExt;
    let mut command = nexus(dir);
    let args = ["serve", "--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--data", "data"];
    command.args(args).args(["--tls-cert", "cert.pem", "--tls-key", "key.pem", "--log-format", "json"]);
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut lines = tokio::io::BufReader::new(child.stderr.take().expect("piped")).lines();
    let mut addresses = Vec::new();
    let reading = async {
        while let Some(line) = lines.next_line().await.expect("text") {
            addresses.extend(line.strip_prefix("listening on https://").map(str::to_owned));
            if line == "ready" {
                return;
            }
        }
        panic!("it ended before it was ready");
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("in time");
    (child, addresses)
}

/// K-164
#[tokio::test]
async fn every_address_speaks_tls_and_a_renewed_certificate_drops_no_connection() {
    let dir = tempfile::tempdir().expect("a folder");
    let (first, second) = (certificate(), certificate());
    write(dir.path(), &first);
    let (mut child, addresses) = start_tls(dir.path()).await;
    assert_eq!(addresses.len(), 2);
    let mut open = connect(&addresses[0], &first.0, &["h2", "http/1.1"]).await.expect("TLS");
    assert_eq!(open.get_ref().1.alpn_protocol(), Some(b"http/1.1".as_slice()));
    assert!(ask(&mut open).await.starts_with("HTTP/1.1 200"));
    assert!(connect(&addresses[1], &first.0, &[]).await.is_ok());
    assert!(connect(&addresses[1], &second.0, &[]).await.is_err(), "it is not in force yet");
    // Half of a renewal is no certificate: the last good pair stays.
    std::fs::write(dir.path().join("cert.pem"), &second.0).expect("written");
    assert!(connect(&addresses[1], &first.0, &[]).await.is_ok());
    write(dir.path(), &second);
    let clock = SystemClock::new();
    let renewed = async {
        while connect(&addresses[1], &second.0, &[]).await.is_err() {
            clock.sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, renewed).await.expect("the new one comes into force");
    assert!(ask(&mut open).await.starts_with("HTTP/1.1 200"), "the open connection goes on");
    // A plain client is turned away, and the hub goes on.
    let mut plain = TcpStream::connect(&addresses[0]).await.expect("connected");
    plain.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("written");
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, plain.read_to_end(&mut answer)).await.expect("it is closed");
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
    let token = std::fs::read_to_string(dir.path().join("data/admin.token")).expect("a token");
    let mut socket = connect(&addresses[0], &second.0, &[]).await.expect("TLS");
    let upgrade = format!(
        "GET /ws HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        token.trim()
    );
    socket.write_all(upgrade.as_bytes()).await.expect("written");
    let mut head = vec![0; 1024];
    let read = tokio::time::timeout(PATIENCE, socket.read(&mut head)).await.expect("in time").expect("an answer");
    assert!(head[..read].starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head[..read]));
    child.kill().await.expect("it runs");
}

#[tokio::test]
async fn a_certificate_that_can_not_be_used_ends_the_start() {
    let dir = tempfile::tempdir().expect("a folder");
    let (one, other) = (certificate(), certificate());
    let start = || async {
        let args =
            ["serve", "--listen", "127.0.0.1:0", "--data", "data", "--tls-cert", "cert.pem", "--tls-key", "key.pem"];
        let output = run(dir.path(), &args).await;
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
        text(&output.stderr)
    };
    assert!(start().await.contains("cert.pem"));
    write(dir.path(), &(one.0.clone(), other.1.clone()));
    let said = start().await;
    assert!(said.contains("certificate and key") && !said.contains("PRIVATE"), "{said}");
    write(dir.path(), &(String::new(), one.1));
    assert!(start().await.contains("holds no certificate"));
    let half = run(dir.path(), &["serve", "--tls-cert", "cert.pem", "--data", "data"]).await;
    assert_eq!(half.status.code(), Some(2));
}

/// C-075
#[tokio::test]
async fn tokens_of_an_identity_provider_are_taken_by_its_key_set_in_a_file() {
    use ring::signature::{Ed25519KeyPair, KeyPair};
    let b64 = |bytes: &[u8]| data_encoding::BASE64URL_NOPAD.encode(bytes);
    let pair = |seed: u8| Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("a key");
    let set = |keys: &[(&str, &Ed25519KeyPair)]| {
        let jwk = |(kid, pair): &(&str, &Ed25519KeyPair)| json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": b64(pair.public_key().as_ref())});
        json!({"keys": keys.iter().map(jwk).collect::<Vec<_>>()}).to_string()
    };
    let (one, two) = (pair(1), pair(2));
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("keys.json");
    std::fs::write(&file, set(&[("one", &one)])).expect("written");
    let config = format!(
        "[jwt]\nissuer = [\"https://id.example.com\"]\naudience = [\"hub\"]\njwks_file = {:?}\nrefresh_interval = \"1ms\"\n",
        file.to_str().expect("text")
    );
    std::fs::write(dir.path().join("nexus.toml"), config).expect("written");
    let hub = Hub::start(dir.path(), &["--dev", "--test-clock"]).await;
    let exp = SystemClock::new().now().secs() + 600;
    let token = |kid: &str, pair: &Ed25519KeyPair, aud: &str, iss: &str| {
        let header = json!({"alg": "EdDSA", "kid": kid}).to_string();
        let claims = json!({"sub": "ann", "aud": aud, "iss": iss, "exp": exp, "scope": "sources:read"}).to_string();
        let signed = format!("{}.{}", b64(header.as_bytes()), b64(claims.as_bytes()));
        format!("{signed}.{}", b64(pair.sign(signed.as_bytes()).as_ref()))
    };
    let issuer = "https://id.example.com";
    let good = token("one", &one, "hub", issuer);
    assert_eq!(get(&hub, &good, "/api/v1/sources").await.status, 200);
    for bad in [token("one", &two, "hub", issuer), token("one", &one, "nexus", issuer), token("one", &one, "hub", "x")]
    {
        assert_eq!(get(&hub, &bad, "/api/v1/sources").await.status, 401);
    }
    // The provider begins to use a new key; the first token that names it finds it.
    let new = token("two", &two, "hub", issuer);
    assert_eq!(get(&hub, &new, "/api/v1/sources").await.status, 401);
    std::fs::write(&file, set(&[("one", &one), ("two", &two)])).expect("written");
    // Not before the interval between two looks is over.
    let taken = async { while get(&hub, &new, "/api/v1/sources").await.status != 200 {} };
    tokio::time::timeout(PATIENCE, taken).await.expect("the new key is found");
    // And while its keys can't be had, those that are known go on.
    std::fs::remove_file(&file).expect("removed");
    assert_eq!(get(&hub, &token("three", &two, "hub", issuer), "/api/v1/sources").await.status, 401);
    assert_eq!(get(&hub, &good, "/api/v1/sources").await.status, 200);
    hub.stop().await;
}
