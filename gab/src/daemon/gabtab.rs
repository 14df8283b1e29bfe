//! `etc/gabtab`: the one line that configures GAB at start (facts 2.2).

use std::time::Duration;

use llt::limits::NODES_MAX;
use llt::llttab::{ConfigErrors, Problem, Source, Word, words};

use crate::admin::{Meaningless, QueueError, TIMEOUT_MS, TunableError, protocol_version};
use crate::core::Policy;
use crate::daemon::life;

/// What the line asks for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Gabtab {
    /// `-c`.
    pub(super) configure: bool,
    /// `-n N`.
    pub(super) count: Option<u32>,
    /// `-x`.
    pub(super) seed: bool,
    /// `-t ms`.
    pub(super) stable: Option<Duration>,
    /// `-q` or `-d`.
    pub(super) quorum: Option<bool>,
    /// `-j` or `-J`.
    pub(super) rejoin_halt: Option<bool>,
    /// `-s`.
    pub(super) single_network: bool,
    /// `-b` or `-B`.
    pub(super) missed_heartbeat_halt: Option<bool>,
    /// `-p` or `-P`.
    pub(super) process_death_halt: Option<bool>,
    /// What `-f`, `-k`, `-Q` and `-S` make of the defaults.
    pub(super) tuned: Policy,
}

impl Gabtab {
    /// What the line makes of the policy.
    pub(super) fn policy(&self) -> Policy {
        let default = self.tuned;
        Policy {
            missed_heartbeat_halt: self
                .missed_heartbeat_halt
                .unwrap_or(default.missed_heartbeat_halt),
            process_death_halt: self.process_death_halt.unwrap_or(default.process_death_halt),
            rejoin_halt: self.rejoin_halt.unwrap_or(default.rejoin_halt),
            single_network: self.single_network || default.single_network,
            ..default
        }
    }

    /// Reads the file: comments, blank lines, and at most one line.
    pub(super) fn parse(source: &Source) -> Result<Self, ConfigErrors> {
        if let Some(problem) = source.size_problem() {
            return Err(ConfigErrors::new(vec![problem]));
        }
        let mut problems: Vec<Problem> = source.encoding_problem().into_iter().collect();
        let mut gabtab = Self::default();
        let mut first: Option<Word<'_>> = None;
        for line in words(source.text()) {
            let command = line[0];
            if command.text.rsplit('/').next() != Some("gabconfig") {
                problems.push(Problem::new(
                    source,
                    command.span(),
                    format!("`{}` is not run from gabtab", command.text),
                    "expected /sbin/gabconfig",
                ));
                continue;
            }
            if let Some(first) = first {
                let text = "gabtab has two commands";
                let problem = Problem::new(source, command.span(), text, "expected only one");
                problems.push(problem.and(first.span(), "the first"));
                continue;
            }
            first = Some(command);
            gabtab.options(source, &line[1..], &mut problems);
            if !gabtab.configure && problems.is_empty() {
                problems.push(Problem::new(
                    source,
                    command.span(),
                    "the command does not configure GAB",
                    "expected the option -c after this",
                ));
            }
        }
        if problems.is_empty() { Ok(gabtab) } else { Err(ConfigErrors::new(problems)) }
    }

