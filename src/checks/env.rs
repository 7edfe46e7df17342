//! `[checks.env.NAME]`: an environment variable is set, not empty, and of the right form.

use super::pattern::Pattern;
use super::read::variable_name;
use super::{Facts, Finding, Judge, Kind, facts, listed, quoted};
use crate::config::table::Table;
use crate::config::words::{self, Number};
use std::net::IpAddr;

/// `env`
pub const KIND: Kind = Kind { name: "env", nameless: false, read };

/// The most that execve(2) takes as one entry.
const LONGEST: u64 = 128 * 1024;

/// What a value must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Type {
    #[default]
    String,
    Int,
    Float,
    Bool,
    Port,
    Url,
    Host,
    Ip,
    Path,
    Duration,
    Size,
}

struct Env {
    name: String,
    required: bool,
    kind: Type,
    pattern: Option<(String, Pattern)>,
    one_of: Vec<String>,
    min: Option<Number>,
    max: Option<Number>,
    default: Option<String>,
    secret: bool,
    file: bool,
}

fn read(name: &str, table: &Table<'_>) -> Option<Box<dyn Judge>> {
    if !variable_name(name) {
        table.fault_here("is no name of a variable; expected one without \"=\" and blanks");
    }
    let pattern = table.text("pattern").and_then(|text| match Pattern::new(&text) {
        Ok(pattern) => Some((text, pattern)),
        Err(why) => {
            table.fault("pattern", &format!("{}: {why}", quoted(&text)));
            None
        }
    });
    let one_of = table.list("one_of");
    if one_of.as_ref().is_some_and(Vec::is_empty) {
        table.fault("one_of", "is empty, so that nothing would do; expected the values that are allowed");
    }
    let (min, max) = (table.number("min"), table.number("max"));
    let bounded = min.is_some() || max.is_some();
    let kind = table.word("type").unwrap_or(if bounded { Type::Float } else { Type::String });
    if bounded && !matches!(kind, Type::Int | Type::Float | Type::Port) {
        let key = if min.is_some() { "min" } else { "max" };
        table.fault(key, "bounds a number; expected type = \"int\", \"float\" or \"port\"");
    }
    if let (Some(min), Some(max)) = (&min, &max)
        && min.value > max.value
    {
        let (min, max) = (&min.text, &max.text);
        table.fault("min", &format!("is {min}, more than max = {max}, so that nothing would do"));
    }
    let flag = |key, default| table.flag(key).unwrap_or(default);
    let env = Env {
        name: name.to_string(),
        required: flag("required", true),
        kind,
        pattern,
        one_of: one_of.unwrap_or_default(),
        min,
        max,
        default: table.text_or_number("default"),
        secret: flag("secret", false),
        file: flag("file", false),
    };
    if let Some(default) = &env.default
        && !env.fits(default)
    {
        table.fault("default", &format!("does not itself hold; expected {}", env.form()));
    }
    Some(Box::new(env))
}

impl Judge for Env {
    fn subject(&self) -> String {
        format!("env {}", self.name)
    }

    fn expected(&self) -> String {
        let set = if self.required && self.default.is_none() { "" } else { ", or not set" };
        format!("{}{set}", self.form())
    }

    fn judge(&self, facts: &Facts) -> Finding {
        let set = facts.environ.get(&self.name);
        let full = set.clone().filter(|value| !value.is_empty());
        let path = facts.environ.get_full(&self.file_name()).filter(|_| self.file);
        match (full, path) {
            (Some(_), Some(_)) => Finding::fail_for_good(
                format!("both {} and {}", self.name, self.file_name()),
                format!("set only one of {} and {}", self.name, self.file_name()),
            ),
            (Some(value), None) => self.judge_value(value, ""),
            (None, Some(path)) => self.judge_file(&path, facts),
            (None, None) => self.judge_unset(set.is_some()),
        }
    }

    fn may_block(&self) -> bool {
        // NAME_FILE may lie on a network file system.
        self.file
    }

    fn sets(&self) -> Vec<String> {
        if self.file || self.default.is_some() { vec![self.name.clone()] } else { Vec::new() }
    }
}

