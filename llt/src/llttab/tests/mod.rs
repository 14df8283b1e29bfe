//! Good files, bad files with their reports, and any file at all.
//!
//! Every text of [`texts`] is provoked by a case of one of these files: the whole reports stand in
//! `snapshots`, one file per topic.

mod added;
mod any;
mod good;
mod links;
mod nodes;
mod settings;
mod together;
mod words;

use std::fmt::Write;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};

use super::*;

/// A pair of files, and a name for what is special about them.
struct Case {
    name: &'static str,
    tab: &'static str,
    hosts: &'static str,
}

const fn case(name: &'static str, tab: &'static str) -> Case {
    Case { name, tab, hosts: HOSTS }
}

const HOSTS: &str = "0 north\n1 south\n2 east\n";

fn parse_with(tab: &str, hosts: &str) -> Result<LltTab, ConfigErrors> {
    let read = |path: &str| match path {
        "/etc/empty" => Ok(b" \n".to_vec()),
        "/etc/nodename" => Ok(b"south.example.org\n".to_vec()),
        "/etc/nodeid" => Ok(b"2\n".to_vec()),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    LltTab::parse(
        &Source::new("etc/llttab", tab.as_bytes()),
        &Source::new("etc/llthosts", hosts.as_bytes()),
        &read,
    )
}

fn parse(tab: &str) -> Result<LltTab, ConfigErrors> {
    parse_with(tab, HOSTS)
}

fn node(id: u8) -> NodeId {
    NodeId::new(id).unwrap()
}

fn render(errors: &ConfigErrors) -> String {
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor());
    let mut text = String::new();
    handler.with_width(100).render_report(&mut text, errors).unwrap();
    text
}

/// What each case of a topic comes to: its report, or its warnings.
fn transcript(cases: &[Case]) -> String {
    let mut text = String::new();
    for Case { name, tab, hosts } in cases {
        writeln!(text, "=== {name}").unwrap();
        match parse_with(tab, hosts) {
            Err(errors) => text.push_str(&render(&errors)),
            Ok(tab) => {
                assert!(!tab.warnings.is_empty(), "{name}: nothing is wrong");
                tab.warnings.iter().for_each(|warning| writeln!(text, "{warning}").unwrap());
            }
        }
        text.push('\n');
    }
    text
}

/// Every text that some case of the topics comes to.
fn provoked() -> Vec<String> {
    let mut found = Vec::new();
    for cases in [links::CASES, nodes::CASES, settings::CASES, together::CASES, words::CASES] {
        for Case { tab, hosts, .. } in cases {
            match parse_with(tab, hosts) {
                Err(errors) => errors.problems().iter().for_each(|one| collect(one, &mut found)),
                Ok(tab) => found.extend(tab.warnings.into_iter().map(|warning| warning.text)),
            }
        }
    }
    let single = [words::not_text(), words::control()].into_iter().chain(words::too_long());
    for errors in single.chain(added::errors()) {
        errors.problems().iter().for_each(|one| collect(one, &mut found));
    }
    found
}

fn collect(problem: &Problem, found: &mut Vec<String>) {
    found.push(problem.to_string());
    found.extend(problem.labels().unwrap().filter_map(|label| label.label().map(str::to_owned)));
    if let Some(help) = problem.help() {
        let help = help.to_string();
        found.extend(help.split("; ").map(str::to_owned));
        found.push(help);
    }
}

/// Is `text` the pattern with something in place of its braces?
fn fits(text: &str, pattern: &str) -> bool {
    let Some((before, rest)) = pattern.split_once('{') else { return text == pattern };
    let after = rest.split_once('}').expect("a closed brace").1;
    let Some(text) = text.strip_prefix(before) else { return false };
    (0..=text.len()).filter_map(|at| text.get(at..)).any(|text| fits(text, after))
}

#[test]
fn every_text_is_provoked_by_a_case() {
    let found = provoked();
    let missing: Vec<&&str> =
        texts::ALL.iter().filter(|pattern| !found.iter().any(|text| fits(text, pattern))).collect();
    assert!(missing.is_empty(), "no case provokes {missing:#?}");
    assert!(texts::ALL.len() > 100);
}

#[test]
fn a_pattern_fits_what_was_made_from_it() {
    assert!(fits("node 3 has no name", "node {node} has no name"));
    assert!(fits("`a` and `b`", "`{first}` and `{second}`"));
    assert!(!fits("node 3 has no names", "node {node} has no name"));
    assert!(!fits("again", "again and again"));
}
