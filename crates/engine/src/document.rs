//! Documents that people write (flows, connectors): YAML with the lines of its parts, places in it, and what is wrong there.

pub mod pointer;
pub mod problem;
pub mod yaml;