impl Env {
    fn file_name(&self) -> String {
        format!("{}_FILE", self.name)
    }

    fn judge_value(&self, value: String, from: &str) -> Finding {
        let found = if self.secret { "a value that is not shown".into() } else { quoted(&value) };
        if self.fits(&value) {
            return Finding::pass(found, value);
        }
        Finding::fail_for_good(format!("{found}{from}"), format!("correct {}", self.name))
    }

    fn judge_unset(&self, empty: bool) -> Finding {
        let found = if empty { "a string that is empty" } else { "no such variable" };
        if let Some(default) = &self.default {
            let shown = if self.secret { String::new() } else { format!(" {}", quoted(default)) };
            let mut finding = Finding::pass(format!("{found}, taking the default{shown}"), default.clone());
            finding.sets.push((self.name.clone(), default.clone()));
            return finding;
        }
        if !self.required {
            return Finding { ok: true, found: found.into(), ..Finding::default() };
        }
        let or_file = if self.file {
            format!(", or {} to the path of a file that holds it", self.file_name())
        } else {
            String::new()
        };
        Finding::fail_for_good(found.into(), format!("set {}{or_file}", self.name))
    }

    fn judge_file(&self, path: &str, facts: &Facts) -> Finding {
        let name = self.file_name();
        let bytes = match facts.system.read(path, LONGEST) {
            Ok(bytes) => bytes,
            Err(error) => {
                let found =
                    format!("{name} = {}, which cannot be read: {}", quoted(path), facts::why(&error));
                return Finding::fail(found, format!("mount the file at {path}, or correct {name}"));
            }
        };
        let remedy = || format!("put the value into {path}");
        let Ok(text) = String::from_utf8(bytes) else {
            return Finding::fail(format!("{path} (by {name}), which is not text"), remedy());
        };
        let value =
            text.strip_suffix('\n').map_or(text.as_str(), |cut| cut.strip_suffix('\r').unwrap_or(cut));
        if value.is_empty() {
            return Finding::fail(format!("{path} (by {name}), which is empty"), remedy());
        }
        if value.contains('\0') {
            return Finding::fail(format!("{path} (by {name}), which holds a NUL"), remedy());
        }
        let mut finding = self.judge_value(value.to_string(), &format!(" in {path} (by {name})"));
        if finding.ok {
            finding.sets.push((self.name.clone(), value.to_string()));
            finding.unsets.push(name);
        } else {
            finding.may_change = true;
            finding.remedy = format!("correct the value in {path}");
        }
        finding
    }

    fn fits(&self, value: &str) -> bool {
        !value.is_empty()
            && self.kind.fits(value)
            && self.pattern.as_ref().is_none_or(|(_, pattern)| pattern.matches(value))
            && (self.one_of.is_empty() || self.one_of.iter().any(|one| one == value))
            && self.within(value)
    }

    fn within(&self, value: &str) -> bool {
        if self.min.is_none() && self.max.is_none() {
            return true;
        }
        let Some(number) = words::number(value.trim()) else { return false };
        self.min.as_ref().is_none_or(|min| number.value >= min.value)
            && self.max.as_ref().is_none_or(|max| number.value <= max.value)
    }

    /// What a value must look like.
    fn form(&self) -> String {
        let mut form =
            if self.one_of.is_empty() { self.kind.form().to_string() } else { listed(&self.one_of) };
        match (&self.min, &self.max) {
            (Some(min), Some(max)) => form.push_str(&format!(" from {} to {}", min.text, max.text)),
            (Some(min), None) => form.push_str(&format!(" of at least {}", min.text)),
            (None, Some(max)) => form.push_str(&format!(" of at most {}", max.text)),
            (None, None) => {}
        }
        if let Some((text, _)) = &self.pattern {
            form.push_str(&format!(" that matches {}", quoted(text)));
        }
        form
    }
}

