//! The output of services under the drivers of `logging`: told apart, whole, and not lost.

use crate::harness::{Ended, Init, Process, Running, eventually, ms};
use rinit::text::json;
use std::collections::HashMap;
use std::fmt::Write as _;

/// The processes of rinit's own that are not PID 1: the relay, and who opens its files.
fn helpers(run: &Running) -> Vec<Process> {
    run.find("--config").into_iter().filter(|process| process.command.contains("rinit.toml")).collect()
}

fn lines<'t>(text: &'t str, label: &str) -> Vec<&'t str> {
    text.lines().filter_map(|line| line.strip_prefix(label)).collect()
}

/// Nobody could tell the services apart, and `hellohello` was one line of two runs.
#[test]
fn services_are_told_apart_line_by_line() {
    let ended = Init::config(
        r#"
        [defaults]
        logging = "prefix"
        restart = "no"
        essential = false
        [services.web]
        command = ["sh", "-c", "echo out; echo err >&2; printf half; exit 3"]
        restart = "on-failure:3"
        restart_policy = { delay = "0s" }
        [services.longer]
        type = "oneshot"
        command = ["sh", "-c", "i=0; while [ $i -lt 500 ]; do echo line $i; echo more $i >&2; i=$((i+1)); done"]
        "#,
    )
    .run();
    assert_eq!(lines(&ended.out, "web    | "), ["out", "half"].repeat(4), "{}", ended.story());
    assert_eq!(lines(&ended.err, "web    | "), ["err"].repeat(4), "{}", ended.story());
    let want = |word: &str| (0..500).map(|n| format!("{word} {n}")).collect::<Vec<_>>();
    assert_eq!(lines(&ended.out, "longer | "), want("line"));
    assert_eq!(lines(&ended.err, "longer | "), want("more"));
    for line in ended.err.lines() {
        assert!(line.starts_with("rinit: ") || line.contains(" | "), "{line:?}\n{}", ended.story());
    }
}

/// A prompt has no end of line, and whoever is asked wants to see it.
#[test]
fn a_prompt_is_shown_and_nobody_writes_into_it() {
    let run = Init::config(
        r#"
        [defaults]
        logging = "prefix"
        [services.asks]
        command = ["sh", "-c", "printf 'name? '; exec sleep 1000"]
        [services.other]
        command = ["sh", "-c", "while ! [ -e /mnt/files/go ]; do sleep 0.01; done; echo here; exec sleep 1000"]
        "#,
    )
    .start();
    eventually("it is shown", || run.out() == "asks  | name? ");
    std::fs::write(run.directory().join("go"), "").unwrap();
    eventually("another is a line of its own", || run.out() == "asks  | name? \nother | here\n");
    run.stop().expect(0);
}

/// A service may write whatever it likes: each line of the log is JSON, no longer than engines take.
#[test]
fn json_is_json_whatever_is_written() {
    let ended = Init::config(
        r#"
        [services.odd]
        type = "oneshot"
        logging = "json"
        command = ["sh", "-c", '''
            printf 'a "b" \\ \001\033[31m\n\377\376\n'
            printf 'nul\000here\n' >&2
            head -c 100000 /dev/zero | tr '\0' '\001'; echo; printf 'no end' ''']
        "#,
    )
    .run()
    .expect(0);
    let mut text = String::new();
    for line in ended.out.lines() {
        assert!(line.len() < 16 * 1024, "{}", line.len());
        let record = json::parse(line).unwrap_or_else(|| panic!("{line}"));
        assert_eq!((record.text("service"), record.text("stream")), (Some("odd"), Some("stdout")));
        assert!(record.number("pid").is_some() && record.text("time").unwrap().ends_with('Z'));
        text.push_str(record.text("line").unwrap());
        if !record.is_true("partial") {
            text.push('\n');
        }
    }
    let ones = "\u{1}".repeat(100_000);
    let want = format!("a \"b\" \\ \u{1}\u{1b}[31m\n\u{fffd}\u{fffd}\n{ones}\nno end\n");
    assert!(text == want, "{:?}", text.replace(&ones, "..."));
    assert!(ended.err.contains("\"line\":\"nul\\u0000here\"}"), "{}", ended.story());
}

