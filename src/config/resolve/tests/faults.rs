//! Every key: what cannot be is told, with what to do.

use crate::config::resolve::tests::*;

const BAD: &[(&str, &str)] = &[
    ("comand = 'a'", "unknown key \"comand\"; did you mean \"command\"?"),
    ("command = []", "services.x.command: is empty; expected a program"),
    ("command = ''", "services.x.command: is empty"),
    ("command = ['']", "the program's name is empty"),
    ("command = 'a | b'", "no shell runs"),
    ("command = 3", "found an integer, expected an array of words, or a string"),
    ("command = [['a']]", "found an array, expected a string"),
    ("command = [\"a\\u0000\"]", "NUL"),
    ("command = '${NO}'", "NO is not set and has no default"),
    ("type = 'deamon'", "expected \"daemon\" or \"oneshot\"; did you mean \"daemon\"?"),
    ("enabled = 'maybe'", "\"maybe\": expected true or false"),
    ("essential = 1", "found an integer, expected true or false"),
    ("restart = false", "found a bool, expected a word; write \"no\""),
    ("restart = 'never'", "expected \"no\" or \"always\""),
    ("restart = 'on-failure:x'", "expected a number of attempts"),
    ("restart = 'on-failure:0'", "0 attempts never act"),
    (
        "restart_policy = { delay = 5 }",
        "restart_policy.delay: found an integer, expected a duration with its unit",
    ),
    ("restart_policy = { delay = '2s', max_delay = '1s' }", "max_delay: is shorter than delay"),
    ("restart_policy = { factor = 0.5 }", "found 0.5, expected at least 1"),
    ("restart_policy = { jitter = 0.9 }", "at most 0.5"),
    ("restart_policy = { max_attempts = 0 }", "0 attempts never act"),
    ("restart_policy = { max_attempts = -1 }", "found -1"),
    ("restart = 'on-failure:3'\nrestart_policy = { max_attempts = 4 }", "has another number"),
    ("restart_policy = { window = 'x' }", "expected a duration"),
    ("restart_policy = { never_on = [1], always_on = [2, 1] }", "always_on: 1 is in never_on too"),
    ("restart_policy = { never_on = [256] }", "never_on: found 256, expected an exit code from 0 to 255"),
    ("restart_policy = { never_on = ['SIGTREM'] }", "no such signal"),
    ("restart_policy = 3", "restart_policy: found an integer, expected a table"),
    (
        "type = 'oneshot'\nrestart_policy = { delay = '1s' }",
        "can never act: a oneshot is not restarted by itself",
    ),
    ("start_timeout = '5s'", "can never act: a daemon without a healthcheck"),
    ("run_timeout = '0s'", "found no time at all"),
    ("stop_signal = 'SIGTREM'", "did you mean \"TERM\"?"),
    ("kill_mode = 'control-group'", "expected \"mixed\" or \"group\" or \"process\" or \"all\""),
    ("stop_signal = 65", "expected a signal's name or number"),
    ("stop_grace_period = 8", "found an integer, expected a duration with its unit"),
    ("success_exit_codes = [true]", "no such signal"),
    ("success_exit_codes = [[1]]", "found an array, expected an exit code or a signal's name"),
    ("environment = 3", "found an integer, expected a table, or a list"),
    ("environment = { 'A B' = 1 }", "\"A B\" is no name of a variable"),
    ("environment = { A = [1] }", "found an array, expected a string"),
    ("environment = ['=x']", "a variable without a name"),
    ("environment = [3]", "expected \"NAME=value\""),
    ("environment = { A = '${NO}' }", "NO is not set"),
    ("env_file = '/none'", "env_file: /none does not exist; expected a file, or { path, required = false }"),
    ("env_file = '/bad.env'", "/bad.env: line 2: \"B B\" is no name"),
    ("env_file = '/bad.env'", "/bad.env: line 3: a quotation mark ' that is never closed"),
    ("env_file = [{ required = false }]", "has no path"),
    ("env_file = [{ path = '/ok.env', requird = false }]", "did you mean \"required\"?"),
    ("clear_env = 'x'", "expected true or false"),
    ("working_dir = 'srv'", "is not an absolute path"),
    ("user = ''", "user: is empty"),
    ("user = -1", "neither a name nor a number"),
    ("user = 'a b'", "neither a name nor a number"),
    ("user = 4294967295", "the number is too large"),
    ("user = 'a:b'\ngroup = 'c'", "found a group in user too"),
    ("group = ''", "group: is empty"),
    ("groups = ['a b']", "groups: is neither"),
    ("sockets = '80'", "found a string, expected a table"),
    ("sockets = {}", "sockets: is empty"),
    ("sockets.listen = []", "sockets.listen: is an empty list"),
    ("sockets.http = 'localhost:80'", "sockets.http: expected an address with a port"),
    ("sockets.http = true", "expected an address, such as"),
    ("sockets.'a:b' = '80'", "cannot name a socket"),
    ("sockets = { a = '80', b = ':80' }", "port 80 is a socket of services.x already"),
    ("sockets.a = { type = 'tcp' }", "has no address"),
    ("sockets.a = { listen = '80', type = 'raw' }", "expected \"stream\" or \"tcp\""),
    ("sockets.a = { listen = '80', mode = '0600' }", "mode: can never act"),
    ("sockets.a = { listen = '80/udp', backlog = 5 }", "backlog: can never act"),
    ("sockets.a = { listen = '@a', reuse_port = true }", "reuse_port: can never act"),
    (
        "sockets.a = { listen = '80', reuse_port = true }\nreplicas = 2",
        "reuse_port is not for a service with replicas",
    ),
    ("sockets.a = '80'\ntype = 'oneshot'", "is for a daemon"),
    ("start = 'on-demand'", "start: needs sockets"),
    ("start = 'on-demand'\nsockets.a = '80'\nreplicas = 2", "start: is not for a service with replicas"),
    ("start = 'lazy'", "expected \"auto\" or \"on-demand\""),
    ("sockets.listen = ['80', '81']\nnotify = 4", "begin at 3; 5 is free"),
    ("umask = 77", "found an integer, expected an octal number as a string"),
    ("umask = '0999'", "expected an octal number"),
    ("umask = '07777'", "at most \"0777\""),
    ("ulimits = {}", "limits nothing"),
    ("ulimits = { nofiles = 1 }", "unknown key \"nofiles\"; did you mean \"nofile\"?"),
    ("ulimits = { nofile = -2 }", "services.x.ulimits.nofile: found an integer, expected a number, a size"),
    ("ulimits = { nofile = 'many' }", "expected a number, a size such as \"64MiB\", or -1"),
    ("ulimits = { nofile = { soft = 5 } }", "lacks hard; expected { soft = N, hard = N }"),
    ("ulimits = { nofile = { soft = 5, hard = 4 } }", "soft: is more than hard"),
    ("ulimits = { nofile = { soft = 5, hard = 6, hrd = 1 } }", "did you mean \"hard\"?"),
    (
        "logging = { driver = 'noen' }",
        "expected \"inherit\" or \"prefix\" or \"json\" or \"file\" or \"none\"; did you mean \"none\"?",
    ),
    (
        "logging = 'file'",
        "services.x.logging: needs a path; write logging = { driver = \"file\", file = \"/path\" }",
    ),
    ("logging = { driver = 'file' }", "services.x.logging: has no file; expected file = \"/path\""),
    ("logging = { driver = 'file', file = 'l' }", "services.x.logging.file: is not an absolute path"),
    (
        "logging = { driver = 'file', file = '/l', max_file = 3 }",
        "services.x.logging.max_file: can never act",
    ),
    ("logging = { driver = 'prefix', file = '/l' }", "services.x.logging.file: can never act"),
    ("logging = { driver = 'json', timestamps = true }", "services.x.logging.timestamps: can never act"),
    ("logging = { driver = 'file', file = '/l', max_size = 0 }", "services.x.logging.max_size: found 0"),
    ("logging = { drivr = 'none' }", "services.x.logging: unknown key \"drivr\"; did you mean \"driver\"?"),
    ("healthcheck = {}", "probes nothing"),
    ("healthcheck = { tcp = 1, exec = 'a' }", "found exec too"),
    ("healthcheck = { tcp = 0 }", "expected a port from 1 to 65535"),
    ("healthcheck = { tcp = 'db' }", "expected a port, or \"host:port\""),
    ("healthcheck = { tcp = 'http://db:80' }", "such as \"db:5432\""),
    ("healthcheck = { tcp = '::1:80' }", "in brackets"),
    ("healthcheck = { test = ['curl', 'x'] }", "expected [\"CMD\", \"program\""),
    ("healthcheck = { test = 3 }", "found an integer"),
    ("healthcheck = { tcp = 1, retries = 0 }", "found 0, expected an integer from 1"),
    ("healthcheck = { tcp = 1, interval = '0s' }", "interval: is too short"),
    ("healthcheck = { tcp = 1, timeout = '0s' }", "timeout: is too short"),
    ("healthcheck = { tcp = 1, start_interval = '1s' }", "can never act"),
    ("healthcheck = { tcp = 1, on_unhealthy = 'reboot' }", "expected \"restart\" or \"ignore\" or \"stop\""),
    ("type = 'oneshot'\nhealthcheck = { tcp = 1 }", "a oneshot is done, not healthy"),
    ("when_env = '!'", "when_env: names no variable"),
    ("when_env = 'A B=x'", "when_env: names no variable"),
    ("when_exists = 'rel'", "when_exists: is not an absolute path"),
    ("when_missing = ''", "when_missing: is not an absolute path"),
    ("when_command = []", "when_command: is an empty list"),
];

