//! A network namespace for a test: it runs itself again, in one of its own, with nothing in it but
//! a loopback that is down. All that is made in it ends with it.

use std::process::{Command, Output, Stdio};

/// Runs the test of this name again in a namespace, unless that is where we are: then false.
/// Where the rights are missing it says so and is done, but in CI it fails.
pub(crate) fn run_again(test: &str, environment: &[(&str, &str)]) -> bool {
    if std::env::var_os(INSIDE).is_some() {
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
    command.env(INSIDE, "1").envs(environment.iter().copied());
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{}", both(&output));
    true
}

/// Runs `ip` with these arguments; what it says.
pub(crate) fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().unwrap();
    assert!(output.status.success(), "ip {arguments}: {}", both(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
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
const INSIDE: &str = "LLT_TEST_NAMESPACE";
