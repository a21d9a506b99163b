//! A connection as one of the hub's credentials: rotated and revoked where all of them are.

use std::{collections::BTreeMap, sync::Arc};

use nexus_core::{
    access::Principal,
    problem::{Code, Problem},
    sign::Secret,
    store::{Commit, Guard, Key},
};
use serde_json::json;

use super::{Connections, places, put, told};
use crate::{
    connectors::{
        connection::{Connection, ConnectionPatch, State},
        manifest::{Auth, Grant},
    },
    plan::Plan,
    vault::Vault,
};

impl Connections {
    /// Puts `key` in the place of the connection's secret, where it has one only.
    pub(crate) fn plan_rotate(
        self: &Arc<Self>,
        name: &str,
        key: Option<String>,
        by: &Principal,
    ) -> Result<Plan<Connection>, Problem> {
        let account = self.account(name)?;
        let (old, version) = account.held();
        let connector = self.connector(&old.connector)?;
        let manifest = &connector.manifest;
        if matches!(&manifest.auth, Auth::Oauth2(oauth) if oauth.grant == Grant::AuthorizationCode) {
            let message = format!(
                "the hub refreshes the token of {name:?} by itself; to agree anew: POST /api/v1/connections/{name}/authorize"
            );
            return Err(Problem::new(Code::Conflict, message));
        }
        let mut names = manifest.secrets.keys();
        let (Some(secret), None) = (names.next(), names.next()) else {
            let all: Vec<&str> = manifest.secrets.keys().map(String::as_str).collect();
            let message = format!(
                "{name:?} has not one secret but {}; set the one that changed: PUT /api/v1/connections/{name}/secrets/NAME",
                if all.is_empty() { "none".to_owned() } else { all.join(", ") }
            );
            return Err(Problem::new(Code::Conflict, message));
        };
        let key = key.ok_or_else(|| Problem::field("key", "give the new value, as the provider shows it"))?;
        let secrets = BTreeMap::from([(secret.clone(), Secret::new(key))]);
        let patch = ConnectionPatch { secrets, ..ConnectionPatch::default() };
        let next = old.clone().patched(&patch, &connector, by, self.desk.now())?;
        let mut commit = Commit {
            guards: vec![Guard::Version(Key::of::<Connection>(name), version)],
            events: vec![
                self.desk.audit(by, "connection.updated", &json!({"name": name, "secrets": [secret]})),
                self.desk.notice("connection.updated", &told(&next)),
            ],
            ..Commit::default()
        };
        commit.events.extend(self.entered(Some(&old), &next));
        let opened: Vec<(String, Secret)> =
            patch.secrets.into_iter().map(|(own, value)| (Connection::place(name, &own), value)).collect();
        for (place, value) in &opened {
            commit.documents.push(self.vault.put(place, value.expose())?);
        }
        commit.documents.push(put(&next)?);
        let (vault, kept) = (Arc::clone(&self.vault), next.clone());
        Ok(Plan::new(commit, next, move || {
            opened.iter().for_each(|(place, value)| vault.opened(place, value.expose()));
            account.settle(kept, version + 1);
        }))
    }

    /// Forgets its secrets and tokens and switches it off.
    pub(crate) fn plan_revoke(
        self: &Arc<Self>,
        name: &str,
        reason: Option<&str>,
        by: &Principal,
    ) -> Result<Plan<Connection>, Problem> {
        let account = self.account(name)?;
        let (old, version) = account.held();
        let forgotten = places(&old);
        let mut next = old;
        let why = reason.map_or_else(|| format!("revoked by {}", by.name), str::to_owned);
        next.become_state(State::Disabled, Some(why), self.desk.now());
        next.secrets.clear();
        next.token = None;
        let mut documents: Vec<_> = forgotten.iter().map(|place| Vault::remove(place)).collect();
        documents.push(put(&next)?);
        let commit = Commit {
            guards: vec![Guard::Version(Key::of::<Connection>(name), version)],
            events: vec![
                self.desk.audit(by, "connection.revoked", &json!({"name": name, "reason": reason})),
                self.desk.notice("connection.updated", &told(&next)),
            ],
            documents,
            ..Commit::default()
        };
        let (vault, kept) = (Arc::clone(&self.vault), next.clone());
        Ok(Plan::new(commit, next, move || {
            forgotten.iter().for_each(|place| vault.forget(place));
            account.settle(kept, version + 1);
        }))
    }
}
