//! A link that an administrator adds while LLT runs.

use crate::ids::NodeId;
use crate::limits::LINKS_MAX;
use crate::llttab::check::{Checker, is_for};
use crate::llttab::report::{ConfigErrors, Problem, Source, Warning};
use crate::llttab::{Hosts, TabLink, addresses, lexer, pairs, parser, texts};

impl TabLink {
    /// Reads a link from text: one `link` or `link-lowpri` line as in `llttab`, and if need be
    /// `set-addr`, `set-bcasthb` and `set-arp` lines for it. The last two count for this link
    /// alone, and are 1 if they are not there, whatever `llttab` says for the others.
    ///
    /// `own` is this node, `hosts` says who the nodes of `set-addr` are, and `others` are the links
    /// that are there. What was accepted but is worth a word goes to `warnings`.
    ///
    /// # Errors
    /// Everything that is wrong with the text, each with its place in it, also what contradicts
    /// the other links: the same tag, the same device and ethertype, the same UDP address, a
    /// ninth link. `warnings` may have grown, nothing else was changed.
    pub fn parse_line(
        text: &str,
        own: NodeId,
        hosts: &Hosts,
        others: &[&Self],
        warnings: &mut Vec<Warning>,
    ) -> Result<Self, ConfigErrors> {
        let source = &Source::new("link", text.as_bytes());
        let mut problems: Vec<Problem> = source.size_problem().into_iter().collect();
        if !problems.is_empty() {
            return Err(ConfigErrors::new(problems));
        }
        let mut links = 0;
        for line in lexer::words(source.text()) {
            let directive = line[0];
            links += usize::from(matches!(directive.text, "link" | "link-lowpri"));
            let is_of_link = matches!(
                directive.text,
                "link" | "link-lowpri" | "set-addr" | "set-arp" | "set-bcasthb"
            );
            if !is_of_link || links > 1 {
                let (message, at) = (texts::not_here(directive.text), directive.span());
                problems.push(Problem::new(source, at, message, texts::link_lines()));
                return Err(ConfigErrors::new(problems));
            }
        }
        let raw = parser::parse(source, &mut problems);
        warnings.extend(raw.warnings.iter().cloned());
        let Some(link) = raw.links.first() else {
            if problems.is_empty() {
                problems.push(Problem::new(source, 0..0, texts::link_none(), texts::link_lines()));
            }
            return Err(ConfigErrors::new(problems));
        };
        for other in others {
            pairs::beside(source, other, link, &mut problems, warnings);
        }
        let mut checker = Checker { source, hosts, hosts_complete: true, problems: &mut problems };
        if others.len() >= usize::from(LINKS_MAX) {
            let (message, label) =
                (texts::links_many(others.len() + 1), texts::links_many_most(LINKS_MAX));
            checker.problem(&link.span, message, label);
        }
        if !is_for(link, Some(own)) {
            checker.problem(&link.span, texts::link_of_others_all(), texts::link_of_others());
        }
        let made = addresses::links(&mut checker, &raw, &[link], Some(own)).pop();
        let mut nodes = hosts.nodes();
        nodes.remove(own);
        if let Some(made) = &made
            && !nodes.is_empty()
        {
            warnings.extend(addresses::reach(source, link, nodes, made));
        }
        match made {
            Some(link) if problems.is_empty() => Ok(link),
            _ => Err(ConfigErrors::new(problems)),
        }
    }
}