impl Type {
    fn form(self) -> &'static str {
        match self {
            Self::String => "a string that is not empty",
            Self::Int => "an integer",
            Self::Float => "a number",
            Self::Bool => "true or false",
            Self::Port => "a port, 1 to 65535",
            Self::Url => "a URL such as \"https://host/path\"",
            Self::Host => "a host name or an address",
            Self::Ip => "an IP address",
            Self::Path => "an absolute path",
            Self::Duration => "a duration with its unit, such as \"10s\"",
            Self::Size => "a size such as \"64MiB\"",
        }
    }

    fn fits(self, value: &str) -> bool {
        match self {
            Self::String => true,
            Self::Int => value.parse::<i64>().is_ok(),
            Self::Float => words::number(value).is_some(),
            Self::Bool => {
                let lower = value.to_ascii_lowercase();
                matches!(lower.as_str(), "true" | "false" | "yes" | "no" | "on" | "off" | "1" | "0")
            }
            Self::Port => port(value),
            Self::Url => url(value),
            Self::Host => host(value),
            Self::Ip => value.parse::<IpAddr>().is_ok(),
            Self::Path => value.starts_with('/'),
            Self::Duration => words::duration(value).is_ok(),
            Self::Size => words::size(value).is_ok(),
        }
    }
}

fn port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

fn host(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let name = text.strip_suffix('.').unwrap_or(text);
    text.parse::<IpAddr>().is_ok() || (name.len() <= 253 && name.split('.').all(label))
}

/// `SCHEME://[USER[:PASSWORD]@][HOST][:PORT][/…]`, with a host or a path, and no blanks.
fn url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let scheme_fits = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let authority = rest.get(..end).unwrap_or(rest);
    let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
    // Several hosts, as databases have them: the last port is judged.
    let port_fits = match place.rsplit_once(':') {
        Some((_, tail)) if !tail.contains(']') => tail.is_empty() || port(tail),
        _ => true,
    };
    let blank = |c: char| c.is_whitespace() || c.is_control();
    scheme_fits && port_fits && !rest.is_empty() && !text.contains(blank)
}

#[cfg(test)]
mod tests {
    use super::super::facts::fake::Fake;
    use super::super::read::testing::{fault, one};
    use super::*;

    fn judge(keys: &str, environ: &[(&str, &str)]) -> Finding {
        let check = one(&format!("[checks.env.NAME]\n{keys}"));
        check.judge.judge(&Fake::default().facts(environ))
    }

    #[test]
    fn set_and_not_empty_is_asked_for_by_default() {
        assert!(judge("", &[("NAME", "x")]).ok);
        let unset = judge("", &[]);
        assert_eq!(
            (unset.ok, unset.found.as_str(), unset.remedy.as_str()),
            (false, "no such variable", "set NAME")
        );
        let empty = judge("", &[("NAME", "")]);
        assert_eq!((empty.ok, empty.found.as_str()), (false, "a string that is empty"));
        assert!(!empty.may_change);
        assert!(judge("required = false", &[]).ok);
        assert!(!judge("required = false\ntype = \"int\"", &[("NAME", "x")]).ok);
    }

    #[test]
    fn types_take_what_they_say() {
        let table: &[(&str, &[&str], &[&str])] = &[
            ("int", &["0", "-5", "99"], &["1.5", "x", " 1"]),
            ("float", &["1.5", "-2", "1e3"], &["x", "inf", "NaN"]),
            ("bool", &["true", "False", "yes", "0"], &["2", "maybe"]),
            ("port", &["1", "65535"], &["0", "65536", "-1", "+80", "http"]),
            (
                "url",
                &["http://a", "postgres://u:p@db:5432/x", "sqlite:///x", "http://[::1]:80/", "redis://:6379"],
                &["a", "http:/a", "://a", "http://", "http://a:99999/", "http://a b", "1http://a"],
            ),
            ("host", &["web", "a.example.com.", "10.0.0.1", "::1"], &["a b", "-a", "a..b", "http://a"]),
            ("ip", &["10.0.0.1", "::1"], &["10.0.0", "web"]),
            ("path", &["/data"], &["data"]),
            ("duration", &["1m30s"], &["5"]),
            ("size", &["64MiB"], &["big"]),
        ];
        for (kind, yes, no) in table {
            let keys = format!("type = \"{kind}\"");
            for value in *yes {
                assert!(judge(&keys, &[("NAME", value)]).ok, "{kind} {value}");
            }
            for value in *no {
                assert!(!judge(&keys, &[("NAME", value)]).ok, "{kind} {value}");
            }
        }
    }

