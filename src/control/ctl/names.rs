//! Patterns that select services.

use crate::text::glob::glob;
use crate::text::json::Json;

/// Returns whether a name matches a shell pattern: `*`, `?`, `[a-z]`, `[!a-z]`; `all` matches every name.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    pattern == name || pattern == "all" || glob(pattern.as_bytes(), name.as_bytes())
}

/// Returns whether a word selects the service that a row is about, by its name or, for an instance of a replicated
/// service, by that of the service.
pub(super) fn selects(word: &str, row: &Json) -> bool {
    let name = row.text("name").or(row.text("service")).unwrap_or_default();
    let base = name.rsplit_once('.').filter(|_| row.number("instance").is_some());
    fits(word, name) || base.is_some_and(|(base, _)| base == word)
}

/// Returns whether a word is a pattern rather than a name.
pub(super) fn is_pattern(word: &str) -> bool {
    word == "all" || word.contains(['*', '?', '['])
}

#[cfg(test)]
mod tests {
    use super::super::names::*;

    #[test]
    fn patterns_are_those_of_a_shell() {
        for (pattern, name, want) in [
            ("web", "web", true),
            ("web", "web1", false),
            ("all", "anything", true),
            ("*", "", true),
            ("w*b", "web", true),
            ("w*b", "wb", true),
            ("w*b*", "webs", true),
            ("*a*b", "aab", true),
            ("w?b", "web", true),
            ("w?b", "wb", false),
            ("worker-[0-3]", "worker-2", true),
            ("worker-[!0-3]", "worker-2", false),
            ("worker-[0-3]", "worker-4", false),
            ("a[]]b", "a]b", true),
            ("[x", "[x", true),
            ("", "a", false),
        ] {
            assert_eq!(fits(pattern, name), want, "{pattern} {name}");
        }
        let slow = "*a".repeat(30);
        assert!(!fits(&slow, &"a".repeat(29)) && !fits(&(slow + "b"), &"a".repeat(5000)));
    }
}