/// Numbered lines of several services, and how often each is there.
fn counted(ended: &Ended, services: usize, count: usize) -> usize {
    let mut seen = vec![HashMap::new(); services];
    for line in ended.out.lines() {
        let (name, text) = line.split_once(" | ").unwrap_or_else(|| panic!("{line:?}"));
        let service: usize = name.trim_start_matches('s').parse().unwrap_or_else(|_| panic!("{line:?}"));
        let mut words = text.split(' ');
        let number: usize = words.next().unwrap().parse().unwrap_or_else(|_| panic!("{line:?}"));
        assert_eq!(words.next(), Some("of-this-many-characters-a-line"), "{line:?}");
        assert!(number < count && words.next().is_none(), "{line:?}");
        *seen[service].entry(number).or_insert(0_usize) += 1;
    }
    for (service, seen) in seen.iter().enumerate() {
        assert_eq!(seen.len(), count, "lines of {service} are lost\n{}", ended.err);
    }
    seen.iter().flat_map(HashMap::values).map(|times| times - 1).sum()
}

fn writers(services: usize, count: usize) -> String {
    let mut config = "[defaults]\nlogging = 'prefix'\n".to_string();
    for service in 0..services {
        let _ = writeln!(
            config,
            "[services.s{service}]\ntype = 'oneshot'\ncommand = ['awk', 'BEGIN {{ for (i = 0; i < {count}; i++) print i \" of-this-many-characters-a-line\" }}']"
        );
    }
    config
}

#[test]
fn no_line_is_lost_or_mixed_at_the_end() {
    let ended = Init::config(&writers(5, 20_000)).run().expect(0);
    assert_eq!(counted(&ended, 5, 20_000), 0, "{}", ended.err);
}

/// What its reader held was lost with it, in each of the peers.
#[test]
fn a_relay_that_is_killed_loses_nothing() {
    let mut run = Init::config(&writers(3, 200_000)).start();
    // Before that a child of rinit's may be a service that is about to be.
    run.wait_for_err("s2: started");
    let mut killed = 0;
    while !run.has_ended() && killed < 60 {
        if let Some(relay) = helpers(&run).first() {
            run.try_signal_to(relay, libc::SIGKILL);
            killed += 1;
        }
        std::thread::sleep(ms(15));
    }
    let ended = run.end().expect(0);
    assert!(killed > 3, "{killed}");
    let twice = counted(&ended, 3, 200_000);
    let told = ended.err.contains("may be there twice");
    assert!(twice == 0 || told, "{twice} lines are there twice\n{}", ended.err);
}

/// The engine has stopped reading: a stop ends in time all the same, and what is lost is told.
#[test]
fn a_log_that_nobody_reads_delays_no_stop() {
    let mut run =
        Init::config("[services.yes]\nlogging = 'prefix'\ncommand = 'yes'\nstop_grace_period = '1s'\n")
            .start();
    run.stop_reading(1);
    eventually("it waits for its reader", || run.the("yes").state == 'S');
    run.signal(libc::SIGTERM);
    eventually("it has ended", || run.has_ended());
    let ended = run.end().expect(0);
    assert!(ended.err.contains(" bytes of its output were not read, and are lost"), "{}", ended.err);
}

/// Who is left behind has the pipe open: nothing waits for that.
#[test]
fn an_orphan_that_keeps_the_pipe_delays_nothing() {
    let ended = Init::config(
        "[services.web]\nlogging = 'prefix'\ntype = 'oneshot'\ncommand = ['sh', '-c', 'setsid sleep 1000 & printf said']\n",
    )
    .run()
    .expect(0);
    assert_eq!(ended.out, "web | said\n");
}

/// Under `inherit`, the default, rinit has no hand in it: no process and no pipe.
#[test]
fn the_default_costs_nothing() {
    let config = "[services.web]\ncommand = ['sleep', '1000']\n[control]\nsocket = 'none'\n";
    let run = Init::config(config).start();
    run.the("sleep");
    assert_eq!(run.others().len(), 1);
    assert!(run.init().fds().len() < 6, "{:?}", run.init().fds());
    run.stop().expect(0);
}

