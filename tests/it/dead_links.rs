//! A link that leads nowhere is told as one, wherever it is: what was asked for is there to see, with `ls`.

use crate::harness::{FILES, Init};

/// A shell that makes the links, and then runs rinit in its own place.
fn after(links: &str, rinit: &str) -> crate::harness::Ended {
    let script = format!("cd {FILES} && {links} && exec {} {rinit}", Init::RINIT.path);
    Init::SHELL.launch().args(&["-c", &script]).run()
}

/// "no such file", "does not exist" or "Too many levels of symbolic links" sent people to look for a file that is there.
#[test]
fn a_link_that_leads_nowhere_is_told() {
    let dangling = format!("{FILES}/dangling is a link to gone, which is not there");
    let circle = format!("{FILES}/b is a link to a, which leads round in a circle of links");
    let write = |name: &str, text: &str| format!("printf '%s\\n' '{text}' > {name} && chmod +x {name}");
    let service = |keys: &str| write("rinit.toml", &format!("[services.web]\ncommand = [\"true\"]\n{keys}"));
    let check = |table: &str| write("rinit.toml", table);
    let configured = format!("-c {FILES}/rinit.toml");
    for (prepare, rinit, told, code) in [
        ("true".into(), format!("-- {FILES}/dangling"), &dangling, 127),
        ("true".into(), format!("-- {FILES}/dangling/bin/app"), &dangling, 127),
        ("ln -s dangling chain".into(), format!("-- {FILES}/chain"), &dangling, 127),
        ("true".into(), format!("-- {FILES}/a"), &circle, 126),
        (write("script", &format!("#!{FILES}/dangling -x")), format!("-- {FILES}/script"), &dangling, 127),
        (service(&format!("working_dir = \"{FILES}/dangling\"")), configured.clone(), &dangling, 71),
        (service("env_file = \"dangling\""), configured.clone(), &dangling, 78),
        (service("env_file = \"a\""), configured.clone(), &circle, 78),
        ("true".into(), format!("-c {FILES}/dangling -- true"), &dangling, 78),
        ("true".into(), format!("-c {FILES}/dangling/rinit.d -- true"), &dangling, 78),
        ("true".into(), format!("-c {FILES}/a -- true"), &circle, 78),
        (
            check(&format!("[checks.file.\"{FILES}/dangling/key\"]")),
            format!("{configured} -- true"),
            &dangling,
            69,
        ),
    ] {
        let ended = after(&format!("ln -s gone dangling && ln -s b a && ln -s a b && {prepare}"), &rinit);
        let alike = told.replace("/b is a link to a,", "/a is a link to b,");
        assert!(
            ended.err.contains(told.as_str()) || ended.err.contains(&alike),
            "{prepare}\n{}",
            ended.story()
        );
        assert_eq!(ended.code(), code, "{}", ended.story());
    }
}
