//! `[checks.env.NAME]`: an environment variable is set, not empty, and of the right form.

pub(in crate::checks) mod form;
mod relations;
#[cfg(test)]
mod tests;
mod under;

use super::common::finding::failure;
use super::common::keys::no_wait;
use super::common::path::unreachable;
use crate::checks::read::variable_name;
use crate::checks::{Blocking, CheckSpec, Doc, Facts, Finding, Kind, LOOK_TIMEOUT, Variable, facts, quoted};
use crate::config::keys::{KeySpec, key};
use crate::config::read::table::Table;
use crate::config::source::document::Value;
use crate::model::environ::Environ;
use crate::sys::fs::stat::Access;
use crate::sys::{Errno, errno};
use crate::text::template::fill;
use form::Form;
use relations::Relations;
use std::rc::Rc;

/// `env`
pub const KIND: Kind = Kind { name: "env", read, ..Kind::PLAIN };

/// The keys that are its own.
#[rustfmt::skip]
pub const KEYS: &[&[KeySpec]] = &[&[
    key("type", "word", "\"string\"; \"float\" beside min or max", "the type of its value: \"int\", \"bool\", \"port\", \"url\", \"host\", \"path\", \"duration\", \"list\" and others"),
    key("required", "bool", "true", "whether it must be set and not empty"),
    key("required_when", "string", "", "required only if another variable is set (\"NAME\") or has a value (\"NAME=value\", \"NAME=one|two\")"),
    key("requires", "names", "", "variables that must be set if it is"),
    key("conflicts", "names", "", "variables that must not be set if it is"),
    key("unset", "bool", "false", "whether it must not be set"),
    key("default", "string", "", "its value if it is not set"),
    key("file", "bool or name", "false", "whether NAME_FILE (or the variable of this name) may hold the path of a file that has the value"),
    key("secret", "bool", "false", "whether its value is never shown"),
    key("pass", "bool", "true", "whether services and the command inherit it"),
    key("deprecated", "string", "", "what to use instead; a warning if it is set"),
    key("renamed_from", "name", "", "its old name, whose value is used if only that is set"),
    key("description", "string", "", "its description in --env-docs"),
    key("example", "string", "", "an example value in --env-docs"),
    key("min", "number", "", "the minimum"),
    key("max", "number", "", "the maximum"),
    key("min_length", "number", "", "the minimum length in characters"),
    key("max_length", "number", "", "the maximum length in characters"),
    key("prefix", "string", "", "the prefix of its value; in [checks.env.\"*\"]: every variable whose name has this prefix must have a check"),
    key("suffix", "string", "", "the suffix of its value"),
    key("pattern", "pattern", "", "a pattern that the whole value must match"),
    key("one_of", "strings", "", "the allowed values"),
    key("not_in", "strings", "", "values that are not allowed"),
    key("schemes", "strings", "any", "the allowed schemes of a URL"),
    key("domains", "strings", "any", "the domains in which the host of a URL must be"),
    key("separator", "string", "\",\"", "the separator of a list"),
    key("of", "word", "\"string\"", "the type of a list's items"),
]];

/// The most that execve(2) takes as one entry.
const MAX_VALUE_LEN: u64 = 128 * 1024;

/// Keys that speak of a variable that is set, or what it is to be.
const OF_A_VALUE: &str = "default, file, required, required_when, requires, conflicts, renamed_from, deprecated, pass, \
                          export, type, pattern, one_of, not_in, min, max, min_length, max_length, prefix, suffix, \
                          schemes, domains, separator, of";

struct Env {
    name: String,
    required: bool,
    form: Form,
    default: Option<String>,
    secret: bool,
    /// The variable that may hold the path of a file with the value.
    file: Option<String>,
    /// Whether the value is handed on (`pass`).
    pass: bool,
    relations: Relations,
    description: String,
    example: String,
}