/// The next run of Node, or after it, could not write: the flag stays on the pipe.
#[test]
fn each_run_has_an_output_that_blocks() {
    let script = "import fcntl, os, sys\nf = fcntl.fcntl(1, fcntl.F_GETFL)\nprint(bool(f & os.O_NONBLOCK), flush=True)\nfcntl.fcntl(1, fcntl.F_SETFL, f | os.O_NONBLOCK)\nsys.exit(1)\n";
    let config = "[services.node]\nlogging = 'prefix'\ncommand = ['/usr/bin/python3', '/mnt/files/x.py']\nessential = false\nrestart = 'on-failure:2'\nrestart_policy = { delay = '0s' }\n";
    let ended = Init::config(config).file("x.py", script).run();
    assert_eq!(ended.out, "node | False\n".repeat(3), "{}", ended.story());
}

/// supervisord cut lines in two, and lost them where a rename failed.
#[test]
fn a_file_is_rotated_between_lines() {
    let ended = Init::config(
        r#"
        when_idle = "stay"
        [services.web]
        type = "oneshot"
        logging = { driver = "file", file = "/mnt/files/web.log", max_size = "1KiB", max_file = 40 }
        command = ["seq", "10000", "12000"]
        "#,
    )
    .file("web.log", "there before\n")
    .start();
    let read = |name: &str| ended.file(name);
    eventually("it is written", || read("web.log").contains("12000"));
    let mut all = String::new();
    for n in (1..40).rev() {
        let text = read(&format!("web.log.{n}"));
        assert!(text.len() <= 1024 && (text.is_empty() || text.ends_with('\n')), "{n}: {text}");
        all.push_str(&text);
    }
    all.push_str(&read("web.log"));
    let want = (10_000..=12_000).map(|n| format!("{n}\n")).collect::<String>();
    assert_eq!(all, format!("there before\n{want}"));
}

/// A secret came out in two halves, as it was read.
#[test]
fn secrets_are_masked_across_writes_and_forms() {
    let config = r#"
        [checks.env.TOKEN]
        secret = true
        [services.leaky]
        type = "oneshot"
        logging = "prefix"
        command = ["sh", "-c", '''
            printf 'a hunt'; sleep 0.3; printf 'er2"x b\n'
            head -c 16380 /dev/zero | tr '\0' y; printf 'hunter2"x\n'
            printf 'json: "hunter2\\"x"\nhunt\nand hunt' ''']
        "#;
    let ended = Init::config(config).env("TOKEN", "hunter2\"x").run().expect(0);
    let label = "leaky | ";
    let got = lines(&ended.out, label);
    assert!(got.starts_with(&["a *** b"]), "{}", ended.story());
    assert_eq!(got[got.len() - 3..], ["json: \"***\"", "hunt", "and hunt"], "{}", ended.story());
    assert!(!ended.out.contains("hunter"), "{}", ended.story());
    assert_eq!(got.concat().matches("***").count(), 3);
}

/// nginx's `access_log /dev/stdout` of a user who is not root: Permission denied, for ten years.
#[test]
fn another_user_opens_dev_stdout_by_name() {
    for driver in ["inherit", "prefix", "json", "none"] {
        let config = format!(
            "[services.web]\ntype = 'oneshot'\nuser = '61234:61234'\nlogging = '{driver}'\n\
             command = ['sh', '-c', 'echo by name > /dev/stdout && echo by name >> /dev/stderr']\n"
        );
        let ended = Init::config(&config).run().expect(0);
        assert_eq!(ended.out.contains("by name"), driver != "none", "{driver}: {}", ended.story());
        assert_eq!(ended.err.contains("by name"), driver != "none", "{driver}: {}", ended.story());
    }
}

/// What a service had to say before it failed stood anywhere but beside the failure.
#[test]
fn who_fails_is_told_with_its_last_lines() {
    let config = r#"
        [services.db]
        logging = { driver = "file", file = "/mnt/files/db.log" }
        command = ["sh", "-c", "exec >&2; seq 1 1000; echo 'no such table'; printf 'giving up'; exit 3"]
        restart = "no"
        "#;
    let ended = Init::config(config).run().expect(3);
    let told = ended.err.lines().find(|line| line.contains("its last lines were"));
    let told = told.unwrap_or_else(|| panic!("{}", ended.story()));
    assert!(told.starts_with("rinit: db: ") && told.contains("\"no such table\""), "{told}");
    assert!(told.contains("\"giving up\""), "{told}");
}

