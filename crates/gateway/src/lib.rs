//! stub

pub mod presets;
