//! What a variable must be, and every key's error.

use crate::checks::Finding;
use crate::checks::facts::fake::Fake;
use crate::checks::read::testing::{fault, one};

fn evaluate(keys: &str, environ: &[(&str, &str)]) -> Finding {
    let check = one(&format!("[checks.env.NAME]\n{keys}"));
    check.spec.evaluate(&Fake::default().facts(environ))
}

#[test]
fn set_and_not_empty_is_asked_for_by_default() {
    assert!(evaluate("", &[("NAME", "x")]).ok);
    let unset = evaluate("", &[]);
    assert_eq!(
        (unset.ok, unset.found.as_str(), unset.remedy.as_str()),
        (false, "no such variable", "set NAME")
    );
    let empty = evaluate("", &[("NAME", "")]);
    assert_eq!((empty.ok, empty.found.as_str()), (false, "a string that is empty"));
    assert!(!empty.may_change);
    assert!(evaluate("required = false", &[]).ok);
    assert!(!evaluate("required = false\ntype = \"int\"", &[("NAME", "x")]).ok);
}

/// A file of variables with line ends of Windows, or quotes that Docker takes as they are: not to be seen.
#[test]
fn what_cannot_be_seen_of_a_value_is_told() {
    for (value, keys, found) in [
        ("abc\r", "secret = true", "a value that is not shown (it ends in a line end)"),
        ("abc ", "", "\"abc \" (with a blank before or after it)"),
        ("'abc'", "", "\"'abc'\" (the quotes are part of it)"),
        ("ABC", "secret = true", "a value that is not shown"),
    ] {
        let finding = evaluate(&format!("pattern = \"[a-z]+\"\n{keys}"), &[("NAME", value)]);
        assert_eq!((finding.ok, finding.found.as_str()), (false, found), "{value:?}");
    }
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
            assert!(evaluate(&keys, &[("NAME", value)]).ok, "{kind} {value}");
        }
        for value in *no {
            assert!(!evaluate(&keys, &[("NAME", value)]).ok, "{kind} {value}");
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
        assert!(evaluate(keys, &[("NAME", yes)]).ok, "{keys}");
        assert!(!evaluate(keys, &[("NAME", no)]).ok, "{keys}");
    }
    let check = one("[checks.env.NAME]\none_of = [\"dev\", \"prod\"]");
    assert_eq!(check.spec.expected, "\"dev\" or \"prod\"");
}

#[test]
fn a_default_is_set_when_there_is_nothing() {
    for environ in [&[][..], &[("NAME", "")][..]] {
        let finding = evaluate("default = 8080\ntype = \"port\"", environ);
        assert_eq!((finding.ok, finding.sets), (true, vec![("NAME".into(), "8080".into())]));
    }
    assert_eq!(evaluate("default = 8080", &[("NAME", "1")]).sets, []);
}

#[test]
fn a_secret_is_never_in_the_words() {
    for keys in ["secret = true", "secret = true\ntype = \"int\"", "secret = true\npattern = \"x\""] {
        let finding = evaluate(keys, &[("NAME", "hunter2")]);
        let words = format!("{} {} {:?}", finding.found, finding.remedy, finding.warnings);
        assert!(!words.contains("hunter2"), "{words}");
    }
    assert!(!evaluate("secret = true\ndefault = \"hunter2\"", &[]).found.contains("hunter2"));
}

#[test]
fn a_file_may_hold_the_value() {
    let check = one("[checks.env.NAME]\nfile = true\nsecret = true");
    let evaluate = |text: Option<&str>, environ: &[(&str, &str)]| {
        let mut fake = Fake::default();
        if let Some(text) = text {
            fake.texts.insert("/run/secrets/x".into(), text.into());
        }
        check.spec.evaluate(&fake.facts(environ))
    };
    let by_file = [("NAME_FILE", "/run/secrets/x")];
    let finding = evaluate(Some("s3\n\n"), &by_file);
    assert_eq!(finding.sets, [("NAME".to_string(), "s3\n".to_string())]);
    assert_eq!(finding.unsets, ["NAME_FILE"]);
    assert!(!finding.found.contains("s3"));
    assert_eq!(evaluate(None, &[]).remedy, "set NAME, or NAME_FILE to the path of a file that holds it");
    let missing = evaluate(None, &by_file);
    assert!(missing.found.contains("no such file or directory") && missing.may_change, "{missing:?}");
    assert!(evaluate(Some("\n"), &by_file).found.contains("which is empty"));
    let both = evaluate(Some("x"), &[("NAME", "y"), ("NAME_FILE", "/run/secrets/x")]);
    assert_eq!(both.found, "both NAME and NAME_FILE");
    assert_eq!(check.spec.variable.expect("of a variable").sets(), ["NAME"]);
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
        ("type = \"zzzzzz\"", "\"host\" or \"host_port\" or \"ip\""),
        // What could not be read is not empty.
        ("one_of = [\"${NONE}\"]", "NONE is not set"),
        ("requires = [\"${NONE}\"]", "NONE is not set"),
    ] {
        let message = fault(&format!("[checks.env.NAME]\n{keys}"));
        assert!(message.contains(part), "{keys}: {message}");
    }
    assert!(fault("[checks.env.\"a b\"]").contains("no name of a variable"));
}

