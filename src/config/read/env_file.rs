//! Compose's env file: `KEY=VALUE` lines with comments, quotes and an `export` that is allowed.

use super::interpolate::{Expanded, Scope, expand};
use crate::text::escape::escaped;
use crate::text::template::fill;

/// One variable of an env file. `None`: the name alone, which passes on what is set.
pub type EnvFileEntry = (String, Option<String>);

/// Reads an env file. In a bare or double-quoted value `${NAME}` is expanded, earlier lines included.
/// Faults are `line: what is wrong`; a value is never shown. What needs a variable that is not known
/// yet is left out.
pub fn parse(text: &str, scope: &Scope<'_>) -> (Vec<EnvFileEntry>, Vec<String>) {
    // Within quotes too a line ends as a shell has it.
    let text = text.replace("\r\n", "\n");
    let mut reader =
        EnvFileReader { rest: text.strip_prefix('\u{feff}').unwrap_or(&text), line: 1, found: Vec::new() };
    let mut faults = Vec::new();
    while !reader.rest.is_empty() {
        let line = reader.line;
        if let Err(why) = reader.statement(scope) {
            faults.push(format!("line {line}: {why}"));
            // What was found out at the end of a line has left it behind.
            if reader.line == line {
                reader.skip_line();
            }
        }
    }
    (reader.found, faults)
}

struct EnvFileReader<'t> {
    rest: &'t str,
    line: usize,
    found: Vec<EnvFileEntry>,
}

impl<'t> EnvFileReader<'t> {
    fn take(&mut self, bytes: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.line += taken.bytes().filter(|b| *b == b'\n').count();
        self.rest = rest;
        taken
    }

    fn skip_line(&mut self) -> &'t str {
        let length = self.rest.find('\n').map_or(self.rest.len(), |n| n + 1);
        self.take(length)
    }

    fn statement(&mut self, scope: &Scope<'_>) -> Result<(), String> {
        let line = self.rest.lines().next().unwrap_or("");
        let blank = line.len() - line.trim_start().len();
        let code = line.trim_start();
        if code.is_empty() || code.starts_with('#') {
            self.skip_line();
            return Ok(());
        }
        let export = code.strip_prefix("export").filter(|rest| rest.starts_with([' ', '\t']));
        let statement = export.map_or(code, str::trim_start);
        let prefix = blank + (code.len() - statement.len());
        let Some((name, _)) = statement.split_once('=') else {
            let name = statement.split(" #").next().unwrap_or("").trim();
            self.skip_line();
            check_name(name)?;
            self.found.push((name.to_string(), None));
            return Ok(());
        };
        let name_text = name.trim();
        check_name(name_text)?;
        self.take(prefix + name.len() + 1);
        if let Some(value) = self.value(scope)? {
            self.found.push((name_text.to_string(), Some(value)));
        }
        Ok(())
    }

    /// What follows the `=`, to the end of the line.
    fn value(&mut self, scope: &Scope<'_>) -> Result<Option<String>, String> {
        let line = self.rest.lines().next().unwrap_or("");
        let blank = line.len() - line.trim_start().len();
        let Some(mark) = line.trim_start().chars().next().filter(|c| matches!(c, '"' | '\'')) else {
            let bare = self.skip_line().trim_end_matches(['\n', '\r']);
            let end = comment(bare).unwrap_or(bare.len());
            return self.expand(bare.get(..end).unwrap_or(bare).trim(), scope);
        };
        let inside = self.rest.get(blank + 1..).unwrap_or("");
        let Some(end) = closing(inside, mark) else {
            return Err(format!("a quotation mark {mark} that is never closed"));
        };
        let body = inside.get(..end).unwrap_or("");
        self.take(blank + 1 + end + 1);
        let after = self.skip_line().trim();
        if !after.is_empty() && !after.starts_with('#') {
            return Err("found text behind the closing quotation mark; expected the end of the line".into());
        }
        if mark == '\'' {
            return Ok(Some(body.replace("\\'", "'")));
        }
        self.expand(&unescape(body), scope)
    }

    fn expand(&self, text: &str, scope: &Scope<'_>) -> Result<Option<String>, String> {
        let earlier = |name: &str| {
            let known = self.found.iter().rev().find(|(known, _)| known == name);
            known.and_then(|(_, value)| value.clone()).or_else(|| (scope.variable)(name))
        };
        match expand(text, &Scope { variable: &earlier, ..*scope })? {
            Expanded::Text(text) => Ok(Some(text)),
            Expanded::Later => Ok(None),
        }
    }
}

