use crate::text::regex::*;

#[test]
fn the_whole_text_matches_or_does_not() {
    let table: &[(&str, &[&str], &[&str])] = &[
        ("abc", &["abc"], &["ab", "abcd", ""]),
        ("", &[""], &["a"]),
        ("a.c", &["abc", "aäc"], &["a\nc", "ac"]),
        ("[a-c]+", &["abc", "c"], &["", "abd"]),
        ("[^a-c]*", &["xyz", ""], &["xa"]),
        ("[]a]", &["]", "a"], &["b"]),
        ("[a-]", &["-", "a"], &["b"]),
        (r"[\w.-]+", &["a_9.-"], &["a b"]),
        (r"[\D]", &["x"], &["5"]),
        (r"[^\D]", &["5"], &["x"]),
        (r"[\W]", &["-", "\0", "é"], &["a", "_", "9", "Z"]),
        (r"\d{4}-\d{2}", &["2024-01"], &["2024-1", "20245-01"]),
        ("a{2,3}", &["aa", "aaa"], &["a", "aaaa"]),
        ("a{2,}", &["aa", "aaaaa"], &["a"]),
        ("a{,2}", &["a{,2}"], &["aa"]),
        ("a{x}", &["a{x}"], &["a"]),
        ("a|bc|", &["a", "bc", ""], &["b", "abc"]),
        ("(a|b)*c", &["c", "abac"], &["ab"]),
        ("(?:ab)?", &["", "ab"], &["a"]),
        ("a+?b", &["aab"], &["b"]),
        ("^a$|^b$", &["a", "b"], &["ab", "c"]),
        ("a^b", &[], &["ab", "a^b"]),
        (r"\$\^\.\\", &["$^.\\"], &["a"]),
        (r"\S+\s\S+", &["a b"], &["ab", "a  b"]),
        ("(a*)*", &["", "aaa"], &["b"]),
        ("ä+", &["ää"], &["a"]),
    ];
    for (pattern, yes, no) in table {
        let compiled = Pattern::new(pattern).expect(pattern);
        for text in *yes {
            assert!(compiled.matches(text), "{pattern} {text:?}");
        }
        for text in *no {
            assert!(!compiled.matches(text), "{pattern} {text:?}");
        }
    }
}

#[test]
fn what_is_no_pattern_says_why() {
    for (pattern, part) in [
        ("(a", "without its \")\""),
        ("a)", "without its \"(\""),
        ("[a", "without its \"]\""),
        ("*a", "repeats nothing"),
        ("a**", "repetition of a repetition"),
        ("a\\", "protects nothing"),
        (r"\bword", "not known"),
        ("(?i)a", "not known"),
        ("[[:alpha:]]", "not known"),
        ("[z-a]", "is empty"),
        ("a{3,2}", "wrong way round"),
        ("a{2000}", "further than"),
        ("((a{1000}){1000}){1000}", "too much"),
    ] {
        let error = Pattern::new(pattern).expect_err(pattern);
        assert!(error.contains(part), "{pattern}: {error}");
    }
    assert!(Pattern::new(&"(".repeat(100_000)).is_err());
}

#[test]
fn a_pattern_that_backtracks_forever_elsewhere_does_not_here() {
    let pattern = Pattern::new("(a*)*(a|aa)+b").expect("pattern");
    assert!(!pattern.matches(&"a".repeat(5_000)));
}
