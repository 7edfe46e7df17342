//! The table of command line options: the source of parsing, `--help` and suggestions. docs/reference.md shows the same table;
//! a test compares them.

use super::{Invocation, LICENSE, Mode, Parsed, compat, mode, rewrite, signal};
use crate::config::read::table::one_of;
use crate::text::template::fill;
use crate::text::units;
use std::time::Duration;

/// One option.
pub struct OptionSpec {
    /// Its short name, if any.
    pub short: Option<char>,
    /// Its long name, without dashes.
    pub long: &'static str,
    /// The name of its value; empty: it takes none.
    pub value: &'static str,
    /// The heading of `--help` that lists it.
    pub section: Section,
    /// One line of help. Line breaks are kept in `--help`.
    pub help: &'static str,
    /// Applies it, given its value.
    pub(super) apply: fn(&mut Invocation, &str) -> Applied,
}

/// An immediate answer, or what is wrong with the value.
pub(super) type Applied = Result<Option<Parsed>, String>;

/// A heading of `--help`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Section {
    /// What is read, and what is done with it.
    Configuration,
    /// How the COMMAND is treated.
    Command,
    /// What rinit logs.
    Messages,
}

const SECTIONS: [(Section, &str); 3] = [
    (Section::Configuration, "Configuration"),
    (Section::Command, "Command"),
    (Section::Messages, "Messages"),
];

/// An option without a value. Keeps the table below readable.
const fn switch(
    short: Option<char>,
    long: &'static str,
    section: Section,
    help: &'static str,
    apply: fn(&mut Invocation, &str) -> Applied,
) -> OptionSpec {
    OptionSpec { short, long, value: "", section, help, apply }
}

/// An option with a value.
const fn valued(
    short: Option<char>,
    long: &'static str,
    value: &'static str,
    section: Section,
    help: &'static str,
    apply: fn(&mut Invocation, &str) -> Applied,
) -> OptionSpec {
    OptionSpec { short, long, value, section, help, apply }
}

use Section::{Command, Configuration, Messages};

/// All options in the order of `--help`.
#[rustfmt::skip]
#[expect(clippy::unit_arg, reason = "a row that only sets something says no more than what it sets")]
pub static OPTIONS: &[OptionSpec] = &[
    valued(Some('c'), "config", "PATH", Configuration,
        "a file, or a directory whose *.toml are read in name order; may be repeated\n\
         (default: $RINIT_CONFIG, else /etc/rinit.toml and /etc/rinit.d/*.toml)",
        |to, value| done(to.config.push(value.to_string()))),
    switch(None, "check", Configuration, "run the checks, report, and end; nothing is changed",
        |to, _| mode(to, Mode::Check)),
    valued(None, "format", "FORMAT", Configuration, "of that report: human, json, tap or junit",
        |to, value| done(to.format = one_of(value)?)),
    valued(None, "only", "WORDS", Configuration, "only these checks, by kind or name, with commas; may be repeated",
        |to, value| done(to.only.extend(value.split(',').map(str::to_string)))),
    valued(None, "skip", "WORDS", Configuration, "all checks but these; may be repeated",
        |to, value| done(to.skip.extend(value.split(',').map(str::to_string)))),
    valued(None, "profile", "NAME", Configuration,
        "start the services of this profile too, * for all; may be repeated\n(also $RINIT_PROFILES)",
        |to, value| done(to.profiles.extend(value.split(',').map(str::to_string)))),
    switch(None, "record", Configuration, "write the checks that describe this container as it is now, and end",
        |to, _| mode(to, Mode::Record)),
    switch(None, "env-docs", Configuration,
        "write the variables that the checks speak of, as a table and an example, and end",
        |to, _| mode(to, Mode::EnvDocs)),
    switch(None, "validate", Configuration, "report every fault of the configuration, and end",
        |to, _| mode(to, Mode::Validate)),
    switch(None, "explain", Configuration,
        "tell what would be checked and started, in what order, how long a stop may take\n\
         and where each key stands, and end",
        |to, _| mode(to, Mode::Explain)),
    switch(None, "print-config", Configuration, "the same as --explain",
        |to, _| mode(to, Mode::Explain)),
    switch(None, "exec", Configuration, "check, then become the COMMAND: no rinit stays behind",
        |to, _| mode(to, Mode::Exec)),

    switch(Some('g'), "group", Command, "send signals to the command's process group",
        |to, _| done(to.group = true)),
    valued(Some('r'), "rewrite", "FROM:TO", Command, "send TO in place of the signal FROM; 0 drops it",
        |to, value| done(to.rewrites.push(rewrite(value)?))),
    valued(Some('e'), "remap-exit", "CODE", Command, "end with 0 when the command ends with CODE; may be repeated",
        |to, value| {
            let code = value.parse().map_err(|_| "expected an exit code, 0 to 255".to_string())?;
            done(to.remap.push(code))
        }),
    valued(Some('p'), "pdeathsig", "SIGNAL", Command, "take SIGNAL when rinit's own parent dies",
        |to, value| done(to.pdeathsig = Some(signal(value)?))),
    switch(Some('s'), "subreaper", Command, "adopt orphans when not PID 1 (done by itself)",
        |to, _| done(to.subreaper = true)),
    switch(Some('w'), "warn-on-reap", Command, "warn about every reaped orphan",
        |to, _| done(to.warn_on_reap = true)),
    valued(None, "kill-after", "TIME", Command,
        "kill what the command leaves behind after TIME (default 2s; off leaves it alone)",
        |to, value| {
            let time = if value == "off" { Duration::ZERO } else { units::duration(value)? };
            done(to.kill_after = Some(time))
        }),

    switch(Some('v'), "verbose", Messages, "say more; repeat for more",
        |to, _| done(to.verbosity = to.verbosity.saturating_add(1))),
    switch(Some('q'), "quiet", Messages, "say errors only",
        |to, _| done(to.quiet = true)),
    valued(None, "log-level", "LEVEL", Messages, "error, warn, info, debug or trace (also $RINIT_LOG)",
        |to, value| done(to.log_level = Some(one_of(value)?))),
    valued(None, "log-format", "FORMAT", Messages, "text or json (also $RINIT_LOG_FORMAT)",
        |to, value| done(to.log_format = Some(one_of(value)?))),
    switch(Some('h'), "help", Messages, "print this",
        |_, _| Ok(Some(Parsed::Help))),
    switch(Some('l'), "license", Messages, "print the license",
        |_, _| compat::answer(1, 0, LICENSE.into()).map(Some)),
    switch(Some('V'), "version", Messages, "print the version",
        |_, _| Ok(Some(Parsed::Version))),
];

