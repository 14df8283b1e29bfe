//! Figures as plots: from the list that `--json` writes to SVG files.
//!
//! `data` sorts the lines of the list into plots, by size and by number of nodes, `svg` draws one.
//! Whatever is measured `beside` ours becomes a line of its own, without a word of it here.

mod data;
mod svg;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

pub(super) use data::Line;

/// Reads the list that `--json` wrote.
///
/// # Errors
/// If the file cannot be read, or is something else.
pub(super) fn read(path: &Path) -> Result<Vec<Line>> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let what = || format!("{} was not written by muster bench --json", path.display());
    understand(serde_json::from_slice(&text).with_context(what)?).with_context(what)
}

/// The lines of such a list.
///
/// # Errors
/// If it is something else.
pub(super) fn understand(list: Value) -> Result<Vec<Line>> {
    serde_json::from_value(list).context("these are no figures")
}

/// Draws every plot that has two points at least into a file of `folder`, which is made if it is not
/// there; gives how many.
///
/// # Errors
/// If there is none, or a file cannot be written: then some may be written and some not.
pub(super) fn draw(lines: &[Line], folder: &Path) -> Result<usize> {
    let plots = data::plots(lines);
    ensure!(
        !plots.is_empty(),
        "there is nothing to draw: a plot takes two sizes (--size 64 --size 1024) or two numbers \
         of nodes (-n 2,4)"
    );
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    for plot in &plots {
        let path = folder.join(format!("{}.svg", plot.name));
        let text = svg::render(plot).with_context(|| format!("cannot draw {}", plot.name))?;
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(plots.len())
}

#[cfg(test)]
mod tests;
