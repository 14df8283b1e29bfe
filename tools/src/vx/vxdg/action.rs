//! What a command line asks for.

use cvm::model::limits::MINOR_MAX;
use cvm::model::op::{DiskName, GroupAttribute, Op};
use cvm::model::{Activation, Copies, Name, UniqueId};
use cvm::request::{GroupRequest, Import, Request};

use super::cli::{Cli, Keyword, UsageOption};
use crate::common::Failure;
use crate::vx::keyword::check_options;
use crate::vx::operand::{copies, disk_name, named, pair, some_names, switch, wrong};

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    /// Requests, one after the other up to the first that is refused.
    Ask(Vec<Request>),
    /// There is none.
    BootGroup,
    /// From `etc/vx/volboot`.
    DefaultGroup,
    /// All groups if none is named.
    Flush(Vec<Name>),
    /// Free space of these members, or all.
    Free(Which, Vec<Name>),
    /// Imported groups, a line each.
    List,
    /// In detail.
    ListLong(Vec<Name>),
    /// Which requests they are depends on what the other disk is.
    Replace { group: Name, pairs: Vec<(Name, String)>, keep: bool },
}

/// Whose free space is listed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Which {
    /// Of all disks.
    All,
    /// Of disks that hot relocation leaves alone.
    NoHotUse,
    /// Of spares.
    Spare,
    /// Of those that volumes are put on.
    Usual,
}

/// Reads a command line.
///
/// # Errors
/// If it cannot be meant.
pub(super) fn action(cli: &Cli) -> Result<Action, Failure> {
    check_options(&cli.keyword, &cli.given(), cli.keyword.takes())?;
    let words = cli.operands.as_slice();
    Ok(match cli.keyword {
        Keyword::Adddisk => Action::Ask(vec![add_disks(cli)?]),
        Keyword::Bootdg => nothing_more(words, Action::BootGroup)?,
        Keyword::Defaultdg => nothing_more(words, Action::DefaultGroup)?,
        Keyword::Deport => Action::Ask(deport(cli)?),
        Keyword::Destroy => {
            let groups = some_names(words, "the groups to be destroyed")?;
            let request = |group| Request::Group(GroupRequest::Destroy(group));
            Action::Ask(groups.into_iter().map(request).collect())
        }
        Keyword::Flush => Action::Flush(groups(cli)?),
        Keyword::Free => {
            Action::Free(if cli.all { Which::All } else { Which::Usual }, names(words)?)
        }
        Keyword::Import => Action::Ask(vec![import(cli)?]),
        Keyword::Init => Action::Ask(vec![init(cli)?]),
        Keyword::List => match groups(cli)? {
            groups if groups.is_empty() => Action::List,
            _ if cli.shared || cli.quiet => {
                return Err(wrong("options -q and -s are for list without a group"));
            }
            groups => Action::ListLong(groups),
        },
        Keyword::Nohotuse => nothing_more(words, Action::Free(Which::NoHotUse, Vec::new()))?,
        Keyword::Reminor => Action::Ask(vec![reminor(cli)?]),
        Keyword::Repldisk => Action::Replace {
            pairs: pairs(words, "DM=SPARE")?,
            group: cli.group.resolve(&cli.root)?,
            keep: cli.keep,
        },
        Keyword::Rmdisk => {
            let names = some_names(words, "the members to be removed, as vxdisk list names them")?;
            let op = Op::RemoveDisks { names, keep: cli.keep };
            Action::Ask(vec![Request::Op { group: cli.group.resolve(&cli.root)?, op }])
        }
        Keyword::Set => Action::Ask(set(cli)?),
        Keyword::Spare => nothing_more(words, Action::Free(Which::Spare, Vec::new()))?,
    })
}

/// A minor number.
///
/// # Errors
/// If it is none.
pub(super) fn minor(text: &str) -> Result<u32, Failure> {
    let number = text.parse().ok().filter(|base| *base <= MINOR_MAX && !text.starts_with('+'));
    number.ok_or_else(|| wrong(format!("\"{text}\": expected a minor number, 0 to {MINOR_MAX}")))
}

