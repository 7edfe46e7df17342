//! `[checks.exec.NAME]`: a command of the user's ends as it should.

use super::common::finding::{add, fail, held};
use super::common::keys::{asserting, pattern, timeout};
use super::common::program::{first_line, output_of};
use crate::checks::{Blocking, CheckSpec, Facts, Kind, LookResult, quoted};
use crate::config::keys::{KeySpec, key};
use crate::config::read::table::Table;
use crate::model::ExitStatus;
use crate::text::regex::Pattern;
use crate::text::template::fill;
use std::time::Duration;

/// `exec`
pub const KIND: Kind = Kind { name: "exec", read, ..Kind::PLAIN };

/// The keys that are its own.
#[rustfmt::skip]
pub const KEYS: &[&[KeySpec]] = &[&[
    key("command", "words", "", "the program and its arguments"),
    key("exit_codes", "numbers", "0", "the exit codes that pass"),
    key("matches", "pattern", "any", "a pattern that its output must contain"),
    key("timeout", "duration", "\"10s\"", "how long it may run"),
    key("secret", "bool", "false", "whether its output is never shown"),
]];

/// How long it may run, unless it says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);

struct Exec {
    argv: Vec<String>,
    codes: Vec<u8>,
    matches: Option<Pattern>,
    timeout: Duration,
    secret: bool,
}

fn read(name: &str, table: &Table<'_>) -> Option<CheckSpec> {
    if !table.has("command") {
        table.fault_here("says no command; expected command = [\"program\", \"argument\"]");
    }
    let argv = table.command("command");
    let mut codes = Vec::new();
    let written = asserting(table, "exit_codes");
    for text in &written {
        match text.parse() {
            Ok(code) => codes.push(code),
            Err(_) => table.fault("exit_codes", "holds what is no exit code; expected numbers from 0 to 255"),
        }
    }
    let mut expected = String::from("exit code ");
    if written.is_empty() {
        codes.push(0);
        expected.push('0');
    }
    expected.push_str(&written.join(" or "));
    let matches = pattern(table, "matches");
    if let Some((text, _)) = &matches {
        add(&mut expected, &["output that matches ", &quoted(text)]);
    }
    let timeout = timeout(table, TIMEOUT);
    let secret = table.flag("secret").unwrap_or(false);
    let exec = Exec { argv: argv?, codes, matches: matches.map(|(_, pattern)| pattern), timeout, secret };
    // Its own end comes first, and kills what it has started.
    let mut spec = CheckSpec::new(
        fill!("exec {}", name),
        expected,
        Blocking::Within(timeout.saturating_add(Duration::from_secs(5))),
        Box::new(move |facts| exec.look(facts)),
    );
    spec.secret = secret;
    Some(spec)
}

impl Exec {
    fn look(&self, facts: &Facts) -> LookResult {
        let (path, ran) = output_of(&self.argv, self.timeout, facts)?;
        let [out, err] = &ran.output;
        let (out, err) = (String::from_utf8_lossy(out), String::from_utf8_lossy(err));
        // The last words on standard error are most often the reason.
        let said = match first_line(err.lines().rev()) {
            text if text.is_empty() || self.secret => String::new(),
            text => fill!(", saying {}", &quoted(text)),
        };
        let end = match ran.outcome {
            Some(ExitStatus::Code(code)) if self.codes.contains(&code) => None,
            Some(ExitStatus::Code(code)) => Some(fill!("exit code {}", &code.to_string())),
            Some(ExitStatus::Signal(signal)) => Some(fill!("killed by {}", &signal.to_string())),
            None => Some(String::new()),
        };
        if let Some(end) = end {
            return fail!("{}{}", &end, &said; "mend what {} complains of", &path);
        }
        let out = out.trim();
        if let Some(matches) = &self.matches
            && !matches.matches(out)
        {
            let shown =
                if self.secret { "that is not shown".into() } else { quoted(first_line(out.lines())) };
            return fail!("output {}{}", &shown, &said; "mend what {} looks at", &path);
        }
        held!("it ended as it should"; out)
    }
}

#[cfg(test)]
mod tests {
    use super::super::exec::*;
    use crate::checks::Finding;
    use crate::checks::facts::fake::Fake;
    use crate::checks::read::testing::{fault, one};
    use crate::model::Signal;
    use crate::sys::process::capture::Ran;

    fn evaluate(keys: &str, outcome: Option<ExitStatus>) -> Finding {
        let output = [b" 42\nhunter2\n".to_vec(), b"first\nno such table\n\n".to_vec()];
        let fake = Fake { ran: Ran { outcome, output }, ..Fake::with_programs(&["app"]) };
        one(&format!("[checks.exec.x]\n{keys}")).spec.evaluate(&fake.facts(&[("PATH", "/bin")]))
    }

    #[test]
    fn every_key_can_fail_and_hold() {
        let code = |code| Some(ExitStatus::Code(code));
        let good = "it ended as it should";
        for (keys, outcome, ok, found) in [
            ("command = \"app\"", code(0), true, good),
            ("command = \"app -x\"", code(3), false, "exit code 3, saying \"no such table\""),
            ("command = \"app\"\nsecret = true", code(3), false, "exit code 3"),
            ("command = \"app\"\nexit_codes = [1, 3]", code(3), true, good),
            ("command = \"app\"\nexit_codes = 3", code(0), false, "exit code 0, saying \"no such table\""),
            ("command = \"app\"\nmatches = \"^4\\\\d$|^42\\n\"", code(0), true, good),
            (
                "command = \"app\"\nmatches = \"43\"",
                code(0),
                false,
                "output \"42\", saying \"no such table\"",
            ),
            (
                "command = \"app\"\nmatches = \"43\"\nsecret = true",
                code(0),
                false,
                "output that is not shown",
            ),
            (
                "command = \"app\"",
                Some(ExitStatus::Signal(Signal::KILL)),
                false,
                "killed by SIGKILL, saying \"no such table\"",
            ),
            (
                "command = \"app\"\ntimeout = \"2s\"",
                None,
                false,
                "/bin/app still running after 2s, and killed",
            ),
            ("command = \"none\"", code(0), false, "no such program in PATH (/bin)"),
        ] {
            let finding = evaluate(keys, outcome);
            assert_eq!((finding.ok, finding.found.as_str()), (ok, found), "{keys}");
        }
        assert_eq!(evaluate("command = \"app\"", code(0)).value.as_deref(), Some("42\nhunter2"));
        let check = one("[checks.exec.x]\ncommand = \"app\"\ntimeout = \"1m\"");
        let facts = Fake::default().facts(&[]);
        assert!(check.spec.may_block(&facts) && check.spec.patience() > Duration::from_mins(1));
    }

    #[test]
    fn what_cannot_hold_is_a_fault() {
        for (keys, part) in [
            ("", "says no command"),
            ("command = []", "is empty"),
            ("command = \"a | b\"", "no shell runs"),
            ("command = \"a\"\nexit_codes = []", "asserts nothing"),
            ("command = \"a\"\nexit_codes = [256]", "from 0 to 255"),
            ("command = \"a\"\nmatches = \"(\"", "without its"),
            ("command = \"a\"\ntimeout = \"0s\"", "is zero"),
        ] {
            let message = fault(&format!("[checks.exec.x]\n{keys}"));
            assert!(message.contains(part), "{keys}: {message}");
        }
    }
}
