//! Tokens that live elsewhere: behind closures of the application's, in an old table, in columns that are mirrored.

mod build;
mod closures;
mod guide;
mod mirror;
mod missing;
mod outside;
mod steps;
mod table;
