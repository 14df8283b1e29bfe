//! Why the system does not let this user make namespaces, in words that help.

use std::fmt::Write;

use anyhow::anyhow;
use rustix::io::Errno;

/// A switch of the system that forbids it.
struct Sysctl {
    name: &'static str,
    forbids: fn(&str) -> bool,
    help: &'static str,
}

const SYSCTLS: [Sysctl; 4] = [
    Sysctl {
        name: "kernel.unprivileged_userns_clone",
        forbids: |value| value == "0",
        help: "sysctl kernel.unprivileged_userns_clone=1 allows user namespaces",
    },
    Sysctl {
        name: "user.max_user_namespaces",
        forbids: |value| value == "0",
        help: "sysctl user.max_user_namespaces=10000 allows user namespaces",
    },
    Sysctl {
        name: "user.max_net_namespaces",
        forbids: |value| value == "0",
        help: "sysctl user.max_net_namespaces=10000 allows network namespaces",
    },
    Sysctl {
        name: "kernel.apparmor_restrict_unprivileged_userns",
        forbids: |value| value != "0",
        help: "sysctl kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile for \
               muster with `userns,`, allows user namespaces",
    },
];

/// The error of a user who may make neither a network namespace, which failed with `plain`, nor
/// one in a user namespace, where `call` failed with `error`.
pub(super) fn explain(plain: Errno, call: &str, error: &std::io::Error) -> anyhow::Error {
    explain_with(plain, call, error, |name| {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        std::fs::read_to_string(path).ok()
    })
}

fn explain_with(
    plain: Errno,
    call: &str,
    error: &std::io::Error,
    read: impl Fn(&str) -> Option<String>,
) -> anyhow::Error {
    let mut text = format!(
        "network namespaces cannot be made here:\n  \
         unshare(CLONE_NEWNET): {plain}\n  \
         and for a user who is not root, {call}: {error}"
    );
    let mut found = false;
    for Sysctl { name, forbids, help } in &SYSCTLS {
        if let Some(value) = read(name)
            && forbids(value.trim())
        {
            found = true;
            let _ = write!(text, "\n  {name} is {}: {help}", value.trim());
        }
    }
    if !found {
        text.push_str(
            "\n  no known sysctl forbids it: a container or a seccomp filter around this process may",
        );
    }
    text.push_str("\n  run muster as root, or without --netns");
    anyhow!(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(sysctls: &[(&str, &str)]) -> String {
        let error = std::io::Error::from(Errno::NOSPC);
        let read = |name: &str| {
            sysctls.iter().find(|(known, _)| *known == name).map(|(_, value)| format!("{value}\n"))
        };
        explain_with(Errno::PERM, "unshare(CLONE_NEWUSER | CLONE_NEWNET)", &error, read).to_string()
    }

    #[test]
    fn the_sysctl_that_forbids_is_named_with_its_value() {
        let text = told(&[("user.max_user_namespaces", "0"), ("user.max_net_namespaces", "9")]);
        assert!(text.contains("unshare(CLONE_NEWNET): Operation not permitted"), "{text}");
        assert!(text.contains("No space left on device"), "{text}");
        assert!(text.contains("\n  user.max_user_namespaces is 0: sysctl"), "{text}");
        assert!(!text.contains("max_net_namespaces"), "{text}");
    }

    #[test]
    fn without_a_sysctl_to_blame_it_says_so() {
        let text = told(&[("kernel.unprivileged_userns_clone", "1")]);
        assert!(text.contains("no known sysctl forbids it"), "{text}");
    }
}
