//! Every key: what it says becomes what is decided and run by.

use crate::config::resolve::tests::*;
use crate::model::Ulimit;

/// What a key's value has become, as text.
type Show = fn(&Service) -> String;

fn hold(table: &[(&str, Show, &str)]) {
    for (keys, show, want) in table {
        let body =
            if keys.contains("command =") { (*keys).to_string() } else { format!("command = 'a'\n{keys}") };
        assert_eq!(show(&service(&body)), *want, "{keys}");
    }
}

#[test]
fn what_it_may_use() {
    let ulimits: Show = |s| {
        let shown = |limit: u64| if limit == u64::MAX { "unlimited".into() } else { limit.to_string() };
        let one = |l: &Ulimit| format!("{}={}:{}", l.name, shown(l.soft), shown(l.hard));
        s.program.ulimits.iter().map(one).collect::<Vec<_>>().join(" ")
    };
    hold(&[
        ("ulimits = { nofile = 1024, core = -1 }", ulimits, "core=unlimited:unlimited nofile=1024:1024"),
        (
            "ulimits = { memlock = '64MiB', nofile = '${NO:-7}' }",
            ulimits,
            "memlock=67108864:67108864 nofile=7:7",
        ),
        ("ulimits.stack = { soft = '8MiB', hard = 'unlimited' }", ulimits, "stack=8388608:unlimited"),
        ("", ulimits, ""),
    ]);
}

#[test]
fn where_its_output_goes() {
    hold(&[
        ("logging = { driver = 'none' }", |s| format!("{:?}", s.program.logging.driver), "None"),
        ("logging = 'prefix'", |s| format!("{:?}", s.program.logging.driver), "Prefix"),
        ("logging = { driver = 'json' }", |s| format!("{:?}", s.program.logging.driver), "Json"),
        (
            "logging = { driver = 'prefix', timestamps = true }",
            |s| format!("{}", s.program.logging.timestamps),
            "true",
        ),
        (
            "logging = { driver = 'file', file = '/l/${RINIT_SERVICE}', max_size = '1MiB', max_file = 2 }",
            |s| format!("{:?}", s.program.logging.file),
            "Some(LogFile { path: \"/l/x\", max_size: Some(1048576), max_file: 2 })",
        ),
        ("", |s| format!("{:?}", s.program.logging.driver), "Inherit"),
    ]);
}

