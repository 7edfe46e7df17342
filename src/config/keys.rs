//! The keys of a configuration's tables: what each is called, what it takes, what holds without it, and what it is
//! for. The tables of checks have their keys beside their kinds.
//!
//! A reader that asks for a key that is not listed here fails the tests, and so does a key that no reader asks for.
//! `docs/configuration.md` is written from these lists.

use crate::text::template::fill;
/// One key.
#[derive(Clone, Copy, Debug)]
pub struct KeySpec {
    /// As it is written.
    pub name: &'static str,
    /// What it takes.
    pub takes: &'static str,
    /// What holds where it is not written; empty: nothing.
    pub default: &'static str,
    /// One line of help.
    pub help: &'static str,
}

/// The keys of one kind of table.
#[derive(Clone, Copy, Debug)]
pub struct TableSpec {
    /// How its header reads: `services.NAME.healthcheck`.
    pub path: &'static str,
    /// What it is for.
    pub help: &'static str,
    /// Its keys, in the order in which they are explained.
    pub keys: &'static [KeySpec],
}

/// One key, in a line.
#[must_use]
pub const fn key(
    name: &'static str,
    takes: &'static str,
    default: &'static str,
    help: &'static str,
) -> KeySpec {
    KeySpec { name, takes, default, help }
}

/// The conditions, which are keys of several tables.
pub const CONDITIONS: &str = "when_*";

