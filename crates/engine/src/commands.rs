//! Commands: what a client asks the hub to do, once, however often it asks.
//!
//! A command type decides (a [`Plan`]); this desk commits what it decided together with the record of its answer. So the
//! effect and the memory of it are on disk together or not at all: asked again under the same correlation id, also after a
//! restart, the same answer is given and nothing is done. A secret in an answer lies sealed in the vault for as long.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError, RwLock, Weak},
};

use async_trait::async_trait;
use nexus_core::{
    access::Principal,
    limits::{ID_BYTES, IDEMPOTENCY_WINDOW},
    problem::{Code, Problem},
    record::{Collection, Column, ColumnType, Index, IndexKind, Record},
    store::{CommitError, Guard, IndexQuery, Key, Lane, Range, Write},
    time::Timestamp,
    wording::refusal,
};
use ring::digest;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    desk::{ATTEMPTS, Desk, refused, unreadable},
    plan::Plan,
    vault::Vault,
};

mod tokens;

pub use self::tokens::{is_about_itself, token_commands};

/// Records that are forgotten in one commit.
const SWEPT: usize = 200;
/// The field of an answer that a secret is shown in.
const SECRET_FIELD: &str = "token";

/// One command.
#[derive(Clone, Debug)]
pub struct Command {
    /// Its type, for example `token.rotate`.
    pub kind: String,
    /// What it is about.
    pub payload: Value,
    /// The caller's name for it: one name, one effect.
    pub correlation: String,
}

impl Command {
    /// The payload as a type; a wrong or missing field is named with its path.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_path_to_error::deserialize(&self.payload)
            .map_err(|error| refusal("payload", true, &error.path().to_string(), &error.inner().to_string()))
    }
}

/// What a kind of command does.
#[async_trait]
pub trait CommandType: Send + Sync {
    /// Its name.
    fn name(&self) -> &'static str;

    /// Whether `by` may. Asked for every request, also for a repeat.
    fn permit(&self, by: &Principal, command: &Command) -> Result<(), Problem>;

    /// What is to be done, and the answer. Changes nothing by itself; may be asked again when what it relied on changed.
    async fn decide(&self, by: &Principal, command: &Command) -> Result<Plan<Value>, Problem>;

    /// Whose turn its commit waits for.
    fn lane(&self) -> Lane {
        Lane::Door
    }
}

/// The answer to a command.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    /// What it answers.
    pub data: Value,
    /// It was done before; nothing was done now.
    pub repeat: bool,
}

/// What is remembered of a command.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CommandRecord {
    key: String,
    kind: String,
    digest: String,
    answer: Value,
    has_secret: bool,
    until: Timestamp,
}

static COMMANDS: Collection = Collection {
    name: "commands",
    columns: &[Column { name: "until", kind: ColumnType::Int }],
    indexes: &[Index { name: "by_end", columns: &["until"], kind: IndexKind::Plain, only: None }],
};

impl Record for CommandRecord {
    const COLLECTION: &'static Collection = &COMMANDS;
    fn key(&self) -> String {
        self.key.clone()
    }
    fn columns(&self) -> Vec<nexus_core::record::Value> {
        vec![self.until.into()]
    }
}

/// Under which name the vault has the secret of an answer.
fn place(key: &str) -> String {
    format!("answer/{key}")
}

/// The desk of commands.
pub struct Commands {
    desk: Desk,
    vault: Arc<Vault>,
    types: RwLock<BTreeMap<&'static str, Arc<dyn CommandType>>>,
    under_way: UnderWay,
}

/// Commands that are being done, so that a repeat waits for the first instead of meeting it half-done.
#[derive(Default)]
struct UnderWay(Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>);

impl UnderWay {
    fn turns(&self, key: &str) -> Turns<'_> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held = all.get(key).and_then(Weak::upgrade).unwrap_or_default();
        all.insert(key.to_owned(), Arc::downgrade(&held));
        Turns { all: self, key: key.to_owned(), held: Some(held) }
    }
}

