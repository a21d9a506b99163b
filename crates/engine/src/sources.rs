//! The source desk: sources in the store, and the set in force that the doors look at.

use std::{
    collections::BTreeMap,
    sync::{Arc, RwLock},
    time::Duration,
};

use nexus_core::{
    access::Principal,
    limits::IDEMPOTENCY_WINDOW,
    problem::{Code, Problem},
    retry::parse_duration,
    sign::Secret,
    store::{Commit, Guard, Key, Write},
    time::Timestamp,
    topic::TopicFilter,
};

use crate::{
    desk::{Created, Desk, Shelf, check_name},
    jq::Jq,
    plan::Plan,
    source::{ActiveSource, NewSource, OnViolation, SecretInfo, Source, SourcePatch, SourceRate},
    vault::{Vault, VaultError},
};

/// Sources that exist without being added: their preset, and whether `NEXUS_SECRET_KEY` is theirs.
const BUILT_IN: [(&str, &str); 3] = [("nexus", "nexus"), ("flowpay", "flowpay"), ("factory", "factory")];

/// The variable of the secret that all built-in sources share; with `_SOURCE` behind it, that of one source.
const SHARED_VARIABLE: &str = "NEXUS_SECRET_KEY";

/// The sources in force.
#[derive(Debug, Default)]
pub struct SourceSet(BTreeMap<String, Arc<ActiveSource>>);

impl SourceSet {
    /// One source.
    pub fn get(&self, id: &str) -> Option<&Arc<ActiveSource>> {
        self.0.get(id)
    }

    /// All, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<ActiveSource>> {
        self.0.values()
    }
}

/// Secrets that the environment gives: `NEXUS_SECRET_KEY` and `NEXUS_SECRET_KEY_<SOURCE>`.
#[derive(Clone, Debug, Default)]
pub struct EnvironmentSecrets {
    /// Of source `nexus`, and of `flowpay` and `factory` while they have none of their own.
    pub shared: Option<Secret>,
    /// The variable that gave it, where that was not `NEXUS_SECRET_KEY`.
    pub shared_variable: Option<String>,
    /// By source id in lower case.
    pub by_source: BTreeMap<String, Secret>,
}

/// The source desk.
#[derive(Debug)]
pub struct Sources {
    desk: Desk,
    vault: Arc<Vault>,
    shelf: Shelf<Source>,
    environment: EnvironmentSecrets,
    opened_at: Timestamp,
    permissions: RwLock<Option<BTreeMap<String, Vec<TopicFilter>>>>,
    active: RwLock<Arc<SourceSet>>,
}

impl Sources {
    /// Reads all sources.
    pub async fn open(desk: Desk, vault: Arc<Vault>, environment: EnvironmentSecrets) -> Result<Self, VaultError> {
        let stored: Vec<(Source, u64)> = desk.load().await?;
        let shelf = stored.into_iter().map(|(s, v)| (s.id.clone(), (s, v))).collect::<BTreeMap<_, _>>();
        let sources = Self {
            opened_at: desk.now(),
            desk,
            vault,
            shelf: RwLock::new(shelf),
            environment,
            permissions: RwLock::default(),
            active: RwLock::default(),
        };
        sources.refresh();
        Ok(sources)
    }

    /// The variables of the environment that hold secrets, the source of each, and since when the hub has them. Never the
    /// secrets.
    pub(crate) fn environment(&self) -> Vec<(String, String, Timestamp)> {
        let shelf = self.shelf.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut by_variable: BTreeMap<String, &str> = BTreeMap::new();
        for id in self.environment.by_source.keys() {
            // One variable names `a-b` as well as `a_b`: it is of the one that exists.
            let variable = format!("{SHARED_VARIABLE}_{}", id.replace('-', "_").to_ascii_uppercase());
            let owner = by_variable.entry(variable).or_insert(id);
            if shelf.contains_key(id) {
                *owner = id;
            }
        }
        let shared = self.environment.shared.iter().map(|_| {
            let variable = self.environment.shared_variable.as_deref().unwrap_or(SHARED_VARIABLE);
            (variable.to_owned(), "nexus".to_owned(), self.opened_at)
        });
        let own = by_variable.into_iter().map(|(variable, id)| (variable, id.to_owned(), self.opened_at));
        shared.chain(own).collect()
    }

