//! The scenarios of LLT and GAB, each a small story in virtual time.

mod clients;
mod crashes;
mod jeopardy;
mod joins;
mod keys;
mod links;
mod network;
mod partitions;
mod pauses;
mod quorum;
mod record;
mod resources;