#[test]
fn what_is_run() {
    let argv: Show = |s| format!("{:?}", s.program.argv);
    let env: Show = |s| format!("{:?}", s.program.environment);
    let user: Show = |s| {
        s.program.user.as_ref().map_or("-".into(), |u| format!("{}|{:?}|{:?}", u.user, u.group, u.groups))
    };
    let probe: Show = |s| format!("{:?}", s.program.probe);
    hold(&[
        ("command = ['a', 'b c', 3, true]", argv, r#"["a", "b c", "3", "true"]"#),
        ("command = \"a -g 'b c' ${SET} '${NO:-x y}'\"", argv, r#"["a", "-g", "b c", "value", "x y"]"#),
        ("command = ['${RINIT_SERVICE}', '$SET', '$${SET}']", argv, r#"["x", "$SET", "${SET}"]"#),
        (
            "environment = { A = 1, B = true, C = '${SET}' }",
            env,
            r#"[("A", "1"), ("B", "true"), ("C", "value")]"#,
        ),
        ("environment = ['A=b=c', 'SET', 'B=']", env, r#"[("A", "b=c"), ("B", "")]"#),
        ("environment = ['SET', 'NO']\nclear_env = true", env, r#"[("SET", "value")]"#),
        ("env_file = '/ok.env'", env, r#"[("A", "1"), ("B", "12\n"), ("C", "$x")]"#),
        (
            "env_file = ['/ok.env']\nenvironment = { A = 'z' }",
            env,
            r#"[("A", "z"), ("B", "12\n"), ("C", "$x")]"#,
        ),
        (
            "env_file = [{ path = '/none', required = false }, '/ok.env']\nclear_env = true",
            env,
            r#"[("A", "1"), ("B", "12\n"), ("C", "$x"), ("SET", "value")]"#,
        ),
        ("clear_env = true", |s| s.program.clear_env.to_string(), "true"),
        ("working_dir = '/${SET}'", |s| format!("{:?}", s.program.working_dir), r#"Some("/value")"#),
        ("user = 'app'", user, "app|None|[]"),
        ("user = 1000", user, "1000|None|[]"),
        ("user = '1000:1001'", user, r#"1000|Some("1001")|[]"#),
        ("user = '${NO:-7}:${NO:-8}'", user, r#"7|Some("8")|[]"#),
        ("user = 'a'\ngroup = 5\ngroups = ['b', 6]", user, r#"a|Some("5")|["b", "6"]"#),
        ("group = 'g'", user, r#"|Some("g")|[]"#),
        ("umask = '0077'", |s| format!("{:?}", s.program.umask), "Some(63)"),
        ("umask = '0o22'", |s| format!("{:?}", s.program.umask), "Some(18)"),
        ("healthcheck = { exec = 'a b' }", probe, r#"Some(Exec(["a", "b"]))"#),
        ("healthcheck = { test = ['CMD', 'a', 'b'] }", probe, r#"Some(Exec(["a", "b"]))"#),
        ("healthcheck = { test = ['CMD-SHELL', 'a|b'] }", probe, r#"Some(Exec(["/bin/sh", "-c", "a|b"]))"#),
        ("healthcheck = { test = 'a || b' }", probe, r#"Some(Exec(["/bin/sh", "-c", "a || b"]))"#),
        ("healthcheck = { test = ['NONE'] }", |s| format!("{:?}", s.rules.health), "None"),
        (
            "healthcheck = { test = ['CMD', 'a'], disable = true }",
            |s| format!("{:?}", s.rules.health),
            "None",
        ),
        ("healthcheck = { tcp = 6379 }", probe, r#"Some(Tcp("127.0.0.1", 6379))"#),
        ("healthcheck = { tcp = '6379' }", probe, r#"Some(Tcp("127.0.0.1", 6379))"#),
        ("healthcheck = { tcp = ':6379' }", probe, r#"Some(Tcp("127.0.0.1", 6379))"#),
        ("healthcheck = { tcp = 'db:1' }", probe, r#"Some(Tcp("db", 1))"#),
        ("healthcheck = { tcp = '[::1]:80' }", probe, r#"Some(Tcp("::1", 80))"#),
    ]);
}

#[test]
fn what_is_decided_by() {
    let kind: Show = |s| format!("{:?} {:?}", s.rules.kind, s.rules.restart.when);
    let restart: Show = |s| format!("{:?} {:?}", s.rules.restart.when, s.rules.restart.max_attempts);
    let policy: Show = |s| {
        let p = &s.rules.restart;
        format!(
            "{:?} {:?} {} {} {:?} {:?}",
            p.delay, p.max_delay, p.factor, p.jitter, p.max_attempts, p.window
        )
    };
    let ends: Show = |s| format!("{:?} {:?}", s.rules.restart.never_on, s.rules.restart.always_on);
    hold(&[
        ("", kind, "Daemon OnFailure"),
        ("type = 'oneshot'", kind, "Oneshot No"),
        ("type = '${NO:-daemon}'", kind, "Daemon OnFailure"),
        ("restart = 'no'", restart, "No None"),
        ("restart = 'always'", restart, "Always None"),
        ("restart = 'unless-stopped'", restart, "UnlessStopped None"),
        ("restart = 'on-failure:${THREE}'", restart, "OnFailure Some(3)"),
        ("", policy, "100ms 30s 2 0 None 60s"),
        (
            "restart_policy = { delay = '1s', max_delay = '2s', factor = 1.5, jitter = 0.1, max_attempts = 5, window = '0s' }",
            policy,
            "1s 2s 1.5 0.1 Some(5) 0ns",
        ),
        ("restart_policy = { delay = '1m' }", policy, "60s 60s 2 0 None 60s"),
        ("restart_policy = { max_delay = '50ms' }", policy, "50ms 50ms 2 0 None 60s"),
        ("restart_policy = { max_attempts = '${THREE}' }", policy, "100ms 30s 2 0 Some(3) 60s"),
        ("restart_policy = { max_attempts = 'unlimited' }", policy, "100ms 30s 2 0 None 60s"),
        (
            "restart_policy = { never_on = [78, 'ABRT'], always_on = 'SIGTERM' }",
            ends,
            "[Code(78), Signal(SIGABRT)] [Signal(SIGTERM)]",
        ),
        (
            "type = 'oneshot'\nrestart = 'on-failure'\nrestart_policy = { factor = 3 }",
            policy,
            "100ms 30s 3 0 None 60s",
        ),
        (
            "success_exit_codes = [3, '4', 'SIGUSR1']",
            |s| format!("{:?}", s.rules.success),
            "[Code(3), Code(4), Signal(SIGUSR1)]",
        ),
    ]);
}

#[test]
fn how_long_and_whether_at_all() {
    let limits: Show = |s| format!("{:?} {:?}", s.rules.start_timeout, s.rules.run_timeout);
    let stop: Show = |s| format!("{} {:?}", s.rules.stop_signal, s.rules.stop_grace);
    let kill_mode: Show = |s| format!("{:?}", s.rules.kill_mode);
    let health: Show = |s| {
        let h = s.rules.health.clone().expect("health");
        let HealthRules { interval, timeout, retries, start_period, start_interval, on_unhealthy } = h;
        format!("{interval:?} {timeout:?} {retries} {start_period:?} {start_interval:?} {on_unhealthy:?}")
    };
    let off: Show = |s| format!("{:?} {}", s.off.as_ref().map(Off::why), s.rules.enabled);
    hold(&[
        ("essential = false", |s| s.rules.essential.to_string(), "false"),
        ("essential = '${NO:-yes}'", |s| s.rules.essential.to_string(), "true"),
        ("", limits, "None None"),
        ("type = 'oneshot'\nstart_timeout = '1m'\nrun_timeout = '2m'", limits, "Some(60s) Some(120s)"),
        ("start_timeout = 'none'\nrun_timeout = 'none'", limits, "None None"),
        ("", stop, "SIGTERM 10s"),
        ("", kill_mode, "Mixed"),
        ("kill_mode = 'all'", kill_mode, "All"),
        ("stop_signal = 'quit'\nstop_grace_period = '1m30s'", stop, "SIGQUIT 90s"),
        ("stop_signal = 10\nstop_grace_period = '0s'", stop, "SIGUSR1 0ns"),
        ("healthcheck = { tcp = 1 }", health, "10s 5s 3 0ns 500ms Restart"),
        (
            "healthcheck = { tcp = 1, interval = '1s', timeout = '2s', retries = 4, start_period = '5s', start_interval = '6ms', on_unhealthy = 'stop' }",
            health,
            "1s 2s 4 5s 6ms Stop",
        ),
        ("enabled = false", off, r#"Some("enabled is false") false"#),
        ("enabled = '${NO:-}'", off, r#"Some("enabled is false") false"#),
        ("when_env = 'SET'", off, "None true"),
        ("when_env = 'NO'", off, r#"Some("NO is not set") false"#),
        ("when_env = '!SET'", off, r#"Some("SET is set") false"#),
        ("when_env = 'SET=a|b'", off, r#"Some("SET is not a or b") false"#),
        ("when_env = ' SET = a | value '", off, "None true"),
        ("when_env = ' ! SET = a | value '", off, r#"Some("SET is a or value") false"#),
        ("when_env = 'SOON'", off, "None true"),
        ("when_exists = '/there'", off, "None true"),
        ("when_exists = '/away'", off, r#"Some("/away does not exist") false"#),
        ("when_missing = '/there'", off, r#"Some("/there exists") false"#),
    ]);
}

#[test]
fn what_a_check_will_export_is_no_fault_yet() {
    let s = service(
        "command = ['a', '${SOON}']\nuser = '${SOON}'\nstop_grace_period = '${SOON}'\nhealthcheck = { tcp = '${SOON}' }",
    );
    assert_eq!((s.program.argv.len(), s.program.user.clone(), s.rules.health.is_some()), (1, None, true));
    assert_eq!(service("command = '${SOON}'").program.argv.len(), 0);
}

#[test]
fn a_service_that_is_off_needs_no_variable_and_no_file() {
    let s = service(
        "when_env = 'NO'\ncommand = ['a', '${NO}', '${NO:?say}']\nenv_file = '/none'\nuser = '${NO}'",
    );
    assert_eq!(s.off, Some(Off::Skipped("NO is not set".into())));
    assert!(faults_of("[services.x]\nenabled = false\ncommand = '${NO'").contains("without its \"}\""));
}

#[test]
fn defaults_hold_key_by_key_where_a_service_says_nothing() {
    let text = "
        when_idle = 'stay'
        [stop]
        within = '9s'
        [defaults]
        restart = 'always'
        user = '${RINIT_SERVICE}:all'
        environment = { A = '1', B = '2' }
        restart_policy = { delay = '1s', max_attempts = 4 }
        healthcheck = { interval = '7s' }
        [services.x]
        command = 'a'
        restart_policy = { delay = '2s' }
        environment = ['B=3']
        healthcheck.tcp = 80
        [services.y]
        command = 'a'
        restart = 'no'
        user = 'root'
        group = 'g'";
    let (plan, faults) = plan_of(&[("t", text)], &[]);
    assert_eq!(faults, [""; 0]);
    let (x, y) = (&plan.services[0], &plan.services[1]);
    assert_eq!((x.rules.restart.when, y.rules.restart.when), (Restart::Always, Restart::No));
    assert_eq!(x.rules.restart.delay.as_secs(), 2);
    assert_eq!((x.rules.restart.max_attempts, y.rules.restart.max_attempts), (Some(4), Some(4)));
    assert_eq!(format!("{:?}", x.program.environment), r#"[("A", "1"), ("B", "3")]"#);
    let user = |s: &Service| s.program.user.clone().map(|u| (u.user, u.group.unwrap_or_default()));
    assert_eq!(user(x), Some(("x".into(), "all".into())));
    assert_eq!(user(y), Some(("root".into(), "g".into())));
    assert_eq!(x.rules.health.as_ref().map(|h| h.interval.as_secs()), Some(7));
    assert_eq!(y.rules.health, None);
    assert_eq!((plan.whole.stay_when_idle, plan.whole.stop_within.map(|d| d.as_secs())), (true, Some(9)));
}

#[test]
fn signals_get_their_meaning() {
    let text =
        "[services.x]\ncommand = 'a'\n[signals]\nHUP = 'ignore'\nSIGUSR1 = { service = 'x', signal = 'QUIT' }
        USR2 = { service = 'x' }\nRTMIN+3 = 'stop'\nWINCH = 'SIGTERM'"
            .replace("RTMIN+3", "'RTMIN+3'");
    let (plan, faults) = plan_of(&[("t", &text)], &[]);
    assert_eq!(faults, [""; 0]);
    assert_eq!(
        format!("{:?}", plan.whole.signals),
        "[(SIGHUP, Ignore), (SIGUSR1, To(ServiceId(0), SIGQUIT)), (SIGUSR2, To(ServiceId(0), SIGUSR2)), \
         (SIGRTMIN+3, Stop), (SIGWINCH, As(SIGTERM))]"
    );
}

/// As Compose has it: whatever form each file writes.
#[test]
fn environments_of_several_files_are_merged_by_name() {
    let list = "['B=list', 'C=list']";
    let table = "{ A = 'table', B = 'table' }";
    let all = |forms: &[&str]| {
        let texts = forms.iter().map(|form| format!("[services.x]\ncommand = 'a'\nenvironment = {form}\n"));
        let texts: Vec<String> = texts.chain([format!("[defaults]\nenvironment = {table}")]).collect();
        let names = ["1", "2", "3", "4"];
        let files: Vec<_> = names.into_iter().zip(texts.iter().map(String::as_str)).collect();
        let (plan, faults) = plan_of(&files, &[]);
        assert_eq!(faults, [""; 0]);
        let variables = plan.services[0].program.environment.iter();
        variables.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(all(&[table, list]), "A=table B=list C=list");
    assert_eq!(all(&[list, table]), "A=table B=table C=list");
    assert_eq!(all(&[list, "['C=2']"]), "A=table B=list C=2");
    assert_eq!(all(&[table, list, "{ A = 3, B = 3 }"]), "A=3 B=3 C=list");
    let (_, faults) = plan_of(
        &[
            ("1", "[services.x]\ncommand = 'a'\nenvironment = ['A=1']"),
            ("2", "[services.x]\nenvironment = { 'B C' = 2 }"),
        ],
        &[],
    );
    assert_eq!(
        faults,
        ["2:2:17: services.x.environment: \"B C\" is no name of a variable; expected NAME=value"]
    );
}
