//! A key set behind a URL: fetched, kept while its server is down, fetched again for a key that is new.

#![expect(clippy::disallowed_methods, reason = "a test's own servers are not the hub's tasks")]

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use data_encoding::BASE64URL_NOPAD;
use nexus_core::problem::Code;
use nexus_engine::{
    HubConfig,
    jwt::{JwtConfig, Rules, UrlKeys},
};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::rig::Rig;

fn b64(bytes: impl AsRef<[u8]>) -> String {
    BASE64URL_NOPAD.encode(bytes.as_ref())
}

fn pair(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("a key")
}

fn jwk(seed: u8) -> serde_json::Value {
    json!({"kty": "OKP", "crv": "Ed25519", "kid": seed.to_string(), "use": "sig", "x": b64(pair(seed).public_key())})
}

/// An answer with this status and body, and how often it was asked for.
#[derive(Default)]
struct Provider {
    says: Mutex<(u16, String)>,
    asked: AtomicUsize,
}

impl Provider {
    async fn start() -> (Arc<Self>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/keys", listener.local_addr().expect("an address"));
        let provider = Arc::new(Self::default());
        let own = Arc::clone(&provider);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let own = Arc::clone(&own);
                tokio::spawn(async move {
                    let mut head = [0; 4096];
                    let _ = stream.read(&mut head).await;
                    own.asked.fetch_add(1, Ordering::SeqCst);
                    let (status, body) = own.says.lock().expect("not poisoned").clone();
                    let answer = format!(
                        "HTTP/1.1 {status} Any\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                        body.len()
                    );
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        (provider, url)
    }

    fn say(&self, status: u16, keys: &[u8]) {
        let set = json!({"keys": keys.iter().map(|seed| jwk(*seed)).collect::<Vec<_>>()}).to_string();
        *self.says.lock().expect("not poisoned") = (status, set);
    }
}

#[tokio::test]
async fn a_key_set_behind_a_url_is_kept_while_it_is_down_and_fetched_for_a_new_key() {
    let (provider, url) = Provider::start().await;
    provider.say(200, &[1]);
    let interval = std::time::Duration::from_secs(3_600);
    let config = JwtConfig {
        rules: Rules { issuers: vec!["me".into()], ..JwtConfig::default().rules },
        source: Some(Arc::new(UrlKeys::new(url).expect("a client"))),
        refresh: interval * 24 * 365,
        interval,
    };
    let rig = Rig::with(HubConfig { jwt: config, ..HubConfig::default() }).await;
    let exp = rig.hub.clock().now().secs() + 1_000_000;
    let token = |seed: u8| {
        let header = json!({"alg": "EdDSA", "kid": seed.to_string()}).to_string();
        let claims = json!({"sub": "a", "iss": "me", "aud": "nexus", "exp": exp, "scope": "events:read"}).to_string();
        let signed = format!("{}.{}", b64(header), b64(claims));
        format!("{signed}.{}", b64(pair(seed).sign(signed.as_bytes())))
    };
    let shown =
        async |seed: u8| rig.hub.authenticate(&token(seed)).await.map(|p| p.name.to_string()).map_err(|p| p.code);
    assert_eq!(shown(1).await, Ok("jwt:a".to_owned()));
    let asked = provider.asked.load(Ordering::SeqCst);
    assert_eq!(asked, 1, "the start's fetch and the first request's are one");
    for _ in 0..10 {
        assert_eq!(shown(2).await, Err(Code::Unauthenticated), "unknown, and it was asked for just now");
    }
    assert_eq!(provider.asked.load(Ordering::SeqCst), asked);
    provider.say(500, &[]);
    rig.hub.advance(interval).await.expect("a test clock");
    assert_eq!((shown(2).await, shown(1).await), (Err(Code::Unauthenticated), Ok("jwt:a".to_owned())));
    assert_eq!(provider.asked.load(Ordering::SeqCst), asked + 1);
    provider.say(200, &[1, 2]);
    rig.hub.advance(interval).await.expect("a test clock");
    assert_eq!(shown(2).await, Ok("jwt:a".to_owned()));
    provider.say(200, &[2]);
    rig.hub.advance(interval).await.expect("a test clock");
    assert_eq!(shown(3).await, Err(Code::Unauthenticated), "it makes the hub look, and find that 1 is gone");
    assert_eq!(shown(1).await, Err(Code::Unauthenticated), "what was verified before does not outlive its key");
}
