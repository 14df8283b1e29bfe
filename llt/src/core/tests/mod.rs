//! Cores that talk to each other over a network in memory, in virtual time.

mod basics;
mod net;