    /// The sources in force now.
    pub fn active(&self) -> Arc<SourceSet> {
        Arc::clone(&self.active.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Puts the permissions file into force; it replaces `allow` for the sources that it names.
    pub fn set_permissions(&self, permissions: Option<BTreeMap<String, Vec<TopicFilter>>>) {
        *self.permissions.write().unwrap_or_else(std::sync::PoisonError::into_inner) = permissions;
        self.refresh();
    }

    /// Makes the set in force anew: after a change, and when a secret's overlap has ended.
    pub fn refresh(&self) {
        let now = self.desk.now();
        let mut set = BTreeMap::new();
        {
            let shelf = self.shelf.read().unwrap_or_else(std::sync::PoisonError::into_inner);
            let permissions = self.permissions.read().unwrap_or_else(std::sync::PoisonError::into_inner);
            let mut implied: Vec<Source> = BUILT_IN
                .iter()
                .map(|(id, preset)| blank(id, preset, now))
                .chain(self.environment.by_source.keys().map(|id| blank(id, "nexus", now)))
                .filter(|s| !shelf.contains_key(&s.id))
                .collect();
            implied.sort_by(|a, b| a.id.cmp(&b.id));
            implied.dedup_by(|a, b| a.id == b.id);
            for source in shelf.values().map(|(s, _)| s).chain(&implied) {
                let permitted = permissions.as_ref().and_then(|p| p.get(&source.id)).cloned();
                set.insert(source.id.clone(), Arc::new(self.activate(source, permitted, now)));
            }
        }
        *self.active.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::new(SourceSet(set));
    }

    fn activate(&self, source: &Source, permitted: Option<Vec<TopicFilter>>, now: Timestamp) -> ActiveSource {
        let mut secrets: Vec<Secret> = source
            .secrets
            .iter()
            .filter(|s| s.expires_at.is_none_or(|at| at > now))
            .filter_map(|s| self.vault.get(&s.name))
            .collect();
        secrets.extend(self.environment.by_source.get(&source.id).cloned());
        let shares = BUILT_IN.iter().any(|(id, _)| *id == source.id);
        if shares && (secrets.is_empty() || source.id == "nexus") {
            secrets.extend(self.environment.shared.clone());
        }
        let allow = permitted.or_else(|| (!source.allow.is_empty()).then(|| source.allow.clone()));
        ActiveSource {
            id: source.id.as_str().into(),
            secrets,
            allow,
            window: window(source.idempotency_window.as_deref()).unwrap_or(IDEMPOTENCY_WINDOW),
            mapping: source.mapping.as_deref().and_then(|text| Jq::compile(text).ok()),
            source: source.clone(),
        }
    }

    /// All stored sources, by id.
    pub fn list(&self) -> Vec<Source> {
        let shelf = self.shelf.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        shelf.values().map(|(s, _)| s.clone()).collect()
    }

    /// One stored source.
    pub fn get(&self, id: &str) -> Result<Source, Problem> {
        self.held(id).map(|(s, _)| s)
    }

    fn held(&self, id: &str) -> Result<(Source, u64), Problem> {
        let shelf = self.shelf.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        shelf.get(id).cloned().ok_or_else(|| Problem::new(Code::NotFound, format!("there is no source {id:?}")))
    }

    /// Adds a source. Without a secret it gets one, returned this once.
    pub async fn create(self: &Arc<Self>, new: NewSource, by: &Principal) -> Result<Created<Source>, Problem> {
        check_name("id", &new.id)?;
        let now = self.desk.now();
        let mut source = blank(&new.id, new.preset.as_deref().unwrap_or("nexus"), now);
        source.allow = new.allow.into_iter().filter(|f| f.as_str() != ">").collect();
        source.closed = new.closed;
        source.schemas = new.schemas;
        source.on_violation = new.on_violation;
        source.rate_limit = parse_rate(new.rate_limit.as_deref())?;
        source.idempotency_window = check_window(new.idempotency_window)?;
        source.mapping = check_mapping(new.mapping)?;
        let made = if new.secrets.is_empty() { Some(self.vault.generate()?) } else { None };
        let mut opened = Vec::new();
        for (n, secret) in made.iter().chain(&new.secrets).enumerate() {
            let name = format!("source/{}/{}-{n}", source.id, now.micros());
            check_secret(secret)?;
            source.secrets.push(SecretInfo { name: name.clone(), created_at: now, expires_at: None });
            opened.push((name, secret.clone()));
        }
        let value = self.write(self.plan(source, 0, opened, &[], by, "source.created")?, true).await?;
        Ok(Created { value, secret: made })
    }

    /// Changes a source.
    pub async fn update(self: &Arc<Self>, id: &str, patch: SourcePatch, by: &Principal) -> Result<Source, Problem> {
        let (mut source, version) = self.held(id)?;
        if let Some(preset) = patch.preset {
            source.preset = preset;
        }
        if let Some(allow) = patch.allow {
            source.allow = allow;
        }
        source.closed = patch.closed.unwrap_or(source.closed);
        source.schemas = patch.schemas.unwrap_or(source.schemas);
        source.on_violation = patch.on_violation.unwrap_or(source.on_violation);
        source.enabled = patch.enabled.unwrap_or(source.enabled);
        if let Some(rate) = patch.rate_limit {
            source.rate_limit = parse_rate(Some(&rate))?;
        }
        if let Some(window) = patch.idempotency_window {
            source.idempotency_window = check_window(Some(window).filter(|w| !w.is_empty()))?;
        }
        if let Some(mapping) = patch.mapping {
            source.mapping = check_mapping(Some(mapping).filter(|m| !m.is_empty()))?;
        }
        source.updated_at = self.desk.now();
        self.write(self.plan(source, version, Vec::new(), &[], by, "source.updated")?, false).await
    }

    /// Adds a secret; those there already go on for `overlap` (for ever when `None`).
    pub async fn add_secret(
        self: &Arc<Self>,
        id: &str,
        secret: Option<String>,
        overlap: Option<Duration>,
        by: &Principal,
    ) -> Result<Created<Source>, Problem> {
        self.plan_secret(id, secret, overlap, by)?.carry_out(&self.desk).await
    }

    /// See [`Self::add_secret`].
    pub fn plan_secret(
        self: &Arc<Self>,
        id: &str,
        secret: Option<String>,
        overlap: Option<Duration>,
        by: &Principal,
    ) -> Result<Plan<Source>, Problem> {
        let (mut source, version) = self.held(id)?;
        let now = self.desk.now();
        let made = if secret.is_none() { Some(self.vault.generate()?) } else { None };
        let Some(value) = secret.or_else(|| made.clone()) else {
            return Err(Problem::new(Code::Internal, "no secret was made"));
        };
        check_secret(&value)?;
        if let Some(overlap) = overlap {
            let end = now.plus(overlap);
            for old in &mut source.secrets {
                old.expires_at = Some(old.expires_at.map_or(end, |at| at.min(end)));
            }
        }
        let name = format!("source/{id}/{}-0", now.micros());
        source.secrets.insert(0, SecretInfo { name: name.clone(), created_at: now, expires_at: None });
        source.updated_at = now;
        Ok(self.plan(source, version, vec![(name, value)], &[], by, "source.secret_added")?.showing(made))
    }

    /// Removes a secret at once.
    pub async fn remove_secret(self: &Arc<Self>, id: &str, name: &str, by: &Principal) -> Result<Source, Problem> {
        Ok(self.plan_remove_secret(id, name, by)?.carry_out(&self.desk).await?.value)
    }

    /// See [`Self::remove_secret`].
    pub fn plan_remove_secret(self: &Arc<Self>, id: &str, name: &str, by: &Principal) -> Result<Plan<Source>, Problem> {
        let (mut source, version) = self.held(id)?;
        if !source.secrets.iter().any(|s| s.name == name) {
            return Err(Problem::new(Code::NotFound, format!("source {id:?} has no secret {name:?}")));
        }
        source.secrets.retain(|s| s.name != name);
        source.updated_at = self.desk.now();
        self.plan(source, version, Vec::new(), &[name.to_owned()], by, "source.secret_removed")
    }

    async fn write(self: &Arc<Self>, plan: Plan<Source>, is_new: bool) -> Result<Source, Problem> {
        let id = plan.value.id.clone();
        let done = plan.carry_out(&self.desk).await.map_err(|problem| match problem.code {
            Code::Conflict if is_new => Problem::new(Code::Conflict, format!("source {id:?} exists already")),
            _ => problem,
        })?;
        Ok(done.value)
    }

    fn plan(
        self: &Arc<Self>,
        source: Source,
        version: u64,
        add: Vec<(String, String)>,
        remove: &[String],
        by: &Principal,
        action: &str,
    ) -> Result<Plan<Source>, Problem> {
        let key = Key::of::<Source>(&source.id);
        let guard = if version == 0 { Guard::Absent(key) } else { Guard::Version(key, version) };
        let internal = |e: serde_json::Error| Problem::new(Code::Internal, e.to_string());
        let mut documents = vec![Write::put(&source).map_err(internal)?];
        for (name, secret) in &add {
            documents.push(self.vault.put(name, secret)?);
        }
        documents.extend(remove.iter().map(|name| Vault::remove(name)));
        let detail = serde_json::to_value(&source).map_err(internal)?;
        let commit = Commit {
            guards: vec![guard],
            documents,
            events: vec![self.desk.audit(by, action, &detail)],
            ..Commit::default()
        };
        let (own, kept, remove) = (Arc::clone(self), source.clone(), remove.to_vec());
        Ok(Plan::new(commit, source, move || {
            for (name, secret) in &add {
                own.vault.opened(name, secret);
            }
            for name in &remove {
                own.vault.forget(name);
            }
            let mut shelf = own.shelf.write().unwrap_or_else(std::sync::PoisonError::into_inner);
            shelf.insert(kept.id.clone(), (kept, version + 1));
            drop(shelf);
            own.refresh();
        }))
    }

    /// Removes a source with its secrets.
    pub async fn delete(&self, id: &str, by: &Principal) -> Result<(), Problem> {
        let (source, version) = self.held(id)?;
        let key = Key::of::<Source>(id);
        let mut documents = vec![Write::Delete(key.clone())];
        documents.extend(source.secrets.iter().map(|s| Vault::remove(&s.name)));
        let commit = Commit {
            guards: vec![Guard::Version(key, version)],
            documents,
            events: vec![self.desk.audit(by, "source.removed", &serde_json::json!({"id": id}))],
            ..Commit::default()
        };
        self.desk.commit(commit).await?;
        for secret in &source.secrets {
            self.vault.forget(&secret.name);
        }
        self.shelf.write().unwrap_or_else(std::sync::PoisonError::into_inner).remove(id);
        self.refresh();
        Ok(())
    }
}

fn blank(id: &str, preset: &str, now: Timestamp) -> Source {
    Source {
        id: id.to_owned(),
        preset: preset.to_owned(),
        allow: Vec::new(),
        closed: false,
        schemas: BTreeMap::new(),
        on_violation: OnViolation::default(),
        rate_limit: SourceRate::default(),
        idempotency_window: None,
        mapping: None,
        secrets: Vec::new(),
        enabled: true,
        created_at: now,
        updated_at: now,
    }
}

fn parse_rate(text: Option<&str>) -> Result<SourceRate, Problem> {
    match text {
        None | Some("default") => Ok(SourceRate::Default),
        Some("off") => Ok(SourceRate::Off),
        Some(rate) => {
            rate.parse().map(SourceRate::Limit).map_err(|e| Problem::field("rate_limit", format!("{e}, or off")))
        }
    }
}

fn window(text: Option<&str>) -> Option<Duration> {
    parse_duration(text?).ok()
}

fn check_window(text: Option<String>) -> Result<Option<String>, Problem> {
    const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);
    if let Some(text) = &text {
        let window = parse_duration(text).map_err(|e| Problem::field("idempotency_window", e))?;
        if !(Duration::from_secs(1)..=LONGEST).contains(&window) {
            return Err(Problem::field("idempotency_window", format!("{text} is not within 1s to 30d")));
        }
    }
    Ok(text)
}

fn check_mapping(mapping: Option<String>) -> Result<Option<String>, Problem> {
    if let Some(text) = &mapping {
        Jq::compile(text).map_err(|e| Problem::field("mapping", e.to_string()))?;
    }
    Ok(mapping)
}

fn check_secret(secret: &str) -> Result<(), Problem> {
    if secret.is_empty() || secret.len() > 4096 {
        return Err(Problem::field("secrets", "a secret must have 1 to 4,096 bytes"));
    }
    Ok(())
}
