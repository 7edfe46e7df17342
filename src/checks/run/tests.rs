use crate::checks::facts::fake::{Fake, errno};
use crate::checks::read::testing::with_sources;
use crate::checks::run::*;
use crate::model::ExitStatus;
use crate::sys::process::capture::Ran;
use std::cell::Cell;
use std::rc::Rc;

/// Helpers that run at once, on a clock of their own each, and are told in the order of their ends.
#[derive(Default)]
struct Bench {
    clock: Rc<Cell<Moment>>,
    done: Vec<(Moment, Pid, Option<Vec<u8>>)>,
    signal: Option<(Moment, Signal)>,
    /// Helpers that never end; that end without a word.
    hang: bool,
    die: bool,
    /// Processes that there may be at a time.
    room: Option<usize>,
    started: i32,
    killed: Vec<Pid>,
    told: Vec<String>,
}

impl SpawnWorker for Bench {
    fn tell(&mut self, line: &str) {
        self.told.push(line.to_string());
    }

    fn start(&mut self, job: &mut dyn FnMut(&mut Vec<u8>)) -> io::Result<Pid> {
        if self.room.is_some_and(|room| self.done.len() >= room) {
            return errno(libc::EAGAIN);
        }
        self.started += 1;
        let begin = self.clock.get();
        let mut bytes = Vec::new();
        job(&mut bytes);
        let end = self.clock.replace(begin);
        if !self.hang {
            self.done.push((end, self.started, (!self.die).then_some(bytes)));
        }
        Ok(self.started)
    }

    fn wait(&mut self, until: Moment) -> WorkerEvent {
        self.done.sort_by_key(|(end, ..)| std::cmp::Reverse(*end));
        let next = self.done.last().map(|(end, ..)| *end).filter(|end| *end <= until);
        if let Some((when, signal)) = self.signal.filter(|(when, _)| next.is_none_or(|end| *when <= end)) {
            self.clock.set(when);
            self.signal = None;
            return WorkerEvent::Signal(signal);
        }
        if next.is_some()
            && let Some((end, helper, bytes)) = self.done.pop()
        {
            self.clock.set(end);
            return WorkerEvent::Done(helper, bytes);
        }
        self.clock.set(until);
        WorkerEvent::Due
    }

    fn kill(&mut self, helper: Pid) {
        self.killed.push(helper);
        self.done.retain(|(_, known, _)| *known != helper);
    }

    fn now(&self) -> Moment {
        self.clock.get()
    }
}

const SECOND: u64 = 1_000_000_000;

fn run_all(
    text: &str,
    fake: Fake,
    environ: &[(&str, &str)],
    bench: &mut Bench,
) -> Result<Report, Interrupted> {
    let (checks, faults, sources) = with_sources(text);
    assert_eq!(faults, [""; 0], "{text}");
    bench.clock = Rc::clone(&fake.clock);
    run(&checks, &mut fake.facts(environ), &sources, bench, true)
}

fn report(text: &str, fake: Fake, environ: &[(&str, &str)]) -> Report {
    run_all(text, fake, environ, &mut Bench::default()).expect("no signal")
}

const WHERE_WEB_IS: &str = r#"
[checks.link.web]
port = 80
any_of = "where web is"
export = "WEB_HOST"

[checks.env.WEB_HOST]
any_of = "where web is"
hint = "link a container as web, or set WEB_HOST"
"#;
const LINKED: (&str, &str) = ("WEB_PORT_80_TCP", "tcp://172.17.0.5:80");

#[test]
fn a_linked_web_is_exported() {
    let report = report(WHERE_WEB_IS, Fake::default(), &[LINKED]);
    assert!(report.ok());
    assert_eq!(report.environ.get("WEB_HOST").as_deref(), Some("web"));
    assert_eq!(report.lines(), []);
    assert_eq!(report.summary(), "1 check passed");
}