/// The turns of one command, forgotten with the last who waits for one.
struct Turns<'a> {
    all: &'a UnderWay,
    key: String,
    held: Option<Arc<tokio::sync::Mutex<()>>>,
}

impl Turns<'_> {
    async fn mine(&self) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        match &self.held {
            Some(held) => Some(held.lock().await),
            None => None,
        }
    }
}

impl Drop for Turns<'_> {
    fn drop(&mut self) {
        let mut all = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        self.held = None;
        if all.get(&self.key).is_some_and(|held| held.strong_count() == 0) {
            all.remove(&self.key);
        }
    }
}

impl std::fmt::Debug for Commands {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Commands({:?})", self.names())
    }
}

impl Commands {
    /// With no type yet.
    pub fn new(desk: Desk, vault: Arc<Vault>) -> Self {
        Self { desk, vault, types: RwLock::default(), under_way: UnderWay::default() }
    }

    /// Adds a type; one of the same name is replaced.
    pub fn register(&self, of: Arc<dyn CommandType>) {
        self.types.write().unwrap_or_else(PoisonError::into_inner).insert(of.name(), of);
    }

    /// Every type there is.
    pub fn names(&self) -> Vec<&'static str> {
        self.types.read().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }

    fn find(&self, name: &str) -> Result<Arc<dyn CommandType>, Problem> {
        let found = self.types.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        found.ok_or_else(|| {
            let names = self.names();
            let message = format!("there is no command {name:?}; there are {}", names.join(", "));
            Problem::new(Code::UnknownCommand, message).fact("types", names)
        })
    }

    /// Does what is asked, or answers as before.
    pub async fn execute(&self, command: &Command, by: &Principal) -> Result<Done, Problem> {
        check_correlation(&command.correlation)?;
        let of = self.find(&command.kind)?;
        let key = hex(&[by.identity().as_bytes(), b"\0", command.correlation.as_bytes()]);
        // The time that a client puts on it may differ from one try to the next.
        let digest = hex(&[command.kind.as_bytes(), b"\0", command.payload.to_string().as_bytes()]);
        let turns = self.under_way.turns(&key);
        let _turn = turns.mine().await;
        self.once(&*of, command, by, (&key, &digest)).await
    }

    /// Does it, or answers as before. One at a time for one key: what is answered from the record is there as a whole.
    async fn once(
        &self,
        of: &dyn CommandType,
        command: &Command,
        by: &Principal,
        (key, digest): (&str, &str),
    ) -> Result<Done, Problem> {
        for attempt in 0..ATTEMPTS {
            let address = Key::of::<CommandRecord>(key);
            let guard = match self.recorded(key).await? {
                Some((record, _)) if record.until > self.desk.now() => {
                    is_same(&record, digest)?;
                    of.permit(by, command)?;
                    return self.repeat(record);
                }
                Some((_, version)) => Guard::Version(address, version),
                None => Guard::Absent(address),
            };
            of.permit(by, command)?;
            let plan = of.decide(by, command).await?;
            match self.commit(plan, guard, command, (key, digest), of.lane()).await {
                Ok(data) => return Ok(Done { data, repeat: false }),
                Err(CommitError::Conflict { .. } | CommitError::Timer(_)) => self.desk.let_pass(attempt).await,
                Err(error) => return Err(refused(&error)),
            }
        }
        Err(Problem::new(Code::Conflict, "what it is about changes all the time; try again"))
    }

    async fn recorded(&self, key: &str) -> Result<Option<(CommandRecord, u64)>, Problem> {
        let found = self.desk.store.get(CommandRecord::COLLECTION, key).await.map_err(unreadable)?;
        found
            .map(|document| {
                let record = serde_json::from_str(&document.body).map_err(|e| {
                    tracing::error!(key, error = %e, "the record of a command is unreadable");
                    Problem::new(Code::Internal, "the record of this command is unreadable")
                })?;
                Ok((record, document.version))
            })
            .transpose()
    }

    fn repeat(&self, record: CommandRecord) -> Result<Done, Problem> {
        let secret = self.vault.get(&place(&record.key));
        if record.has_secret && secret.is_none() {
            return Err(Problem::new(Code::Internal, "the secret of this answer is gone; rotate the token"));
        }
        let secret = secret.filter(|_| record.has_secret);
        Ok(Done { data: with_secret(record.answer, secret.as_ref().map(|s| s.expose())), repeat: true })
    }

    /// Commits what was decided, with its record. The first guard is the record's.
    async fn commit(
        &self,
        mut plan: Plan<Value>,
        guard: Guard,
        command: &Command,
        (key, digest): (&str, &str),
        lane: Lane,
    ) -> Result<Value, CommitError> {
        let broken = |what: String| CommitError::Broken(what);
        let record = CommandRecord {
            key: key.to_owned(),
            kind: command.kind.clone(),
            digest: digest.to_owned(),
            answer: plan.value.clone(),
            has_secret: plan.secret.is_some(),
            until: self.desk.now().plus(IDEMPOTENCY_WINDOW),
        };
        let mut commit = std::mem::take(&mut plan.commit);
        commit.lane = lane;
        commit.guards.insert(0, guard);
        commit.documents.push(Write::put(&record).map_err(|e| broken(e.to_string()))?);
        if let Some(secret) = &plan.secret {
            commit.documents.push(self.vault.put(&place(key), secret).map_err(|e| broken(e.message))?);
        }
        for event in &mut commit.events {
            event.correlation.get_or_insert_with(|| command.correlation.clone());
        }
        self.desk.store.commit(commit).await?;
        let done = plan.settle();
        if let Some(secret) = &done.secret {
            self.vault.opened(&place(key), secret);
        }
        Ok(with_secret(done.value, done.secret.as_deref()))
    }

    /// Forgets what is older than the window, with the secrets.
    pub async fn sweep(&self) -> Result<(), Problem> {
        loop {
            let range = Range {
                collection: CommandRecord::COLLECTION,
                index: "by_end",
                prefix: Vec::new(),
                from: None,
                until: Some(self.desk.now().into()),
            };
            let query = IndexQuery { range, descending: false, filters: Vec::new(), after: None, limit: SWEPT };
            let found = self.desk.store.list(query).await.map_err(unreadable)?.items;
            if found.is_empty() {
                return Ok(());
            }
            let mut commit = nexus_core::store::Commit::default();
            for document in &found {
                let address = Key::of::<CommandRecord>(&document.key);
                commit.guards.push(Guard::Version(address.clone(), document.version));
                commit.documents.push(Write::Delete(address));
                commit.documents.push(Vault::remove(&place(&document.key)));
            }
            self.desk.commit(commit).await?;
            for document in &found {
                self.vault.forget(&place(&document.key));
            }
        }
    }
}

/// 409 unless it is the command that the id was used for. Its payload need not even fit: the id is the first thing wrong.
fn is_same(record: &CommandRecord, digest: &str) -> Result<(), Problem> {
    if record.digest == digest {
        return Ok(());
    }
    let message =
        format!("this correlationId was used for another {} command; a new command needs a new one", record.kind);
    Err(Problem::new(Code::IdempotencyKeyReused, message))
}

fn with_secret(mut answer: Value, secret: Option<&str>) -> Value {
    if let (Value::Object(fields), Some(secret)) = (&mut answer, secret) {
        fields.insert(SECRET_FIELD.to_owned(), secret.into());
    }
    answer
}

fn check_correlation(id: &str) -> Result<(), Problem> {
    if (1..=ID_BYTES).contains(&id.len()) && !id.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Problem::field("correlationId", format!("must be 1 to {ID_BYTES} bytes without control characters")))
}

fn hex(parts: &[&[u8]]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    parts.iter().for_each(|part| context.update(part));
    data_encoding::HEXLOWER.encode(context.finish().as_ref())
}
