//! Whole stacks over a perfect wire, message by message.

use benches::paths::{PATHS, Path};
use divan::Bencher;
use divan::counter::ItemsCount;

fn main() {
    divan::main();
}

struct Named(&'static Path);

impl std::fmt::Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.name)
    }
}

#[divan::bench(args = PATHS.iter().map(Named))]
fn path(bencher: Bencher<'_, '_>, path: &Named) {
    let run = (path.0.make)();
    bencher.counter(ItemsCount::new(path.0.messages)).bench_local(run);
}