#[test]
fn web_host_overrides_the_link_with_a_warning() {
    let report = report(WHERE_WEB_IS, Fake::default(), &[LINKED, ("WEB_HOST", "elsewhere")]);
    assert!(report.ok());
    assert_eq!(report.environ.get("WEB_HOST").as_deref(), Some("elsewhere"));
    let warning = "WEB_HOST is set and overrides link web:80 (rinit.toml:2)";
    assert_eq!(report.lines(), [(Level::Warn, warning.to_string())]);
}

#[test]
fn web_host_alone_will_do() {
    let report = report(WHERE_WEB_IS, Fake::default(), &[("WEB_HOST", "elsewhere")]);
    assert!(report.ok() && report.lines().is_empty());
    // An empty one is not set; the link is exported over it.
    let report = self::report(WHERE_WEB_IS, Fake::default(), &[LINKED, ("WEB_HOST", "")]);
    assert_eq!(report.environ.get("WEB_HOST").as_deref(), Some("web"));
}

#[test]
fn neither_fails_once_with_the_hint() {
    let report = report(WHERE_WEB_IS, Fake::default(), &[]);
    assert!(!report.ok());
    let lines = report.lines();
    assert_eq!(lines.len(), 1);
    let (level, line) = &lines[0];
    assert_eq!(*level, Level::Error);
    for part in [
        "check \"where web is\" failed: none of: link web:80 (no WEB_PORT_…",
        "; env WEB_HOST (no such variable); link a container as web, or set WEB_HOST (rinit.toml:2)",
    ] {
        assert!(line.contains(part), "{line}");
    }
    assert_eq!(report.environ.get("WEB_HOST"), None);
    assert!(report.short().contains("none of: link web:80"));
}

#[test]
fn every_failure_is_told_in_the_order_of_the_file() {
    let text = "[checks.env.A]\n[checks.link.db]\n[checks.env.B]\nlevel = \"warn\"\n[checks.env.C]\nwhen_env = \"X\"\n\
                [checks.user]\nroot = false\nhint = \"mine\"";
    let report = report(text, Fake::default(), &[]);
    let told: Vec<(&str, CheckStatus)> =
        report.entries.iter().map(|e| (e.subject.as_str(), e.status)).collect();
    let want = [
        ("env A", CheckStatus::Fail),
        ("link db", CheckStatus::Fail),
        ("env B", CheckStatus::Warn),
        ("env C", CheckStatus::Skip),
        ("user", CheckStatus::Fail),
    ];
    assert_eq!(told, want);
    assert_eq!(report.lines().len(), 4);
    assert_eq!(
        report.lines()[0].1,
        "check env A failed: found no such variable, expected a string that is not empty; set A (rinit.toml:1)"
    );
    assert!(report.lines()[3].1.contains("; mine (rinit.toml:7)"), "{:?}", report.lines());
    assert_eq!(report.summary(), "3 of 4 checks failed, 1 with a warning, 1 skipped");
}

#[test]
fn waits_run_side_by_side() {
    let mut text = String::new();
    for n in 0..20 {
        text.push_str(&format!("[checks.link.host{n}]\nwait = \"2s\"\n"));
    }
    let mut bench = Bench::default();
    let report = run_all(&text, Fake::default(), &[], &mut bench).expect("no signal");
    assert_eq!((bench.now(), bench.started), (Moment(2 * SECOND), 20));
    assert!(
        report.entries.iter().all(|e| e.status == CheckStatus::Fail && e.found.ends_with(", still after 2s"))
    );
}

#[test]
fn a_wait_ends_when_it_holds_or_never_will() {
    let mut bench = Bench::default();
    let fake = Fake { appears: Some((Moment(3 * SECOND), "late".into())), ..Fake::default() };
    let report = run_all("[checks.link.late]\nwait = \"30s\"\ninterval = \"1s\"", fake, &[], &mut bench);
    assert!(report.expect("no signal").ok());
    assert_eq!(bench.now(), Moment(3 * SECOND));
    let mut bench = Bench::default();
    let text = "[checks.env.X]\nfile = true\nwait = \"30s\""; // no X_FILE, and none can come
    let report = run_all(text, Fake::default(), &[], &mut bench);
    assert!(!report.expect("no signal").ok());
    assert_eq!(bench.now(), Moment(0));
}