/// Two writers beside each other, and the reader of one of them is gone: nobody dies of it, and the other goes on.
#[test]
fn a_reader_that_is_gone_stops_nobody() {
    let config = r#"
        [services.out]
        logging = "prefix"
        command = ["sh", "-c", "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; touch /mnt/files/out; exec sleep 1000"]
        [services.file]
        logging = { driver = "file", file = "/mnt/files/file.log" }
        command = ["sh", "-c", "seq 1 20000; exec sleep 1000"]
        "#;
    let run = Init::config(config).without_reader().start();
    eventually("it has written all", || run.directory().join("out").exists());
    eventually("so has the other", || run.file("file.log").ends_with("20000\n"));
    run.stop().expect(0);
}

/// A full disk held up all services, or lost their lines for good.
#[test]
fn a_full_disk_holds_up_one_service_alone() {
    let config = r#"
        [services.disk]
        type = "oneshot"
        command = ["sh", "-c", "mkdir /mnt/files/log && mount -t tmpfs -o size=64k none /mnt/files/log && head -c 65536 /dev/zero > /mnt/files/log/filler || true"]
        [services.full]
        depends_on = ["disk"]
        logging = { driver = "file", file = "/mnt/files/log/full.log" }
        command = ["sh", "-c", "seq 1 2000; touch /mnt/files/wrote; exec sleep 1000"]
        [services.other]
        depends_on = ["disk"]
        logging = "prefix"
        command = ["sh", "-c", "while ! [ -e /mnt/files/go ]; do sleep 0.01; done; echo here; exec sleep 1000"]
        [services.frees]
        depends_on = ["disk"]
        command = ["sh", "-c", "while ! [ -e /mnt/files/free ]; do sleep 0.01; done; rm /mnt/files/log/filler; while ! grep -qx 2000 /mnt/files/log/full.log; do sleep 0.01; done; wc -l < /mnt/files/log/full.log; exec sleep 1000"]
        "#;
    let run = Init::config(config).start();
    run.wait_for_err("the log /mnt/files/log/full.log cannot be written: No space left on device");
    std::fs::write(run.directory().join("go"), "").unwrap();
    run.wait_for("other | here\n");
    std::fs::write(run.directory().join("free"), "").unwrap();
    run.wait_for("2000\n");
    run.wait_for_err("the log /mnt/files/log/full.log is written again");
    let ended = run.stop().expect(0);
    assert_eq!(ended.err.matches("cannot be written").count(), 1, "{}", ended.err);
}

/// A directory that is not there yet: the service waits for its log, the others do not.
#[test]
fn a_directory_that_is_missing_is_waited_for() {
    let config = r#"
        [services.web]
        logging = { driver = "file", file = "/mnt/files/later/web.log" }
        command = ["sh", "-c", "echo kept; exec sleep 1000"]
        "#;
    let run = Init::config(config).start();
    run.wait_for_err("the log /mnt/files/later/web.log cannot be opened: No such file or directory");
    std::fs::create_dir(run.directory().join("later")).unwrap();
    eventually("it is written", || run.file("later/web.log") == "kept\n");
    run.stop().expect(0);
}

/// rinit's own lines as JSON had neither a time nor a name for what happened.
#[test]
fn lines_of_rinit_as_json_have_their_fields() {
    let config = "[services.web]\ntype = 'oneshot'\ncommand = ['true']\n";
    let ended = Init::config(config).env("RINIT_LOG_FORMAT", "json").run().expect(0);
    let records: Vec<json::Json> = ended.err.lines().map(|line| json::parse(line).unwrap()).collect();
    let of = |event: &str| records.iter().find(|record| record.text("event") == Some(event)).unwrap();
    for event in ["started", "ended"] {
        let record = of(event);
        assert_eq!((record.text("service"), record.text("level")), (Some("web"), Some("info")));
        assert!(record.text("time").is_some_and(|time| time.len() == 27 && time.ends_with('Z')));
        assert!(record.text("message").is_some());
    }
}

/// More pipes than a process may have descriptors by default, and more than the kernel gives a user at full size.
#[test]
fn hundreds_of_services_have_their_pipes() {
    let mut config = "[defaults]\nlogging = 'prefix'\n".to_string();
    for n in 0..400 {
        let _ = writeln!(config, "[services.s{n}]\ntype = 'oneshot'\ncommand = ['sh', '-c', 'ulimit -n']");
    }
    let ended = Init::config(&config).soft_limit(libc::RLIMIT_NOFILE, 256, 5000).run().expect(0);
    let told = ended.out.lines().filter(|line| line.ends_with("| 256")).count();
    assert_eq!(told, 400, "{}", ended.story());
}
