//! Registering again: the same description is a sign of life, another one an update, another place another process.

use std::time::Duration;

use nexus_core::store::EventQuery;
use nexus_services::registry::{RegistryOptions, ServiceView, Status};
use serde_json::json;

use crate::rig::{Crowd, Rig, address};

async fn events(rig: &Rig, topic: &str) -> usize {
    let query = EventQuery { types: vec![topic.to_owned()], ..EventQuery::default() };
    rig.store.query(query, 100).await.expect("a page").events.len()
}

fn only(rig: &Rig) -> ServiceView {
    rig.registry.find("a").expect("there").remove(0)
}

#[tokio::test]
async fn registering_again_updates_and_a_new_place_begins_anew() {
    let calm = RegistryOptions { check_interval: Duration::from_secs(3_600), ..RegistryOptions::default() };
    let rig = Rig::new(calm).await;
    let crowd = Crowd::start(&rig.hub, 2).await;
    let described = |version: &str, n: usize| json!({"id": "a", "version": version, "host": address(n).to_string(), "port": crowd.port, "ttl_seconds": 20});
    rig.register(described("1", 0)).await;
    let since = only(&rig).registered_at;
    rig.register(described("1", 0)).await;
    assert_eq!(events(&rig, "service.registered").await, 1, "the same again changes nothing");
    rig.register(described("2", 0)).await;
    assert_eq!((only(&rig).version.as_str(), events(&rig, "service.registered").await), ("2", 2));
    rig.hub.advance(Duration::from_secs(21)).await.expect("advanced");
    assert_eq!(only(&rig).status, Status::Expired);
    rig.register(described("2", 0)).await;
    assert_eq!(only(&rig).status, Status::Healthy, "a sign of life");
    assert_eq!(events(&rig, "service.status_changed").await, 2);
    rig.hub.advance(Duration::from_secs(21)).await.expect("advanced");
    rig.register(described("3", 1)).await;
    let moved = only(&rig);
    assert_eq!((moved.status, moved.host, moved.registered_at), (Status::Healthy, address(1).to_string(), since));
    rig.hub.advance(Duration::from_secs(21)).await.expect("advanced");
    assert_eq!(only(&rig).status, Status::Expired, "its promise holds at the new place too");
    rig.hub.shutdown(Duration::from_secs(10)).await;
}
