//! Who this node is, and how its administrator wants it: gabd and files below the root.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use gab::admin::AdminRequest;
use gab::client::Admin;
use llt::NodeId;
use llt::llttab::{Hosts, Source};

use crate::model::{Activation, Name};

/// Who this node is, as gabd has it; without gabd a host by itself.
pub(super) struct Host {
    pub(super) node: NodeId,
    pub(super) name: Name,
    pub(super) cluster: Name,
    pub(super) names: BTreeMap<u8, String>,
}

pub(super) fn gab_host(root: &Path) -> Host {
    // `vxdctl hostid` names the host whatever the system calls it.
    let host_id = crate::volboot::read(root).map_or_else(
        |error| {
            tracing::warn!("{error}");
            None
        },
        |volboot| volboot.host,
    );
    let asked = Admin::connect(root).ok();
    let snapshot: Option<gab::snapshot::Snapshot> =
        asked.and_then(|mut admin| admin.request(&AdminRequest::Snapshot).ok());
    let system = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let name = |text: &str| {
        let host = text.split('.').next().unwrap_or_default();
        Name::new(host).or_else(|_| Name::new("localhost")).expect("a name")
    };
    let Some(snapshot) = snapshot else {
        let host = host_id.unwrap_or_else(|| name(&system));
        let cluster = Name::new("cvm").expect("a name");
        return Host { node: NodeId::ZERO, name: host, cluster, names: BTreeMap::new() };
    };
    let llt = snapshot.llt;
    let own = if llt.name.is_empty() { system } else { llt.name.clone() };
    let mut names: BTreeMap<u8, String> = llt
        .nodes
        .iter()
        .map(|peer| {
            let unnamed = || format!("node{}", peer.node);
            (peer.node, if peer.name.is_empty() { unnamed() } else { peer.name.clone() })
        })
        .collect();
    names.insert(llt.node, own.clone());
    Host {
        node: NodeId::new(llt.node).unwrap_or(NodeId::ZERO),
        name: host_id.unwrap_or_else(|| name(&own)),
        cluster: Name::new(&format!("cvm{}", llt.cluster)).expect("a name"),
        names,
    }
}

/// `/etc/default/vxdg` (facts 3.8): both lines are needed.
pub(super) fn default_activation(root: &Path) -> Activation {
    let text = fs::read_to_string(root.join("etc/default/vxdg")).unwrap_or_default();
    let value = |key: &str| {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
        lines.find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix('=')).map(str::trim)
    };
    let is_on = value("enable_activation") == Some("true");
    let mode = value("default_activation_mode").and_then(Activation::from_any);
    mode.filter(|_| is_on).unwrap_or(Activation::Off)
}

/// `vxclustadm reinit`: the names that `etc/llthosts` gives now.
///
/// # Errors
/// If it cannot be read, or is wrong.
pub(super) fn read_names(root: &Path) -> Result<BTreeMap<u8, String>> {
    let path = root.join("etc/llthosts");
    let text = fs::read(&path).with_context(|| path.display().to_string())?;
    let hosts = Hosts::read(&Source::new(path.display().to_string(), &text))?;
    let named = hosts.nodes().iter().filter_map(|node| {
        let name = hosts.name(node)?;
        Some((node.get(), name.to_owned()))
    });
    Ok(named.collect())
}

fn preference_path(root: &Path) -> PathBuf {
    root.join("etc/vx/preference")
}

/// `vxclustadm setpreference`, as it was last said; 0 if it never was, or is no number.
pub(super) fn preference(root: &Path) -> i32 {
    let text = fs::read_to_string(preference_path(root)).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

/// # Errors
/// If it cannot be written; it counts until this daemon ends all the same.
pub(super) fn keep_preference(root: &Path, preference: i32) -> Result<()> {
    let path = preference_path(root);
    let new = path.with_extension("new");
    let folder = path.parent().context("it is in a folder")?;
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    fs::write(&new, format!("{preference}\n")).with_context(|| new.display().to_string())?;
    fs::rename(&new, &path).with_context(|| path.display().to_string())
}

/// Both sides of a split would go on, and write to shared disks.
pub(super) fn warn_without_arbiter(root: &Path) {
    let snapshot: Option<gab::snapshot::Snapshot> =
        Admin::connect(root).ok().and_then(|mut gab| gab.request(&AdminRequest::Snapshot).ok());
    if snapshot.is_some_and(|snapshot| !snapshot.gab.quorum) {
        tracing::warn!(
            "no arbiter: both sides of a partition of the cluster go on and may ruin shared disk \
             groups; gabconfig -q lets only a majority go on"
        );
    }
}