#[test]
fn a_bad_value_says_what_was_expected() {
    for (key, part) in BAD {
        let command = if key.starts_with("com") { "" } else { "command = 'a'\n" };
        let faults = faults_of(&format!("[services.x]\n{command}{key}"));
        assert!(faults.contains(part), "{key}: {faults}");
        let most = if key.starts_with("comand") || key.contains("/bad.env") { 2 } else { 1 };
        assert!(faults.lines().count() <= most, "{key}: {faults}");
    }
}

#[test]
fn a_bad_table_says_what_was_expected() {
    for (text, part) in [
        ("when_idel = 'stay'", "unknown key \"when_idel\"; did you mean \"when_idle\"?"),
        ("[service.x]", "unknown table \"service\"; did you mean \"services\"?"),
        ("services = 3", "services: found an integer, expected a table"),
        ("[services]\nx = 3", "services.x: found an integer, expected a table"),
        ("[services.x]", "services.x: has no command"),
        (
            "[services]\na = { command = 'a', sockets.a = '80' }\nb = { command = 'a', sockets.b = ':80' }",
            "port 80 is a socket of services.a already",
        ),
        (
            "[services]\na = { command = 'a', sockets.a = '80', start = 'on-demand', healthcheck.tcp = 80 }\nb = { command = 'a', depends_on = { a = 'healthy' } }",
            "is started by the first connection",
        ),
        ("[services.main]\ncommand = 'a'\nsockets.a = '80'\nstart = 'on-demand'", "start: is not for main"),
        ("[defaults]\nsockets.a = '80'", "defaults.sockets: is each service's own"),
        ("[services.'a b']\ncommand = 'a'", "cannot name a service"),
        ("[services.'a/b']\ncommand = 'a'", "cannot name a service"),
        ("[services.'']\ncommand = 'a'", "cannot name a service"),
        ("when_idle = 'say'", "did you mean \"stay\"?"),
        ("[stop]\nwithin = 9", "stop.within: found an integer"),
        ("[stop]\nwithin = '0s'", "no time at all"),
        ("[stop]\nwithn = '9s'", "did you mean \"within\"?"),
        ("[defaults]\ncommand = 'a'", "defaults.command: is each service's own"),
        ("[defaults]\nrestrat = 'no'", "defaults: unknown key \"restrat\"; did you mean \"restart\"?"),
        ("[defaults]\nrestart = 'nope'", "defaults.restart: \"nope\""),
        ("[defaults.healthcheck]\ntcp = 1", "defaults.healthcheck.tcp: is each service's own"),
        ("[defaults.logging]\ndrivr = 1", "defaults.logging: unknown key \"drivr\""),
        ("[signals]\nHPU = 'stop'", "did you mean \"HUP\"?"),
        ("[signals]\nKILL = 'stop'", "no process can catch it"),
        ("[signals]\nCHLD = 'stop'", "rinit needs it for itself"),
        ("[signals]\nHUP = 'stpo'", "did you mean \"stop\"?"),
        ("[signals]\nHUP = 'relaod'", "expected \"stop\", \"reload\", \"ignore\""),
        ("[signals]\nHUP = 'HUP'", "stands for itself"),
        ("[signals]\nHUP = 'KILL'", "expected \"stop\""),
        ("[signals]\nHUP = 3", "found an integer"),
        ("[signals]\nHUP = 'stop'\nSIGHUP = 'stop'", "has a meaning already"),
        ("[signals]\nHUP = { signal = 'HUP' }", "names no service"),
        ("[signals]\nHUP = { service = 'x' }", "there is no service \"x\""),
    ] {
        let faults = faults_of(text);
        assert!(faults.contains(part), "{text}: {faults}");
        assert_eq!(faults.lines().count(), 1, "{text}: {faults}");
    }
}