fn read(name: &str, table: &Table<'_>) -> Option<CheckSpec> {
    if name == "*" {
        return under::read(table);
    }
    if !variable_name(name) {
        table.fault_here("is no name of a variable; expected one without \"=\" and blanks");
    }
    let flag = |key, default| table.flag(key).unwrap_or(default);
    let env = Env {
        name: name.to_string(),
        required: flag("required", true),
        form: form::read(table),
        default: table.text_or_number("default"),
        secret: flag("secret", false),
        file: file_variable(name, table),
        pass: flag("pass", true),
        relations: relations::read(name, table),
        description: table.text("description").unwrap_or_default(),
        example: table.text_or_number("example").unwrap_or_default(),
    };
    let example = Some(&env.example).filter(|example| !example.is_empty());
    for (key, value) in [("default", env.default.as_ref()), ("example", example)] {
        if value.is_some_and(|value| !env.form.fits(value)) {
            table.fault(key, &["does not itself hold; expected ", &env.form.words()].concat());
        }
    }
    if env.file.is_none() {
        no_wait(table); // of variables nothing changes any more
    }
    if env.relations.unset {
        for key in OF_A_VALUE.split(", ").filter(|key| table.has(key)) {
            table.fault(key, "never acts, for unset says that it must not be set; keep one of them");
        }
    }
    if table.has("required") && env.relations.required_when.is_some() {
        table.fault("required_when", "says when it is required; drop required");
    }
    if table.has("required") && env.required && env.default.is_some() {
        table.fault("required", "never acts beside default; keep one of them");
    }
    if env.default.is_some() && env.relations.required_when.is_some() {
        table.fault("required_when", "never acts beside default; keep one of them");
    }
    let env = Rc::new(env);
    let variable = Rc::clone(&env);
    // The file may lie on a network file system.
    let mut spec = CheckSpec::new(
        ["env ", name].concat(),
        env.expected(),
        if env.file.is_some() { Blocking::Within(LOOK_TIMEOUT) } else { Blocking::Never },
        Box::new(move |facts| Ok(env.evaluate(facts))),
    );
    spec.variable = Some(variable);
    Some(spec)
}

/// `file = true` is NAME_FILE; a string is the variable's own name.
fn file_variable(name: &str, table: &Table<'_>) -> Option<String> {
    if matches!(table.node("file")?.value, Value::Text(_)) {
        let own = table.text("file")?;
        if !variable_name(&own) || own == name {
            table.fault(
                "file",
                "names no variable of its own; expected true, or a name such as \"NAME__FILE\"",
            );
        }
        return Some(own);
    }
    table.flag("file")?.then(|| [name, "_FILE"].concat())
}

impl Env {
    fn expected(&self) -> String {
        if self.relations.unset {
            return "it not to be set".into();
        }
        let always = self.required && self.default.is_none() && self.relations.required_when.is_none();
        let or = match &self.relations.required_when {
            _ if always => String::new(),
            Some(when) => fill!(", or not set unless {} is {}", &when.name, &when.value),
            None => ", or not set".into(),
        };
        [self.form.words(), self.relations.words(), or].concat()
    }

    fn evaluate(&self, facts: &Facts) -> Finding {
        let mut finding = self.look(facts);
        self.relations.evaluate(&self.name, facts, &mut finding);
        if !self.pass {
            finding.sets.retain(|(name, _)| *name != self.name);
            finding.unsets.push(self.name.clone());
        }
        finding
    }
}

impl Variable for Env {
    fn sets(&self) -> Vec<String> {
        let sets = self.file.is_some() || self.default.is_some() || self.relations.renamed_from.is_some();
        if sets { vec![self.name.clone()] } else { Vec::new() }
    }

    fn secrets(&self, environ: &Environ) -> Vec<String> {
        if !self.secret {
            return Vec::new();
        }
        let names = [Some(&self.name), self.relations.renamed_from.as_ref()];
        let given = names.into_iter().flatten().filter_map(|name| environ.text(name));
        // One of the allowed values, or "changeme": hidden, it would be missing in every other line.
        let given = given.filter(|value| !self.form.is_named_in_the_file(value));
        given.chain(self.default.clone()).chain(self.form.telling()).collect()
    }

    fn is_secret(&self, finding: &Finding) -> bool {
        // What came from a file is one even where nothing says so.
        let secret = self.secret || self.file.as_ref().is_some_and(|file| finding.unsets.contains(file));
        secret && !finding.value.as_deref().is_some_and(|value| self.form.is_named_in_the_file(value))
    }

    fn doc(&self) -> Doc {
        Doc {
            name: self.name.clone(),
            form: self.form.words(),
            required: self.required
                && self.default.is_none()
                && self.relations.required_when.is_none()
                && !self.relations.unset,
            default: self.default.clone().filter(|_| !self.secret),
            example: self.example.clone(),
            description: self.description.clone(),
            secret: self.secret,
            file: self.file.clone(),
            any_of: String::new(),
            others: self.relations.others(),
        }
    }
}

