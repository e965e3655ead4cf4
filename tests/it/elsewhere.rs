//! Tokens that live elsewhere: behind closures of the application's, in an old table, in columns that are mirrored.

mod build;
mod closures;
mod mirror;
mod missing;
mod outside;
mod table;
