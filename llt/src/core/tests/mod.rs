//! Cores that talk to each other over a network in memory, in virtual time.

mod basics;
mod chaos;
mod commands;
mod counters;
mod identity;
mod links;
mod net;
#[cfg(feature = "auth")]
mod sealed;
mod sessions;
mod streams;
