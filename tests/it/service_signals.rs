//! What signals mean where the file gives them a meaning.

use crate::harness::Init;

#[test]
fn signals_have_the_meaning_that_the_file_gives_them() {
    let config = r#"
        [signals]
        USR1 = { service = "web", signal = "HUP" }
        SIGWINCH = "ignore"
        PWR = "stop"
        [services.web]
        command = "/mnt/probe signals 2"
        restart = "no"
    "#;
    let run = Init::config(config).start();
    run.wait_for("ready");
    run.signal(libc::SIGWINCH);
    run.signal(libc::SIGUSR1);
    run.wait_for("got 1\n");
    run.signal(libc::SIGPWR);
    let ended = run.end().expect(0);
    assert_eq!(ended.out, "ready\ngot 1\ngot 15\n");
}

/// A signal that has no meaning here is no reason to end.
#[test]
fn signals_without_a_meaning_are_survived() {
    for pid_1 in [true, false] {
        let run = Init::config("[services.web]\ncommand = \"/mnt/probe serve web\"").pid_1(pid_1).start();
        run.wait_for("web up");
        let stop = [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT];
        for signal in crate::harness::catchable_signals().filter(|signal| !stop.contains(signal)) {
            run.signal(signal);
        }
        run.stops_at_once().expect(0);
    }
}