#[test]
fn a_fault_in_defaults_is_told_once() {
    let services = "[services.a]\ncommand = 'a'\n[services.b]\ncommand = 'b'\n";
    for keys in [
        "user = '${NO}'",
        "restart_policy = { delay = 3 }",
        "logging = { driver = 'x' }",
        "environment = { A = [] }",
    ] {
        let faults = faults_of(&format!("{services}[defaults]\n{keys}"));
        assert!(faults.starts_with("defaults."), "{faults}");
        assert_eq!(faults.lines().count(), 1, "{keys}: {faults}");
    }
}

const BASE: &str = r#"when_idle = "forever"

[defaults]
restart = "sometimes"
user = "app"

[services.cache]
command = ["redis-server"
  , "--port", "${CACHE_PORT}"]
stop_signal = "SIGTREM"
healthcheck = { tcp = 70000 }

[services.migrate]
type = "oneshot"
comand = ["app", "migrate"]

[services.web]
command = "nginx | tee"
stop_grace_period = 8
depends_on = ["migrat", "cache"]
"#;

const APP: &str = r#"[stop]
within = "soon"

[services.web]
umask = 77
environment = { TOKEN = "${NO:?ask the operator}" }

[services.worker]
command = ["worker"]
enabled = "perhaps"
restart_policy = { delay = "5s", max_delay = "1s" }
depends_on = { cache = "ready", worker = "started", web = "healthy" }
after = ["tail"]