    fn options(&mut self, source: &Source, line: &[Word<'_>], problems: &mut Vec<Problem>) {
        let mut rest = line.iter();
        while let Some(&word) = rest.next() {
            let Some(letters) = word.text.strip_prefix('-').filter(|text| !text.is_empty()) else {
                problems.push(unknown(source, word));
                continue;
            };
            // Letters may stand together, and the last may carry its value: -cxn3.
            for (at, letter) in letters.char_indices() {
                match letter {
                    'c' => self.configure = true,
                    'x' => self.seed = true,
                    's' => self.single_network = true,
                    'k' => self.tuned.keep_killing = true,
                    'b' | 'B' | 'd' | 'q' | 'j' | 'J' | 'p' | 'P' => {
                        self.switch(source, letter, word, problems)
                    }
                    'f' | 'n' | 'Q' | 'S' | 't' | 'V' => {
                        let attached = &letters[at + 1..];
                        let value = if attached.is_empty() {
                            rest.next().copied()
                        } else {
                            Some(Word { text: attached, start: word.start + 1 + at + 1 })
                        };
                        self.value(source, letter, word, value, problems);
                        break;
                    }
                    _ => match Meaningless::find(letter) {
                        Some(option) => {
                            problems.push(meaningless(source, word, option));
                            if option.takes_value {
                                if letters[at + 1..].is_empty() {
                                    rest.next();
                                }
                                break;
                            }
                        }
                        None => {
                            problems.push(unknown(source, word));
                            break;
                        }
                    },
                }
            }
        }
    }

    /// A switch that has an opposite.
    fn switch(
        &mut self,
        source: &Source,
        letter: char,
        word: Word<'_>,
        problems: &mut Vec<Problem>,
    ) {
        let (switch, on, opposite) = match letter {
            'd' => (&mut self.quorum, false, 'q'),
            'q' => (&mut self.quorum, true, 'd'),
            'b' => (&mut self.missed_heartbeat_halt, true, 'B'),
            'B' => (&mut self.missed_heartbeat_halt, false, 'b'),
            'p' => (&mut self.process_death_halt, true, 'P'),
            'P' => (&mut self.process_death_halt, false, 'p'),
            'J' => (&mut self.rejoin_halt, false, 'j'),
            _ => (&mut self.rejoin_halt, true, 'J'),
        };
        if switch.replace(on) == Some(!on) {
            let text = format!("-{letter} and -{opposite} exclude each other");
            problems.push(Problem::new(source, word.span(), text, "expected only one of them"));
        }
    }

    fn value(
        &mut self,
        source: &Source,
        letter: char,
        option: Word<'_>,
        value: Option<Word<'_>>,
        problems: &mut Vec<Problem>,
    ) {
        let (least, most, what) = match letter {
            'n' => (1, u64::from(NODES_MAX), "a number of nodes"),
            'Q' | 'S' | 'V' => return self.named(source, letter, (option, value), problems),
            _ => (*TIMEOUT_MS.start(), *TIMEOUT_MS.end(), "milliseconds"),
        };
        let expected = format!("expected {what} from {least} to {most}");
        let Some(word) = value else {
            let text = format!("-{letter} has no value");
            problems.push(Problem::new(source, option.span(), text, expected));
            return;
        };
        let digits = word.text.bytes().all(|byte| byte.is_ascii_digit());
        let number = word.text.parse::<u64>().ok().filter(|n| digits && (least..=most).contains(n));
        let Some(number) = number else {
            let text = format!("`{}` is no value of -{letter}", word.text);
            problems.push(Problem::new(source, word.span(), text, expected));
            return;
        };
        match letter {
            'f' => self.tuned.iofence = Duration::from_millis(number),
            'n' => self.count = u32::try_from(number).ok(),
            _ => self.stable = Some(Duration::from_millis(number)),
        }
    }
}

impl Gabtab {
    /// `-Q queue:N`, `-S name:value` or `-V version`.
    fn named(
        &mut self,
        source: &Source,
        letter: char,
        (option, value): (Word<'_>, Option<Word<'_>>),
        problems: &mut Vec<Problem>,
    ) {
        let Some(word) = value else {
            let expected = match letter {
                'Q' => "expected sendq:N or recvq:N",
                'V' => "expected a protocol version",
                _ => "expected NAME:VALUE",
            };
            let text = format!("-{letter} has no value");
            problems.push(Problem::new(source, option.span(), text, expected));
            return;
        };
        let taken = match letter {
            'Q' => word.text.parse().map_err(|error: QueueError| error.to_string()).map(|queue| {
                life::limit(&mut self.tuned, queue);
            }),
            'V' => protocol_version(word.text).map(drop),
            _ => {
                word.text.parse().map_err(|error: TunableError| error.to_string()).map(|tunable| {
                    life::tune(&mut self.tuned, tunable);
                })
            }
        };
        if let Err(expected) = taken {
            let text = format!("`{}` is no value of -{letter}", word.text);
            problems.push(Problem::new(source, word.span(), text, expected));
        }
    }
}

/// An option that the original has, and that means nothing here.
fn meaningless(source: &Source, word: Word<'_>, option: &Meaningless) -> Problem {
    let Meaningless { letter, why, .. } = option;
    Problem::new(source, word.span(), format!("-{letter} has no meaning here"), *why)
}

fn unknown(source: &Source, word: Word<'_>) -> Problem {
    let text = format!("`{}` is not known here", word.text);
    Problem::new(
        source,
        word.span(),
        text,
        "expected -b, -B, -c, -d, -f MS, -j, -J, -k, -n N, -p, -P, -q, -Q QUEUE:N, -s, -S NAME:VALUE, \
         -t MS, -V N or -x",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Gabtab, ConfigErrors> {
        Gabtab::parse(&Source::new("etc/gabtab", text.as_bytes()))
    }

    fn complaint(text: &str) -> (String, (usize, usize)) {
        let errors = parse(text).expect_err(text);
        (errors.problems()[0].to_string(), errors.problems()[0].position())
    }

    #[test]
    fn the_usual_lines_are_understood() {
        let three = Gabtab { configure: true, count: Some(3), ..Gabtab::default() };
        assert_eq!(parse("# boot\n\n/sbin/gabconfig -c -n3\n").unwrap(), three);
        assert_eq!(parse("gabconfig -c -n 3").unwrap(), three);
        assert_eq!(parse("/sbin/gabconfig -cn3 # three").unwrap(), three);
        let all = parse("/sbin/gabconfig -c -x -t 250 -n2").unwrap();
        assert_eq!(all.stable, Some(Duration::from_millis(250)));
        assert!(all.seed);
        assert_eq!(parse("# nothing\n").unwrap(), Gabtab::default());
        let switches = Gabtab {
            configure: true,
            count: Some(4),
            quorum: Some(true),
            rejoin_halt: Some(true),
            single_network: true,
            tuned: Policy { conn_wait: 4, ..Policy::default() },
            ..Gabtab::default()
        };
        assert_eq!(parse("/sbin/gabconfig -cqj -s -n4 -S conn_wait:4").unwrap(), switches);
        let queues = parse("gabconfig -c -Q sendq:100 -Qrecvq:200 -V 1").unwrap();
        let Policy { receive_queue, send_queue, .. } = queues.policy();
        assert_eq!((send_queue, receive_queue), (100, 200));
        let line =
            "gabconfig -ckbp -f 3000 -S kill_ntries:3 -S rm_action:panic -S isolate_time:16000";
        let clients = parse(line).unwrap().policy();
        let expected = Policy {
            iofence: Duration::from_secs(3),
            isolate: Duration::from_secs(16),
            keep_killing: true,
            kill_tries: 3,
            missed_heartbeat_halt: true,
            process_death_halt: true,
            register_halt: true,
            ..Policy::default()
        };
        assert_eq!(clients, expected);
        assert_eq!(parse("gabconfig -cBP").unwrap().policy(), Policy::default());
        let off = parse("gabconfig -c -d -J").unwrap();
        assert_eq!((off.quorum, off.rejoin_halt), (Some(false), Some(false)));
    }

    #[test]
    fn the_others_are_errors_with_a_place() {
        assert_eq!(
            complaint("/sbin/gabconfig -c -K\n"),
            ("-K has no meaning here".into(), (1, 20))
        );
        assert_eq!(complaint("\n/sbin/gabconfig -c -n\n").0, "-n has no value");
        assert_eq!(complaint("gabconfig -c -nx"), ("`x` is no value of -n".into(), (1, 16)));
        assert_eq!(complaint("gabconfig -c -n 0").1, (1, 17));
        assert_eq!(complaint("gabconfig -c -q -d").0, "-d and -q exclude each other");
        assert_eq!(complaint("gabconfig -c -S").0, "-S has no value");
        assert_eq!(complaint("gabconfig -c -S conn_wait:0").0, "`conn_wait:0` is no value of -S");
        assert_eq!(complaint("gabconfig -c -Sx:1"), ("`x:1` is no value of -S".into(), (1, 16)));
        assert_eq!(complaint("gabconfig -c -Q").0, "-Q has no value");
        assert_eq!(complaint("gabconfig -c -Q sendq:0").0, "`sendq:0` is no value of -Q");
        assert_eq!(complaint("gabconfig -c -V2"), ("`2` is no value of -V".into(), (1, 16)));
        for option in crate::admin::MEANINGLESS {
            let Meaningless { letter, takes_value, .. } = option;
            let value = if *takes_value { " 1000" } else { "" };
            let errors = parse(&format!("gabconfig -c -{letter}{value} -x")).unwrap_err();
            let problems: Vec<String> = errors.problems().iter().map(|p| p.to_string()).collect();
            assert_eq!(problems, [format!("-{letter} has no meaning here")]);
        }
        assert_eq!(complaint("gabconfig -c -p -P").0, "-P and -p exclude each other");
        assert_eq!(complaint("gabconfig -c -f 0").1, (1, 17));
        assert_eq!(complaint("gabconfig -n 2").0, "the command does not configure GAB");
        assert_eq!(complaint("rm -rf x").0, "`rm` is not run from gabtab");
        assert_eq!(complaint("gabconfig -c\ngabconfig -x").0, "gabtab has two commands");
        let long = format!("\ngabconfig -c -n{}", "3".repeat(70_000));
        assert_eq!(complaint(&long), ("the line is longer than 4096 bytes".into(), (2, 1)));
    }
}
