//! Deterministic simulator.

pub mod fuzz;
