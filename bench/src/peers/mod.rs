//! Other servers on the same machine, where they are installed: for the reader who knows them.

pub(crate) mod etcd;
pub(crate) mod n8n;
pub(crate) mod nats;
pub(crate) mod node;
pub(crate) mod redis;
