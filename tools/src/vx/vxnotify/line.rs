//! Events as lines, and as JSON (facts 4.5).

use cvm::request::{Event, EventGroup};
use serde::Serialize;

/// What a line tells.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Notice {
    /// vxconfigd is not heard any more.
    Disconnected,
    /// vxconfigd said it.
    Event(Event),
    /// Nothing happened for a while.
    Waiting,
}

/// A line for programs; what an event does not have is left out.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Line<'a> {
    /// What happened, in the words of the text.
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    access: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dm: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plex: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    volume: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

impl Notice {
    /// The line, with its end.
    pub(super) fn text(&self) -> String {
        let of = |what: &str, EventGroup { name, id }: &EventGroup| {
            format!("{what} dg {name} dgid {id}\n")
        };
        match self {
            Self::Disconnected => "disconnected\n".to_owned(),
            Self::Waiting => "waiting ...\n".to_owned(),
            Self::Event(event) => match event {
                Event::Changed(group) => of("change", group),
                Event::Connected => "connected\n".to_owned(),
                Event::Deported(group) => of("deport", group),
                Event::Disabled(group) => of("disable", group),
                Event::DiskChanged { access, dm, group } => {
                    of(&format!("change disk {} dm {dm}", or_dash(access)), group)
                }
                Event::DiskDetached { access, dm, group } => {
                    of(&format!("detach disk {} dm {dm}", or_dash(access)), group)
                }
                Event::Imported(group) => of("import", group),
                Event::Joined { is_master } => {
                    format!("joined cluster as {}\n", role(*is_master))
                }
                Event::Left { reason } if reason.is_empty() => "left cluster\n".to_owned(),
                Event::Left { reason } => format!("left cluster reason {reason}\n"),
                Event::Master { node } => format!("change master node {node}\n"),
                Event::PlexDetached { plex, volume, group } => {
                    of(&format!("detach plex {plex} volume {volume}"), group)
                }
                Event::VolumeDetached { volume, group } => {
                    of(&format!("detach volume {volume}"), group)
                }
            },
        }
    }

    /// The same for programs.
    pub(super) fn line(&self) -> Line<'_> {
        let plain = |event| Line { event, ..Line::default() };
        match self {
            Self::Disconnected => plain("disconnected"),
            Self::Waiting => plain("waiting"),
            Self::Event(event) => match event {
                Event::Changed(group) => named("change dg", group),
                Event::Connected => plain("connected"),
                Event::Deported(group) => named("deport", group),
                Event::Disabled(group) => named("disable", group),
                Event::DiskChanged { access, dm, group } => {
                    of_disk("change disk", access, dm, group)
                }
                Event::DiskDetached { access, dm, group } => {
                    of_disk("detach disk", access, dm, group)
                }
                Event::Imported(group) => named("import", group),
                Event::Joined { is_master } => {
                    Line { role: Some(role(*is_master)), ..plain("joined cluster") }
                }
                Event::Left { reason } => {
                    let reason = Some(reason.as_str()).filter(|reason| !reason.is_empty());
                    Line { reason, ..plain("left cluster") }
                }
                Event::Master { node } => Line { node: Some(*node), ..plain("change master") },
                Event::PlexDetached { plex, volume, group } => {
                    let (plex, volume) = (Some(plex.as_str()), Some(volume.as_str()));
                    Line { plex, volume, ..named("detach plex", group) }
                }
                Event::VolumeDetached { volume, group } => {
                    Line { volume: Some(volume), ..named("detach volume", group) }
                }
            },
        }
    }
}

fn named<'a>(event: &'static str, EventGroup { name, id }: &'a EventGroup) -> Line<'a> {
    Line { event, group: Some(name), group_id: Some(id), ..Line::default() }
}

fn of_disk<'a>(
    event: &'static str,
    access: &'a str,
    dm: &'a str,
    group: &'a EventGroup,
) -> Line<'a> {
    let access = Some(access).filter(|access| !access.is_empty());
    Line { access, dm: Some(dm), ..named(event, group) }
}

const fn or_dash(access: &str) -> &str {
    if access.is_empty() { "-" } else { access }
}

const fn role(is_master: bool) -> &'static str {
    if is_master { "master" } else { "slave" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;

    #[test]
    fn every_event_has_its_line() {
        let group = || EventGroup { name: "mydg".to_owned(), id: "1283432345.33.host1".to_owned() };
        let disk = |access: &str| Event::DiskChanged {
            access: access.to_owned(),
            dm: "mydg01".to_owned(),
            group: group(),
        };
        let left = |reason: &str| Event::Left { reason: reason.to_owned() };
        let events = [
            Event::Connected,
            Event::Joined { is_master: true },
            Event::Joined { is_master: false },
            Event::Imported(group()),
            disk("disk_1"),
            disk(""),
            Event::DiskDetached {
                access: "disk_1".to_owned(),
                dm: "mydg01".to_owned(),
                group: group(),
            },
            Event::PlexDetached {
                plex: "vol1-02".to_owned(),
                volume: "vol1".to_owned(),
                group: group(),
            },
            Event::VolumeDetached { volume: "vol1".to_owned(), group: group() },
            Event::Changed(group()),
            Event::Disabled(group()),
            Event::Deported(group()),
            Event::Master { node: 1 },
            left("user initiated stop"),
            left(""),
        ];
        let mut all: Vec<Notice> = events.into_iter().map(Notice::Event).collect();
        all.extend([Notice::Waiting, Notice::Disconnected]);
        let text: String = all.iter().map(Notice::text).collect();
        golden::check("vxnotify", &text);
        let json = all.iter().map(|notice| serde_json::to_string(&notice.line()).unwrap() + "\n");
        golden::check("vxnotify-json", &json.collect::<String>());
    }
}
