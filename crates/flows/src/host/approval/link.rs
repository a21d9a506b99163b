//! The link to an approval: whoever has it may look, and decide once. Only the hash of its token is kept.

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use nexus_core::{
    access::Principal,
    problem::{Code, Problem},
    record::Record,
    store::{IndexQuery, Range},
};
use nexus_engine::desk::unreadable;
use ring::digest;
use serde_json::{Value, json};

use super::{
    ATTEMPTS,
    decide::{Decided, Verdict},
    record::{Approval, State},
};
use crate::host::Flows;

/// Characters of a token.
const TOKEN: usize = 43;

/// What a link leads to.
#[derive(Clone, Debug)]
pub enum Linked {
    /// To an approval that may be decided.
    Open(Box<Approval>),
    /// To one that was: it is used, or came too late.
    Over,
    /// To nothing.
    Unknown,
}

fn hash(token: &str) -> String {
    HEXLOWER.encode(digest::digest(&digest::SHA256, token.as_bytes()).as_ref())
}

impl Flows {
    /// Gives an approval a new link; the one before leads nowhere once this is stored.
    pub(super) fn new_token(&self, approval: &mut Approval) -> Result<String, Problem> {
        let token = BASE64URL_NOPAD.encode(&self.desk().random::<32>()?);
        approval.token = Some(hash(&token));
        approval.links = approval.links.saturating_add(1);
        Ok(token)
    }

    /// Under which URL the outside reaches this hub; without it, links are paths.
    pub fn reached_at(&self, url: &str) {
        // Said once, when the hub is put together.
        let _ = self.inner.public_url.set(url.trim_end_matches('/').to_owned());
    }

    fn link(&self, token: &str) -> String {
        format!("{}/approvals/{token}", self.inner.public_url.get().map_or("", String::as_str))
    }

    /// What is sent to who is asked. `text` and `content` are what chat services show.
    pub(super) fn message(&self, approval: &Approval, token: &str) -> Value {
        let link = self.link(token);
        let text = format!(
            "{}{}\nDecide until {}: {link}",
            approval.title,
            approval.description.as_ref().map(|text| format!("\n{text}")).unwrap_or_default(),
            approval.expires_at
        );
        json!({
            "kind": "approval",
            "id": approval.id,
            "title": approval.title,
            "description": approval.description,
            "assignee": approval.assignee,
            "flow": approval.flow,
            "run": approval.run,
            "expires_at": approval.expires_at.to_string(),
            "escalated": approval.escalated_at.is_some(),
            "link": link,
            "text": text,
            "content": text,
        })
    }

    /// A new link to an open approval; the one before leads nowhere any more.
    pub async fn renew_approval_link(&self, id: &str, by: &Principal) -> Result<(Approval, String), Problem> {
        for _ in 0..ATTEMPTS {
            let (mut approval, version) = self.open_approval(id).await?;
            let token = self.new_token(&mut approval)?;
            let audit = self.desk().audit(by, "flow.approval_linked", &json!({"approval": id, "run": approval.run}));
            if self.change_approval(&approval, version, vec![audit], Vec::new()).await?.is_some() {
                let link = self.link(&token);
                return Ok((approval, link));
            }
        }
        Err(Problem::new(Code::Unavailable, "the approval changes too often; try again"))
    }

    /// What a link leads to. Looking changes nothing.
    pub async fn linked_approval(&self, token: &str) -> Result<Linked, Problem> {
        if token.len() != TOKEN {
            return Ok(Linked::Unknown);
        }
        let range = Range {
            collection: Approval::COLLECTION,
            index: "by_token",
            prefix: vec![hash(token).into()],
            from: None,
            until: None,
        };
        let query = IndexQuery { range, descending: false, filters: Vec::new(), after: None, limit: 1 };
        let page = self.desk().store.list(query).await.map_err(unreadable)?;
        let Some(document) = page.items.first() else { return Ok(Linked::Unknown) };
        let approval: Approval = crate::host::read(document)?;
        let open = approval.state == State::Open && approval.expires_at > self.desk().now();
        if open && self.waits_for(&approval).await? {
            return Ok(Linked::Open(Box::new(approval)));
        }
        Ok(Linked::Over)
    }

    /// Decides by a link, which is used up.
    pub async fn decide_by_link(&self, token: &str, verdict: Verdict) -> Result<Option<Decided>, Problem> {
        let Linked::Open(approval) = self.linked_approval(token).await? else { return Ok(None) };
        let by = match &approval.assignee {
            Some(assignee) => format!("link:{assignee}"),
            None => "link".to_owned(),
        };
        let by = Principal::new(by, []);
        match self.settle_approval(&approval.id, verdict, &by, Some(&hash(token))).await {
            Err(problem) if problem.code == Code::Conflict => Ok(None),
            done => done.map(Some),
        }
    }
}