#[test]
fn a_signal_ends_all_at_once() {
    let text = "[checks.link.a]\nwait = \"30s\"\n[checks.link.b]\nwait = \"30s\"";
    for signal in [Signal::TERM, Signal::INT, Signal::QUIT] {
        let mut bench = Bench { signal: Some((Moment(SECOND), signal)), ..Bench::default() };
        let ended = run_all(text, Fake::default(), &[], &mut bench);
        assert_eq!(ended, Err(Interrupted(signal)));
        assert_eq!((bench.now(), bench.killed), (Moment(SECOND), vec![1, 2]));
    }
}

#[test]
fn a_helper_that_hangs_or_dies_is_a_failed_check() {
    let text = "[checks.link.a]\nwait = \"5s\"\n[checks.link.b]";
    let mut bench = Bench { hang: true, ..Bench::default() };
    let report = run_all(text, Fake::default(), &[], &mut bench).expect("no signal");
    let found: Vec<&str> = report.entries.iter().map(|entry| entry.found.as_str()).collect();
    assert_eq!(found, ["no answer within 15s", "no answer within 10s"]);
    assert_eq!(report.entries[1].hint, "look for a name server or file system that hangs");
    assert_eq!((bench.now(), bench.killed), (Moment(15 * SECOND), vec![2, 1]));

    let mut bench = Bench { hang: true, ..Bench::default() };
    let sum = format!("[checks.file.\"/x\"]\nsha256 = \"{}\"", "0".repeat(64));
    let report = run_all(&sum, Fake::default(), &[], &mut bench).expect("no signal");
    let slow = &report.entries[0];
    assert_eq!(
        (slow.found.as_str(), slow.hint.as_str()),
        ("no answer within 1m", "look for a file system that hangs, or is slow")
    );

    let mut bench = Bench { die: true, ..Bench::default() };
    let report = run_all(text, Fake::default(), &[], &mut bench).expect("no signal");
    assert!(report.entries.iter().all(|entry| entry.found.contains("has died")));
}

#[test]
fn scarce_processes_are_waited_for() {
    let text = "[checks.link.a]\n[checks.link.b]\n[checks.link.c]";
    let mut bench = Bench { room: Some(1), ..Bench::default() };
    let report = run_all(text, Fake::default(), &[], &mut bench).expect("no signal");
    assert_eq!((bench.started, report.entries.len()), (3, 3));
    assert!(report.entries.iter().all(|entry| entry.found.starts_with("no ")));
    let mut bench = Bench { room: Some(0), ..Bench::default() };
    let report = run_all(text, Fake::default(), &[], &mut bench).expect("no signal");
    assert!(report.entries.iter().all(|entry| entry.found.contains("no process to look with")));
}

#[test]
fn a_check_is_judged_with_the_rights_of_its_user() {
    let text = "[checks.user]\nuid = 1000\nas_user = \"1000:1000\"";
    assert!(report(text, Fake::default(), &[]).ok());
    let user = |uid| Fake {
        current: std::cell::RefCell::new(crate::sys::process::credentials::Identity {
            uid,
            gid: 1000,
            groups: vec![],
        }),
        ..Fake::default()
    };
    // Already that user: nothing to switch.
    assert!(report(text, user(1000), &[]).ok());
    let denied = report(text, user(5), &[]);
    assert_eq!(denied.entries[0].found, "no right to judge as 1000:1000: operation not permitted");
    let unknown = report("[checks.user]\nas_user = \"redis\"", Fake::default(), &[]);
    assert_eq!(unknown.entries[0].found, "no user \"redis\" in /etc/passwd");
    let unknown = report("[checks.user]\nas_user = \"7:redis\"", Fake::default(), &[]);
    assert_eq!(unknown.entries[0].found, "no group \"redis\" in /etc/group");
    assert_eq!(unknown.entries[0].hint, "add it to the image (adduser, addgroup), or use a number");
}

