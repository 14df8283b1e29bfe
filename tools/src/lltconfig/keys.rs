//! `lltconfig --keygen`.

use std::path::Path;

use crate::common::{Failure, Root};

/// Writes a new key, mode 0600, to `file` or to where gabd looks for it.
pub(super) fn generate(_root: &Root, _file: Option<&Path>) -> Result<(), Failure> {
    Err(Failure::operation("keys are not in this version"))
}
