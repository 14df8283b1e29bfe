//! `lltconfig --keygen` and `--reload-keys`.

use std::path::Path;

use gab::admin::{AdminRequest, KeysInForce};
use llt::io::keyfile;

use crate::common::output::{print, print_json};
use crate::common::{Failure, Root};

/// Writes a new key, mode 0600, to `file` or to where gabd looks for it.
pub(super) fn generate(root: &Root, file: Option<&Path>) -> Result<(), Failure> {
    let path = file.map_or_else(|| root.path().join("etc/muster.key"), Path::to_owned);
    let id = keyfile::write_new(&path).map_err(|error| Failure::because(&error))?;
    print(&format!("key {id} is in {}; every node needs the same file\n", path.display()))
}

/// Lets gabd read the file again, and says which keys are in force then.
pub(super) fn reload(root: &Root, json: bool) -> Result<(), Failure> {
    let answer: KeysInForce = root.admin()?.request(&AdminRequest::ReloadKeys)?;
    if json { print_json(&answer) } else { print(&told(&answer.keys)) }
}

fn told(keys: &[String]) -> String {
    match keys {
        [] => "LLT runs without keys, and there is no file\n".to_owned(),
        [one] => format!("frames are sealed with key {one}\n"),
        [first, others @ ..] => {
            format!("frames are sealed with key {first}; {} is accepted, too\n", others.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_in_force_are_named_and_which_of_them_seals() {
        let keys = ["aabbccdd".to_owned(), "11223344".to_owned()];
        assert_eq!(told(&[]), "LLT runs without keys, and there is no file\n");
        assert_eq!(told(&keys[..1]), "frames are sealed with key aabbccdd\n");
        assert_eq!(told(&keys), "frames are sealed with key aabbccdd; 11223344 is accepted, too\n");
    }
}
