//! What the probes of a healthcheck write: not in the container's log, but told when one fails.

use crate::harness::{Ended, Init, Running, eventually};

fn service(probe: &str, more: &str) -> String {
    format!(
        "[services.web]\ncommand = [\"sleep\", \"1000\"]\n[services.web.healthcheck]\n\
         exec = [\"sh\", \"-c\", '''{probe}''']\ninterval = \"20ms\"\non_unhealthy = \"ignore\"\n{more}\n"
    )
}

#[track_caller]
fn unhealthy(probe: &str, more: &str, words: &str) -> Ended {
    let run: Running = Init::config(&service(probe, more)).start();
    run.wait_for_err(words);
    let ended = run.stop();
    assert_eq!(ended.out, "", "{}", ended.story());
    ended
}

/// Each `curl` of a healthcheck left its page, or its error, in the container's log, every ten seconds.
#[test]
fn what_a_probe_writes_is_not_in_the_log() {
    let probe = "echo probed; echo probed >&2; echo x >> /mnt/files/probes";
    let run = Init::config(&service(probe, "")).start();
    eventually("some have run", || run.file("probes").lines().count() > 5);
    let ended = run.stop();
    assert!(!ended.out.contains("probed") && !ended.err.contains("probed"), "{}", ended.story());
    let run = Init::config(&service(probe, "")).args(&["-v"]).start();
    run.wait_for_err("web: healthcheck passed, and said \"probed\"");
    run.stop();
}

/// And why it failed was nowhere.
#[test]
fn why_a_probe_failed_is_told() {
    let ended = unhealthy(
        "echo page; echo connection refused >&2; echo; exit 7",
        "retries = 2",
        "web: unhealthy: its healthcheck failed 2 times in a row: exited with code 7, and said \"connection refused\"",
    );
    assert_eq!(ended.err.matches("connection refused").count(), 1, "{}", ended.story());
    unhealthy("kill -SEGV $$$$", "retries = 1", "healthcheck failed: killed by SIGSEGV");
    unhealthy(
        "echo slow; exec sleep 1000",
        "retries = 1\ntimeout = \"100ms\"",
        "its healthcheck failed: over its timeout of 100ms, and said \"slow\"",
    );
}

/// A healthy service whose probe fails once is told once, and again only when the reason is another.
#[test]
fn a_failure_that_repeats_itself_is_told_once() {
    let probe =
        "n=$(cat /mnt/files/n); echo $((n + 1)) > /mnt/files/n; [ $((n % 2)) = 0 ] || { echo odd; exit 3; }";
    let run = Init::config(&service(probe, "retries = 5")).file("n", "0\n").start();
    eventually("it flaps", || run.file("n").trim().parse::<u32>().unwrap_or(0) > 10);
    let ended = run.stop();
    let told = "web: healthcheck failed: exited with code 3, and said \"odd\"";
    assert_eq!(ended.err.matches(told).count(), 1, "{}", ended.story());
}

/// A probe that writes without end neither waits for a reader nor costs rinit its memory, and its service stays healthy.
#[test]
fn a_probe_that_writes_a_lot_passes() {
    let probe = "head -c 3000000 /dev/zero | tr '\\0' 'x'; echo; echo x >> /mnt/files/probes";
    let run = Init::config(&service(probe, "retries = 1\ntimeout = \"5s\"")).start();
    eventually("some have run", || run.file("probes").lines().count() > 5);
    let ended = run.stop();
    assert!(!ended.err.contains("unhealthy"), "{}", ended.story());
}

/// What a probe leaves in the background holds its pipe: nothing waits for that, and no descriptor stays behind.
#[test]
fn what_a_probe_leaves_behind_delays_nothing() {
    let probe = "sleep 1000 & echo x >> /mnt/files/probes";
    let run = Init::config(&service(probe, "retries = 1\ntimeout = \"5s\"")).start();
    eventually("some have run", || run.file("probes").lines().count() > 20);
    eventually("no descriptor is left", || run.init().fds().len() < 10);
    run.stop();
}
