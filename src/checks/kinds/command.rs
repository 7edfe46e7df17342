//! `[checks.command.NAME]`: a program is in PATH and can be run; what it says of its version matches.

use super::common::finding::{add, fail, held};
use super::common::keys::{misnamed, named, pattern};
use super::common::program;
use super::common::program::{first_line, output_of};
use crate::checks::{Blocking, CheckSpec, Facts, Kind, LOOK_TIMEOUT, LookResult, SLOW_FILES, quoted};
use crate::config::keys::{KeySpec, key};
use crate::config::read::table::Table;
use crate::text::regex::Pattern;
use crate::text::template::fill;
use std::time::Duration;

/// `command`
pub const KIND: Kind =
    Kind { name: "command", looks_at_paths: true, hang_hint: SLOW_FILES, read, ..Kind::PLAIN };

/// The keys that are its own.
#[rustfmt::skip]
pub const KEYS: &[&[KeySpec]] = &[&[
    key("command", "string", "NAME", "the program, if NAME is only a label"),
    key("version", "pattern", "any", "a pattern that the output must contain"),
    key("args", "words", "[\"--version\"]", "the arguments that make it print its version"),
]];

fn read(name: &str, table: &Table<'_>) -> Option<CheckSpec> {
    let word = named(name, table, "command")?;
    if word.is_empty() {
        misnamed(table, "command", "is empty; expected the name of a program");
    }
    let mut expected = String::from("a program that can be run");
    let version = pattern(table, "version");
    if let Some((text, _)) = &version {
        add(&mut expected, &["whose version matches ", &quoted(text)]);
    }
    let args = table.list("args");
    if args.is_some() && !table.has("version") {
        table.fault("args", "does nothing without version; say what the output is to match");
    }
    let mut argv = vec![word];
    argv.extend(args.unwrap_or_else(|| vec!["--version".into()]));
    let version = version.map(|(_, pattern)| pattern);
    Some(CheckSpec::new(
        fill!("command {}", argv.first().map_or("", String::as_str)),
        expected,
        if version.is_some() { Blocking::Within(LOOK_TIMEOUT) } else { Blocking::Never },
        Box::new(move |facts| look(&argv, version.as_ref(), facts)),
    ))
}

fn look(argv: &[String], version: Option<&Pattern>, facts: &Facts) -> LookResult {
    let Some(version) = version else {
        let path = program::runs(argv.first().map_or("", String::as_str), facts)?;
        return held!("{}", &path; &path);
    };
    // A little less than what a helper is given.
    let (path, ran) = output_of(argv, LOOK_TIMEOUT.saturating_sub(Duration::from_secs(1)), facts)?;
    // java -version writes to standard error.
    let [mut output, err] = ran.output;
    output.extend(err);
    let text = String::from_utf8_lossy(&output);
    let first = quoted(first_line(text.lines()));
    if version.matches(&text) {
        return held!("{}, {}", &path, &first; &path);
    }
    fail!("{}, {}", &path, &first; "install another version of {}, or correct version", &path)
}

#[cfg(test)]
mod tests {
    use crate::checks::Finding;
    use crate::checks::facts::fake::Fake;
    use crate::checks::read::testing::{fault, one};

    use crate::model::ExitStatus;
    use crate::sys::process::capture::Ran;

    fn evaluate(text: &str) -> Finding {
        let output = [Vec::new(), b"\njq-1.7.1\nfor jq\n".to_vec()];
        let fake =
            Fake { ran: Ran { outcome: Some(ExitStatus::Code(1)), output }, ..Fake::with_programs(&["jq"]) };
        one(text).spec.evaluate(&fake.facts(&[("PATH", "/bin")]))
    }

    #[test]
    fn every_key_can_fail_and_hold() {
        for (text, ok, found) in [
            ("[checks.command.jq]", true, "/bin/jq"),
            ("[checks.command.x]\ncommand = \"jq\"", true, "/bin/jq"),
            ("[checks.command.yq]", false, "no such program in PATH (/bin)"),
            ("[checks.command.jq]\nversion = \"1\\\\.[67]\"", true, "/bin/jq, \"jq-1.7.1\""),
            ("[checks.command.jq]\nversion = \"jq-2\"\nargs = \"-V\"", false, "/bin/jq, \"jq-1.7.1\""),
            ("[checks.command.yq]\nversion = \"1\"", false, "no such program in PATH (/bin)"),
        ] {
            let finding = evaluate(text);
            assert_eq!((finding.ok, finding.found.as_str()), (ok, found), "{text}");
        }
        assert_eq!(evaluate("[checks.command.jq]").value.as_deref(), Some("/bin/jq"));
    }

    #[test]
    fn what_cannot_act_is_a_fault() {
        assert!(fault("[checks.command.jq]\nargs = \"-V\"").contains("nothing without version"));
        assert!(fault("[checks.command.jq]\nversion = \"a)|(b\"").contains("without its"));
        assert!(fault("[checks.command.jq]\ncommand = \"\"").contains("is empty"));
        for pattern in ["", ".*", "(1|)", "[^x]*"] {
            let message = fault(&format!("[checks.command.jq]\nversion = \"{pattern}\""));
            assert!(message.contains("found in every text"), "{pattern}: {message}");
        }
        for pattern in ["^$", ".", "^.*1$", "\\\\s", "0|1"] {
            one(&format!("[checks.command.jq]\nversion = \"{pattern}\""));
        }
    }
}
