//! The bytes of messages between nodes. `docs/wire.md` draws them.

pub mod codec;
mod images;
pub mod local;
pub mod parcel;
pub mod v;
pub mod w;

pub use codec::Malformed;
pub use v::VMessage;
pub use w::WMessage;
