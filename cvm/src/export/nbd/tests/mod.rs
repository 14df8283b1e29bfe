//! Transcripts byte for byte, damage of all kinds, and the edges of each check.

mod fuzz;
mod limits;
mod malformed;
mod replies;
mod requests;
mod script;
mod transcripts;

use super::*;

/// A volume of 1 GiB.
fn volume() -> Export {
    Export {
        name: "dg/vol1".to_owned(),
        description: "two copies".to_owned(),
        size: 1 << 30,
        read_only: false,
        min_block: 512,
        preferred_block: 4096,
        max_block: 32 << 20,
    }
}

/// One that cannot be written.
fn read_only() -> Export {
    let (name, description) = ("dg/vol2".to_owned(), String::new());
    Export { name, description, read_only: true, ..volume() }
}

/// What this server has; the empty name stands for the first volume.
fn find(name: &str) -> Result<Export, Refused> {
    match name {
        "" | "dg/vol1" => Ok(volume()),
        "dg/vol2" => Ok(read_only()),
        "dg/off" => Err(Refused::Policy("group dg is not active on this node".to_owned())),
        _ => Err(Refused::Unknown(format!("no volume {name:?}"))),
    }
}
