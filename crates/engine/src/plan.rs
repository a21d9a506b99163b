//! A decided change: what is committed at once, what it answers, and what follows in memory once it is on disk.
//!
//! Deciding is apart from committing so that others can add to the commit: a command adds the record that makes its
//! repeat harmless, and both are on disk or neither is.

use nexus_core::{
    problem::Problem,
    store::{Commit, CommitError, Lane},
};

use crate::desk::{Created, Desk, refused};

/// A change that was decided and not yet made.
pub struct Plan<T> {
    /// Everything it changes.
    pub commit: Commit,
    /// What it answers.
    pub value: T,
    /// A secret that is shown this once.
    pub secret: Option<String>,
    settle: Box<dyn FnOnce() + Send>,
}

impl<T: std::fmt::Debug> std::fmt::Debug for Plan<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Plan({:?})", self.value)
    }
}

impl<T> Plan<T> {
    /// `settle` brings what is in memory up to date; it runs once `commit` is on disk, and never otherwise.
    pub fn new(commit: Commit, value: T, settle: impl FnOnce() + Send + 'static) -> Self {
        Self { commit, value, secret: None, settle: Box::new(settle) }
    }

    /// Nothing is to be changed; this is the answer.
    pub fn nothing(value: T) -> Self {
        Self::new(Commit::default(), value, || {})
    }

    /// With a secret that is shown this once.
    #[must_use]
    pub fn showing(mut self, secret: Option<String>) -> Self {
        self.secret = secret;
        self
    }

    /// With another form of the answer.
    pub fn map<U>(self, form: impl FnOnce(T) -> U) -> Plan<U> {
        Plan { commit: self.commit, value: form(self.value), secret: self.secret, settle: self.settle }
    }

    /// Runs what follows in memory. Only after the commit.
    pub fn settle(self) -> Created<T> {
        (self.settle)();
        Created { value: self.value, secret: self.secret }
    }

    /// Commits it and settles it.
    pub async fn carry_out(self, desk: &Desk) -> Result<Created<T>, Problem> {
        self.try_out(desk).await.map_err(|error| refused(&error))
    }

    /// The same, for those who decide again on a conflict.
    pub async fn try_out(mut self, desk: &Desk) -> Result<Created<T>, CommitError> {
        let mut commit = std::mem::take(&mut self.commit);
        let empty = commit.events.is_empty() && commit.documents.is_empty() && commit.timers.is_empty();
        if !empty {
            commit.lane = Lane::Own;
            desk.try_commit(commit).await?;
        }
        Ok(self.settle())
    }
}
