//! The first customer of the hub: services that find and call each other, and the versioned state that they share.
//!
//! - [`registry`]: who is there, how they are, whom to call, and the call itself.
//! - [`state`]: keys with versions, history, watches and rules for conflicts.
//!
//! Both keep their documents in the hub's store and say every change as an event of the hub's log, in one commit.

pub mod registry;
pub mod state;

pub use registry::{Registry, RegistryOptions};
pub use state::{StateOptions, StateStore};

use nexus_core::record::Collection;

/// The collections that the store must be opened with, besides the hub's own.
pub fn collections() -> Vec<&'static Collection> {
    [registry::collections(), state::collections()].concat()
}