[services.tail]
command = ["tail"]
depends_on = ["worker"]

[singals]
HUP = "stop"
"#;

#[test]
fn every_fault_of_all_files_in_one_run() {
    let (_, faults) = plan_of(&[("base.toml", BASE), ("app.toml", APP)], &[]);
    let want = [
        "base.toml:1:13: when_idle: \"forever\": expected \"exit\" or \"stay\"",
        "base.toml:4:11: defaults.restart: \"sometimes\": expected \"no\" or \"always\" or \"on-failure\" or \"unless-stopped\"",
        "base.toml:9:15: services.cache.command: CACHE_PORT is not set and has no default; set it, or write ${CACHE_PORT:-default}",
        "base.toml:10:15: services.cache.stop_signal: \"SIGTREM\": no such signal; expected a name such as \"SIGTERM\" or a number from 1 to 64; did you mean \"TERM\"?",
        "base.toml:11:23: services.cache.healthcheck.tcp: found an integer, expected a port from 1 to 65535, or \"host:port\"",
        "base.toml:13:11: services.migrate: has no command; expected command = [\"program\", \"argument\"]",
        "base.toml:15:1: services.migrate: unknown key \"comand\"; did you mean \"command\"?",
        "base.toml:18:11: services.web.command: \"|\" means something to a shell, but no shell runs; write [\"sh\", \"-c\", \"…\"]",
        "base.toml:19:21: services.web.stop_grace_period: found an integer, expected a duration with its unit, such as \"10s\"",
        "base.toml:20:15: services.web.depends_on: \"migrat\" is no service; did you mean \"migrate\"?",
        "app.toml:2:10: stop.within: \"soon\": expected a duration with its unit, such as \"500ms\", \"10s\" or \"1m30s\"",
        "app.toml:5:9: services.web.umask: found an integer, expected an octal number as a string, such as \"0077\"",
        "app.toml:6:25: services.web.environment: NO is not set: ask the operator",
        "app.toml:10:11: services.worker.enabled: \"perhaps\": expected true or false",
        "app.toml:11:46: services.worker.restart_policy.max_delay: is shorter than delay, so that no wait fits both; raise it, or lower delay",
        "app.toml:12:24: services.worker.depends_on.cache: \"ready\": expected \"started\" or \"healthy\" or \"completed\"",
        "app.toml:12:33: services.worker.depends_on: \"worker\" cannot wait for itself; drop it",
        "app.toml:12:53: services.worker.depends_on: \"web\" has neither a healthcheck nor notify, so that it never is healthy; add one, or wait for \"started\"",
        "app.toml:17:15: services.tail: each would wait for the next: worker -> tail -> worker; drop one of these dependencies",
        "app.toml:19:2: unknown table \"singals\"; did you mean \"signals\"?",
    ];
    assert_eq!(faults, want);
}