/// The text between double quotes, ready to be expanded.
fn unescape(body: &str) -> String {
    let mut plain = String::with_capacity(body.len());
    let mut chars = body.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => plain.push('\n'),
            Some('r') => plain.push('\r'),
            Some('t') => plain.push('\t'),
            Some('$') => plain.push_str("$$"),
            Some(c @ ('"' | '\\')) => plain.push(c),
            Some(other) => plain.extend(['\\', other]),
            None => plain.push('\\'),
        }
    }
    plain
}

/// Where a comment begins in a bare value: a `#` at its start or behind a blank.
fn comment(bare: &str) -> Option<usize> {
    let mut before = ' ';
    for (at, c) in bare.char_indices() {
        if c == '#' && before.is_whitespace() {
            return Some(at);
        }
        before = c;
    }
    None
}

fn closing(inside: &str, mark: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in inside.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == mark => return Some(at),
            _ => {}
        }
    }
    None
}

/// Whether a variable of the environment may have this name.
pub fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("a variable without a name; expected NAME=value".into());
    }
    if name.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '=' | '$')) {
        return Err(fill!("\"{}\" is no name of a variable; expected NAME=value", escaped(name)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::env_file::*;
    use super::super::interpolate::StartFacts;

    fn read(text: &str) -> (Vec<EnvFileEntry>, Vec<String>) {
        let variable = |name: &str| (name == "HOST").then(|| "h".to_string());
        let later = ["SOON".to_string()];
        let scope = Scope {
            variable: &variable,
            exists: &|_| false,
            read: &|_| Err(String::new()),
            later: &later,
            start: StartFacts::default(),
        };
        parse(text, &scope)
    }

    #[test]
    fn values_are_what_compose_reads() {
        for (line, want) in [
            ("A=b", "b"),
            ("  export A=b", "b"),
            ("export\tA = b ", "b"),
            ("A=", ""),
            ("A=b c # d", "b c"),
            ("A=b#c", "b#c"),
            ("A=#c", ""),
            ("A='b # c' # d", "b # c"),
            ("A='$x ${HOST} \\n'", "$x ${HOST} \\n"),
            ("A='it\\'s'", "it's"),
            ("A=\"b\\n\\\"c\\\" ${HOST}\"", "b\n\"c\" h"),
            ("A=\"\\${HOST} \\\\\"", "${HOST} \\"),
            ("A=\"b\nc\"", "b\nc"),
            ("A=\"b\r\nc\\r\\n\"", "b\nc\r\n"),
            ("A=${HOST}:${NO:-1}", "h:1"),
            ("A=b=c\r\n", "b=c"),
            ("\u{feff}A=b", "b"),
        ] {
            assert_eq!(read(line), (vec![("A".into(), Some(want.into()))], vec![]), "{line}");
        }
    }

    #[test]
    fn lines_are_independent_and_see_those_before() {
        let text = "# c\n\nA=1\nB=${A}2\nHOST\nS=${SOON}\nC=\"x\ny\"\nD=${NO}\nE='open\nF=3";
        let (found, faults) = read(text);
        let names: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
        assert_eq!(
            names,
            [("A", Some("1")), ("B", Some("12")), ("HOST", None), ("C", Some("x\ny")), ("F", Some("3"))]
        );
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[0].starts_with("line 9: NO is not set"), "{faults:?}");
        assert!(faults[1].starts_with("line 10: a quotation mark '"), "{faults:?}");
    }
}
