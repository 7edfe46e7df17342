//! `${NAME}` in string values, as Compose has it, and the facts that the configuration may ask about.

use crate::config::source::document::Node;
use crate::text::expansion::{self, ExpansionRules, VariableValue};
use std::ffi::CString;

pub use crate::text::expansion::OnlyNames;

/// What the configuration may know about the container: its environment and which paths exist.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// The value of a variable. An empty value is `Some("")`.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// Whether a path exists.
    pub exists: &'a dyn Fn(&str) -> bool,
    /// The text of a file (`env_file`); the error is the system's word.
    pub read: &'a dyn Fn(&str) -> Result<String, String>,
    /// Variables that are not set yet, but that a check may export. What needs one is judged later.
    pub later: &'a [String],
    /// What conditions ask besides.
    pub start: StartFacts<'a>,
}

/// What is known of this start: the COMMAND, who rinit is, and on what machine.
#[derive(Clone, Copy)]
pub struct StartFacts<'a> {
    /// All files, merged; `None`: no condition is to be judged by the COMMAND.
    pub root: Option<&'a Node>,
    /// The COMMAND.
    pub command: &'a [CString],
    /// The profiles that are on.
    pub profiles: &'a [String],
    /// rinit's effective user.
    pub uid: fn() -> u32,
    /// The machine, as uname(1) calls it.
    pub arch: fn() -> String,
    /// Whether nothing is at a path, or an empty directory or file.
    pub is_empty: fn(&str) -> bool,
    /// The content of a time zone's file.
    pub zone_file: fn(&str) -> std::io::Result<Vec<u8>>,
}

impl Default for StartFacts<'_> {
    fn default() -> Self {
        let zone_file = |_: &str| Err(std::io::ErrorKind::NotFound.into());
        Self {
            root: None,
            command: &[],
            profiles: &[],
            uid: || 0,
            arch: String::new,
            is_empty: |_| false,
            zone_file,
        }
    }
}

/// A text after expansion.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Expanded {
    /// The final text.
    Text(String),
    /// It needs a variable that only the checks will set.
    Later,
}

/// Expands `${NAME}`, `${NAME:-default}`, `${NAME-default}`, `${NAME:?message}`, `${NAME?message}`,
/// `${NAME:+other}`, `${NAME+other}` and `$$`. The error is one line for the user.
pub fn expand(text: &str, scope: &Scope<'_>) -> Result<Expanded, String> {
    expand_only(text, scope, None)
}

/// The same of some names alone, as [`ExpansionRules::only`] has it.
pub fn expand_only(text: &str, scope: &Scope<'_>, only: OnlyNames<'_>) -> Result<Expanded, String> {
    if !text.contains('$') {
        return Ok(Expanded::Text(text.to_string()));
    }
    let value = |name: &str| scope.value(name);
    match expansion::expand(text.as_bytes(), &ExpansionRules { value: &value, only }) {
        Ok(expanded) if expanded.later => Ok(Expanded::Later),
        // Of texts and values that are UTF-8.
        Ok(expanded) => Ok(Expanded::Text(String::from_utf8(expanded.bytes).unwrap_or_default())),
        Err(fault) => Err(fault.message),
    }
}

impl Scope<'_> {
    /// What a name stands for.
    fn value(&self, name: &str) -> VariableValue {
        match (self.variable)(name) {
            Some(value) if !value.is_empty() => VariableValue::Set(value.into_bytes()),
            _ if self.later.iter().any(|known| known == name) => VariableValue::Later,
            Some(_) => VariableValue::Set(Vec::new()),
            None => VariableValue::Unset,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::interpolate::*;

    fn with(text: &str) -> Result<Expanded, String> {
        let variable = |name: &str| match name {
            "A" => Some("alpha".to_string()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let later = ["SOON".to_string()];
        expand(
            text,
            &Scope {
                variable: &variable,
                exists: &|_| false,
                read: &|_| Err(String::new()),
                later: &later,
                start: StartFacts::default(),
            },
        )
    }

    #[test]
    fn every_form_as_compose_has_it() {
        let table = [
            ("plain", "plain"),
            ("${A}-${A}", "alpha-alpha"),
            ("$$A $A $", "$A $A $"),
            ("$${A}", "${A}"),
            ("${EMPTY}", ""),
            ("${EMPTY:-d}", "d"),
            ("${EMPTY-d}", ""),
            ("${NONE:-d}", "d"),
            ("${NONE:-}", ""),
            ("${NONE:-${A}}", "alpha"),
            ("${NONE:-a}b}", "ab}"),
            ("${A:+x}", "x"),
            ("${NONE:+x}", ""),
            ("${EMPTY+x}", "x"),
        ];
        for (text, want) in table {
            assert_eq!(with(text), Ok(Expanded::Text(want.into())), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_expanded_says_why() {
        for (text, part) in [
            ("${NONE}", "NONE is not set"),
            ("${NONE:?tell me}", "NONE is not set: tell me"),
            ("${A", "without its"),
            ("${}", "names no variable"),
            ("${1}", "names no variable"),
            ("${A!}", "after the name comes"),
        ] {
            let error = with(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn nesting_has_an_end() {
        let deep = |levels: usize| format!("{}x{}", "${NO:-".repeat(levels), "}".repeat(levels));
        assert_eq!(with(&deep(16)), Ok(Expanded::Text("x".into())));
        assert!(with(&deep(200_000)).expect_err("deep").contains("more than 16 deep"));
    }

    #[test]
    fn what_a_check_will_set_is_judged_later() {
        assert_eq!(with("http://${SOON}/"), Ok(Expanded::Later));
        assert_eq!(with("${SOON:-x}"), Ok(Expanded::Later));
    }
}
