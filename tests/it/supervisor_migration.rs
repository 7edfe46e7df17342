//! `docs/migration.md`, the lines of supervisord, s6-overlay, tini and dumb-init: each key that stands in the second column is
//! read by rinit, each command line is run, and each test that a row names is there.

use crate::harness::Init;

/// The rows below a heading: what stands in the second column.
fn rows(heading: &str) -> Vec<&'static str> {
    let page = include_str!("../../docs/migration.md");
    let section = page.split(&format!("## {heading}\n")).nth(1).unwrap().split("\n## ").next().unwrap();
    let rows: Vec<_> =
        section.lines().filter(|line| line.starts_with("| `") || line.starts_with("| a ")).collect();
    assert!(rows.len() > 8, "{heading}");
    rows.into_iter().map(|row| row.trim_end_matches(" |").rsplit(" | ").next().unwrap()).collect()
}

/// What stands between backticks.
fn quoted(row: &'static str) -> impl Iterator<Item = &'static str> {
    row.split('`').skip(1).step_by(2)
}

#[test]
fn each_key_is_read() {
    for heading in ["From supervisord", "From s6-overlay"] {
        for row in rows(heading) {
            for key in quoted(row).filter(|text| text.contains(" = ") && !text.starts_with('[')) {
                let command = if key.starts_with("command") { "" } else { "command = \"true\"\n" };
                let config = if row.contains("checks.dir") {
                    format!("[checks.dir.\"/path\"]\n{key}\n[services.web]\ncommand = \"true\"\n")
                } else {
                    format!("[services.db]\ncommand = \"true\"\n[services.web]\n{command}{key}\n")
                };
                let ended = Init::config(&config).args(&["--validate"]).run().expect(0);
                assert!(ended.out.contains("no faults"), "{row}\n{}", ended.story());
            }
        }
    }
    Init::config("[stop]\nwithin = \"9s\"\n[services.web]\ncommand = \"true\"\n")
        .args(&["--validate"])
        .run()
        .expect(0);
}

#[test]
fn each_command_line_is_run() {
    for row in rows("From tini and dumb-init") {
        for line in quoted(row).filter(|text| text.starts_with("rinit ")) {
            let args: Vec<&str> = line.split(' ').skip(1).take_while(|word| *word != "--").collect();
            let ended = Init::RINIT.launch().args(&args).command(&["echo", "ran"]).run().expect(0);
            assert_eq!(ended.out, "ran\n", "{line}");
        }
    }
}

#[test]
fn each_test_that_is_named_is_there() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/");
    for heading in ["From supervisord", "From s6-overlay", "From tini and dumb-init"] {
        for row in rows(heading) {
            for name in row.split(['(', ')', ',', ' ']).filter(|word| word.ends_with(".rs")) {
                assert!(std::path::Path::new(directory).join(name).exists(), "{row}: no {name}");
            }
        }
    }
}
