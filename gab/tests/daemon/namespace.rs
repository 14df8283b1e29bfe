//! A network namespace for a test: it runs itself again, in one of its own. All that is made in it
//! ends with it.

use std::process::{Command, Output, Stdio};

/// Runs the test of this name again in a namespace, unless that is where we are: then false.
/// Where the rights are missing it says so and is done, but in CI it fails.
pub(crate) fn run_again(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        ip("link set lo up");
        return false;
    }
    if let Err(reason) = probe() {
        assert!(std::env::var_os("CI").is_none(), "CI must have namespaces: {reason}");
        println!("skipped: {reason}");
        return true;
    }
    // The name begins with that of the crate.
    let (_, name) = test.split_once("::").unwrap();
    let mut command = unshare();
    command.arg(std::env::current_exe().unwrap()).args(["--exact", name, "--nocapture"]);
    let output = command.env(INSIDE, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{}", both(&output));
    true
}

/// Runs `ip` with these arguments.
pub(crate) fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().unwrap();
    assert!(output.status.success(), "ip {arguments}: {}", both(&output));
}

/// Is there what it takes?
fn probe() -> Result<(), String> {
    let mut command = unshare();
    command.args(["ip", "link", "add", "probe0", "type", "veth", "peer", "name", "probe1"]);
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("no network namespace with veth: {}", both(&output))),
        Err(error) => Err(format!("no network namespace: unshare (util-linux): {error}")),
    }
}

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command.stdin(Stdio::null());
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.arg("--net");
    command
}

fn both(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

/// Set in the test that runs inside.
const INSIDE: &str = "GAB_TEST_NAMESPACE";