fn nothing_more(words: &[String], action: Action) -> Result<Action, Failure> {
    match words.first() {
        None => Ok(action),
        Some(word) => Err(wrong(format!("\"{word}\": nothing was expected here"))),
    }
}

fn names(words: &[String]) -> Result<Vec<Name>, Failure> {
    words.iter().map(|word| named(word)).collect()
}

/// Groups as operands, else that of -g, else none.
fn groups(cli: &Cli) -> Result<Vec<Name>, Failure> {
    let groups = names(&cli.operands)?;
    match cli.group.given() {
        Some(group) if groups.is_empty() => Ok(vec![group.clone()]),
        Some(group) => Err(wrong(format!("name groups after the keyword or {group} with -g"))),
        None => Ok(groups),
    }
}

fn pairs(words: &[String], expected: &str) -> Result<Vec<(Name, String)>, Failure> {
    if words.is_empty() {
        return Err(wrong(format!("expected {expected}")));
    }
    words.iter().map(|word| pair(word, expected)).collect()
}

fn disks(words: &[String]) -> Result<Vec<DiskName>, Failure> {
    if words.is_empty() {
        return Err(wrong("expected disks: [DM=]DA..."));
    }
    words.iter().map(|word| disk_name(word)).collect()
}

fn add_disks(cli: &Cli) -> Result<Request, Failure> {
    let op = if cli.keep {
        Op::ReplaceDisks(pairs(&cli.operands, "with -k DM=DA: a member without a disk, and one")?)
    } else {
        Op::AddDisks(disks(&cli.operands)?)
    };
    Ok(Request::Op { group: cli.group.resolve(&cli.root)?, op })
}

fn deport(cli: &Cli) -> Result<Vec<Request>, Failure> {
    let groups = some_names(&cli.operands, "the groups to be deported")?;
    if cli.rename.is_some() && groups.len() > 1 {
        return Err(wrong("-n gives one group another name, and several are named"));
    }
    if let Some(name) = &cli.rename {
        new_group(name)?;
    }
    let deport = |group| {
        let (rename, host) = (cli.rename.clone(), cli.host.clone());
        Request::Group(GroupRequest::Deport { group, rename, host })
    };
    Ok(groups.into_iter().map(deport).collect())
}

fn import(cli: &Cli) -> Result<Request, Failure> {
    let [group] = cli.operands.as_slice() else {
        return Err(wrong("expected one group, by name or id"));
    };
    if group.parse::<UniqueId>().is_err() {
        named(group)?;
    }
    if let Some(name) = &cli.rename {
        new_group(name)?;
    }
    let mut import = Import {
        group: group.clone(),
        shared: cli.shared,
        force: cli.force,
        clear: cli.clear,
        temporary: cli.temporary,
        rename: cli.rename.clone(),
        select: None,
        reminor: None,
    };
    for option in &cli.options {
        let twice = match option {
            UsageOption::Reminor(base) => import.reminor.replace(*base).is_some(),
            UsageOption::Select(disk) => import.select.replace(disk.clone()).is_some(),
        };
        if twice {
            return Err(wrong("the same option -o is given twice"));
        }
    }
    Ok(Request::Group(GroupRequest::Import(import)))
}

/// Words that stand for groups cannot be their names.
fn new_group(name: &Name) -> Result<(), Failure> {
    match name.as_str() {
        "bootdg" | "defaultdg" | "nodg" => {
            Err(wrong(format!("{name} is a reserved word, and no name of a disk group")))
        }
        _ => Ok(()),
    }
}

