//! `[configs]` and `[secrets]`.

use crate::config::prepared::{FileSource, Generator, PreparedFile};
use crate::config::resolve::tests::*;

/// What cannot be, below `[configs.x]` (with a target) or `[secrets.x]`, and what is told.
const BAD: &[(&str, &str, &str)] = &[
    ("configs", "", "configs.x: says nothing of what is in it; expected content, file or environment"),
    ("secrets", "", "expected content, file, environment or generate"),
    ("configs", "content = 'a'\nfile = '/a'", "configs.x.file: found beside content; expected one of them"),
    ("secrets", "environment = 'SET'\ngenerate = 'uuid'", "generate: found beside environment"),
    ("configs", "generate = 'uuid'", "unknown key \"generate\""),
    ("configs", "content = 3", "content: found an integer, expected a string"),
    ("configs", "content = '${NO}'", "content: NO is not set and has no default"),
    ("configs", "content = '${NO} ${SET}'\nvars = ['SET', 'NO']", "content: NO is not set"),
    ("configs", "content = '${SET'", "a \"${\" without its \"}\""),
    ("configs", "file = ''", "file: is empty; expected the path of a file"),
    ("configs", "environment = 'NO'", "environment: NO is not set; set it, or write when_env = \"NO\""),
    ("configs", "environment = 'A B'", "environment: names no variable"),
    ("secrets", "generate = 'base64'", "generate: \"base64\": expected \"base64:32\" or \"hex:16\""),
    ("secrets", "generate = 32", "generate: found an integer, expected a string"),
    ("secrets", "generate = 'uuid'\nkeep = true", "keep: does nothing here: what is generated is made once"),
    ("secrets", "generate = 'uuid'\nvars = 'A'", "vars: does nothing here: the value is written as it is"),
    ("configs", "environment = 'SET'\nvars = 'A'", "vars: does nothing here"),
    (
        "configs",
        "content = ''\nvars = ['$A']",
        "vars: \"$A\" is no name that stands between \"${\" and \"}\"",
    ),
    ("configs", "content = ''\nmode = 644", "mode: is no mode; expected octal digits in quotes"),
    ("configs", "content = ''\nmode = '0999'", "mode: is no mode"),
    ("configs", "content = ''\nuid = 'a b'", "uid: is neither a name nor a number"),
    ("configs", "content = ''\ngid = 4294967295", "gid: the number is too large"),
    ("configs", "content = ''\nkeep = 'x'", "keep: \"x\": expected true or false"),
    ("configs", "content = ''\nwhen_exists = 'x'", "when_exists: is not an absolute path"),
    ("configs", "content = ''\ntargt = '/x'", "did you mean \"target\"?"),
    ("secrets", "content = ''\ntarget = 'x'", "target: is not an absolute path"),
    ("secrets", "content = ''\ntarget = '/a/../x'", "target: has \"..\" in it"),
];

#[test]
fn what_cannot_be_is_told() {
    for (table, body, part) in BAD {
        let target = if *table == "configs" { "target = '/t'\n" } else { "" };
        let text = format!("[{table}.x]\n{target}{body}");
        let told = plan_of(&[("t", &text)], &[]).1;
        assert!(told.iter().any(|fault| fault.starts_with("t:") && fault.contains(part)), "{body}: {told:?}");
    }
    let told = plan_of(&[("t", "[configs.x]\ncontent = ''")], &[]).1;
    assert!(told[0].contains("configs.x: has no target; expected the absolute path"), "{told:?}");
    let two = "[configs.x]\ncontent = ''\ntarget = '/t'\n[secrets.y]\ncontent = ''\ntarget = '/t'";
    let told = plan_of(&[("t", two)], &[]).1;
    assert!(told[0].contains("secrets.y: /t is the target of configs.x too; keep one of them"), "{told:?}");
    let off = two.replace("[secrets.y]", "when_env = 'NO'\n[secrets.y]");
    assert_eq!(plan_of(&[("t", &off)], &[]).1, [""; 0]);
}

fn one(text: &str) -> PreparedFile {
    let (plan, faults) = plan_of(&[("/etc/t.toml", text)], &[]);
    assert_eq!(faults, [""; 0], "{text}");
    plan.prepared.into_iter().next().expect("a file")
}

#[test]
fn every_key_is_read() {
    let file = one("[configs.'a b']\nfile = 'x.in'\ntarget = '/${SET}/t'\nuid = 3\ngid = 'g'\nmode = '0o640'
        keep = true\nvars = 'SET'\nwhen_missing = '/there'");
    assert_eq!(file.source, FileSource::File("/etc/x.in".into()));
    assert_eq!((file.path.as_str(), file.target.as_str()), ("configs.a b", "/value/t"));
    assert_eq!((file.uid.as_deref(), file.gid.as_deref(), file.mode()), (Some("3"), Some("g"), 0o640));
    assert_eq!((file.keep, file.secret, file.off.as_deref()), (true, false, Some("/there exists")));
    assert_eq!(file.vars.as_deref(), Some(&["SET".to_string()][..]));
    let file = one("[secrets.key]\ngenerate = 'alnum:24'");
    assert_eq!(file.source, FileSource::Generate(Generator::Alnum(24)));
    assert_eq!((file.target.as_str(), file.mode(), file.secret), ("/run/secrets/key", 0o400, true));
}

/// The text of `content` by its rule; a secret's file has no `$` of ours.
#[test]
fn what_is_ours_depends_on_vars() {
    for (vars, want) in
        [("", "value $x ${SET}"), ("vars = []", "${SET} $$x $${SET}"), ("vars = 'SET'", "value $$x $value")]
    {
        let file = one(&format!("[configs.x]\ntarget = '/t'\ncontent = '${{SET}} $$x $${{SET}}'\n{vars}"));
        assert_eq!(file.source, FileSource::Content(Some(want.into())));
    }
    assert_eq!(one("[configs.x]\ntarget = '/t'\nfile = '/a'").vars, None);
    assert_eq!(one("[secrets.x]\nfile = '/a'").vars, Some(Vec::new()));
    // What a check will export is read again after it.
    let file = one("[configs.x]\ntarget = '/${SOON}/t'\ncontent = '${SOON}'");
    assert_eq!((file.target.as_str(), file.source), ("/${SOON}/t", FileSource::Content(None)));
    for (body, is_known) in [
        ("environment = 'SOON'", true),
        ("content = 'x'", true),
        ("file = '/${SOON}'", false),
        ("content = '${SOON}'", false),
        ("content = 'x'\nuid = '${SOON}'", false),
        ("content = 'x'\nmode = '${SOON}'", false),
    ] {
        assert_eq!(one(&format!("[configs.x]\ntarget = '/t'\n{body}")).is_known, is_known, "{body}");
    }
}

#[test]
fn the_texts_of_secrets_are_known_before_any_fault_is_told() {
    let text =
        "[secrets.a]\ncontent = 'hunter2'\n[secrets.b]\ncontent = '${SET}'\n[configs.c]\ncontent = 'open'";
    assert_eq!(written_secrets(&read(&[("t", text)]).0.root), ["hunter2"]);
}
