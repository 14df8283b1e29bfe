//! Runs one hot path so many times: for profilers and for counting instructions.

use std::process::ExitCode;

use benches::paths::PATHS;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or_default();
    let count = args.next().and_then(|count| count.parse::<u64>().ok());
    let path = PATHS.iter().find(|path| path.name == name);
    let (Some(path), Some(count)) = (path, count) else {
        eprintln!("usage: hotpath NAME COUNT, where NAME is one of");
        PATHS.iter().for_each(|path| eprintln!("  {}", path.name));
        return ExitCode::from(2);
    };
    let mut run = (path.make)();
    for _ in 0..count {
        run();
    }
    ExitCode::SUCCESS
}