/// All tables but those of checks.
#[rustfmt::skip]
pub static TABLES: &[TableSpec] = &[
    TableSpec { path: "", help: "The top level of a file.", keys: &[
        key("checks", "table", "", "conditions that must hold before anything is started: `[checks.KIND.NAME]`"),
        key("defaults", "table", "", "default values of the keys of every service"),
        key("services", "table", "", "the services: `[services.NAME]`; `main` is the COMMAND"),
        key("configs", "table", "", "files that are written before anything is started: `[configs.NAME]`"),
        key("secrets", "table", "", "like `configs`, for values that must not be shown: `[secrets.NAME]`"),
        key("stop", "table", "", "the stop of the whole container"),
        key("restart", "table", "", "a limit of the restarts of all services together"),
        key("hooks", "table", "", "scripts that run before anything is started"),
        key("control", "table", "", "the socket for `rinitctl`, and who may use it"),
        key("signals", "table", "", "what a signal means: \"stop\", \"reload\", \"ignore\", another signal, or a service's"),
        key("aliases", "table", "", "a first word of the COMMAND, and the command that it stands for: `worker = [\"celery\", \"worker\"]`; what follows it stays, and `when_command` is looked up after it"),
        key("when_idle", "word", "\"exit\"", "what follows when nothing is left to run: \"exit\" or \"stay\""),
    ] },
    TableSpec { path: CONDITIONS, help: "Keys of every check, service, config, secret and hook: it is enabled only if all of them hold. Each except `when_any` takes a string or a list of strings; a leading `!` negates. `--explain` and `status` show what is disabled, and why.", keys: &[
        key("when_env", "strings, all must hold", "", "\"NAME\": it is set and not empty; \"NAME=one|two\": its value is one of these; \"NAME!=one|two\": it is none of them"),
        key("when_any", "list, one must hold", "", "strings as in `when_env`, or tables of conditions that must all hold: `{ when_exists = \"/c\", when_user = \"root\" }`"),
        key("when_exists", "paths, all must hold", "", "the path exists"),
        key("when_missing", "paths, all must hold", "", "the path does not exist"),
        key("when_empty", "paths, all must hold", "", "the path does not exist, or is an empty file, or a directory with no entries but `lost+found`"),
        key("when_command", "names, one must hold", "", "name or path of the program to run (the COMMAND's first word, or that of `main`'s command if it precedes the COMMAND); under `[services.main]`: the whole file applies only to these programs, and any other COMMAND is run without it"),
        key("when_arch", "names, one must hold", "", "the architecture, by its name in uname(1) or Docker: \"x86_64\", \"amd64\""),
        key("when_user", "names or numbers, one must hold", "", "the user that rinit runs as: \"root\", \"!root\", a name in /etc/passwd, a uid"),
    ] },
    TableSpec { path: "services.NAME", help: "One service, and the conditions above. `[defaults]` takes the same keys, but for those that are each service's own: `command`, `type`, `depends_on`, `after`, `when_command`, `prepend_for`, `export_env`, `replicas`, `pid_file`, `sockets`, `start`.", keys: &[
        key("command", "words or table", "", "the program and its arguments: an array, or a string that is split as a shell would; no shell runs. Of a oneshot also { directory = \"/etc/cont-init.d\" }"),
        key("prepend_for", "patterns", "", "of `main`: `command` is put before a COMMAND whose first word fits one of these (\"*.conf\"), as before an option"),
        key("type", "word", "\"daemon\"", "\"daemon\", or \"oneshot\", which is done when it exits 0"),
        key("enabled", "bool", "true", "whether it is started automatically"),
        key("replicas", "number", "", "how many instances run, 0 to 1000: `NAME.1`, `NAME.2`, …, each with its number in `RINIT_INSTANCE`. Orders and dependencies by `NAME` mean all of them"),
        key("profiles", "names", "", "started only if one of these is active: `--profile NAME` or `RINIT_PROFILES`"),
        key("essential", "bool", "true", "whether the container stops, with its exit code, when it ends for good; for a oneshot only if it fails"),
        key("depends_on", "names or table", "", "services that start before it and stop after it"),
        key("after", "names", "", "ordering only: services to wait for if they are to start at all"),
        key("checks", "names", "", "checks of the configuration (\"tcp.db\") that must hold right before each of its starts, instead of at the container's; one that does not is a failed start"),
        key("restart", "word", "\"on-failure\"; \"no\" for a oneshot and `main`", "\"no\", \"always\", \"on-failure\", \"on-failure:N\" or \"unless-stopped\""),
        key("restart_policy", "table", "", "delays and number of restarts"),
        key("update_config", "table", "", "how a rolling restart (`rinitctl restart --rolling`) restarts it"),
        key("success_exit_codes", "codes and signals", "0", "exit codes and signals that count as success, besides 0"),
        key("start_timeout", "duration or \"none\"", "\"none\"", "how long it may take to be ready (a oneshot: done); then it is stopped and has failed"),
        key("min_uptime", "duration", "\"0s\"", "a run of this length is a successful start: before that dependants wait, and an end, even with code 0, is a failure"),
        key("run_timeout", "duration or \"none\"", "\"none\"", "how long a run may take; then it is stopped and has failed"),
        key("reload_signal", "signal", "", "a reload that does not restart it sends it this signal: it reads files of its own anew"),
        key("stop_signal", "signal", "\"SIGTERM\"", "the signal that asks it to stop; CONT follows"),
        key("stop_grace_period", "duration", "\"10s\"", "how long it may take to stop; KILL follows"),
        key("kill_mode", "word", "\"mixed\"", "which processes get the stop signal: \"mixed\", \"group\", \"process\" or \"all\""),
        key("pre_start", "words or table", "", "a command that runs before each start; if it fails, the start has failed"),
        key("post_start", "words or table", "", "a command that runs once the process runs; dependants wait for it, and if it fails, the service is stopped: the start has failed"),
        key("pre_stop", "words or table", "", "a command that runs before the stop signal, within the first nine tenths of stop_grace_period"),
        key("post_stop", "words or table", "", "a command that runs after each end and each failed start, before a restart; with `stop.within` it is given its share of that"),
        key("healthcheck", "table", "", "how to check whether it is healthy"),
        key("notify", "\"systemd\" or number", "", "how it says that it is ready, before which no dependent starts: READY=1 to its NOTIFY_SOCKET, or a newline to this descriptor (s6)"),
        key("watchdog", "duration", "", "with notify = \"systemd\": it is stopped, and has failed, if it does not send WATCHDOG=1 this often once it is ready"),
        key("fd_store", "number", "0", "with notify = \"systemd\": how many descriptors (FDSTORE=1) are kept for it over restarts, and passed to it again (LISTEN_FDS)"),
        key("pid_file", "path", "", "of a program that cannot stay in the foreground: the file that names its main process, which is followed once the first process has exited 0"),
        key("environment", "table or list", "", "environment variables, as in Compose"),
        key("env_file", "paths", "", "files with environment variables; paths are relative to the configuration file"),
        key("clear_env", "bool", "false", "whether nothing is inherited"),
        key("unset", "names or patterns", "", "variables that are not inherited: what only the preparation needs, such as \"POSTGRES_PASSWORD\""),
        key("passwd", "bool", "false", "whether a uid without an entry gets one in /etc/passwd, where that can be written: some programs look themselves up"),
        key("export_env", "bool or names", "false", "of a oneshot: which of the `NAME=value` lines that it writes to the file `$RINIT_ENV` those see that are started later"),
        key("user", "name or number", "rinit's own", "the user it runs as: \"USER\" or \"USER:GROUP\"; sets HOME, USER and LOGNAME"),
        key("group", "name or number", "the user's own", "its group"),
        key("groups", "names or numbers", "", "supplementary groups, besides those that the user is a member of"),
        key("keep_groups", "bool", "false", "whether it keeps the supplementary groups of the container"),
        key("umask", "octal string", "as inherited", "its file mode creation mask, such as \"0022\""),
        key("working_dir", "path", "as inherited", "its working directory; an absolute path"),
        key("ulimits", "table", "as inherited", "resource limits, named as in `docker run --ulimit`: a number, a size, or { soft, hard }"),
        key("nice", "number", "as inherited", "its niceness, -20 to 19; below rinit's own it needs CAP_SYS_NICE"),
        key("ionice", "word", "as inherited", "its I/O priority: \"idle\", \"best-effort:0\" to \"best-effort:7\", \"realtime:0\" to \"realtime:7\""),
        key("oom_score_adj", "number", "as inherited", "its priority for the OOM killer, -1000 (never killed) to 1000; below rinit's own it needs CAP_SYS_RESOURCE"),
        key("cpu_affinity", "numbers", "as inherited", "the CPUs it may run on: [0, 1] or \"0-3,8\""),
        key("cap_add", "names", "", "(ambient) capabilities that it gets although its user is not root; the container must have them"),
        key("cap_drop", "names", "", "capabilities that neither it nor its descendants can have, or \"ALL\"; those in cap_add are kept"),
        key("no_new_privileges", "bool", "false", "whether programs that it executes gain no privileges (set-user-ID, file capabilities)"),
        key("pdeathsig", "signal", "", "the signal that it gets when rinit dies"),
        key("level", "word", "\"error\"", "what follows if the container does not grant its nice, ionice, oom_score_adj, cap_add or ulimits: \"error\": it is not started; \"warn\": it is started with what there is"),
        key("logging", "table", "", "where its output goes"),
        key("sockets", "table", "", "what rinit listens on for it: `NAME = \"ADDRESS\"`, or `listen = [\"ADDRESS\", …]`; passed from descriptor 3 on (`LISTEN_FDS`), and never closed by a restart. An address is \"IP:PORT\", \":PORT\" (all addresses), with \"/udp\" for UDP, a path or \"@NAME\""),
        key("start", "word", "\"auto\"", "\"on-demand\": the first connection to its sockets starts it, and after a clean end the next one"),
        key("schedule", "cron line or table", "", "of a oneshot: when it is started, by the clock: \"30 2 * * mon-fri\", \"*/5 * * * *\", \"@hourly\"; type is then \"oneshot\", and essential false"),
    ] },
    TableSpec { path: "services.NAME.schedule", help: "Starts a oneshot by the clock, by the rules of Vixie cron. Once daylight saving begins, what was skipped is run; once it ends, nothing is run twice, but for jobs whose minute or hour begins with `*`. rinit keeps nothing on disk: what was due before the container started is not made up for; what was due while it was paused, for at most 3 hours, is.", keys: &[
        key("cron", "cron line", "", "minute, hour, day of the month, month, day of the week: numbers, names (\"jan\", \"mon\"), `*`, lists, ranges, steps (\"*/5\", \"8-18/2\"); where both days are given, one of them must fit; or \"@hourly\", \"@daily\", \"@weekly\", \"@monthly\", \"@yearly\""),
        key("timezone", "name or rule", "TZ, else /etc/localtime, else UTC", "whose minutes count: \"Europe/Berlin\", if the image has tzdata; else the rule itself: \"CET-1CEST,M3.5.0,M10.5.0/3\""),
        key("overlap", "word", "\"skip\"", "what becomes of a run that is due while the last one goes on: \"skip\", or \"queue\": it starts when that is over"),
        key("jitter", "duration", "\"0s\"", "each run starts up to this much later, at random"),
    ] },
    TableSpec { path: "services.NAME.command", help: "A oneshot that runs a directory of scripts, like `[hooks]`.", keys: &[
        key("directory", "path", "", "the directory of the scripts"),
        key("timeout", "duration or \"none\"", "\"5m\"", "how long each script may take"),
        key("trusted", "bool", "false", "whether to run scripts that other users of the container could have modified"),
    ] },
    TableSpec { path: "services.NAME.pre_start", help: "A hook with a time limit; `post_start`, `pre_stop` and `post_stop` take the same. It runs as the service does: its user, environment, directory and output, and in addition `RINIT_SERVICE`, `RINIT_RESTARTS` and, after an end, `RINIT_EXIT_CODE` or `RINIT_EXIT_SIGNAL` (in the file write `$$RINIT_EXIT_CODE`). At its limit it is killed with its process group, and has failed.", keys: &[
        key("command", "words", "", "the program and its arguments; no shell runs"),
        key("timeout", "duration", "\"5m\"; of `post_stop` \"10s\"; of `pre_stop` nine tenths of stop_grace_period", "how long it may take"),
    ] },
    TableSpec { path: "services.NAME.depends_on.OTHER", help: "One dependency, with more than a condition.", keys: &[
        key("condition", "word", "\"started\"; \"completed\" for a oneshot", "the state it must reach: \"started\", \"healthy\" or \"completed\" (or Compose's names)"),
        key("required", "bool", "true", "whether this service cannot start without it"),
        key("restart", "bool", "false", "whether a restart of the dependency restarts this service"),
        key("all", "bool", "false", "of a service with `replicas`: wait for all its instances instead of one"),
    ] },
    TableSpec { path: "services.NAME.update_config", help: "A rolling restart of it, in the words of Compose's `deploy.update_config`.", keys: &[
        key("order", "word", "\"stop-first\"", "\"start-first\": another process is started beside it, with the same `RINIT_INSTANCE`, and stands in for it: only when that is ready the old one is stopped; when the new one is ready, the stand-in is. If it never gets ready, the old one runs on. For services that can run twice: a port of its own must come from `sockets`, or be shared (SO_REUSEPORT)"),
        key("monitor", "duration", "\"1s\"", "how long it must have run to count as ready, without a healthcheck"),
    ] },
    TableSpec { path: "services.NAME.restart_policy", help: "", keys: &[
        key("delay", "duration", "\"100ms\"", "the delay before the first restart"),
        key("max_delay", "duration", "\"30s\"", "the maximum delay"),
        key("factor", "number", "2.0", "the factor by which each delay grows; 1 to 1000"),
        key("jitter", "number", "0.0", "the random variation of a delay, as a fraction of it; 0 to 0.5"),
        key("max_attempts", "number", "no limit", "the maximum number of restarts in a row"),
        key("window", "duration", "\"1m\"", "a run of this length resets the count"),
        key("start_limit_burst", "number", "no limit", "the maximum number of starts within start_limit_interval, the first among them; 1 to 1000"),
        key("start_limit_interval", "duration", "\"10s\"", "the time for start_limit_burst, however long each run is"),
        key("never_on", "codes and signals", "", "exit codes and signals that never lead to a restart"),
        key("always_on", "codes and signals", "", "exit codes and signals that always lead to a restart"),
    ] },
    TableSpec { path: "services.NAME.healthcheck", help: "", keys: &[
        key("exec", "words", "", "a command, run as the service's user; exit code 0 means healthy"),
        key("test", "string or list", "", "the same, in Compose's syntax"),
        key("tcp", "port or \"host:port\"", "", "a port that must accept a connection"),
        key("http", "URL or table", "", "a server that must answer; a table has the keys of [checks.http.NAME]"),
        key("unix", "path or table", "", "a socket that must have a listener, as in [checks.unix.PATH]"),
        key("file", "path or table", "", "a file that must exist, as in [checks.file.PATH]"),
        key("log", "pattern", "", "a regular expression that a line of its output must have matched since its start; needs the logging driver \"prefix\", \"json\" or \"file\""),
        key("check", "\"KIND.NAME\"", "", "a check in the configuration that must pass"),
        key("as_user", "name or number", "exec, test: the service's user; else rinit's", "the user that probes: \"USER\" or \"USER:GROUP\""),
        key("disable", "bool", "false", "whether to disable the healthcheck"),
        key("interval", "duration", "\"10s\"", "the time between two probes"),
        key("timeout", "duration", "\"5s\"", "how long a probe may take"),
        key("retries", "number", "3", "how many failed probes in a row make it unhealthy"),
        key("start_period", "duration", "\"0s\"", "the time after the start in which failures do not count"),
        key("start_interval", "duration", "\"500ms\"", "the time between two probes during start_period"),
        key("on_unhealthy", "word", "\"restart\"", "\"restart\", \"ignore\" or \"stop\""),
    ] },
    TableSpec { path: "services.NAME.env_file", help: "One file, with more than its path.", keys: &[
        key("path", "path", "", "its path"),
        key("required", "bool", "true", "whether it must exist"),
    ] },
    TableSpec { path: "services.NAME.ulimits.LIMIT", help: "", keys: &[
        key("soft", "number or size", "", "the soft limit, which is in effect"),
        key("hard", "number or size", "", "the hard limit, up to which the service may raise it"),
    ] },
    TableSpec { path: "services.NAME.logging", help: "", keys: &[
        key("driver", "word", "\"inherit\"", "\"inherit\": rinit's own output; \"prefix\", \"json\", \"file\"; \"none\": nowhere"),
        key("timestamps", "bool", "false", "whether to add a timestamp to each line (\"prefix\", \"file\")"),
        key("file", "path", "", "the log file of the driver \"file\""),
        key("max_size", "size", "no limit", "the maximum size of a log file"),
        key("max_file", "number", "5", "how many files are kept, if max_size is set"),
    ] },
    TableSpec { path: "services.NAME.sockets.SOCKET", help: "One socket (or several of one name), with more than its address.", keys: &[
        key("listen", "address or addresses", "", "where"),
        key("type", "word", "\"stream\"", "\"stream\" (TCP) or \"datagram\" (UDP)"),
        key("backlog", "number", "net.core.somaxconn", "how many connections may wait"),
        key("mode", "octal string", "\"0666\"", "permission bits of a Unix socket's file: who may write to it may connect"),
        key("owner", "name or number", "rinit's own", "owner of that file"),
        key("group", "name or number", "rinit's own", "its group"),
        key("reuse_port", "bool", "false", "whether other processes may bind the same port (SO_REUSEPORT)"),
    ] },
    TableSpec { path: "configs.NAME", help: "A file that is written after the checks and before anything is started: atomically, and only if it differs. Its content comes from `content`, `file` or `environment`.", keys: &[
        key("content", "string", "", "its content"),
        key("file", "path", "", "a template in which `${NAME}` is replaced; for a directory: each `*.template` in it and below (there only variables that are set are replaced)"),
        key("environment", "name", "", "a variable whose value is the content, unchanged"),
        key("vars", "names", "all", "the variables that are replaced, as `${NAME}`; every other `$` is kept unchanged"),
        key("target", "path", "", "the path to write; for a directory of templates: the directory to write to"),
        key("uid", "name or number", "rinit's own", "its owner"),
        key("gid", "name or number", "rinit's own", "its group"),
        key("mode", "octal string", "\"0644\"", "its permission bits, set before the first byte is written"),
        key("keep", "bool", "false", "whether an existing file is kept unchanged"),
    ] },
    TableSpec { path: "secrets.NAME", help: "Like `configs`, for a value that is never shown. Its content comes from `content`, `file`, `environment` or `generate`.", keys: &[
        key("content", "string", "", "its content"),
        key("file", "path", "", "a file that is copied unchanged; with `vars`: a template"),
        key("environment", "name", "", "a variable whose value is the content, unchanged"),
        key("generate", "\"base64:N\", \"hex:N\", \"alnum:N\" or \"uuid\"", "", "N random bytes, or N letters and digits; generated once, then kept"),
        key("vars", "names", "of `content`: all", "the variables that are replaced, as `${NAME}`; every other `$` is kept unchanged"),
        key("target", "path", "\"/run/secrets/NAME\"", "the path to write; for a directory of templates: the directory to write to"),
        key("uid", "name or number", "rinit's own", "its owner"),
        key("gid", "name or number", "rinit's own", "its group"),
        key("mode", "octal string", "\"0400\"", "its permission bits, set before the first byte is written"),
        key("keep", "bool", "false", "whether an existing file is kept unchanged"),
    ] },
    TableSpec { path: "stop", help: "", keys: &[
        key("within", "duration", "no limit", "the time limit of a stop of the whole container; grace periods are shortened to fit"),
        key("delay", "duration", "\"0s\"", "how long services keep running after a stop request, so that a load balancer can drain; status and /ready report the stop at once"),
    ] },
    TableSpec { path: "restart", help: "One restart more than this ends the container, as a failure, so that what runs it takes over.", keys: &[
        key("max_restarts", "number", "no limit", "the maximum number of restarts of all services together; 1 to 1000"),
        key("window", "duration", "no limit", "only restarts within this time count"),
    ] },
    TableSpec { path: "hooks", help: "Scripts that run one after the other when the checks have passed; if one fails, rinit exits with code 69. The conditions above apply to all of them.", keys: &[
        key("before_start", "path or paths", "", "files, and directories whose executables are run in version order (2- before 10-)"),
        key("timeout", "duration or \"none\"", "\"5m\"", "how long each script may take; then it is killed and has failed"),
        key("export_env", "bool or names", "true", "which variables a script exports to later hooks, services and the command, by writing `NAME=value` lines to the file `$RINIT_ENV`; those named here can also be used as `${NAME}`"),
        key("trusted", "bool", "false", "whether to run scripts that other users of the container could have modified"),
    ] },
    TableSpec { path: "control", help: "The control socket (docs/control.md). `$RINIT_SOCKET` overrides `socket`.", keys: &[
        key("socket", "path, \"@NAME\" or \"none\"", "\"/run/rinit.sock\", else an abstract name", "its path"),
        key("allow", "names or numbers", "", "users, besides root and rinit's own, with read access and orders"),
        key("read_only", "names or numbers", "", "users with read access only"),
        key("http", "\":PORT\" or \"IP:PORT\"", "", "the address that serves /alive, /ready, /metrics and /status"),
    ] },
    TableSpec { path: "signals.SIGNAL", help: "A signal to forward to a service.", keys: &[
        key("service", "name", "", "the service"),
        key("signal", "signal", "the same", "the signal that it gets"),
    ] },
];

