//! The client library: programs register on GAB ports, administrators ask gabd.
//!
//! [`Port`] is a registration: it sends, and its events come back in the agreed order. All its
//! rules are in [`ClientCore`], which is pure, so that the simulator runs the same client as real
//! programs do; `Port` adds the socket. [`Admin`] asks gabd on behalf of the commands.

mod admin;
mod core;
mod port;
mod readiness;
mod socket;

pub use self::admin::{Admin, AdminFailure};
pub use self::core::{AckError, ClientCore, ClientState};
pub use self::port::{CloseError, Options, Port, RegisterError};
pub use self::socket::{ConnectError, default_root, socket_path};