fn init(cli: &Cli) -> Result<Request, Failure> {
    let [name, rest @ ..] = cli.operands.as_slice() else {
        return Err(wrong("expected a name and disks: init GROUP [DM=]DA..."));
    };
    let name = named(name)?;
    new_group(&name)?;
    let (mut cds, mut minors, mut members) = (true, None, Vec::new());
    let (mut nconfig, mut nlog) = (Copies::Default, Copies::Default);
    for word in rest {
        match word.split_once('=') {
            Some(("cds", value)) => cds = switch("cds", value)?,
            Some(("minor", value)) => minors = Some(minor(value)?),
            Some(("nconfig", value)) => nconfig = copies("nconfig", value)?,
            Some(("nlog", value)) => nlog = copies("nlog", value)?,
            Some(_) | None => members.push(word.clone()),
        }
    }
    let disks = disks(&members)?;
    Ok(Request::Group(GroupRequest::Init {
        name,
        shared: cli.shared,
        disks,
        minors,
        nconfig,
        nlog,
        cds,
    }))
}

fn reminor(cli: &Cli) -> Result<Request, Failure> {
    let (group, base) = match cli.operands.as_slice() {
        [base] => (None, minor(base)?),
        [group, base] => (Some(named(group)?), minor(base)?),
        _ => return Err(wrong("expected reminor [GROUP] BASE")),
    };
    let group = match (group, cli.group.given()) {
        (Some(group), Some(other)) if group != *other => {
            return Err(wrong(format!("is it {group}, or {other} as -g says?")));
        }
        (Some(group), _) => group,
        (None, _) => cli.group.resolve(&cli.root)?,
    };
    Ok(Request::Op { group, op: Op::Reminor { base } })
}

/// What is for all nodes first: it may be refused, and the mode of this node is soon changed back.
fn set(cli: &Cli) -> Result<Vec<Request>, Failure> {
    if cli.operands.is_empty() {
        return Err(wrong(format!("expected attributes: {ATTRIBUTES}")));
    }
    let (mut attributes, mut mode) = (Vec::new(), None);
    for word in &cli.operands {
        match word.split_once('=') {
            Some(("activation", value)) => {
                let read = Activation::from_any(value).ok_or_else(|| {
                    let modes = "exclusivewrite (ew), readonly (ro), sharedread (sr), sharedwrite \
                                 (sw) or off";
                    wrong(format!("{word}: expected {modes}"))
                })?;
                if mode.replace(read).is_some() {
                    return Err(wrong("activation is given twice"));
                }
            }
            Some((key, value)) => attributes.push(attribute(key, value)?),
            None => return Err(wrong(format!("\"{word}\": expected {ATTRIBUTES}"))),
        }
    }
    let group = cli.group.resolve(&cli.root)?;
    let all = Request::Op { group: group.clone(), op: Op::Set(attributes.clone()) };
    let all = (!attributes.is_empty()).then_some(all);
    Ok(all.into_iter().chain(mode.map(|mode| Request::Activate { group, mode })).collect())
}

fn attribute(key: &str, value: &str) -> Result<GroupAttribute, Failure> {
    let expected = |what: &str| wrong(format!("{key}={value}: expected {what}"));
    match key {
        "cds" => switch(key, value).map(GroupAttribute::Cds),
        "dgfailpolicy" => {
            let policy = value.parse().map_err(|_| expected("dgdisable or leave"))?;
            Ok(GroupAttribute::FailPolicy(policy))
        }
        "diskdetpolicy" => {
            let policy = value.parse().map_err(|_| expected("global or local"))?;
            Ok(GroupAttribute::DetachPolicy(policy))
        }
        "nconfig" => copies(key, value).map(GroupAttribute::Nconfig),
        "nlog" => copies(key, value).map(GroupAttribute::Nlog),
        "ssb" => switch(key, value).map(GroupAttribute::Ssb),
        "align" => Err(wrong("align: objects always lie at multiples of 8192 bytes")),
        "ioship" => Err(wrong("ioship: data is not shipped to other nodes in this version")),
        _ => Err(wrong(format!("\"{key}\" is no attribute: expected {ATTRIBUTES}"))),
    }
}

const ATTRIBUTES: &str =
    "activation=, cds=, dgfailpolicy=, diskdetpolicy=, nconfig=, nlog= or ssb=";
