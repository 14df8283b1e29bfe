//! `etc/vx/volboot` of a node, see [`cvm::volboot`].

pub use cvm::volboot::Volboot;

use crate::common::{Failure, Root};

/// What stands in the file; nothing if there is none.
///
/// # Errors
/// If it cannot be read, or says something else.
pub fn read(root: &Root) -> Result<Volboot, Failure> {
    cvm::volboot::read(root.path()).map_err(|error| Failure::operation(error.to_string()))
}

/// Writes it as a whole, one number higher.
///
/// # Errors
/// If it cannot be written; the old one is still there then.
pub fn write(root: &Root, volboot: &Volboot) -> Result<(), Failure> {
    cvm::volboot::write(root.path(), volboot).map_err(|error| Failure::operation(error.to_string()))
}
