//! Parses a command line into a verb, its options and operands. Pure.

use super::table::{COMMON, CtlOption, CtlVerb, HELP, NAMES, Operands, SHELLS, VERBS, VERSION, verb};
use crate::text::gather::Gather;
use crate::text::suggest::did_you_mean;
use crate::text::template::fill;
use std::ffi::{CStr, CString};

/// A parsed command line.
#[derive(Debug)]
pub(super) struct Arguments {
    /// The verb; `status` by default.
    pub verb: &'static CtlVerb,
    /// Its options with their values.
    pub options: Vec<(&'static str, String)>,
    /// Service names or other operands.
    pub words: Vec<String>,
    /// The words after `--`.
    pub command: Vec<CString>,
}

impl Arguments {
    /// Returns whether an option was given.
    pub fn has(&self, option: &CtlOption) -> bool {
        self.value(option).is_some()
    }

    /// Returns the last value given for an option.
    pub fn value(&self, option: &CtlOption) -> Option<&str> {
        self.options.iter().rev().find(|(long, _)| *long == option.long).map(|(_, value)| value.as_str())
    }
}

/// Parses the words after the program's name. The error is one line.
pub(super) fn parse(words: &[&CStr]) -> Result<Arguments, String> {
    let mut verb_named: Option<&'static CtlVerb> = None;
    let mut given: Vec<(String, &'static CtlOption, String)> = Vec::new();
    let mut operands = Vec::new();
    let mut command = Vec::new();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let text = word.to_str().map_err(|_| fill!("\"{}\" is not UTF-8", word.to_string_lossy()))?;
        if text == "--" {
            command = rest.map(|word| CString::from(*word)).gather();
            break;
        }
        let (name, inline, long) = match (text.strip_prefix("--"), text.strip_prefix('-')) {
            (Some(long), _) => match long.split_once('=') {
                Some((name, value)) => (name, Some(value), true),
                None => (long, None, true),
            },
            (None, Some(letters)) if !letters.is_empty() => {
                let end = letters.chars().next().map_or(0, char::len_utf8);
                let (letter, value) = letters.split_at(end);
                (letter, Some(value).filter(|value| !value.is_empty()), false)
            }
            _ if verb_named.is_none() => {
                verb_named = Some(verb(text).ok_or_else(|| unknown_verb(text))?);
                continue;
            }
            _ => {
                operands.push(text.to_string());
                continue;
            }
        };
        let option = find(verb_named, name, long).ok_or_else(|| unknown_option(verb_named, text))?;
        let value = match (option.value.is_empty(), inline) {
            (true, None) => String::new(),
            (true, Some(_)) => return Err(fill!("--{} takes no value", option.long)),
            (false, Some(value)) => value.strip_prefix('=').unwrap_or(value).to_string(),
            (false, None) => {
                let next = rest.next().ok_or_else(|| fill!("--{} needs a value", option.long))?;
                next.to_str().map_err(|_| fill!("--{}: not UTF-8", option.long))?.to_string()
            }
        };
        if !option.words.is_empty() && !option.words.contains(&value.as_str()) {
            return Err(fill!("--{} {}: expected one of {}", option.long, value, option.words.join(", ")));
        }
        given.push((text.to_string(), option, value));
    }
    let named = verb_named.or(VERBS.first()).ok_or("no verb")?;
    if let Some((written, ..)) = given.iter().find(|(_, option, _)| !has_option(named, option)) {
        return Err(unknown_option(Some(named), written));
    }
    let options: Vec<_> = given.into_iter().map(|(_, option, value)| (option.long, value)).gather();
    let arguments = Arguments { verb: named, options, words: operands, command };
    if !arguments.has(&HELP) && !arguments.has(&VERSION) {
        counted(&arguments)?;
    }
    Ok(arguments)
}

fn has_option(verb: &'static CtlVerb, option: &CtlOption) -> bool {
    verb.all_options().any(|known| std::ptr::eq(known, option))
}

/// Finds an option by name; before the verb is known, among those of all verbs.
fn find(named: Option<&'static CtlVerb>, name: &str, long: bool) -> Option<&'static CtlOption> {
    let fits = |option: &&'static CtlOption| {
        if long { option.long == name } else { option.short != '\0' && name.starts_with(option.short) }
    };
    match named {
        Some(verb) => verb.all_options().find(fits),
        None => COMMON.iter().chain(VERBS.iter().flat_map(|verb| verb.options)).copied().find(fits),
    }
}

fn unknown_verb(text: &str) -> String {
    let hint = did_you_mean(text, VERBS.iter().map(|verb| verb.name));
    fill!("unknown verb {}{}; rinitctl --help lists them", text, hint)
}

fn unknown_option(named: Option<&'static CtlVerb>, text: &str) -> String {
    let verb = named.map_or("", |verb| verb.name);
    let bare = text.trim_start_matches('-').split('=').next().unwrap_or_default();
    let known = named.into_iter().flat_map(CtlVerb::all_options).map(|option| option.long);
    let hint = did_you_mean(bare, known).replace('"', "").replace("mean ", "mean --");
    let space = if verb.is_empty() { "" } else { " " };
    fill!("unknown option {}{}; rinitctl {}{}--help lists them", text, hint, verb, space)
}

/// Checks the number of operands.
fn counted(arguments: &Arguments) -> Result<(), String> {
    let count = arguments.words.len();
    let command = !arguments.command.is_empty();
    let good = match arguments.verb.operands {
        Operands::None => count == 0 && !command,
        Operands::Names | Operands::Words => !command,
        Operands::SomeNames => count > 0 && !command,
        Operands::SignalAndNames => count > 1 && !command,
        Operands::NameAndCommand => count == 1 && command,
        Operands::Shell => {
            let is_known = |word: &String| word == NAMES || SHELLS.contains(&word.as_str());
            count == 1 && arguments.words.iter().all(is_known) && !command
        }
    };
    if good {
        return Ok(());
    }
    let all = if arguments.verb.operands == Operands::SomeNames { " (all names every service)" } else { "" };
    Err(fill!("usage: {}{}", usage(arguments.verb), all))
}

fn usage(verb: &CtlVerb) -> String {
    let mut text = fill!("rinitctl {}", verb.name);
    if !verb.options.is_empty() {
        text.push_str(" [OPTIONS]");
    }
    if !verb.usage.is_empty() {
        text.push(' ');
        text.push_str(verb.usage);
    }
    text
}

/// Returns the text of `--help`, for one verb or all.
pub(super) fn help(of: Option<&'static CtlVerb>) -> String {
    let mut text = String::new();
    let mut add = |parts: &[&str]| parts.iter().for_each(|part| text.push_str(part));
    match of {
        Some(verb) => {
            add(&["Usage: ", &usage(verb), "\n\n", &capital(verb.help), ".\n"]);
            if !verb.more.is_empty() {
                add(&[verb.more, "\n"]);
            }
            add(&["\nExample: ", verb.example, "\n"]);
        }
        None => {
            add(&[
                "Usage: rinitctl [OPTIONS] [VERB] [ARG]...\n\nAsks the rinit that is PID 1, and gives it orders. \
                   NAME may be a pattern (*, ?, [a-z]) or all.\n\nVerbs:\n",
            ]);
            for verb in VERBS {
                add(&["  ", &padded(&fill!("{} {}", verb.name, verb.usage), 32), verb.help, "\n"]);
            }
        }
    }
    add(&["\nOptions:\n"]);
    let options: Vec<_> = match of {
        Some(verb) => verb.all_options().gather(),
        None => COMMON.to_vec(),
    };
    for option in options {
        let short = if option.short == '\0' { "    ".into() } else { format!("-{}, ", option.short) };
        let value = if option.value.is_empty() { "" } else { " " };
        let left = fill!("{}--{}{}{}", short, option.long, value, option.value);
        add(&["  ", &padded(&left, 24), option.help, "\n"]);
    }
    text
}

fn capital(text: &str) -> String {
    let mut text = text.to_string();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}

/// Pads a text with spaces to a width; at least one space.
pub(super) fn padded(text: &str, width: usize) -> String {
    let blanks = width.saturating_sub(text.chars().count()).max(1);
    [text, &" ".repeat(blanks)].concat()
}

#[cfg(test)]
mod tests {
    use super::super::arguments::*;
    use super::super::table::{FOLLOW, JSON, LINES, TIMEOUT};