#[test]
fn a_drop_in_changes_what_it_names_and_nothing_else() {
    let base = "[services.web]\ncommand = ['a']\nuser = 'u'\nhealthcheck = { test = 'x', interval = '1s' }\nenvironment = { A = '1', B = '2' }";
    let over = "[services.web]\ncommand = ['b']\nhealthcheck.tcp = 80\nenvironment.B = '3'\n[services.more]\ncommand = 'm'";
    let (plan, faults) = plan_of(&[("base", base), ("over", over)], &[]);
    assert_eq!(faults, [""; 0]);
    let web = &plan.services[0];
    assert_eq!((web.program.argv.clone(), plan.services.len()), (vec![c"b".into()], 2));
    assert_eq!(web.program.user.as_ref().map(|user| user.user.as_str()), Some("u"));
    assert_eq!(format!("{:?}", web.program.environment), r#"[("A", "1"), ("B", "3")]"#);
    // The probe of the later file counts; the timing of the earlier one stays.
    assert_eq!(web.program.probe, Some(crate::config::ProbeSpec::Tcp("127.0.0.1".into(), 80)));
    assert_eq!(web.rules.health.as_ref().map(|health| health.interval.as_secs()), Some(1));
}

#[test]
fn a_relative_env_file_lies_beside_the_file_that_names_it() {
    let (plan, faults) = plan_of(&[("/etc/x.toml", "[services.a]\ncommand = 'a'\nenv_file = 'ok.env'")], &[]);
    assert_eq!((faults, plan.services[0].program.environment.len()), (vec![], 3));
}

#[test]
fn a_nul_is_told_where_it_stands_whatever_it_is_for() {
    let text = "[checks.file.\"/a\\u0000\"]\n[services.a]\ncommand = \"a\\u0000\"\nwhen_command = [\"x\", \"\\u0000\"]\n";
    let (_, faults) = read(&[("t", text)]);
    let places: Vec<_> = faults.iter().filter_map(|fault| fault.at).map(|at| (at.start, at.end)).collect();
    assert_eq!(places, [(13, 23), (48, 57), (79, 87)], "{faults:?}");
    assert!(faults.iter().all(|fault| fault.message.starts_with("a NUL character")), "{faults:?}");
}
