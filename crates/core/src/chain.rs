//! The hash chain over the log and its signed checkpoints.
//!
//! `hash(n) = SHA-256(hash(n-1) ‖ header(n) ‖ SHA-256(salt ‖ data))`. As only the salted digest of the data is covered,
//! the data (with its salt) can be erased and the chain still verifies. A chain alone does not show a cut tail: a
//! [`Checkpoint`], kept elsewhere, does.

use ring::{
    digest::{Context, SHA256},
    signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey},
};
use serde::{Deserialize, Serialize};

use crate::{
    event::{Data, Seq, StoredEvent},
    time::Timestamp,
};

/// SHA-256.
pub type Hash = [u8; 32];

/// What the first event chains to in epoch `epoch` of a log.
pub fn genesis(epoch: u32) -> Hash {
    let mut context = Context::new(&SHA256);
    context.update(b"nexus log v1");
    context.update(&epoch.to_be_bytes());
    finish(context)
}

/// The salted digest of an event's data.
pub fn data_digest(salt: &[u8; 16], json: &[u8]) -> Hash {
    let mut context = Context::new(&SHA256);
    context.update(salt);
    context.update(json);
    finish(context)
}

/// The digest that the chain covers for `data`, erased or not.
pub fn digest_of(data: &Data) -> Hash {
    match data {
        Data::Present { salt, json } => data_digest(salt, json),
        Data::Erased { digest } => *digest,
    }
}

/// The chain hash of `event` after `previous`; its own `hash` field is not read.
pub fn link(previous: &Hash, event: &StoredEvent) -> Hash {
    let mut buffer = Vec::with_capacity(256);
    buffer.extend_from_slice(previous);
    buffer.extend_from_slice(&event.seq.to_be_bytes());
    buffer.extend_from_slice(event.id.as_bytes());
    buffer.extend_from_slice(&event.time.micros().to_be_bytes());
    buffer.extend_from_slice(&event.received.micros().to_be_bytes());
    buffer.push(event.priority as u8);
    buffer.push(event.depth);
    put(&mut buffer, Some(event.topic.as_str().as_bytes()));
    put(&mut buffer, Some(event.source.as_bytes()));
    put(&mut buffer, event.subject.as_deref().map(str::as_bytes));
    put(&mut buffer, event.correlation.as_deref().map(str::as_bytes));
    put(&mut buffer, event.causation.as_ref().map(|c| c.as_bytes().as_slice()));
    put(&mut buffer, event.attributes.as_deref().map(str::as_bytes));
    buffer.extend_from_slice(&digest_of(&event.data));
    let mut context = Context::new(&SHA256);
    context.update(&buffer);
    finish(context)
}

/// Length-prefixed, with absent told from empty.
fn put(buffer: &mut Vec<u8>, field: Option<&[u8]>) {
    match field {
        None => buffer.extend_from_slice(&u32::MAX.to_be_bytes()),
        Some(bytes) => {
            buffer.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX - 1).to_be_bytes());
            buffer.extend_from_slice(bytes);
        }
    }
}

fn finish(context: Context) -> Hash {
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// A hub's ed25519 key for checkpoints.
pub struct Signer(Ed25519KeyPair);

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.public_key())
    }
}

/// A seed that makes no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the seed makes no ed25519 key")]
pub struct BadSeed;

impl Signer {
    /// The key of this seed.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, BadSeed> {
        Ed25519KeyPair::from_seed_unchecked(seed).map(Self).map_err(|_| BadSeed)
    }

    /// Its public half, lower-case hex, as checkpoints name it.
    pub fn public_key(&self) -> String {
        data_encoding::HEXLOWER.encode(self.0.public_key().as_ref())
    }

    /// A signed statement that the log of `epoch` has `hash` at `seq`.
    pub fn checkpoint(&self, epoch: u32, seq: Seq, hash: &Hash, time: Timestamp) -> Checkpoint {
        let hash = data_encoding::HEXLOWER.encode(hash);
        let signature = self.0.sign(Checkpoint::text(epoch, seq, &hash, time).as_bytes());
        Checkpoint {
            epoch,
            seq,
            time,
            public_key: self.public_key(),
            signature: data_encoding::HEXLOWER.encode(signature.as_ref()),
            hash,
        }
    }
}

/// A statement that the log of an epoch had this hash at this seq. Signed with the hub's ed25519 key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Epoch of the log.
    pub epoch: u32,
    /// Last seq covered.
    pub seq: Seq,
    /// Chain hash at `seq`, lower-case hex.
    pub hash: String,
    /// When it was made.
    pub time: Timestamp,
    /// The signer's public key, lower-case hex.
    pub public_key: String,
    /// ed25519 over the text `nexus checkpoint v1\n{epoch}\n{seq}\n{hash}\n{time}\n`, lower-case hex.
    pub signature: String,
}

impl Checkpoint {
    fn text(epoch: u32, seq: Seq, hash: &str, time: Timestamp) -> String {
        format!("nexus checkpoint v1\n{epoch}\n{seq}\n{hash}\n{}\n", time.micros())
    }

    /// Whether it says that the log has this hash at this seq.
    pub fn states(&self, seq: Seq, hash: &Hash) -> bool {
        self.seq == seq && data_encoding::HEXLOWER.encode(hash) == self.hash
    }

    /// Whether the signature is this key's over this statement.
    pub fn verifies(&self) -> bool {
        let hex = &data_encoding::HEXLOWER_PERMISSIVE;
        let (Ok(key), Ok(signature)) = (hex.decode(self.public_key.as_bytes()), hex.decode(self.signature.as_bytes()))
        else {
            return false;
        };
        let text = Self::text(self.epoch, self.seq, &self.hash, self.time);
        UnparsedPublicKey::new(&ED25519, key).verify(text.as_bytes(), &signature).is_ok()
    }
}
