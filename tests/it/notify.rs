//! `notify`, `watchdog`, `pid_file`: what services report on themselves.

use crate::harness::{Client, Init, eventually, ms};
use crate::rinitctl::ctl;

/// Python that sends words to NOTIFY_SOCKET, as programs do without libsystemd.
const PYTHON: &str = r#"
import os, socket, sys, time
def notify(text, fds=()):
    to = os.environ["NOTIFY_SOCKET"]
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.connect("\0" + to[1:] if to[0] == "@" else to)
    socket.send_fds(s, [text.encode()], list(fds)) if fds else s.send(text.encode())
def wait(path):
    while not os.path.exists("/mnt/files/" + path):
        time.sleep(0.005)
def say(text):
    print(text, flush=True)
"#;

/// A configuration with one Python service `app` and these keys.
fn service(keys: &str, script: &str) -> String {
    format!("[services.app]\ncommand = [\"/usr/bin/python3\", \"-c\", '''{PYTHON}{script}''']\n{keys}\n")
}

const AFTER: &str = "[services.after]\ncommand = [\"echo\", \"after ran\"]\ndepends_on = [\"app\"]\nrestart = \"no\"\nessential = false\n";

#[test]
fn a_dependent_waits_until_a_service_says_that_it_is_ready() {
    let script = "
say('app up')
wait('go')
notify('STATUS=serving 7 clients\\nREADY=1')
time.sleep(1000)";
    for condition in ["started", "healthy"] {
        let after = AFTER.replace("[\"app\"]", &format!("{{ app = \"{condition}\" }}"));
        let run = Init::config(&(service("notify = \"systemd\"", script) + &after))
            .env("RINIT_SOCKET", Client::SOCKET)
            .start();
        run.wait_for("app up");
        let status = ctl(&run, &["status"]).out;
        assert!(status.contains("starting") && status.contains("waits for app"), "{status}");
        assert!(!run.out().contains("after ran"));
        std::fs::write(run.directory().join("go"), "").unwrap();
        run.wait_for("after ran");
        run.wait_for_err("app: ready");
        let status = ctl(&run, &["status"]).out;
        assert!(status.contains("serving 7 clients"), "{status}");
        run.stop().expect(0);
    }
}

/// `systemd-notify --ready` in a shell script: the sender is another process, and gone by the time that it is heard.
#[test]
fn another_process_of_the_service_may_say_it() {
    let script = "
if os.fork() == 0:
    notify('READY=1')
    os._exit(0)
time.sleep(1000)";
    let run = Init::config(&(service("notify = \"systemd\"\nuser = \"1000\"", script) + AFTER)).start();
    run.wait_for("after ran");
    run.stop().expect(0);
}

#[test]
fn a_newline_on_a_descriptor_is_readiness() {
    let config = r#"
        [services.app]
        command = ["sh", "-c", "printf 'text before' >&5; while ! [ -e /mnt/files/go ]; do sleep 0.01; done; echo >&5; exec 5>&-; exec sleep 1000"]
        notify = 5
        [services.after]
        command = ["sh", "-c", "ls /proc/self/fd >/mnt/files/fds; echo after ran"]
        depends_on = ["app"]
        restart = "no"
        essential = false
    "#;
    let run = Init::config(config).start();
    run.the("sh -c");
    assert!(!run.out().contains("after ran"));
    std::fs::write(run.directory().join("go"), "").unwrap();
    run.wait_for("after ran");
    assert!(!run.file("fds").contains('5'), "the descriptor is no other service's: {}", run.file("fds"));
    run.stop().expect(0);
}

