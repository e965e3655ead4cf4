#![doc = include_str!("../docs/README.md")]

mod answer;
mod presets;
mod profile;
mod quirks;

pub use presets::*;
