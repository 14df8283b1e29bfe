//! A namespace for a test: it runs itself again, in one of its own, of the network or of time. All
//! that is made in it ends with it.

use std::process::{Command, Output, Stdio};

/// Runs the test of this name again in a network of its own, unless that is where we are: then
/// false. Where the rights are missing it says so and is done, but in CI it fails.
pub(crate) fn run_again(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        ip("link set lo up");
        return false;
    }
    let link = ["ip", "link", "add", "probe0", "type", "veth", "peer", "name", "probe1"];
    inside(test, &["--net"], &link)
}

/// The same in a time of its own: the monotonic clock shows so many seconds when it begins.
pub(crate) fn run_again_at(test: &str, seconds: u64) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return false;
    }
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic).tv_sec;
    let offset = format!("--monotonic={}", i64::try_from(seconds).unwrap() - now);
    inside(test, &["--time", &offset, "--fork", "--kill-child"], &["true"])
}

/// Runs the test in what `unshare` makes with these options, if `probe` succeeds there.
fn inside(test: &str, options: &[&str], probe: &[&str]) -> bool {
    let reason = match unshare(options).args(probe).output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(format!("no namespace where `{probe:?}` works: {}", both(&output))),
        Err(error) => Some(format!("no namespace: unshare (util-linux): {error}")),
    };
    if let Some(reason) = reason {
        assert!(std::env::var_os("CI").is_none(), "CI must have namespaces: {reason}");
        println!("skipped: {reason}");
        return true;
    }
    // The name begins with that of the crate.
    let (_, name) = test.split_once("::").unwrap();
    let mut command = unshare(options);
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

fn unshare(options: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command.stdin(Stdio::null());
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(options);
    command
}

fn both(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

/// Set in the test that runs inside.
const INSIDE: &str = "GAB_TEST_NAMESPACE";
