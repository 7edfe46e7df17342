//! A command that is written as one string: its words, and what in it only a shell would understand.

use crate::text::escape::json_string;
use crate::text::shell_words::{self, ShellLine, WordPiece};

/// Returns the words of a line, expanded, and whether all of them are known; or what is wrong with it. `key` is where it
/// is written, for the line to write instead.
pub fn words(
    key: &str,
    line: &str,
    expand: &mut dyn FnMut(&str) -> Option<String>,
) -> Result<(Vec<String>, bool), String> {
    let parsed = shell_words::parse(line)?;
    if let Some(why) = for_a_shell(key, line, &parsed) {
        return Err(why);
    }
    let (mut words, mut known) = (Vec::with_capacity(parsed.words.len()), true);
    for word in &parsed.words {
        known &= shell_words::expand_into(word, &mut words, expand);
    }
    Ok((words, known))
}

/// What a shell would do with the line and rinit does not, with the line to write.
fn for_a_shell(key: &str, line: &str, parsed: &ShellLine) -> Option<String> {
    let [first, rest @ ..] = parsed.words.as_slice() else { return None };
    let plain = |word: &Vec<WordPiece>| word.iter().map(WordPiece::text).collect::<String>();
    let first = plain(first);
    if shell_words::assigns(line.trim_start()) {
        if rest.is_empty() {
            return Some("sets a variable and runs nothing; expected a program and its arguments".into());
        }
        let end = ", or set the variable under environment";
        return Some(instead(
            "nobody takes the first word for a variable",
            key,
            &["env ", line.trim()].concat(),
            end,
        ));
    }
    if first == "exec" && !rest.is_empty() {
        let line = line.trim().trim_start_matches("exec").trim_start();
        return Some(instead("exec is a word of the shell's", key, line, ""));
    }
    // What follows `sh -c` is for that shell.
    let option = rest.first().map(plain).unwrap_or_default();
    if first.ends_with("sh") && option.starts_with('-') && option.contains('c') {
        return None;
    }
    bare(key, line, parsed)
}

/// `$NAME` without braces.
fn bare(key: &str, line: &str, parsed: &ShellLine) -> Option<String> {
    let (from, to) = parsed.bare.first()?;
    let name = line.get(*from..*to)?;
    let (mut written, mut end) = (String::new(), 0);
    for (from, to) in &parsed.bare {
        written.push_str(line.get(end..*from)?);
        written.push_str(&["${", line.get(*from + 1..*to)?, "}"].concat());
        end = *to;
    }
    written.push_str(line.get(end..)?);
    let end = ["; or '", name, "' in single quotes for the characters themselves"].concat();
    Some(instead(&[name, " stays as it is"].concat(), key, &written, &end))
}

fn instead(why: &str, key: &str, line: &str, end: &str) -> String {
    let mut text = ["no shell runs, and ", why, "; write ", key, " = "].concat();
    json_string(line, &mut text);
    text + end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_a_shell_understands_is_told_with_the_line_to_write() {
        for (line, want) in [
            ("app --port $PORT", "$PORT stays as it is; write command = \"app --port ${PORT}\"; or '$PORT'"),
            ("app $A-$B \"$A b\"", "write command = \"app ${A}-${B} \\\"${A} b\\\"\""),
            ("$APP x", "write command = \"${APP} x\""),
            (
                "FOO=x app 'a b'",
                "write command = \"env FOO=x app 'a b'\", or set the variable under environment",
            ),
            ("FOO='x y' app", "write command = \"env FOO='x y' app\""),
            (" exec  app -x", "exec is a word of the shell's; write command = \"app -x\""),
            ("FOO=${X} app", "write command = \"env FOO=${X} app\""),
            ("FOO=x", "sets a variable and runs nothing"),
        ] {
            let told = words("command", line, &mut |text| Some(text.into())).expect_err(line);
            assert!(told.contains(want), "{line}: {told}");
        }
        for line in [
            "sh -c \"echo $HOME\"",
            "/bin/bash -ec 'x' $A",
            "app '$HOME'",
            "app $$HOME",
            "app ${HOME}",
            "'FOO=x' app",
            "execute x",
            "exec",
            "a/FOO=x y",
        ] {
            assert!(words("command", line, &mut |text| Some(text.into())).is_ok(), "{line}");
        }
    }
}
