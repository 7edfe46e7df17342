//! Patterns that select services.

/// Returns whether a name matches a shell pattern: `*`, `?`, `[a-z]`, `[!a-z]`; `all` matches every name.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    pattern == name || pattern == "all" || glob(pattern.as_bytes(), name.as_bytes())
}

/// Returns whether a word is a pattern rather than a name.
pub(super) fn is_pattern(word: &str) -> bool {
    word == "all" || word.contains(['*', '?', '['])
}

/// Iterative: on a mismatch, lets the last `*` match one more byte.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let (mut rest, mut left) = (pattern, name);
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        let step = match (rest.split_first(), left.split_first()) {
            (Some((b'*', behind)), _) => {
                retry = Some((behind, left));
                Some((behind, left))
            }
            (None, None) => return true,
            (Some((b'?', behind)), Some((_, tail))) => Some((behind, tail)),
            (Some((b'[', class)), Some((byte, tail))) => match in_class(class, *byte) {
                Some((true, behind)) => Some((behind, tail)),
                Some((false, _)) => None,
                None => (*byte == b'[').then_some((class, tail)),
            },
            (Some((want, behind)), Some((byte, tail))) if want == byte => Some((behind, tail)),
            _ => None,
        };
        match (step, retry) {
            (Some(next), _) => (rest, left) = next,
            (None, Some((behind, [_, tail @ ..]))) => {
                retry = Some((behind, tail));
                (rest, left) = (behind, tail);
            }
            (None, _) => return false,
        }
    }
}

/// Returns whether a byte is in the class that starts here, and the rest after it; `None`: the class is not closed.
fn in_class(class: &[u8], byte: u8) -> Option<(bool, &[u8])> {
    let (inverted, class) = match class {
        [b'!' | b'^', rest @ ..] => (true, rest),
        _ => (false, class),
    };
    let end = class.iter().skip(1).position(|b| *b == b']')? + 1;
    let (mut inside, behind) = (class.get(..end)?, class.get(end + 1..)?);
    let mut found = false;
    while let [low, rest @ ..] = inside {
        (found, inside) = match rest {
            [b'-', high, rest @ ..] => (found || (*low..=*high).contains(&byte), rest),
            _ => (found || *low == byte, rest),
        };
    }
    Some((found != inverted, behind))
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
