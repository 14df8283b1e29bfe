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
    warnings(&changed).iter().for_each(|warning| complain(warning));
    print(&text(&changed))
}

/// What goes to stderr, by line.
fn warnings(changed: &Changed) -> Vec<String> {
    changed.warnings.iter().map(|warning| format!("LLT lltconfig WARNING {warning}")).collect()
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
        golden::check_json("lltconfig-change-json", &changed);
        golden::check("lltconfig-change-nothing", &text(&Changed::default()));
        golden::check_json("lltconfig-change-nothing-json", &Changed::default());
    }

    /// As an administrator sees it who has both on the screen.
    fn screen(changed: &Changed) -> String {
        warnings(changed).iter().map(|line| format!("{line}\n")).collect::<String>()
            + &text(changed)
    }

    #[test]
    fn what_means_nothing_or_has_no_effect_is_a_warning() {
        let ignored = Changed {
            warnings: vec![
                "`rpeerinact` means nothing here and is ignored: there are no RDMA links".into(),
            ],
            ..Changed::default()
        };
        golden::check("lltconfig-change-ignored", &screen(&ignored));
        let several = Changed {
            changed: vec!["highwater: 200 -> 50".into(), "lowwater: 100 -> 20".into()],
            keep: vec!["set-flow highwater:50 lowwater:20".into()],
            ..ignored
        };
        golden::check("lltconfig-change-warnings", &screen(&several));
        golden::check_json("lltconfig-change-warnings-json", &several);
    }

    #[test]
    fn links_addresses_and_nodes_are_told_as_they_are_now() {
        let changes = [
            ("link 2 (eth3): added, on 00:15:17:48:B5:82", "link eth3 eth3 - ether - -", ""),
            ("link 2 (eth3): disabled", "", ""),
            (
                "link 2 (eth3): removed",
                "",
                "the next gabd reads `link eth3 eth3 - ether - -` again, if it stands in llttab",
            ),
            ("address of node 1 on l2: 192.168.3.2:50002", "set-addr 1 l2 192.168.3.2", ""),
            ("learned addresses: forgotten", "", ""),
            ("ignored nodes: none -> 2-31", "exclude 2-31", ""),
        ];
        let screens = changes.map(|(changed, keep, warning)| {
            let lines = |line: &str| Some(line.to_owned()).filter(|line| !line.is_empty());
            screen(&Changed {
                changed: vec![changed.to_owned()],
                keep: lines(keep).into_iter().collect(),
                warnings: lines(warning).into_iter().collect(),
            })
        });
        golden::check("lltconfig-changes", &screens.concat());
    }
}