#[test]
fn more_types_take_what_they_say() {
    let table: &[(&str, &[&str], &[&str])] = &[
        ("host_port", &["db:5432", "[::1]:80"], &["db", "db:", "db:0", ":80"]),
        ("email", &["a@b.example", "a.b+c@d"], &["a", "@b", "a@", "a b@c"]),
        (
            "uuid",
            &["123e4567-e89b-12d3-a456-426614174000"],
            &["123e4567", "123e4567-e89b-12d3-a456-42661417400g"],
        ),
        ("semver", &["1.2.3", "v1.0.0-rc.1+b5"], &["1.2", "01.2.3", "1.2.3-"]),
        ("json", &["{\"a\": [1]}"], &["{a}"]),
        ("base64", &["aGk=", "aGVsbG8h"], &["aGk", "a*k="]),
        ("list", &["a", "a, b"], &["a,,b", ","]),
    ];
    for (kind, yes, no) in table {
        let keys = format!("type = \"{kind}\"");
        for value in *yes {
            assert!(evaluate(&keys, &[("NAME", value)]).ok, "{kind} {value}");
        }
        for value in *no {
            assert!(!evaluate(&keys, &[("NAME", value)]).ok, "{kind} {value}");
        }
    }
}

#[test]
fn every_key_of_a_form_has_its_error() {
    for (keys, yes, no, expected) in [
        ("min_length = 3", "abc", "ab", "of at least 3 characters"),
        ("max_length = 3", "äöü", "abcd", "of at most 3 characters"),
        ("prefix = \"sk_\"", "sk_1", "pk_1", "that begins with \"sk_\""),
        ("suffix = \".org\"", "a.org", "a.com", "that ends with \".org\""),
        ("not_in = [\"changeme\"]", "x", "changeme", "other than \"changeme\""),
        ("type = \"url\"\nschemes = [\"https\"]", "HTTPS://a", "http://a", "of the scheme \"https\""),
        (
            "type = \"url\"\ndomains = [\"x.org\"]",
            "http://u@a.x.org:8/b",
            "http://ax.org/x.org",
            "within \"x.org\"",
        ),
        ("type = \"email\"\ndomains = [\"x.org\"]", "a@x.org", "a@y.org", "within \"x.org\""),
        ("type = \"list\"\nseparator = \";\"\nof = \"int\"", "1;2", "1,2", "each item of it an integer"),
        ("type = \"int\"\nmin = 1\nmax = 9", "9", "10", "from 1 to 9"),
    ] {
        assert!(evaluate(keys, &[("NAME", yes)]).ok, "{keys}");
        assert!(!evaluate(keys, &[("NAME", no)]).ok, "{keys}");
        let words = one(&format!("[checks.env.NAME]\n{keys}")).spec.expected;
        assert!(words.contains(expected), "{keys}: {words}");
    }
}

#[test]
fn what_others_have_to_do_with_it_is_told() {
    let expected = |keys: &str| one(&format!("[checks.env.NAME]\n{keys}")).spec.expected;
    let form = "a string that is not empty";
    assert_eq!(expected("requires = [\"A\", \"B\"]"), [form, ", together with A and B"].concat());
    assert_eq!(
        expected("type = \"int\"\nconflicts = [\"C\"]\nrequired = false"),
        "an integer, without C, or not set"
    );
}