/// What is often the matter with a value, and cannot be seen: least of all in one that is not shown.
fn oddity(value: &str) -> &'static str {
    let quote = |mark: char| value.len() > 1 && value.starts_with(mark) && value.ends_with(mark);
    if value.ends_with(['\n', '\r']) {
        " (it ends in a line end)"
    } else if value.trim().len() != value.len() {
        " (with a blank before or after it)"
    } else if quote('"') || quote('\'') {
        " (the quotes are part of it)"
    } else {
        ""
    }
}

impl Env {
    /// Looks at the variable itself.
    fn look(&self, facts: &Facts) -> Finding {
        let set = facts.environ.get(&self.name);
        if self.relations.unset {
            return match set {
                Some(_) => Finding::fail_for_good("it set".into(), ["do not set ", &self.name].concat()),
                None => Finding { ok: true, found: "no such variable".into(), ..Finding::default() },
            };
        }
        let full = set.clone().filter(|value| !value.is_empty());
        let path = self.file.as_ref().and_then(|file| Some((file.as_str(), facts.environ.get_full(file)?)));
        match (full, path) {
            (Some(_), Some((file, _))) => Finding::fail_for_good(
                fill!("both {} and {}", &self.name, file),
                fill!("set only one of {} and {}", &self.name, file),
            ),
            (Some(value), None) => self.judge_value(value, "", self.secret),
            (None, Some((file, path))) => self.judge_file(file, &path, facts),
            (None, None) => match self.relations.old_value(facts) {
                Some((old, value)) => {
                    let mut finding = self.judge_value(value.clone(), &[" in ", old].concat(), self.secret);
                    finding.sets.push((self.name.clone(), value));
                    finding
                }
                None => self.judge_unset(set.is_some(), facts),
            },
        }
    }

    fn judge_value(&self, value: String, from: &str, secret: bool) -> Finding {
        let found = if secret { "a value that is not shown".into() } else { quoted(&value) };
        if self.form.fits(&value) {
            return Finding::pass(found, value);
        }
        Finding::fail_for_good([&found, oddity(&value), from].concat(), ["correct ", &self.name].concat())
    }

    fn judge_unset(&self, empty: bool, facts: &Facts) -> Finding {
        let found = if empty { "a string that is empty" } else { "no such variable" };
        if let Some(default) = &self.default {
            let shown = if self.secret { String::new() } else { [" ", &quoted(default)].concat() };
            let mut finding =
                Finding::pass(fill!("{}, taking the default{}", found, &shown), default.clone());
            finding.sets.push((self.name.clone(), default.clone()));
            return finding;
        }
        let required = match &self.relations.required_when {
            Some(when) => when.holds(facts),
            None => self.required,
        };
        if !required {
            return Finding { ok: true, found: found.into(), ..Finding::default() };
        }
        let or_file = self
            .file
            .as_ref()
            .map_or_else(String::new, |file| fill!(", or {} to the path of a file that holds it", file));
        Finding::fail_for_good(found.into(), fill!("set {}{}", &self.name, &or_file))
    }

    fn judge_file(&self, name: &str, path: &str, facts: &Facts) -> Finding {
        let bytes = match facts.system.read(path, MAX_VALUE_LEN) {
            Ok(bytes) => bytes,
            Err(error) if errno(&error) == Errno::EACCES => {
                let failure = unreachable(path, Access::Read, facts);
                return Finding::fail(
                    fill!("{} = {}: {}", name, &quoted(path), &failure.found),
                    failure.remedy,
                );
            }
            Err(error) => {
                return Finding::from(failure!(
                    "{} = {}, which cannot be read: {}", name, &quoted(path), &facts::why(&error);
                    "mount the file at {}, or correct {}", path, name
                ));
            }
        };
        let text = String::from_utf8(bytes);
        let value = text.as_deref().unwrap_or("");
        // One trailing newline is the editor's, not the secret's.
        let value = value.strip_suffix('\n').map_or(value, |cut| cut.strip_suffix('\r').unwrap_or(cut));
        let wrong = match value {
            _ if text.is_err() => Some("is not text"),
            "" => Some("is empty"),
            value => value.contains('\0').then_some("holds a NUL"),
        };
        if let Some(wrong) = wrong {
            return Finding::from(failure!(
                "{} (by {}), which {}", path, name, wrong;
                "put the value into {}", path
            ));
        }
        // What came from a file is a secret even where nothing says so.
        let mut finding = self.judge_value(value.to_string(), &fill!(" in {} (by {})", path, name), true);
        if finding.ok {
            finding.sets.push((self.name.clone(), value.to_string()));
            finding.unsets.push(name.to_string());
        } else {
            finding.may_change = true;
            finding.remedy = ["correct the value in ", path].concat();
        }
        finding
    }
}
