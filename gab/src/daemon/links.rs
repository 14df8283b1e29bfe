//! Opening the links of a node.

use anyhow::bail;
use llt::io::tap::Tap;
use llt::io::{self, Endpoint};

use crate::daemon::settings::Settings;

/// The links in the order of `llttab`. One that could not be opened is `None`: its number stays
/// taken, since the other nodes count the same way.
///
/// # Errors
/// If fewer than required (one, or `set-dbg-minlinks`) could be opened.
pub(super) fn open(settings: &Settings, testbed: bool) -> anyhow::Result<Vec<Option<Endpoint>>> {
    let mut links = Vec::new();
    let mut last = None;
    for (index, link) in settings.tab.links.iter().enumerate() {
        match io::open(link) {
            Ok(opened) => {
                tracing::info!("link {index} ({}) opened on {}", link.tag, opened.address);
                let tap = testbed.then(|| {
                    let seed = u64::from(settings.tab.node.get()) << 8 | index as u64;
                    Tap::new(&link.peers, seed)
                });
                links.push(Some(Endpoint::new(opened.link, tap)));
            }
            Err(error) => {
                tracing::error!(
                    "LLT lltconfig ERROR V-14-2-15664 LLT could not configure link {index} ({}): {error}",
                    link.tag
                );
                last = Some(error);
                links.push(None);
            }
        }
    }
    let open = links.iter().flatten().count();
    if open < usize::from(settings.tab.links_min) {
        match last {
            Some(error) => bail!("{open} of {} links could be opened: {error}", links.len()),
            None => bail!("{open} links are configured, more are required"),
        }
    }
    Ok(links)
}