#[test]
fn a_service_that_is_never_ready_fails_at_its_start_timeout() {
    for (notify, script, why) in [
        ("\"systemd\"", "time.sleep(1000)", "no READY=1 came to its NOTIFY_SOCKET"),
        ("3", "time.sleep(1000)", "no newline came on the descriptor of notify"),
        ("3", "os.close(3); time.sleep(1000)", "closed the descriptor of notify without a newline"),
    ] {
        let keys = format!("notify = {notify}\nstart_timeout = \"3s\"\nrestart = \"no\"");
        let ended = Init::config(&service(&keys, script)).run();
        assert_ne!(ended.code(), 0, "{}", ended.story());
        ended.tells(&["not ready within start_timeout", why]);
    }
}

#[test]
fn a_service_that_does_not_say_that_it_is_alive_is_restarted() {
    let script = "
assert os.environ['WATCHDOG_PID'] == str(os.getpid()), os.environ['WATCHDOG_PID']
assert os.environ['WATCHDOG_USEC'] == '4000000'
say('app up')
notify('READY=1')
for _ in range(10):
    time.sleep(0.5)
    notify('WATCHDOG=1')
say('app hangs')
time.sleep(1000)";
    let keys = "notify = \"systemd\"\nwatchdog = \"4s\"\nrestart_policy = { delay = \"10ms\" }";
    let run = Init::config(&service(keys, script)).start();
    eventually("it is restarted", || run.out().matches("app up").count() >= 2);
    assert!(run.out().starts_with("app up\napp hangs\napp up"), "{}", run.out());
    run.wait_for_err("no WATCHDOG=1 in time");
    run.stop().expect(0);
}

/// A keyless fault each.
#[test]
fn keys_that_can_never_act_are_faults() {
    for (keys, part) in [
        ("notify = 2", "expected \"systemd\", or the number of a descriptor from 3 to 255 (s6)"),
        ("notify = 'sytemd'", "expected \"systemd\", or the number of a descriptor"),
        ("watchdog = '1s'", "add notify = \"systemd\""),
        ("notify = 3\nwatchdog = '1s'", "add notify = \"systemd\""),
        ("fd_store = 3", "add notify = \"systemd\""),
        ("pid_file = 'x.pid'", "is not an absolute path"),
        ("type = 'oneshot'\nnotify = 3", "a oneshot is done when it exits 0"),
    ] {
        let config = format!("[services.app]\ncommand = 'true'\n{keys}\n");
        Init::config(&config).run().expect(78).tells(&[part]);
    }
}

/// The user counts, not the process: neither another user of the container, nor a message that is too long.
#[test]
fn who_may_not_report_is_refused_and_told_once() {
    let script = "
say('app up')
if os.fork() == 0:
    os.setuid(1001)
    notify('READY=1')
    notify('READY=1')
    say('tried')
    os._exit(0)
os.wait()
wait('go')
notify('READY=1\\nX=' + 'x' * 5000)
notify('READY=1')
time.sleep(1000)";
    let run = Init::config(&(service("notify = \"systemd\"", script) + AFTER)).start();
    run.wait_for("tried");
    run.wait_for_err("of uid 1001 is ignored: only uid 0 and root may send one");
    assert!(!run.out().contains("after ran"));
    std::fs::write(run.directory().join("go"), "").unwrap();
    run.wait_for("after ran");
    let ended = run.stop().expect(0);
    assert_eq!(ended.err.matches("is ignored").count(), 1, "{}", ended.story());
}

/// `BARRIER=1` is answered in order, also behind a flood, which disturbs nobody; descriptors that come with a message
/// are closed.
#[test]
fn a_flood_and_ten_thousand_descriptors_disturb_nobody() {
    let script = "
notify('READY=1')
null = os.open('/dev/null', os.O_RDONLY)
for n in range(100):
    notify('X=' + str(n), [null] * 250)
r, w = os.pipe()
notify('BARRIER=1', [w])
os.close(w)
assert os.read(r, 1) == b''
say('barrier passed')
for n in range(8):
    if os.fork() == 0:
        while True:
            try:
                notify('STATUS=' + str(n))
            except OSError:
                time.sleep(0.001)
time.sleep(1000)";
    let other = "[services.other]\ncommand = \"/mnt/probe serve other\"\n";
    let run = Init::config(&(service("notify = \"systemd\"\nstop_signal = \"SIGKILL\"", script) + other))
        .env("RINIT_SOCKET", Client::SOCKET)
        .start();
    run.wait_for("barrier passed");
    for _ in 0..20 {
        let status = ctl(&run, &["status"]).out;
        assert!(status.contains("other"), "{status}");
    }
    let open = run.init().fds().len();
    assert!(open < 40, "{open} descriptors");
    run.stop().expect(0);
}

