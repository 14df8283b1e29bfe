//! Options of the originals that this version does not have. They are refused by name, so that a
//! script that relies on one learns what it lost, and not in `--help`.

use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches};
use gab::admin::Meaningless;

use super::Failure;

/// One such option.
#[derive(Clone, Copy, Debug)]
pub struct NotYet {
    /// Its letter.
    pub letter: char,
    /// It takes a value.
    pub takes_value: bool,
    /// What it does in the original; or why that has no meaning here.
    pub what: &'static str,
    /// It never will be.
    pub meaningless: bool,
}

impl NotYet {
    /// An option without a value.
    pub const fn flag(letter: char, what: &'static str) -> Self {
        Self { letter, takes_value: false, what, meaningless: false }
    }

    /// An option with a value.
    pub const fn value(letter: char, what: &'static str) -> Self {
        Self { letter, takes_value: true, what, meaningless: false }
    }

    /// An option of `gabconfig` that has no meaning in user space.
    pub const fn meaningless(option: &Meaningless) -> Self {
        let Meaningless { letter, takes_value, why } = *option;
        Self { letter, takes_value, what: why, meaningless: true }
    }

    /// Parses the command line of this process. Help, and mistakes other than asking for one of
    /// `options`, end the process as usual.
    ///
    /// # Errors
    /// The first of `options` that was given.
    pub fn parse<T: FromArgMatches>(
        options: &'static [Self],
        command: Command,
    ) -> Result<T, Failure> {
        let command = Self::recognise(options, command);
        let matches = match command.clone().try_get_matches() {
            Ok(matches) => matches,
            Err(error) => {
                // It may only be wrong because it asks for what we do not have.
                if error.use_stderr()
                    && let Ok(matches) = command.ignore_errors(true).try_get_matches()
                {
                    Self::refuse(options, &matches)?;
                }
                error.exit();
            }
        };
        Self::refuse(options, &matches)?;
        Ok(T::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()))
    }

    /// Teaches a command to recognise them.
    pub fn recognise(options: &'static [Self], command: Command) -> Command {
        command.args(options.iter().map(|option| {
            let arg = Arg::new(option.id()).short(option.letter).hide(true).required(false);
            if option.takes_value {
                arg.num_args(0..).allow_hyphen_values(true)
            } else {
                arg.action(ArgAction::Count)
            }
        }))
    }

    fn refuse(options: &'static [Self], matches: &ArgMatches) -> Result<(), Failure> {
        for option in options {
            let source = matches.value_source(option.id());
            if source == Some(clap::parser::ValueSource::CommandLine) {
                let Self { letter, what, .. } = option;
                return Err(Failure::Usage(if option.meaningless {
                    format!("option -{letter} has no meaning here: {what}")
                } else {
                    format!(
                        "option -{letter} ({what}) is not in this version; see --help for what is"
                    )
                }));
            }
        }
        Ok(())
    }

    /// The letter as a name that lives as long as the program, which is what clap wants.
    fn id(&self) -> &'static str {
        let at = LETTERS.find(self.letter).expect("an option is an ASCII letter");
        &LETTERS[at..=at]
    }
}

const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