/// A name that a check speaks of in any way is none that is mistyped.
#[test]
fn a_variable_is_known_by_all_that_names_it() {
    let text = "[checks.env.\"*\"]\nprefix = \"A_\"\n[checks.env.A_NEW]\nrenamed_from = \"A_OLD\"\nfile = true\n\
                required_when = \"A_MODE=x\"\nrequires = \"A_NEED\"\nconflicts = \"A_ELSE\"\n\
                [checks.link.localhost]\nexport = \"A_HOST\"\n";
    for name in ["A_NEW", "A_OLD", "A_NEW_FILE", "A_MODE", "A_NEED", "A_ELSE", "A_HOST"] {
        let report = report(text, Fake::default(), &[(name, "x")]);
        assert_eq!(report.entries[0].found, "no other", "{name}");
    }
    let report = report(text, Fake::default(), &[("A_NEWS", "x")]);
    assert_eq!(report.entries[0].found, "A_NEWS (did you mean \"A_NEW\"?)");
}

#[test]
fn files_come_before_exports_and_defaults_after() {
    let files = [("/s".to_string(), "secret".to_string())].into();
    let text = "[checks.env.HOST]\ndefault = \"localhost\"\n[checks.link.web]\nexport = \"HOST\"\n\
                [checks.link.web2]\nexport = \"HOST\"\nlevel = \"warn\"\n\
                [checks.env.KEY]\nfile = true\n[checks.env.PORT]\ndefault = 80";
    let environ = [LINKED, ("WEB2_PORT_80_TCP", "tcp://1.2.3.4:80"), ("KEY_FILE", "/s")];
    let report = report(text, Fake { texts: files, ..Fake::default() }, &environ);
    assert!(report.ok() && report.lines().is_empty(), "{:?}", report.lines());
    let get = |name| report.environ.get(name);
    assert_eq!(get("HOST").as_deref(), Some("web"));
    assert_eq!((get("KEY").as_deref(), get("KEY_FILE")), (Some("secret"), None));
    assert_eq!(get("PORT").as_deref(), Some("80"));
}

/// Of a group all look once; nobody waits for what another has found.
#[test]
fn who_holds_ends_the_wait_of_its_group() {
    let text = "[checks.dns.late]\nwait = \"30s\"\nany_of = \"x\"\n[checks.env.A]\nany_of = \"x\"\n\
                [checks.dns.never]\nwait = \"60s\"\nany_of = \"x\"\n";
    let (checks, _, sources) = with_sources(text);
    let evaluate = |environ: &[(&str, &str)], late: u64| {
        let mut bench = Bench::default();
        let fake = Fake {
            appears: Some((Moment(late * SECOND), "late".into())),
            clock: bench.clock.clone(),
            ..Fake::default()
        };
        let report = run(&checks, &mut fake.facts(environ), &sources, &mut bench, true).expect("no signal");
        (report.ok(), bench.clock.get().0 / SECOND, bench.killed.len(), report.entries[0].found.clone())
    };
    assert_eq!(evaluate(&[("A", "1")], 3), (true, 0, 0, "env A (\"1\")".into()));
    let (ok, took, killed, found) = evaluate(&[], 3);
    assert_eq!((ok, took, killed), (true, 3, 1), "{found}");
    assert!(found.starts_with("dns late ("), "{found}");
    let (ok, took, killed, found) = evaluate(&[], 100);
    assert_eq!((ok, took, killed), (false, 60, 0), "{found}");
    assert!(found.contains("still after 30s") && found.contains("still after 1m"), "{found}");
}

