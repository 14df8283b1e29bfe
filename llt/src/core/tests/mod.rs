//! Cores that talk to each other over a network in memory, in virtual time.

mod basics;
mod chaos;
mod commands;
mod counters;
mod identity;
mod links;
mod net;
mod rhythm;
mod sessions;
mod streams;
