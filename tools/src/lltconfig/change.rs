//! Changes while LLT runs: ask gabd, and tell what it did and how to keep it.

use gab::admin::{AdminRequest, Changed};

use crate::common::output::{complain, print, print_json};
use crate::common::{Failure, Root};

/// Lets gabd change something.
pub(super) fn change(root: &Root, request: &AdminRequest, json: bool) -> Result<(), Failure> {
    let changed: Changed = root.admin()?.request(request)?;
    if json {
        return print_json(&changed);
    }
    for warning in &changed.warnings {
        complain(&format!("LLT lltconfig WARNING {warning}"));
    }
    print(&text(&changed))
}

fn text(changed: &Changed) -> String {
    if changed.changed.is_empty() {
        // What means nothing here, as the warning says, was set and keeps nothing.
        let ignored = changed.keep.is_empty() && !changed.warnings.is_empty();
        return if ignored { "nothing changed\n" } else { "nothing changed: it was so already\n" }
            .to_owned();
    }
    let mut out: String = changed.changed.iter().map(|line| format!("{line}\n")).collect();
    if !changed.keep.is_empty() {
        out += "until gabd ends; to keep it, put into etc/llttab:\n";
        out.extend(changed.keep.iter().map(|line| format!("    {line}\n")));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;

    #[test]
    fn a_change_tells_what_it_was_and_how_to_keep_it() {
        let changed = Changed {
            changed: vec!["peertrouble: 200 -> 350".into()],
            keep: vec!["set-timer peertrouble:350".into()],
            warnings: Vec::new(),
        };
        golden::check("lltconfig-change", &text(&changed));
        assert_eq!(text(&Changed::default()), "nothing changed: it was so already\n");
        let ignored = Changed { warnings: vec!["it means nothing".into()], ..Changed::default() };
        assert_eq!(text(&ignored), "nothing changed\n");
    }
}
