//! Deterministic simulator of whole clusters: production stacks in virtual time.
//!
//! [`world::World`] owns the time and the queue of events; [`net`] loses, delays and damages
//! frames; [`node`] models the process around a stack (pauses, slow turns, clock rate);
//! [`client`] drives registered clients; [`chaos`] breaks things. Everything that reaches a
//! [`gab::Stack`] passes [`host::Hosts::apply`], which writes the [`history`], feeds the digest
//! and, when asked, the replayable log. [`invariants`] judges the history, [`liveness`] what must
//! come true after the last fault. [`run`] ties one seed together, [`scenario`] scripts one
//! situation by hand, [`mutants`] and [`scripts`] say how each broken rule shows. [`cvm`] puts the
//! control plane of CVM and shared disks on top of all that. With the feature
//! `model`, a model checker walks every schedule of small clusters of the bare core.

pub mod arbiter;
pub mod chaos;
pub mod client;
pub mod cvm;
pub mod digest;
pub mod fuzz;
pub mod history;
pub mod host;
pub mod input;
pub mod invariants;
pub mod liveness;
#[cfg(feature = "model")]
pub mod model;
pub mod mutants;
pub mod net;
pub mod node;
pub mod payload;
pub mod profile;
pub mod replay;
pub mod rng;
pub mod run;
pub mod scenario;
pub mod scripts;
pub mod seeds;
pub mod setup;
pub mod world;
