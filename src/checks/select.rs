//! `--only` and `--skip`: some of the checks, by kind, by name, or by both.

use super::{Check, quoted};
use crate::text::suggest::did_you_mean;
use crate::text::template::fill;

/// Keeps the checks that a word of `only` means (all when there is none) and that none of `skip` does. A word is a
/// kind (`file`), a name (`DATABASE_URL`), or `kind.name`; one that means nothing is an error.
pub fn select(checks: &mut Vec<Check>, only: &[String], skip: &[String]) -> Result<(), String> {
    for (option, word) in
        only.iter().map(|word| ("--only ", word)).chain(skip.iter().map(|word| ("--skip ", word)))
    {
        if !checks.iter().any(|check| means(word, check)) {
            let known = checks.iter().flat_map(|check| [check.kind.name, check.name.as_str()]);
            let known = known.filter(|word| !word.is_empty());
            let mut hint = did_you_mean(word, known);
            if hint.is_empty() {
                hint.push_str("; --explain shows them all");
            }
            return Err(fill!("{}{}: no check has this kind or name{}", option, &quoted(word), hint));
        }
    }
    checks.retain(|check| {
        (only.is_empty() || only.iter().any(|word| means(word, check)))
            && !skip.iter().any(|word| means(word, check))
    });
    Ok(())
}

fn means(word: &str, check: &Check) -> bool {
    let both = word.strip_prefix(check.kind.name).and_then(|rest| rest.strip_prefix('.'));
    // Not everything that is without a name is meant by nothing: more likely a variable was not set.
    let named = !check.name.is_empty() && (word == check.name || both == Some(&check.name));
    word == check.kind.name || named
}

#[cfg(test)]
mod tests {
    use super::super::read::testing::checks;
    use super::super::select::*;

    #[test]
    fn a_word_is_a_kind_a_name_or_both() {
        let left = |only: &[&str], skip: &[&str]| {
            let (mut checks, _) =
                checks("[checks.env.A]\n[checks.env.B]\n[checks.user]\n[checks.mount.\"/x\"]\n");
            let words = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
            select(&mut checks, &words(only), &words(skip))?;
            Ok(checks
                .iter()
                .map(|check| format!("{}.{}", check.kind.name, check.name))
                .collect::<Vec<_>>()
                .join(" "))
        };
        assert_eq!(left(&[], &[]), Ok("env.A env.B user. mount./x".to_string()));
        assert_eq!(left(&["env"], &["B"]), Ok("env.A".to_string()));
        assert_eq!(left(&["user", "mount./x"], &[]), Ok("user. mount./x".to_string()));
        for (word, hint) in [
            ("usr", "did you mean \"user\"?"),
            ("env.", "did you mean \"env\"?"),
            ("user.", "did you mean \"user\"?"),
            ("", "--explain shows them all"),
        ] {
            let why = |option| Err(format!("{option} \"{word}\": no check has this kind or name; {hint}"));
            assert_eq!(left(&[word], &[]), why("--only"));
            assert_eq!(left(&[], &[word]), why("--skip"));
        }
    }
}
