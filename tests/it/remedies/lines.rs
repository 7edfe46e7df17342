//! Commands that only a shell understands: rinit tells the line to write at load, and nothing is started; written as it is
//! told, it works.

use crate::harness::Init;

/// What stands behind "write " to the end of the string.
#[track_caller]
fn told_line(err: &str, key: &str) -> String {
    let start = format!("; write {key} = \"");
    let at = err.find(&start).unwrap_or_else(|| panic!("no line in {err}"));
    let line = &err[at + "; write ".len()..];
    let value = &line[start.len() - "; write ".len()..];
    let end = value.char_indices().scan(false, |escaped, (at, c)| {
        let ends = c == '"' && !*escaped;
        *escaped = c == '\\' && !*escaped;
        Some((at, ends))
    });
    let (end, _) = end.into_iter().find(|(_, ends)| *ends).expect("an end");
    format!("{key} = \"{}\"", &value[..end])
}

#[test]
fn of_commands_that_only_a_shell_understands() {
    for (line, told, out) in [
        ("printf %s $PORT", "no shell runs, and $PORT stays as it is", "80"),
        ("printf '<%s>' --port=$PORT \\\"a $PORT\\\"", "$PORT stays as it is", "<--port=80><a 80>"),
        ("$PROGRAM a", "$PROGRAM stays as it is", "a\n"),
        ("FOO=x sh -c 'echo $FOO'", "nobody takes the first word for a variable", "x\n"),
        ("FOO='x y' BAR=z sh -c 'echo $FOO$BAR'", "nobody takes the first word for a variable", "x yz\n"),
        ("FOO=\\\"${PORT}\\\" sh -c 'echo $FOO'", "nobody takes the first word for a variable", "80\n"),
        ("exec printf %s x", "exec is a word of the shell's", "x"),
        ("exec env FOO=x sh -c 'echo $FOO'", "exec is a word of the shell's", "x\n"),
    ] {
        let launch = |keys: &str| {
            let text = format!("[services.main]\n{keys}\n");
            Init::config(&text).env("PORT", "80").env("PROGRAM", "echo")
        };
        let keys = format!("command = \"{line}\"");
        let ended = launch(&keys).run().expect(78).tells(&["rinit.toml:2:11: services.main.command: ", told]);
        assert_eq!(ended.out, "", "{line}");
        // It is a fault at load: `--validate` finds it.
        launch(&keys).args(&["--validate"]).run().expect(78).tells(&[told]);
        let mended = told_line(&ended.err, "command");
        let ended = launch(&mended).run().expect(0);
        assert_eq!(ended.out, out, "{mended}: {}", ended.story());
    }
    // The other remedy, and what was meant for a shell.
    for (line, out) in
        [("printf %s '$PORT'", "$PORT"), ("printf %s $$PORT", "$PORT"), ("sh -c \\\"echo $PORT\\\"", "80\n")]
    {
        let text = format!("[services.main]\ncommand = \"{line}\"\n");
        let ended = Init::config(&text).env("PORT", "80").run().expect(0);
        assert_eq!(ended.out, out, "{line}: {}", ended.story());
    }
    // Under every key that takes a command.
    let text = "[services.a]\ncommand = \"sleep 1\"\nhealthcheck = { exec = \"test $PORT\" }\n[checks.exec.b]\ncommand = \"exec true\"
[aliases]\nworker = \"FOO=x app\"\n";
    Init::config(text).run().expect(78).tells(&[
        "write exec = \"test ${PORT}\"",
        "checks.exec.b.command: no shell runs",
        "write worker = \"env FOO=x app\"",
    ]);
}
