//! When tokens were last used: noted in memory at each request, written down once a minute, never in a request's way.

use nexus_core::{
    problem::Problem,
    record::{Collection, Record, Value},
    store::{Commit, Key, Write},
};
use serde::{Deserialize, Serialize};

use crate::desk::Desk;

/// Documents of one commit.
const CHUNK: usize = 500;

/// When one token was last used.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TokenUse {
    /// Of this token.
    pub id: String,
    /// Microseconds.
    pub at: i64,
}

static USES: Collection = Collection { name: "token_uses", columns: &[], indexes: &[] };

impl Record for TokenUse {
    const COLLECTION: &'static Collection = &USES;
    fn key(&self) -> String {
        self.id.clone()
    }
    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}

/// Writes uses down, and forgets those of tokens that are gone.
pub(super) async fn save(desk: &Desk, uses: Vec<TokenUse>, gone: &[String]) -> Result<(), Problem> {
    let internal = |e: serde_json::Error| Problem::new(nexus_core::problem::Code::Internal, e.to_string());
    let mut writes = uses.iter().map(Write::put).collect::<Result<Vec<_>, _>>().map_err(internal)?;
    writes.extend(gone.iter().map(|id| Write::Delete(Key::of::<TokenUse>(id))));
    for chunk in writes.chunks(CHUNK) {
        desk.commit(Commit { documents: chunk.to_vec(), ..Commit::default() }).await?;
    }
    Ok(())
}