#[test]
fn others_decide_too() {
    for (keys, environ, ok) in [
        ("requires = [\"B\"]", &[("NAME", "x"), ("B", "y")][..], true),
        ("requires = [\"B\"]", &[("NAME", "x")], false),
        ("requires = [\"B\"]\nrequired = false", &[], true),
        ("conflicts = [\"B\"]", &[("NAME", "x")], true),
        ("conflicts = [\"B\"]", &[("NAME", "x"), ("B", "y")], false),
        ("required_when = \"MODE=prod|stage\"", &[("MODE", "stage")], false),
        ("required_when = \"MODE=prod|stage\"", &[("MODE", "dev")], true),
        ("required_when = \"MODE = prod | stage\"", &[("MODE", "stage")], false),
        ("required_when = \"MODE\"", &[("MODE", "x")], false),
        ("unset = true", &[], true),
        ("unset = true", &[("NAME", "")], false),
    ] {
        assert_eq!(evaluate(keys, environ).ok, ok, "{keys} {environ:?}");
    }
}

#[test]
fn names_that_change_are_told() {
    let old = evaluate("renamed_from = \"OLD\"\ntype = \"int\"", &[("OLD", "5")]);
    assert_eq!((old.ok, old.sets), (true, vec![("NAME".to_string(), "5".to_string())]));
    assert!(old.warnings[0].contains("OLD is now called NAME"));
    assert!(!evaluate("renamed_from = \"OLD\"\ntype = \"int\"", &[("OLD", "x")]).ok);
    assert!(evaluate("deprecated = \"use B\"", &[("NAME", "x")]).warnings[0].contains("use B"));
    assert_eq!(evaluate("pass = false", &[("NAME", "x")]).unsets, ["NAME"]);
    let own = evaluate("file = \"NAME__FILE\"", &[("NAME__FILE", "/nowhere")]);
    assert!(own.found.contains("NAME__FILE"), "{own:?}");
}

#[test]
fn an_unknown_name_under_a_prefix_is_told() {
    let check = one("[checks.env.\"*\"]\nprefix = \"APP_\"");
    let mut facts = Fake::default().facts(&[("APP_PORT", "1"), ("APP_PROT", "1"), ("OTHER", "1")]);
    facts.known = vec!["APP_PORT".into()];
    let finding = check.spec.evaluate(&facts);
    assert!(!finding.ok);
    assert_eq!(finding.found, "APP_PROT (did you mean \"APP_PORT\"?)");
}

#[test]
fn new_keys_that_cannot_hold_are_faults() {
    for (keys, part) in [
        ("min_length = 3\nmax_length = 2", "more than max_length"),
        ("min_length = 0", "from 1 to"),
        ("prefix = \"\"", "which every value has"),
        ("suffix = \"\"", "which every value has"),
        ("pattern = \"\"", "nothing would do"),
        ("one_of = [\"a\", \"\"]", "nothing would do"),
        ("required_when = \"NAME=x\"", "another variable"),
        ("required_when = \"A\"\ndefault = \"x\"", "never acts beside default"),
        ("required = true\ndefault = \"x\"", "never acts beside default"),
        ("renamed_from = \"NAME\"", "had before"),
        ("renamed_from = \"a b\"", "had before"),
        ("unset = true\nconflicts = [\"A\"]", "never acts"),
        ("unset = true\nexport = \"A\"", "never acts"),
        ("unset = true\none_of = [\"A\"]", "never acts"),
        ("schemes = [\"https\"]", "speaks of a URL"),
        ("domains = [\"a\"]", "speaks of a host"),
        ("of = \"int\"", "speaks of the items"),
        ("separator = \",\"", "separates a list"),
        ("not_in = []", "forbids nothing"),
        ("requires = []", "names of other variables"),
        ("conflicts = [\"NAME\"]", "names of other variables"),
        ("required_when = \"=x\"", "NAME=value"),
        ("required = true\nrequired_when = \"A\"", "drop required"),
        ("unset = true\ndefault = \"x\"", "must not be set"),
        ("type = \"int\"\nexample = \"x\"", "does not itself hold"),
        ("file = \"NAME\"", "names no variable of its own"),
    ] {
        let message = fault(&format!("[checks.env.NAME]\n{keys}"));
        assert!(message.contains(part), "{keys}: {message}");
    }
    assert!(fault("[checks.env.\"*\"]").contains("is missing"));
    for (keys, part) in [("wait = \"1s\"", "does not change"), ("export = \"X\"", "hands on nothing")] {
        let message = fault(&format!("[checks.env.\"*\"]\nprefix = \"APP_\"\n{keys}"));
        assert!(message.contains(part), "{message}");
    }
}
