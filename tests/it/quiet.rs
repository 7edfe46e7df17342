//! What rinit does when there is nothing to do: nothing.

use crate::harness::{Init, Running, eventually, ms};
use std::fmt::Write;

/// Twenty services: plain, with dependencies, one that has ended, one that waits for its restart.
fn twenty_services() -> Running {
    // A socket of its own: where /run is shared, the rinit of another test asks who listens there.
    let mut config = String::from(
        "[control]\nsocket = \"/mnt/files/idle.sock\"\n\
         [services.done]\ntype = \"oneshot\"\ncommand = \"true\"\n\
         [services.later]\ncommand = \"false\"\nrestart_policy = { delay = \"1h\", max_delay = \"1h\" }\n",
    );
    for number in 0..18 {
        write!(config, "[services.s{number}]\ncommand = \"/mnt/probe serve s{number}\"\n").unwrap();
        if number > 0 {
            writeln!(config, "depends_on = [\"s{}\"]", number - 1).unwrap();
        }
    }
    let run = Init::config(&config).start();
    eventually("all are up", || run.out().matches(" up").count() == 18);
    eventually("what ends has ended", || run.others().len() == 18);
    run
}

/// By the kernel's own account of how often PID 1 was put to sleep: each wakeup is one more.
#[test]
fn an_idle_rinit_never_wakes() {
    let run = twenty_services();
    let mut settled = run.init().switches();
    eventually("it has settled", || {
        // Longer than the longest of the looks that follow a slow start.
        std::thread::sleep(ms(1200));
        let now = run.init().switches();
        std::mem::replace(&mut settled, now) == now
    });
    // The only wait of the suite that has to pass in full: it is the subject.
    std::thread::sleep(ms(5000));
    assert_eq!(run.init().switches(), settled, "it woke up");
    run.stop();
}

/// The same by the system calls that strace sees, and what woke it if something did.
#[cfg(feature = "peers")]
#[test]
fn an_idle_rinit_makes_no_system_call() {
    let run = twenty_services();
    let trace = run.directory().join("trace");
    let pid = run.pid_outside().to_string();
    let mut strace = std::process::Command::new("strace")
        .args(["-f", "-o", trace.to_str().unwrap(), "-p", &pid])
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("strace is missing: apt-get install strace");
    // The attachment itself may interrupt the call that it waits in, so that it begins another.
    let mut seen = run.file("trace");
    eventually("strace is attached", || {
        std::thread::sleep(ms(200));
        let now = run.file("trace");
        let settled = !now.is_empty() && now == seen;
        seen = now;
        settled
    });
    std::thread::sleep(ms(5000));
    assert_eq!(run.file("trace"), seen, "it was busy");
    // And it would have been seen.
    run.signal(libc::SIGWINCH);
    eventually("strace sees what it does", || run.file("trace") != seen);
    strace.kill().unwrap();
    strace.wait().unwrap();
    run.stop();
}

/// Every service gets its three descriptors and a clean signal state, the first as the last, a
/// restarted one too.
#[test]
fn every_service_starts_clean() {
    let run = twenty_services();
    run.signal_to(&run.the("serve s3"), libc::SIGKILL);
    eventually("s3 is started again", || run.out().matches("s3 up").count() == 2);
    let services: Vec<_> = run.others();
    assert_eq!(services.len(), 18);
    for service in services {
        let fds: Vec<_> = service.fds().into_iter().map(|(fd, _)| fd).collect();
        assert_eq!(fds, [0, 1, 2], "{service:?}");
        assert_eq!(service.mask("SigIgn"), 0, "{service:?}");
        assert_eq!(service.group, service.pid, "a group of its own: {service:?}");
    }
    run.stop();
}

/// The memory of an idle rinit is of the order of the C inits'. A debug build is not small, so the
/// bound is loose here; the benchmarks hold the release to its own.
#[test]
fn an_idle_rinit_has_one_thread() {
    let run = twenty_services();
    assert_eq!(run.init().status("Threads"), "1");
    run.stop();
}
