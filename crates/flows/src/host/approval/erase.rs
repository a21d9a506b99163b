//! Approvals whose run was erased: what was asked and answered goes, that somebody was asked and how it ended stays.

use nexus_core::{
    problem::{Code, Problem},
    record::Record,
    store::{Commit, IndexQuery, Key, Lane, Range, Write},
};
use nexus_engine::desk::unreadable;
use serde_json::{Value, json};

use super::{
    ATTEMPTS,
    record::{Approval, State},
    timer,
};
use crate::{
    host::{Flows, queries::PAGE},
    run::state::ERASED,
};

/// What came of it.
#[derive(Default)]
pub(in crate::host) struct Wiped {
    /// All approvals of the run.
    pub(in crate::host) ids: Vec<String>,
    /// Those that held something.
    pub(in crate::host) changed: u64,
}

impl Approval {
    /// Without what its run knew, and without a link.
    fn erase(&mut self) {
        ERASED.clone_into(&mut self.title);
        for text in [&mut self.description, &mut self.assignee].into_iter().flatten() {
            ERASED.clone_into(text);
        }
        (self.form, self.token, self.escalate) = (None, None, None);
        if let Some(decision) = &mut self.decision {
            decision.comment = decision.comment.take().map(|_| ERASED.to_owned());
            decision.answers = json!({});
        }
    }
}

impl Flows {
    /// The run that asks an approval with this id.
    pub(in crate::host) async fn run_of_approval(&self, id: &str) -> Result<Option<String>, Problem> {
        let document = self.desk().store.get(Approval::COLLECTION, id).await.map_err(unreadable)?;
        Ok(document.and_then(|document| crate::host::read::<Approval>(&document).ok()).map(|approval| approval.run))
    }

    /// Erases the approvals of a run that has ended. One that is open is withdrawn.
    pub(in crate::host) async fn erase_approvals(&self, run: &str) -> Result<Wiped, Problem> {
        let (mut done, mut after) = (Wiped::default(), None);
        loop {
            let prefix = vec![run.into()];
            let range = Range { collection: Approval::COLLECTION, index: "by_run", prefix, from: None, until: None };
            let query = IndexQuery { range, descending: false, filters: Vec::new(), after, limit: PAGE };
            let page = self.desk().store.list(query).await.map_err(unreadable)?;
            for document in page.items {
                done.changed += self.erase_approval(&document.key).await?;
                done.ids.push(document.key);
            }
            after = page.next;
            if after.is_none() {
                return Ok(done);
            }
        }
    }

    async fn erase_approval(&self, id: &str) -> Result<u64, Problem> {
        for _ in 0..ATTEMPTS {
            let document = self.desk().store.get(Approval::COLLECTION, id).await.map_err(unreadable)?;
            let Some(document) = document else { return Ok(0) };
            let Ok(mut approval) = crate::host::read::<Approval>(&document) else {
                let documents = vec![Write::Delete(Key::of::<Approval>(id))];
                self.desk().commit(Commit { documents, lane: Lane::Own, ..Commit::default() }).await?;
                return Ok(1);
            };
            if approval.title == ERASED && approval.state != State::Open {
                return Ok(0);
            }
            approval.erase();
            let (mut events, mut timers) = (Vec::new(), Vec::new());
            if approval.state == State::Open {
                approval.state = State::Withdrawn;
                events.push(approval.event(self, "approval.withdrawn", &Value::Null));
                timers = timer::none(&approval);
            }
            if self.change_approval(&approval, document.version, events, timers).await?.is_some() {
                return Ok(1);
            }
        }
        Err(Problem::new(Code::Unavailable, format!("approval {id} changes too often; try again")))
    }
}