    fn read(line: &[&str]) -> Result<Arguments, String> {
        let words: Vec<CString> = line.iter().map(|word| CString::new(*word).expect("no NUL")).collect();
        parse(&words.iter().map(CString::as_c_str).collect::<Vec<_>>())
    }

    #[test]
    fn a_line_is_a_verb_options_and_names() {
        let read_ok = |line: &[&str]| read(line).expect("is right");
        assert_eq!(read_ok(&[]).verb.name, "status");
        let json = read_ok(&["--json"]);
        assert!(json.verb.name == "status" && json.has(&JSON));
        let logs = read_ok(&["logs", "web", "-f", "-n5", "db"]);
        assert_eq!((logs.value(&LINES), logs.has(&FOLLOW), logs.words.len()), (Some("5"), true, 2));
        for line in [["wait", "--timeout", "3s", "web"], ["--timeout", "3s", "wait", "web"]] {
            assert_eq!(read_ok(&line).value(&TIMEOUT), Some("3s"));
        }
        assert_eq!(read_ok(&["wait", "--timeout=3s", "a"]).value(&TIMEOUT), Some("3s"));
        let exec = read_ok(&["exec", "web", "--", "sh", "--json"]);
        assert_eq!((exec.words, exec.command.len()), (vec!["web".to_string()], 2));
    }

    #[test]
    fn what_is_wrong_is_told_with_the_remedy() {
        for (line, part) in [
            (&["statsu"][..], "unknown verb statsu"),
            (&["status", "--jsno"], "mean --json"),
            (&["status", "--follow"], "unknown option --follow"),
            (&["--follow", "status"], "rinitctl status --help"),
            (&["start"], "usage: rinitctl start [OPTIONS] NAME... (all"),
            (&["signal", "HUP"], "usage: rinitctl signal SIGNAL NAME..."),
            (&["exec", "web"], "-- COMMAND"),
            (&["wait", "web", "--timeout"], "needs a value"),
            (&["graph", "--format", "png"], "expected one of text, dot, mermaid"),
            (&["completions", "tcsh"], "usage: rinitctl completions SHELL"),
            (&["status", "--json=1"], "takes no value"),
        ] {
            let why = read(line).expect_err("is wrong");
            assert!(why.contains(part), "{line:?}: {why}");
        }
    }

    /// Every entry of the table has its help line, and no verb has two options with the same name.
    #[test]
    fn the_table_is_whole() {
        for verb in VERBS {
            let is_typed = verb.example.contains("rinitctl") && verb.example.contains(verb.name);
            assert!(is_typed && !verb.help.is_empty(), "{verb:?}");
            let mut seen: Vec<_> =
                verb.all_options().flat_map(|o| [o.long.to_string(), o.short.to_string()]).collect();
            seen.retain(|name| name != "\0");
            let count = seen.len();
            seen.sort();
            seen.dedup();
            assert_eq!(seen.len(), count, "{}", verb.name);
            assert!(help(Some(verb)).contains(verb.example) && help(None).contains(verb.help));
        }
        for line in help(None).lines() {
            assert!(line.chars().count() <= 120, "{line}");
        }
    }
}
