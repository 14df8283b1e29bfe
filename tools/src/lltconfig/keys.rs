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
    print(&made(&id.to_string(), &path))
}

fn made(id: &str, path: &Path) -> String {
    format!("key {id} is in {}; every node needs the same file\n", path.display())
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
            let are = if others.len() > 1 { "are" } else { "is" };
            let others = others.join(", ");
            format!("frames are sealed with key {first}; {others} {are} accepted, too\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;

    #[test]
    fn the_keys_in_force_are_named_and_which_of_them_seals() {
        let keys = ["aabbccdd", "11223344", "55667788"].map(str::to_owned);
        golden::check("lltconfig-keys", &[0, 1, 2].map(|count| told(&keys[..count])).concat());
        golden::check("lltconfig-keys-many", &told(&keys));
        golden::check_json("lltconfig-keys-json", &KeysInForce { keys: keys.into() });
        golden::check("lltconfig-keygen", &made("aabbccdd", Path::new("/etc/muster.key")));
    }
}
