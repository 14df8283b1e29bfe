//! Everything of LLT that touches the operating system: links, taps, the clock, the incarnation.
//!
//! A [`Link`] moves frames; it knows nothing of what they mean. [`Endpoint`] puts the tap of the
//! testbed in front of one, which is also the place for whoever wants to watch frames go by.
//! Nothing here blocks: a link receives what is there and keeps, within bounds, what the socket
//! does not take yet.

mod buffers;
pub mod clock;
pub mod devices;
mod endpoint;
pub mod ether;
pub mod incarnation;
#[cfg(feature = "auth")]
pub mod keyfile;
mod link;
pub mod memory;
mod open;
#[cfg(feature = "pnet")]
pub mod pnet;
pub mod tap;
pub mod udp;

pub use clock::Clock;
pub use endpoint::{Endpoint, OBSERVED_MAX, Observed};
pub use link::{Flushed, Link, LinkCounters, LinkError, LinkFrame, Received};
pub use open::{ETHER_BACKEND, Opened, open, open_on};
