//! rinit's own lines between those of others.

use crate::harness::{Init, eventually};
use rinit::text::json;

/// An unprefixed service, one whose output is relayed, and rinit itself write to one pipe: no line is cut by another.
#[test]
fn lines_of_three_writers_of_one_pipe_are_whole() {
    let config = r#"
        when_idle = "stay"
        [services.plain]
        type = "oneshot"
        command = ["sh", "-c", "exec >&2; i=0; while [ $i -lt 4000 ]; do echo plain $i of-this-many-characters-a-line; i=$((i+1)); done"]
        [services.relayed]
        type = "oneshot"
        logging = "prefix"
        command = ["sh", "-c", "exec >&2; i=0; while [ $i -lt 4000 ]; do echo $i of-this-many-characters-a-line; i=$((i+1)); done; head -c 9000 /dev/zero | tr '\\0' x"]
        [services.flaps]
        logging = "prefix"
        command = ["sh", "-c", "printf half >&2; exit 1"]
        essential = false
        restart = "always"
        restart_policy = { delay = "20ms", max_delay = "20ms" }
        [services.talks]
        command = ["sh", "-c", "while ! [ -e /mnt/files/enough ]; do :; done"]
        type = "oneshot"
    "#;
    let run = Init::config(config).start();
    // rinit's own lines are dropped rather than waited for, where the reader is slow.
    eventually("all is written", || {
        let err = run.err();
        let own_lines = err.lines().filter(|line| line.starts_with("rinit:")).count();
        ["plain 3999 of-", "| 3999 of-"].iter().all(|text| err.contains(text))
            && err.matches("| half").count() > 3
            && own_lines > 10
            && err.matches('x').count() >= 9000
    });
    std::fs::write(run.directory().join("enough"), "").unwrap();
    let ended = run.stop().expect(0);
    let mut counts = [0; 4];
    for line in ended.err.lines() {
        assert!(line.len() < 4096, "{} bytes", line.len());
        let words = "of-this-many-characters-a-line";
        let kind = match line.split_once(' ') {
            Some(("plain", rest)) if rest.ends_with(words) && rest.len() <= words.len() + 5 => 0,
            Some(("relayed", rest)) if rest.ends_with(words) || rest.ends_with('x') => 1,
            Some(("flaps", rest)) if rest.trim_start() == "| half" => 2,
            Some(("rinit:", _)) => 3,
            _ => panic!("{line:?}"),
        };
        counts[kind] += 1;
    }
    assert!(counts[0] == 4000 && counts[1] >= 4003 && counts[2] > 3 && counts[3] > 10, "{counts:?}");
}

/// A line that is longer than a pipe takes at once was cut wherever another came between.
#[test]
fn a_long_line_of_rinit_is_told_in_pieces() {
    let config = format!("[services.web]\ncommand = [\"true\"]\nunknown = \"{}\"\n", "\u{e4}".repeat(6000));
    for format in ["text", "json"] {
        let ended = Init::config(&config).env("RINIT_LOG_FORMAT", format).run().expect(78);
        let mut text = String::new();
        for line in ended.err.lines() {
            assert!(line.len() < 4096, "{format}: {} bytes", line.len());
            match format {
                "json" => text.push_str(json::parse(line).unwrap().text("message").unwrap()),
                _ => text.push_str(line.trim_start_matches("rinit: ")),
            }
        }
        assert!(ended.err.ends_with('\n') && text.contains("unknown"), "{text}");
        assert!(text.matches('\u{e4}').count() >= 60, "{format}: {text}");
    }
}
