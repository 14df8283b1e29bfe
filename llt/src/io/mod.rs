//! Everything of LLT that touches the operating system: links, taps, the clock, the incarnation.
//!
//! A [`Link`] moves frames; it knows nothing of what they mean. [`Endpoint`] puts the tap of the
//! testbed in front of one, which is also the place for whoever wants to watch frames go by.
//! Nothing here blocks: a link receives what is there and keeps, within bounds, what the socket
//! does not take yet.

pub mod clock;
mod endpoint;
pub mod incarnation;
#[cfg(feature = "auth")]
pub mod keyfile;
mod link;
pub mod memory;
mod open;
pub mod tap;
pub mod udp;

pub use clock::Clock;
pub use endpoint::Endpoint;
pub use link::{Flushed, Link, LinkCounters, LinkError, LinkFrame, Received};
pub use open::{Opened, open};