impl TableSpec {
    /// The table that a path of a configuration leads to; `None` for a check's, and where the keys are names.
    #[must_use]
    pub fn of(path: &str) -> Option<&'static Self> {
        let mut pattern = String::from(path);
        if let Some(service) = path.strip_prefix("services.").or_else(|| path.strip_prefix("defaults")) {
            // A service's name may have dots in it: the longest table under it that fits is meant.
            let below = [
                "command",
                "depends_on",
                "restart_policy",
                "update_config",
                "healthcheck",
                "env_file",
                "ulimits",
                "logging",
                "sockets",
                "pre_start",
                "post_start",
                "pre_stop",
                "post_stop",
                "schedule",
            ];
            let found = below.into_iter().find_map(|table| {
                let (_, rest) = service.rsplit_once(&fill!(".{}", table))?;
                match (table, rest) {
                    ("depends_on", name) if name.starts_with('.') => Some("depends_on.OTHER"),
                    ("ulimits", name) if name.starts_with('.') => Some("ulimits.LIMIT"),
                    ("sockets", name) if name.starts_with('.') => Some("sockets.SOCKET"),
                    ("depends_on" | "ulimits" | "sockets", _) => Some("names"),
                    ("post_start" | "pre_stop" | "post_stop", "") => Some("pre_start"),
                    (table, "") => Some(table),
                    _ => None,
                }
            });
            pattern = fill!("services.NAME{}{}", found.map_or("", |_| "."), found.unwrap_or(""));
        } else if let Some(table) = ["configs.", "secrets."].iter().find(|table| path.starts_with(**table)) {
            pattern = fill!("{}NAME", table);
        } else if path.starts_with("signals.") {
            pattern = "signals.SIGNAL".into();
        }
        TABLES.iter().find(|table| table.path == pattern)
    }
}

