//! rinit's own command line.

use crate::cli::*;

fn of(words: &[&str]) -> Result<Parsed, String> {
    let owned: Vec<CString> = words.iter().map(|word| CString::new(*word).expect("no NUL")).collect();
    let words = [c"rinit"].into_iter().chain(owned.iter().map(CString::as_c_str));
    parse(&words.collect::<Vec<_>>(), &|_| None)
}

fn run(words: &[&str]) -> Invocation {
    match of(words) {
        Ok(Parsed::Run(invocation)) => invocation,
        other => panic!("{words:?}: {other:?}"),
    }
}

#[test]
fn the_first_word_that_is_no_option_begins_the_command() {
    for (words, command) in [
        (&["--", "app", "-v"][..], &["app", "-v"][..]),
        (&["app", "--", "x"], &["app", "--", "x"]),
        (&["-g", "app", "--help"], &["app", "--help"]),
        (&["--", "--"], &["--"]),
        (&["status"], &["status"]),
        (&["-"], &["-"]),
        (&[], &[]),
    ] {
        let got: Vec<String> = run(words).command.iter().map(|w| w.to_string_lossy().into_owned()).collect();
        assert_eq!(got, command, "{words:?}");
    }
}

#[test]
fn options_with_values_take_them_in_every_form() {
    let invocation = run(&[
        "-ca.toml",
        "-c",
        "b",
        "--config=c",
        "--config",
        "d",
        "-gvvp",
        "INT",
        "-e3",
        "-e",
        "4",
        "-r15:3",
        "--rewrite",
        "HUP:0",
        "x",
    ]);
    assert_eq!(invocation.config, ["a.toml", "b", "c", "d"]);
    assert!(invocation.group && invocation.verbosity == 2);
    assert_eq!(invocation.pdeathsig, Some(Signal::INT));
    assert_eq!(invocation.remap, [3, 4]);
    assert_eq!(invocation.rewrites, [(Signal::TERM, Some(Signal::QUIT)), (Signal::HUP, None)]);
}

#[test]
fn a_wrong_command_line_says_what_is_wrong() {
    for (words, part) in [
        (&["--chek"][..], "did you mean --check?"),
        (&["-x"], "unknown option -x"),
        (&["-c"], "-c needs a value"),
        (&["--config"], "--config needs a value"),
        (&["--group=1"], "--group takes no value"),
        (&["-e", "256"], "expected an exit code"),
        (&["-r", "15"], "expected FROM:TO"),
        (&["-p", "TREM"], "did you mean \"TERM\"?"),
        (&["--exec", "--check"], "exclude each other"),
        (&["--log-level", "loud"], "expected \"error\""),
    ] {
        let error = of(words).expect_err(&format!("{words:?}"));
        assert!(error.contains(part), "{words:?}: {error}");
    }
    assert_eq!(of(&["-gh", "--nonsense"]), Ok(Parsed::Help));
    assert_eq!(of(&["--version"]), Ok(Parsed::Version));
}
