//! Counts the instructions of the hot paths under valgrind and compares them with
//! `benches/instructions.txt`: a count says the same on a busy machine as on a quiet one.
//!
//! ```text
//! cargo run --profile hotpaths -p benches                   compares, exit status 1 if off
//! cargo run --profile hotpaths -p benches -- --write        writes the file anew
//! cargo run --profile hotpaths -p benches -- run NAME COUNT  runs one path so often: for profilers
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode};

use benches::paths::PATHS;

/// More or fewer by so many per cent is a change that somebody should know of.
const TOLERANCE: f64 = 5.0;
/// Calls of the shorter of the two runs whose difference counts, so that what is done once does not.
const CALLS: u64 = 200;

type Counts = BTreeMap<String, u64>;

fn main() -> ExitCode {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.txt");
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => count_all().and_then(|counts| Ok(compare(&read(&file)?, &counts))),
        ["--write"] => count_all().and_then(|counts| write(&file, &counts)),
        ["run", name, calls] => repeat(name, calls),
        _ => Err("expected nothing, --write, or run NAME COUNT".to_owned()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::from(2)
        }
    }
}

/// The path itself, without counting.
fn repeat(name: &str, calls: &str) -> Result<bool, String> {
    let path = PATHS.iter().find(|path| path.name == name).ok_or_else(|| {
        let names = PATHS.iter().map(|path| format!("\n  {}", path.name)).collect::<String>();
        format!("there is no path {name:?}, but{names}")
    })?;
    let calls: u64 = calls.parse().map_err(|_| format!("{calls:?} is no number of calls"))?;
    let mut run = (path.make)();
    (0..calls).for_each(|_| run());
    Ok(true)
}

fn count_all() -> Result<Counts, String> {
    let count = |path: &benches::paths::Path| {
        let once = collect(path.name, CALLS)?;
        let twice = collect(path.name, 2 * CALLS)?;
        Ok((path.name.to_owned(), twice.saturating_sub(once) / CALLS))
    };
    PATHS.iter().map(count).collect()
}

fn write(file: &Path, counts: &Counts) -> Result<bool, String> {
    let mut text = "# Instructions per call of each hot path, written with --write.\n".to_owned();
    for (name, count) in counts {
        writeln!(text, "{count:>9}  {name}").expect("a string takes all");
    }
    std::fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(true)
}

/// Runs a path so often under valgrind.
fn collect(name: &str, calls: u64) -> Result<u64, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new("valgrind");
    // Of its tools the one that counts fastest.
    command.args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]);
    command.arg(program);
    let output = command.args(["run", name, &calls.to_string()]).output();
    let output = output.map_err(|error| format!("valgrind does not run: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let refs = |line: &str| Some(line.split(" refs:").nth(1)?.trim().replace(',', ""));
    let count = said.lines().find_map(|line| refs(line)?.parse().ok());
    count.filter(|_| output.status.success()).ok_or_else(|| format!("{name}: {}", said.trim_end()))
}

fn read(file: &Path) -> Result<Counts, String> {
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| format!("{}: {error}", file.display()))?;
    let mut counts = Counts::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.starts_with('#')) {
        let entry = line.trim().split_once("  ");
        let entry = entry.and_then(|(count, name)| Some((name.to_owned(), count.parse().ok()?)));
        let (name, count) =
            entry.ok_or_else(|| format!("{}:{number}: expected COUNT  NAME", file.display()))?;
        counts.insert(name, count);
    }
    Ok(counts)
}

/// Prints both, and is true if all are alike.
fn compare(expected: &Counts, counts: &Counts) -> bool {
    let mut alike = true;
    for (name, &count) in counts {
        let before = expected.get(name).copied();
        #[expect(clippy::cast_precision_loss, reason = "a share for people")]
        let change = before.map(|before| (count as f64 / before.max(1) as f64 - 1.0) * 100.0);
        let verdict = match change {
            None => "is not in the file",
            Some(change) if change > TOLERANCE => "more than before",
            Some(change) if change < -TOLERANCE => "fewer than before: write it down",
            Some(_) => "",
        };
        alike &= verdict.is_empty();
        println!("{count:>9}  {:>+6.1} %  {name}  {verdict}", change.unwrap_or(0.0));
    }
    for name in expected.keys().filter(|name| !counts.contains_key(*name)) {
        println!("{name} is in the file and not measured");
        alike = false;
    }
    if !alike {
        println!(
            "If that is meant: cargo run --profile hotpaths -p benches --bin instructions -- --write"
        );
    }
    alike
}