    #[test]
    fn patterns_words_and_bounds_are_judged() {
        for (keys, yes, no) in [
            ("pattern = \"[a-z]+\"", "abc", "abc1"),
            ("one_of = [\"dev\", \"prod\"]", "dev", "test"),
            ("min = 1\nmax = 10", "10", "11"),
            ("type = \"int\"\nmin = 1", "1", "0"),
            ("type = \"port\"\nmin = 1024", "8080", "80"),
        ] {
            assert!(judge(keys, &[("NAME", yes)]).ok, "{keys}");
            assert!(!judge(keys, &[("NAME", no)]).ok, "{keys}");
        }
        let check = one("[checks.env.NAME]\none_of = [\"dev\", \"prod\"]");
        assert_eq!(check.judge.expected(), "\"dev\" or \"prod\"");
    }

    #[test]
    fn a_default_is_set_when_there_is_nothing() {
        for environ in [&[][..], &[("NAME", "")][..]] {
            let finding = judge("default = 8080\ntype = \"port\"", environ);
            assert_eq!((finding.ok, finding.sets), (true, vec![("NAME".into(), "8080".into())]));
        }
        assert_eq!(judge("default = 8080", &[("NAME", "1")]).sets, []);
    }

    #[test]
    fn a_secret_is_never_in_the_words() {
        for keys in ["secret = true", "secret = true\ntype = \"int\"", "secret = true\npattern = \"x\""] {
            let finding = judge(keys, &[("NAME", "hunter2")]);
            let words = format!("{} {} {:?}", finding.found, finding.remedy, finding.warnings);
            assert!(!words.contains("hunter2"), "{words}");
        }
        assert!(!judge("secret = true\ndefault = \"hunter2\"", &[]).found.contains("hunter2"));
    }

    #[test]
    fn a_file_may_hold_the_value() {
        let check = one("[checks.env.NAME]\nfile = true\nsecret = true");
        let judge = |text: Option<&str>, environ: &[(&str, &str)]| {
            let mut fake = Fake::default();
            if let Some(text) = text {
                fake.texts.insert("/run/secrets/x".into(), text.into());
            }
            check.judge.judge(&fake.facts(environ))
        };
        let by_file = [("NAME_FILE", "/run/secrets/x")];
        let finding = judge(Some("s3\n\n"), &by_file);
        assert_eq!(finding.sets, [("NAME".to_string(), "s3\n".to_string())]);
        assert_eq!(finding.unsets, ["NAME_FILE"]);
        assert!(!finding.found.contains("s3"));
        assert_eq!(judge(None, &[]).remedy, "set NAME, or NAME_FILE to the path of a file that holds it");
        let missing = judge(None, &by_file);
        assert!(missing.found.contains("no such file or directory") && missing.may_change, "{missing:?}");
        assert!(judge(Some("\n"), &by_file).found.contains("which is empty"));
        let both = judge(Some("x"), &[("NAME", "y"), ("NAME_FILE", "/run/secrets/x")]);
        assert_eq!(both.found, "both NAME and NAME_FILE");
        assert_eq!(check.judge.sets(), ["NAME"]);
    }

    #[test]
    fn keys_that_cannot_hold_are_faults() {
        for (keys, part) in [
            ("one_of = []", "is empty"),
            ("pattern = \"(\"", "without its"),
            ("min = 2\nmax = 1", "more than max"),
            ("type = \"url\"\nmin = 1", "bounds a number"),
            ("type = \"int\"\ndefault = \"x\"", "does not itself hold"),
            ("type = \"strin\"", "did you mean \"string\"?"),
        ] {
            let message = fault(&format!("[checks.env.NAME]\n{keys}"));
            assert!(message.contains(part), "{keys}: {message}");
        }
        assert!(fault("[checks.env.\"a b\"]").contains("no name of a variable"));
    }
}
