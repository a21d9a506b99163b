//! Vendors, as far as a test needs them: their specifications as judges, and stand-ins that obey them.

mod judging;
mod schema;
pub(crate) mod spec;
pub(crate) mod stand_in;
pub(crate) mod text;
pub(crate) mod vendors;