/// What the readers of this test's thread asked for.
#[cfg(test)]
pub(crate) mod asked {
    use super::TableSpec;
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    thread_local!(static ASKED: RefCell<BTreeSet<(&'static str, &'static str)>> = const { RefCell::new(BTreeSet::new()) });

    /// A table at this path was read by a reader that asked for these keys, all of which must be listed.
    pub(crate) fn note(path: &str, keys: &[&'static str]) {
        let Some(table) = TableSpec::of(path) else { return };
        let conditions = TableSpec::of(super::CONDITIONS).map_or(&[][..], |table| table.keys);
        for key in keys {
            let condition = conditions.iter().any(|condition| condition.name == *key);
            let table_path = if condition { super::CONDITIONS } else { table.path };
            ASKED.with_borrow_mut(|asked| asked.insert((table_path, *key)));
            let listed = condition || table.keys.iter().any(|listed| listed.name == *key);
            assert!(
                listed,
                "the reader of [{path}] asks for {key:?}, which src/config/keys.rs does not list under {:?}: add it there",
                table.path
            );
        }
    }

    /// All that was asked for.
    pub(crate) fn all() -> BTreeSet<(&'static str, &'static str)> {
        ASKED.with_borrow(Clone::clone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::read::interpolate::{Scope, StartFacts};
    use crate::config::resolve;
    use crate::config::source::files::{Io, load};

    /// A file in which every table stands.
    const ALL: &str = "when_idle = 'stay'\nrestart.max_restarts = 9\nstop.within = '9s'\n[control]\nsocket = '@a'\nallow = '1'\nread_only = ['2']\nhttp = ':8081'\n[defaults]\nlogging = { driver = 'none' }
[services.a]\ncommand = 'a'\nhealthcheck = { tcp = 1 }\nlogging = { driver = 'file', file = '/l', timestamps = true, max_size = '1M', max_file = 2 }\nrestart_policy = { delay = '1s' }\nupdate_config = { order = 'start-first' }
pre_start = { command = 'b' }
ulimits = { nofile = { soft = 1, hard = 2 } }\nenv_file = [{ path = '/e', required = false }]
[hooks]\nbefore_start = '/h'\n[services.h]\nreplicas = 2\ntype = 'oneshot'\ncommand = { directory = '/h' }\n[services.'b.1']\ncommand = 'b'\ndepends_on = { a = { condition = 'healthy' }, h = { all = true } }\n[services.main]\nwhen_command = 'm'\nsockets.a = { listen = '/s', type = 'stream', mode = '0600', owner = 1, group = 1, backlog = 5, reuse_port = false }
[configs.a]\nfile = '/a'\nvars = 'A'\ntarget = '/b'\n[secrets.b]\ngenerate = 'uuid'
[signals]\nUSR1 = { service = 'a', signal = 'HUP' }\n[services.job]\ncommand = 'j'\nschedule = { cron = '@daily', timezone = 'UTC' }\n";

    #[test]
    fn every_key_that_is_listed_is_read() {
        let read = |_: &str| Ok(ALL.as_bytes().to_vec());
        let list = |_: &str| Err(std::io::Error::from(std::io::ErrorKind::NotFound));
        let mut faults = Vec::new();
        let io = Io { read: &read, list: &list, why: &|_, _| String::new() };
        let files = load(&["/all".to_string()], None, &io, &mut faults);
        let scope = Scope {
            variable: &|_| None,
            exists: &|_| false,
            read: &|_| Err(String::new()),
            later: &[],
            start: StartFacts::default(),
        };
        resolve(files.as_ref(), &scope, &[c"m".into()], &mut faults);
        assert_eq!(faults, []);
        let asked = asked::all();
        for table in TABLES {
            for key in table.keys {
                let read = asked.contains(&(table.path, key.name));
                assert!(
                    read,
                    "no reader asks for {:?} of [{}]: drop it from src/config/keys.rs",
                    key.name, table.path
                );
            }
        }
    }

    #[test]
    fn a_path_leads_to_its_table() {
        for (path, table) in [
            ("", Some("")),
            ("services.web", Some("services.NAME")),
            ("services.web.1.logging", Some("services.NAME.logging")),
            ("services.web.1", Some("services.NAME")),
            ("defaults", Some("services.NAME")),
            ("defaults.healthcheck", Some("services.NAME.healthcheck")),
            ("services.web.depends_on.db", Some("services.NAME.depends_on.OTHER")),
            ("services.web.ulimits", None),
            ("checks.env.A", None),
        ] {
            assert_eq!(TableSpec::of(path).map(|table| table.path), table, "{path}");
        }
    }

    /// `docs/configuration.md`, as these lists have it.
    fn page() -> String {
        let cell = |text: &str| text.replace('|', "\\|");
        let mut page = String::from(
            "# The keys of the configuration\n\nWritten from `src/config/keys.rs`; `RINIT_WRITE_DOCS=1 cargo test --lib config::keys` writes it anew.\n",
        );
        for table in TABLES {
            let heading = match table.path {
                "" => "Top level".into(),
                CONDITIONS => "Conditions: `when_*`".into(),
                path => format!("`[{path}]`"),
            };
            page.push_str(&format!("\n## {heading}\n\n"));
            if !table.help.is_empty() {
                page.push_str(&format!("{}\n\n", table.help));
            }
            page.push_str("| key | takes | default | meaning |\n| --- | --- | --- | --- |\n");
            for key in table.keys {
                let (takes, default, help) = (cell(key.takes), cell(key.default), cell(key.help));
                page.push_str(&format!("| `{}` | {takes} | {default} | {help} |\n", key.name));
            }
        }
        page
    }

    /// The page of the documentation says what these lists say, in the same order, and the reference names each key.
    #[test]
    fn the_documentation_lists_the_same_keys() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
        if std::env::var_os("RINIT_WRITE_DOCS").is_some() {
            std::fs::write(&path, page()).expect("written");
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            written == page(),
            "docs/configuration.md differs from src/config/keys.rs; RINIT_WRITE_DOCS=1 cargo test --lib config::keys writes it anew"
        );
        let readme = include_str!("../../docs/reference.md");
        let known = |key: &&KeySpec| !["disable", "soft", "hard", "path"].contains(&key.name);
        for key in TABLES.iter().flat_map(|table| table.keys).filter(known) {
            let named = readme.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| {
                word == key.name || (key.name.starts_with("when_") && readme.contains("`when_*`"))
            });
            assert!(named, "docs/reference.md does not name {:?}", key.name);
        }
    }
}
