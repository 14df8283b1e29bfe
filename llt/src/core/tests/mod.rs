//! Cores that talk to each other over a network in memory, in virtual time.

mod basics;
mod chaos;
mod commands;
mod counters;
mod flow;
mod heartbeats;
mod identity;
mod links;
mod listen;
mod net;
mod notes;
mod paths;
mod property;
#[cfg(feature = "auth")]
mod sealed;
mod sessions;
mod streams;