#[test]
fn a_group_that_is_off_is_skipped() {
    let text = "[checks.env.A]\nany_of = \"x\"\nwhen_env = \"NO\"\n[checks.env.B]\nany_of = \"x\"\nwhen_env = \"NO\"";
    let report = report(text, Fake::default(), &[]);
    let told: Vec<_> = report.entries.iter().map(|e| (e.status, e.found.as_str())).collect();
    assert_eq!(told, [(CheckStatus::Skip, "NO is not set; NO is not set")]);
    assert!(report.ok());
    let warn =
        "[checks.env.A]\nany_of = \"x\"\nlevel = \"warn\"\n[checks.env.B]\nany_of = \"x\"\nlevel = \"warn\"";
    let report = self::report(warn, Fake::default(), &[]);
    assert_eq!((report.ok(), report.entries[0].status), (true, CheckStatus::Warn));
}

#[test]
fn no_form_of_the_report_shows_a_secret() {
    let text = "[checks.env.TOKEN]\nsecret = true\ntype = \"int\"\n[checks.env.KEY]\nfile = true\nsecret = true\nmin = 5";
    let files = [("/s".to_string(), "hunter3\n".to_string())].into();
    let fake = Fake { texts: files, ..Fake::default() };
    let report = report(text, fake, &[("TOKEN", "hunter2"), ("KEY_FILE", "/s")]);
    assert_eq!(report.lines().len(), 2);
    for shown in [report.human(true, false), report.json(), report.tap(), report.junit(), report.short()] {
        assert!(!shown.contains("hunter"), "{shown}");
    }
}

#[test]
fn the_container_that_runs_this_test_is_judged() {
    let text = "[checks.user]\nexport = \"WHO\"\n[checks.mount.\"/proc\"]\n[checks.env.HOME]\n[checks.link.localhost]\nexport = \"L\"\n\
                [checks.link.\"no-such-host.invalid\"]\nlevel = \"warn\"";
    let (checks, faults, sources) = with_sources(text);
    assert_eq!(faults, [""; 0]);
    let mut environ = Environ::default();
    environ.set("HOME", "/");
    let report =
        run(&checks, &mut Facts::live(environ), &sources, &mut Bench::default(), true).expect("no signal");
    let told: Vec<CheckStatus> = report.entries.iter().map(|entry| entry.status).collect();
    assert_eq!(
        told,
        [CheckStatus::Pass, CheckStatus::Pass, CheckStatus::Pass, CheckStatus::Pass, CheckStatus::Warn],
        "{report:?}"
    );
    assert_eq!(report.environ.get("L").as_deref(), Some("localhost"));
}

/// A variable cannot hold a NUL: what would be dropped is told.
#[test]
fn a_value_that_no_variable_can_hold_is_not_handed_on() {
    let exec = "[checks.exec.x]\ncommand = \"app\"\n";
    for (text, ok) in [(exec, true), (&[exec, "export = \"X\"\n"].concat(), false)] {
        let ran = Ran { outcome: Some(ExitStatus::Code(0)), output: [b"a\0b".to_vec(), Vec::new()] };
        let report = report(text, Fake { ran, ..Fake::with_programs(&["app"]) }, &[("PATH", "/bin")]);
        assert_eq!(report.ok(), ok, "{text}");
        assert!(ok || report.entries[0].found == "a value that holds a NUL, which no variable can", "{text}");
    }
}

/// What nobody will read is not written.
#[test]
fn only_what_is_to_be_told_has_words() {
    let text = "[checks.env.A]\n[checks.env.B]\nexport = \"C\"\n[checks.env.D]";
    let (checks, _, sources) = with_sources(text);
    let mut facts = Fake::default().facts(&[("A", "1"), ("B", "2"), ("C", "3")]);
    let report = run(&checks, &mut facts, &sources, &mut Bench::default(), false).expect("no signal");
    let told: Vec<_> = report.entries.iter().map(|entry| (entry.subject.as_str(), entry.line)).collect();
    assert_eq!(told, [("", 0), ("env B", 2), ("env D", 4)]);
    assert_eq!(
        report.human(false, false).lines().last(),
        Some("FAIL  1 of 3 checks failed, 1 with a warning")
    );
}
