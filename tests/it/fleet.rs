//! A fleet: several processes over one store, some of them killed: G2, G3, G4, G5.
//!
//! Each process is this test binary again, started with an order in its environment.

mod callback;
mod kill;
mod process;
mod race;
