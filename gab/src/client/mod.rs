//! The client library: programs register on GAB ports, administrators ask gabd.
//!
//! [`Port`] is a registration: it sends, and its events come back in the agreed order. All its
//! rules are in [`ClientCore`], which is pure, so that the simulator runs the same client as real
//! programs do; `Port` adds the socket. [`LltPort`] is the same for an LLT port, below GAB.
//! [`Admin`] asks gabd on behalf of the commands, [`Trace`] watches the frames on its links,
//! [`Watch`] whatever happens at its node.

mod admin;
mod buffer;
mod core;
mod credit;
mod driver;
mod llt_core;
mod llt_port;
mod port;
mod readiness;
mod session;
mod socket;
mod trace;
mod watch;

pub use self::admin::{Admin, AdminFailure};
#[cfg(feature = "daemon")]
pub(crate) use self::buffer::Buffer;
pub use self::core::{AckError, ClientCore, ClientState};
pub use self::llt_core::{LltCore, LltEvent, LltSendError};
pub use self::llt_port::{LltOpenError, LltPort};
pub use self::port::{BUSY_POLL, CloseError, Options, Port, RegisterError};
pub use self::socket::{ConnectError, default_root, socket_path};
pub use self::trace::{Trace, TraceError};
pub use self::watch::{Watch, WatchError};
