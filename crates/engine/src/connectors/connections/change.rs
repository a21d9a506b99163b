//! A change of a connection: decided, written in one commit, and decided again when another one came between.

use nexus_core::{
    access::Principal,
    event::NewEvent,
    problem::{Code, Problem},
    record::Record,
    sign::Secret,
    store::{Commit, CommitError, Guard, Key, Lane},
};
use serde_json::json;

use super::{Account, Connections, put};
use crate::{
    connectors::{
        connection::{ACCESS, Connection, REFRESH, State, TokenInfo},
        oauth::Tokens,
    },
    desk::{refused, unreadable},
    vault::Vault,
};

/// How often a change is decided anew when another one came between.
const ROUNDS: usize = 5;

/// A change that was decided.
pub(super) struct Change {
    pub(super) next: Connection,
    pub(super) secrets: Vec<(String, Secret)>,
    pub(super) forgotten: Vec<String>,
    pub(super) events: Vec<NewEvent>,
}

impl Connections {
    /// The provider no longer takes its proof: nothing is sent until somebody acts. Once, however many calls found out.
    pub(in crate::connectors) async fn reconnect_needed(&self, account: &Account, reason: &str) -> Result<(), Problem> {
        if account.connection().state != State::Connected {
            return Ok(());
        }
        self.change(account, |old| {
            let mut next = old.clone();
            if next.state == State::Connected {
                next.become_state(State::ReconnectNeeded, Some(reason.to_owned()), self.desk.now());
            }
            let events = self.entered(Some(old), &next).into_iter().collect();
            Ok(Change { next, secrets: Vec::new(), forgotten: Vec::new(), events })
        })
        .await
    }

    /// Stores tokens; only then may they be used. `by` is who agreed, where a person did.
    pub(in crate::connectors) async fn store_tokens(
        &self,
        account: &Account,
        tokens: &Tokens,
        asked: &[String],
        by: Option<&str>,
    ) -> Result<(), Problem> {
        self.change(account, |old| {
            let now = self.desk.now();
            let mut next = old.clone();
            let kept = old.token.as_ref().is_some_and(|token| token.refreshable) && by.is_none();
            next.token = Some(TokenInfo {
                issued_at: now,
                expires_at: tokens.expires_at,
                refreshable: tokens.refresh.is_some() || kept,
            });
            match &tokens.scopes {
                Some(scopes) => next.granted = Some(scopes.clone()),
                // A provider that grants what was asked for need not say so.
                None if (old.token.is_none() || by.is_some()) && !asked.is_empty() => {
                    next.granted = Some(asked.to_vec());
                }
                None => {}
            }
            let mut events = Vec::new();
            if let Some(by) = by {
                next.become_state(State::Connected, None, now);
                let by = Principal::new(by, []);
                events.push(self.desk.audit(&by, "connection.authorized", &json!({"name": next.name})));
            }
            events.extend(self.entered(Some(old), &next));
            let mut secrets = vec![(ACCESS.to_owned(), tokens.access.clone())];
            secrets.extend(tokens.refresh.clone().map(|token| (REFRESH.to_owned(), token)));
            Ok(Change { next, secrets, forgotten: Vec::new(), events })
        })
        .await
    }

    /// Decides and writes a change; decides again when the record was not what it was held to be.
    pub(super) async fn change(
        &self,
        account: &Account,
        decide: impl Fn(&Connection) -> Result<Change, Problem>,
    ) -> Result<(), Problem> {
        let _turn = self.writing.lock().await;
        for _ in 0..ROUNDS {
            let (old, version) = account.held();
            let Change { next, secrets, forgotten, events } = decide(&old)?;
            if next == old && secrets.is_empty() {
                return Ok(());
            }
            let mut commit = Commit {
                guards: vec![Guard::Version(Key::of::<Connection>(&old.name), version)],
                events,
                lane: Lane::Own,
                ..Commit::default()
            };
            for (name, secret) in &secrets {
                commit.documents.push(self.vault.put(&Connection::place(&old.name, name), secret.expose())?);
            }
            commit.documents.extend(forgotten.iter().map(|place| Vault::remove(place)));
            commit.documents.push(put(&next)?);
            match self.desk.try_commit(commit).await {
                Ok(committed) => {
                    for (name, secret) in &secrets {
                        self.vault.opened(&Connection::place(&old.name, name), secret.expose());
                    }
                    forgotten.iter().for_each(|place| self.vault.forget(place));
                    account.settle(next, committed.versions.last().copied().unwrap_or(version + 1));
                    return Ok(());
                }
                // A change whose caller went away is on disk and not yet in memory.
                Err(CommitError::Conflict { .. }) => self.reread(account, &old.name).await?,
                Err(error) => return Err(refused(&error)),
            }
        }
        Err(Problem::new(Code::Conflict, "it changed meanwhile; read it again and repeat the request"))
    }

    async fn reread(&self, account: &Account, name: &str) -> Result<(), Problem> {
        let found = self.desk.store.get(Connection::COLLECTION, name).await.map_err(unreadable)?;
        let Some(document) = found else {
            return Err(Problem::new(Code::NotFound, format!("the connection {name:?} is gone")));
        };
        let connection = serde_json::from_str(&document.body)
            .map_err(|e| Problem::new(Code::Internal, format!("the connection {name:?} is unreadable: {e}")))?;
        account.settle(connection, document.version);
        Ok(())
    }
}
