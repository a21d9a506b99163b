//! What a token may do, and what a source may send.

use std::{collections::BTreeMap, time::Duration};

use nexus_core::{
    problem::Code,
    topic::{Topic, TopicFilter},
};
use nexus_engine::tokens::NewToken;
use serde_json::json;

use crate::{keeping::admin, rig::Rig};

#[tokio::test]
async fn a_token_opens_what_its_scopes_say_until_it_expires_or_is_revoked() {
    let rig = Rig::new().await;
    let tokens = rig.hub.tokens();
    let in_an_hour = rig.hub.clock().now().plus(Duration::from_secs(3_600));
    let new = |name: &str, scope: &str, expires_at| NewToken {
        name: name.into(),
        scopes: vec![scope.parse().expect("a scope")],
        expires_at,
    };
    let made = tokens.create(new("narrow", "events:publish:a.*", Some(in_an_hour)), &admin()).await.expect("made");
    let secret = made.secret.expect("shown once");
    assert!(secret.starts_with("nxs_"));
    let principal = tokens.authenticate(&secret).expect("known");
    assert!(principal.may_for("events:publish", "a.b") && !principal.may_for("events:publish", "b.b"));
    assert!(tokens.authenticate("nxs_other").is_none() && tokens.authenticate("").is_none());
    rig.hub.advance(Duration::from_secs(3_601)).await.expect("a test clock");
    assert!(rig.hub.tokens().authenticate(&secret).is_none(), "it has expired");
    let made = rig.hub.tokens().create(new("lasting", "admin", None), &admin()).await.expect("made");
    let secret = made.secret.expect("shown once");
    assert!(rig.hub.tokens().authenticate(&secret).is_some());
    let last = rig.hub.credentials().revoke(&made.value.id, None, &admin()).await.expect_err("the last way in");
    assert_eq!(last.code, Code::Conflict);
    rig.hub.tokens().create(new("another", "admin", None), &admin()).await.expect("made");
    rig.hub.credentials().revoke(&made.value.id, Some("lost".into()), &admin()).await.expect("revoked");
    assert!(rig.hub.tokens().authenticate(&secret).is_none());
    let rig = rig.restart().await;
    assert!(rig.hub.tokens().authenticate(&secret).is_none(), "also after a restart");
}

#[tokio::test]
async fn permissions_take_hold_over_a_sources_own_list_and_let_go_again() {
    let rig = Rig::new().await;
    let new = json!({"id": "factory", "preset": "factory", "secrets": ["s3cret-s3cret-s3cret"]});
    let new = serde_json::from_value(new).expect("a source");
    rig.hub.sources().create(new, &admin()).await.expect("made");
    let allows = |topic: &str| {
        let set = rig.hub.sources().active();
        set.get("factory").expect("there").may_dispatch(&Topic::parse(topic).expect("a topic"))
    };
    assert!(allows("PAYMENT_RECEIVED") && allows("MINT_CONFIRMED"), "no list is every type");
    let only = vec![TopicFilter::parse("MINT_CONFIRMED").expect("a filter")];
    rig.hub.sources().set_permissions(Some(BTreeMap::from([("factory".to_owned(), only)])));
    assert!(!allows("PAYMENT_RECEIVED") && allows("MINT_CONFIRMED"));
    rig.hub.sources().set_permissions(None);
    assert!(allows("PAYMENT_RECEIVED"));
}