/// Lets each option be written as a single expression.
fn done(_: ()) -> Applied {
    Ok(None)
}

impl OptionSpec {
    /// Finds an option by its long name.
    #[must_use]
    pub fn by_long(name: &str) -> Option<&'static Self> {
        OPTIONS.iter().find(|option| option.long == name)
    }

    /// Finds an option by its short name.
    #[must_use]
    pub fn by_short(letter: char) -> Option<&'static Self> {
        OPTIONS.iter().find(|option| option.short == Some(letter))
    }

    /// Returns whether it takes a value.
    #[must_use]
    pub fn takes_value(&self) -> bool {
        !self.value.is_empty()
    }

    /// Formats all its forms: `-c, --config PATH`. Without a short name it is indented by `no_letter`.
    fn synopsis(&self, no_letter: &str) -> String {
        let mut text = String::new();
        match self.short {
            Some(letter) => text.extend(['-', letter, ',', ' ']),
            None => text.push_str(no_letter),
        }
        for part in ["--", self.long, if self.takes_value() { " " } else { "" }, self.value] {
            text.push_str(part);
        }
        text
    }
}

/// Returns the text of `--help`.
#[must_use]
pub fn help() -> String {
    /// The column of the descriptions.
    const COLUMN: usize = 27;
    let mut text = String::from(
        "\
Usage: rinit [OPTIONS] [--] [COMMAND [ARG]...]

An init for containers: checks the environment, starts and supervises services,
forwards signals, reaps orphans, and ends with the command's exit code.
",
    );
    for (section, heading) in SECTIONS {
        for part in ["\n", heading, ":\n"] {
            text.push_str(part);
        }
        for option in OPTIONS.iter().filter(|option| option.section == section) {
            let mut left = fill!("  {}", &option.synopsis("    "));
            for line in option.help.split('\n') {
                text.push_str(&left);
                (left.len()..COLUMN).for_each(|_| text.push(' '));
                text.push_str(line);
                text.push('\n');
                left.clear();
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_option_is_told_twice_and_each_fits_its_column() {
        for (at, option) in OPTIONS.iter().enumerate() {
            let others = OPTIONS.iter().skip(at + 1);
            assert!(others.clone().all(|other| other.long != option.long), "--{}", option.long);
            assert!(option.short.is_none() || others.clone().all(|other| other.short != option.short));
            assert!(option.synopsis("    ").len() < 25, "{}", option.synopsis("    "));
        }
        let listed: Vec<_> = SECTIONS
            .iter()
            .flat_map(|(section, _)| OPTIONS.iter().filter(|option| option.section == *section))
            .map(|option| option.long)
            .collect();
        assert_eq!(listed, OPTIONS.iter().map(|option| option.long).collect::<Vec<_>>());
    }

    #[test]
    fn help_has_one_line_for_each_option_and_fits_a_terminal() {
        let help = help();
        assert!(help.contains("\n  -c, --config PATH        a file, or a directory"), "{help}");
        assert!(help.contains("\n                           (default: $RINIT_CONFIG"), "{help}");
        assert!(help.contains("\n      --check              run the checks"), "{help}");
        for line in help.lines() {
            assert!(line.len() <= 110 && line == line.trim_end(), "{line}");
        }
    }

    /// docs/reference.md lists the same options in the same order.
    #[test]
    fn the_readme_lists_the_same_options() {
        let row = |option: &OptionSpec| {
            format!(
                "| `{}` | {} |\n",
                option.synopsis(""),
                option.help.replace('\n', " ").replace('*', "\\*")
            )
        };
        let table = ["| option | meaning |\n| --- | --- |\n".to_string()]
            .into_iter()
            .chain(OPTIONS.iter().map(row))
            .collect::<String>();
        assert!(
            include_str!("../../docs/reference.md").contains(&table),
            "docs/reference.md wants this table:\n{table}"
        );
    }
}