/// A process may say that it stops; then it has its grace period, and its end decides what follows.
#[test]
fn a_service_may_stop_reload_and_ask_for_time_by_itself() {
    let script = "
notify('EXTEND_TIMEOUT_USEC=20000000')
say('app up')
wait('go')
notify('READY=1')
notify('RELOADING=1\\nMONOTONIC_USEC=' + str(time.monotonic_ns() // 1000))
wait('reloaded')
notify('READY=1')
wait('stop')
notify('STOPPING=1\\nERRNO=2')
wait('end')
sys.exit(3)";
    let keys = "notify = \"systemd\"\nstart_timeout = \"4s\"\nrestart = \"no\"\nstop_grace_period = \"60s\"";
    let run = Init::config(&service(keys, script)).env("RINIT_SOCKET", Client::SOCKET).start();
    let touch = |name: &str| std::fs::write(run.directory().join(name), "").unwrap();
    run.wait_for("app up");
    // Past its start timeout, which it has asked to extend.
    std::thread::sleep(ms(4500));
    touch("go");
    run.wait_for_err("app: ready");
    run.wait_for_err("app: reloading");
    let status = ctl(&run, &["status", "--json"]).out;
    assert!(status.contains("\"reloading\":true"), "{status}");
    touch("reloaded");
    run.wait_for_err("app: reloaded");
    touch("stop");
    eventually("it is stopping", || ctl(&run, &["status"]).out.contains("stopping"));
    touch("end");
    run.end().expect(3).tells(&["exited with code 3", "it said ERRNO=2 (No such file or directory)"]);
}

/// A daemon that double-forks, with its PID file: stale at first, then written late.
const DAEMON: &str = "
if os.fork() == 0:
    os.setsid()
    pid = os.fork()
    if pid:
        wait('write')
        open('/mnt/files/app.pid', 'w').write(str(pid) + '\\n')
        os._exit(0)
    import signal
    def stop(*_):
        say('daemon stops')
        sys.exit(0)
    signal.signal(signal.SIGTERM, stop)
    say('daemon up')
    wait('end')
    sys.exit(7)
sys.exit(0)";

#[test]
fn a_program_that_goes_into_the_background_is_followed_by_its_pid_file() {
    let keys = "pid_file = \"/mnt/files/app.pid\"\nrestart = \"no\"";
    let start = || {
        let run = Init::config(&(service(keys, DAEMON) + AFTER))
            .file("app.pid", "1\n")
            .env("RINIT_SOCKET", Client::SOCKET)
            .start();
        run.wait_for("daemon up");
        assert!(!run.out().contains("after ran"));
        std::fs::write(run.directory().join("write"), "").unwrap();
        run.wait_for("after ran");
        run.wait_for_err("app: its main process is pid ");
        run
    };
    let run = start();
    let pid = run.file("app.pid");
    let status = ctl(&run, &["status"]).out;
    assert!(status.contains(&format!(" {} ", pid.trim())), "{pid}: {status}");
    let ended = run.stop().expect(0);
    assert!(ended.out.contains("daemon stops"), "it was asked to stop: {}", ended.story());
    let run = start();
    std::fs::write(run.directory().join("end"), "").unwrap();
    run.end().expect(7).tells(&["exited with code 7"]);
}

#[test]
fn a_pid_file_that_never_comes_is_a_failed_start() {
    let keys = "pid_file = \"/mnt/files/app.pid\"\nrestart = \"no\"\nstart_timeout = \"4s\"";
    let run = Init::config(&service(keys, DAEMON)).start();
    run.wait_for("daemon up");
    let ended = run.end();
    assert_ne!(ended.code(), 0, "{}", ended.story());
    ended.tells(&["/mnt/files/app.pid does not name its main process: does not exist"]);
}

/// `MAINPID` of a process that is not the service's own is refused; one of its own is followed, also as the child of
/// another process, which alone learns how it ends.
#[test]
fn a_service_may_name_its_main_process() {
    let script = "
refused = 'first' if os.path.exists('/mnt/files/end') else 'other'
say('app up')
wait('go')
notify('MAINPID=' + open('/mnt/files/' + refused).read())
pid = os.fork()
if pid == 0:
    wait('end')
    os._exit(0)
notify('MAINPID=%d\\nREADY=1' % pid)
os.waitpid(pid, 0)
say('child ended')
time.sleep(1000)";
    let other = "[services.other]\ncommand = [\"sh\", \"-c\", \"echo $$$$ >/mnt/files/other.new; mv /mnt/files/other.new /mnt/files/other; exec sleep 1000\"]\n";
    let keys = "notify = \"systemd\"\nrestart_policy = { delay = \"10ms\" }\nrestart = \"always\"";
    let run = Init::config(&(service(keys, script) + other)).file("first", "1").start();
    run.wait_for("app up");
    eventually("the other one runs", || !run.file("other").is_empty());
    std::fs::write(run.directory().join("go"), "").unwrap();
    run.wait_for_err("app: its MAINPID is ignored: pid ");
    run.wait_for_err("belongs to another service");
    run.wait_for_err("app: its main process is pid ");
    std::fs::write(run.directory().join("end"), "").unwrap();
    eventually("it is started again", || run.out().matches("app up").count() >= 2);
    run.wait_for_err("app: its MAINPID is ignored: pid 1 is no process below rinit");
    run.stop().expect(0);
}

/// Descriptors outlive a crash and a restart by hand, not a stop; those above the limit, doubles and what is hung up are
/// not kept.
#[test]
fn descriptors_are_kept_over_restarts() {
    let script = "
count, names = int(os.environ.get('LISTEN_FDS', '0')), os.environ.get('LISTEN_FDNAMES')
if count:
    assert os.environ['LISTEN_PID'] == str(os.getpid())
    assert os.environ['FDSTORE'] == '3'
texts = [os.read(3 + n, 100).decode() for n in range(count)]
say('got %s %s' % (names, ' '.join(texts)))
if not count:
    def memory(text):
        fd = os.memfd_create('x')
        os.write(fd, text.encode())
        os.lseek(fd, 0, 0)
        return fd
    state = memory('one')
    notify('FDSTORE=1\\nFDNAME=state', [state])
    notify('FDSTORE=1\\nFDNAME=state', [state])
    notify('FDSTORE=1\\nFDNAME=bad:name', [memory('two')])
    notify('FDSTORE=1\\nFDNAME=gone', [memory('removed')])
    notify('FDSTOREREMOVE=1\\nFDNAME=gone')
    r, w = os.pipe()
    notify('FDSTORE=1\\nFDNAME=pipe', [r])
    notify('FDSTORE=1\\nFDNAME=more', [memory('more')])
    os.close(w)
notify('READY=1')
wait('crash')
os.unlink('/mnt/files/crash')
sys.exit(1)";
    let keys = "notify = \"systemd\"\nfd_store = 3\nrestart_policy = { delay = \"10ms\" }";
    let run = Init::config(&service(keys, script)).env("RINIT_SOCKET", Client::SOCKET).start();
    let crash = || std::fs::write(run.directory().join("crash"), "").unwrap();
    run.wait_for("got None \n");
    run.wait_for_err("fd_store allows 3");
    eventually("the pipe is hung up", || ctl(&run, &["status", "--json"]).out.contains("\"stored_fds\":2"));
    crash();
    run.wait_for("got state:stored one two\n");
    assert_eq!(ctl(&run, &["restart", "app"]).code, 0);
    eventually("they are passed again", || run.out().matches("got state:stored").count() == 2);
    assert_eq!(ctl(&run, &["stop", "app"]).code, 0);
    assert_eq!(ctl(&run, &["start", "app"]).code, 0);
    eventually("they are gone", || run.out().matches("got None").count() == 2);
    run.stop().expect(0);
}

/// A daemon that says `MAINPID` of its child and ends at once: what it has said comes before its end. The child is
/// stopped with all that is left.
#[test]
fn a_main_process_may_be_named_with_the_last_words() {
    let script = "
pid = os.fork()
if pid == 0:
    import signal
    def stop(*_):
        say('main stops')
        sys.exit(0)
    signal.signal(signal.SIGTERM, stop)
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, lambda *_: (say('worker stops'), sys.exit(0)))
        say('worker up')
    while True:
        time.sleep(1000)
notify('READY=1\\nMAINPID=%d' % pid)
os._exit(0)";
    let run = Init::config(&(service("notify = \"systemd\"\nrestart = \"no\"", script) + AFTER)).start();
    run.wait_for("after ran");
    run.wait_for_err("app: its main process is pid ");
    run.wait_for("worker up");
    let ended = run.stop().expect(0);
    let (main, worker) = (ended.out.find("main stops"), ended.out.find("worker stops"));
    assert!(main.is_some() && main < worker, "{}", ended.story());
    assert!(!ended.err.contains("killing"), "{}", ended.story());
}

/// The COMMAND too, to which services may look.
#[test]
fn the_command_may_report_too() {
    let config = r#"
        [services.main]
        notify = "systemd"
        start_timeout = "20s"
        depends_on = []
        [services.after]
        command = ["echo", "after ran"]
        depends_on = ["main"]
        restart = "no"
        essential = false
    "#;
    let script =
        format!("{PYTHON}\nsay('command up')\nwait('go')\nnotify('READY=1')\nwait('end')\nsys.exit(4)");
    let run = Init::config(config).command(&["/usr/bin/python3", "-c", &script]).start();
    run.wait_for("command up");
    assert!(!run.out().contains("after ran"));
    for name in ["go", "end"] {
        std::fs::write(run.directory().join(name), "").unwrap();
        if name == "go" {
            run.wait_for("after ran");
        }
    }
    run.end().expect(4);
}

/// Sockets come first, then what was kept.
#[test]
fn descriptors_that_are_kept_follow_the_sockets() {
    let script = "
names = os.environ['LISTEN_FDNAMES']
say('got ' + names)
if names == 'web':
    r, w = os.pipe()
    notify('FDSTORE=1\\nFDNAME=state', [r, w])
else:
    os.write(5, b'kept')
    say(os.read(4, 9).decode())
    socket.socket(fileno=3).getsockname()
notify('READY=1')
wait('crash')
os.unlink('/mnt/files/crash')
sys.exit(1)";
    let keys = "notify = \"systemd\"\nfd_store = 2\nsockets.web = \"/mnt/files/web.sock\"\nrestart_policy = { delay = \"10ms\" }";
    // Docker's profile blocks it.
    for refused in [&[][..], &[(libc::SYS_kcmp, libc::EPERM)]] {
        let run = Init::config(&service(keys, script)).refusing(refused).start();
        run.wait_for("got web\n");
        run.wait_for_err("app: ready");
        std::fs::write(run.directory().join("crash"), "").unwrap();
        run.wait_for("got web:state:state\nkept\n");
        run.stop().expect(0);
    }
}
