//! Words of other supervisors' configurations, and what says the same here; and files that are theirs altogether.

use crate::text::template::fill;
use std::ops::Range;

/// What is known of the keys of a service: `=` begins whose words follow, then `word word: what to do`. One text, which
/// takes no more room than its letters.
const OF_A_SERVICE: &str = "\
=Compose
entrypoint cmd args: write command = [\"program\", \"argument\"], the program and all its arguments
image build pull_policy platform: each service is a program of this one image; drop it
container_name hostname domainname label labels annotations: the name of a service is that of its table; drop it
ports expose networks network_mode links external_links extra_hosts dns dns_search mac_address: \
belongs to the container, whose network all services share (docker run --publish, --network); drop it
volumes volumes_from tmpfs devices shm_size read_only: \
belongs to the container (docker run --volume, --tmpfs); drop it, or ask for it with [checks.volume.\"/path\"]
mem_limit mem_reservation memswap_limit cpus cpu_shares cpuset pids_limit deploy scale privileged security_opt sysctls cgroup ipc pid userns_mode runtime init: \
belongs to the container (docker run); drop it
configs secrets: all services see the same files; write it at the top, [configs.NAME] or [secrets.NAME] with its target
stdin_open tty: belongs to the container (docker run -it), whose terminal is the COMMAND's; drop it
env envs: write environment = { NAME = \"value\" }
envfile env-file envFrom: write env_file = \"path\"
workdir cwd chdir workingDir working-dir: write working_dir = \"/path\"
stop_timeout terminationGracePeriodSeconds: write stop_grace_period = \"10s\"
restartPolicy restart_condition: write restart = \"no\", \"always\" or \"on-failure\"
health health_check livenessProbe readinessProbe startupProbe: write healthcheck = { exec = [\"program\"] } or { tcp = 80 }
=supervisord
autostart: write enabled = true or false
autorestart: write restart = \"always\", \"on-failure\" (supervisord's unexpected) or \"no\"
startsecs: write restart_policy = { window = \"1m\" }, the run that clears the count of restarts, or a healthcheck
startretries max_retries: write restart_policy = { max_attempts = 3 }
exitcodes: write success_exit_codes = [0, 2]
stopsignal: write stop_signal = \"SIGTERM\"
stopwaitsecs: write stop_grace_period = \"10s\"
stopasgroup killasgroup: write kill_mode = \"group\"
directory: write working_dir = \"/path\"
numprocs numprocs_start process_name: write one table [services.NAME] for each process
priority: write depends_on or after = [\"service\"]
stdout_logfile stderr_logfile stdout_logfile_maxbytes stderr_logfile_maxbytes stdout_logfile_backups stderr_logfile_backups logfile: \
write logging = { driver = \"file\", file = \"/path\", max_size = \"10MiB\", max_file = 5 }, or drop it: all output goes to the container's log
redirect_stderr stdout_events_enabled stderr_events_enabled stdout_capture_maxbytes stdout_syslog stderr_syslog: \
all output goes to the container's log; drop it, or write logging = \"none\"
=systemd
ExecStart: write command = [\"program\", \"argument\"]
ExecStartPre ExecCondition: write a service with type = \"oneshot\", and name it here in depends_on
ExecStartPost: write a service with type = \"oneshot\" that names this one in depends_on
ExecStop ExecStopPost: no program is run at a stop; write stop_signal and stop_grace_period
ExecReload: no program is run for it; send the service its signal: docker kill --signal HUP, with [signals]
Type: write type = \"daemon\" or \"oneshot\"; for notify add notify = \"systemd\", for forking pid_file = \"/run/app.pid\"
RemainAfterExit: write type = \"oneshot\", which stays done
PIDFile: write pid_file = \"/run/app.pid\"
GuessMainPID: start the program so that it stays in the foreground; drop it
Restart: write restart = \"no\", \"always\" or \"on-failure\"
RestartSec RestartSteps RestartMaxDelaySec: write restart_policy = { delay = \"100ms\", max_delay = \"30s\" }
StartLimitBurst: write restart_policy = { max_attempts = 5 }
StartLimitInterval StartLimitIntervalSec: write restart_policy = { window = \"1m\" }
TimeoutStartSec: write start_timeout = \"1m\"
TimeoutStopSec TimeoutSec: write stop_grace_period = \"10s\"
RuntimeMaxSec: write run_timeout = \"1h\"
KillSignal: write stop_signal = \"SIGTERM\"
KillMode SendSIGKILL: write kill_mode = \"mixed\", \"group\" or \"process\"
WorkingDirectory: write working_dir = \"/path\"
Environment PassEnvironment: write environment = { NAME = \"value\" }
EnvironmentFile: write env_file = \"path\"
User DynamicUser: write user = \"name\"
Group SupplementaryGroups: write group = \"name\", groups = [\"name\"]
UMask: write umask = \"0022\"
SuccessExitStatus: write success_exit_codes = [0, 2]
RestartPreventExitStatus: write restart_policy = { never_on = [2] }
RestartForceExitStatus: write restart_policy = { always_on = [2] }
After: write after = [\"service\"]
Before: write after = [\"this service\"] in the other one
Requires Requisite BindsTo PartOf: write depends_on = [\"service\"]
Wants Upholds: write depends_on = { service = { required = false } }
ConditionPathExists AssertPathExists: write when_exists = \"/path\" or when_missing = \"/path\"
ConditionEnvironment: write when_env = \"NAME=value\"
StandardOutput StandardError StandardInput SyslogIdentifier: all output goes to the container's log; drop it
WatchdogSec: write watchdog = \"30s\", with notify = \"systemd\"
FileDescriptorStoreMax: write fd_store = 16, with notify = \"systemd\"
NotifyAccess: all processes of the service's user may notify; drop it
LimitNOFILE LimitNPROC LimitCORE LimitMEMLOCK: write ulimits = { nofile = 65536 }
WantedBy RequiredBy Alias: every service is started, unless enabled = false; drop it
Description Documentation: write a comment, which begins with #
=s6 and runit
run up exec: write command = [\"program\", \"argument\"]
finish down: no program is run at the end of a service; another service may name it in depends_on
notification-fd notification_fd: write notify = 3
down-signal: write stop_signal = \"SIGTERM\"
timeout-kill timeout-down timeout-finish: write stop_grace_period = \"10s\"
timeout-up: write start_timeout = \"1m\"
dependencies dependencies.d contents contents.d depends-on waits-for: write depends_on = [\"service\"]
max-death-tally: write restart_policy = { max_attempts = 5 }
flag-essential: write essential = true
run-as: write user = \"name\"
";

/// The same of the tables of a file.
const OF_A_FILE: &str = "\
=Compose
version name include extends x-common: not needed here; drop it
networks volumes: belongs to the container (docker run --network, --volume); drop it
env environment: write it for all services: [defaults] environment = { NAME = \"value\" }
=supervisord
program group: a program is a table [services.NAME]
supervisord supervisorctl unix_http_server inet_http_server rpcinterface eventlistener fcgi-program: not needed here; drop it
=systemd
Unit Service: a program is a table [services.NAME], with all its keys
Install Timer Socket: not needed here; drop it
";

/// Whose word a key is, and what to do in its place. `path` is that of the table in which it stands.
#[must_use]
pub fn advice(path: &str, key: &str) -> Option<(&'static str, &'static str)> {
    let table = match path {
        "" => OF_A_FILE,
        "defaults" => OF_A_SERVICE,
        path if path.starts_with("services.") => OF_A_SERVICE,
        _ => return None,
    };
    let mut whose = "";
    for line in table.lines() {
        match (line.strip_prefix('='), line.split_once(": ")) {
            (Some(name), _) => whose = name,
            (None, Some((words, advice))) if words.split(' ').any(|word| word == key) => {
                return Some((whose, advice));
            }
            _ => {}
        }
    }
    None
}

/// What a text is that is not TOML, and where that is seen.
#[must_use]
pub fn format(text: &str) -> Option<(Range<usize>, String)> {
    let mut first = true;
    for line in text.lines() {
        // Of a section that looks like one of TOML, the name tells; of all else, the first line that says something.
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        let found = section(trimmed).or_else(|| if first { beginning(trimmed) } else { None });
        if let Some(found) = found {
            let start =
                line.as_ptr() as usize - text.as_ptr() as usize + line.len() - line.trim_start().len();
            let remedy = "expected TOML: a program is a table [services.NAME] with command = [\"program\", \"argument\"]";
            return Some((start..start + trimmed.len(), fill!("found {}, {}", found, remedy)));
        }
        first = false;
    }
    None
}

fn section(line: &str) -> Option<&'static str> {
    let name = line.strip_prefix('[')?.strip_suffix(']')?;
    match name.split_once(':').map_or(name, |(kind, _)| kind) {
        "Unit" | "Service" | "Install" => Some("a unit of systemd"),
        "supervisord" | "supervisorctl" | "unix_http_server" => Some("an INI file of supervisord"),
        "program" | "group" | "eventlistener" | "rpcinterface" | "include" if name.contains(':') => {
            Some("an INI file of supervisord")
        }
        _ => None,
    }
}

fn beginning(line: &str) -> Option<&'static str> {
    let word =
        |key: &str| !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    match line.split_once(':') {
        _ if line.starts_with('{') || line == "[" || line.starts_with("[{") => Some("JSON"),
        _ if line == "---" || line.starts_with("- ") || line.starts_with("%YAML") => Some("YAML"),
        Some((key, rest))
            if word(key.trim_matches(['"', '\''])) && (rest.is_empty() || rest.starts_with(' ')) =>
        {
            Some("YAML")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::foreign::*;
    use crate::config::read::interpolate::{Scope, StartFacts};
    use crate::config::resolve;
    use crate::config::source::files::{Io, load};

    #[test]
    fn each_line_has_words_and_what_to_do() {
        for table in [OF_A_SERVICE, OF_A_FILE] {
            let mut seen: Vec<&str> = Vec::new();
            assert!(table.starts_with('='));
            for line in table.lines().filter(|line| !line.starts_with('=')) {
                let (words, advice) = line.split_once(": ").expect(line);
                assert!(!advice.is_empty() && !line.contains("  "), "{line}");
                for word in words.split(' ') {
                    assert!(!seen.contains(&word), "{word} twice");
                    seen.push(word);
                }
            }
        }
    }

    /// The faults of a service with these keys.
    fn faults_of(keys: &str) -> String {
        let text = format!("[services.service]\ncommand = 'a'\n[services.web]\n{keys}\n");
        let read = |_: &str| Ok(text.as_bytes().to_vec());
        let list = |_: &str| Err(std::io::Error::from(std::io::ErrorKind::NotFound));
        let mut faults = Vec::new();
        let files = load(
            &["/f".to_string()],
            None,
            &Io { read: &read, list: &list, why: &|_, error| crate::text::io_error::unreadable(error) },
            &mut faults,
        );
        let scope = Scope {
            variable: &|_| None,
            exists: &|_| false,
            read: &|_| Ok(String::new()),
            later: &[],
            start: StartFacts::default(),
        };
        resolve(files.as_ref(), &scope, &[], &mut faults);
        faults.iter().map(|fault| format!("{}\n", fault.message)).collect()
    }

    /// What is to be written is what rinit reads.
    #[test]
    fn each_piece_of_advice_can_be_followed() {
        let mut followed = 0;
        for line in OF_A_SERVICE.lines() {
            let Some((_, advice)) = line.split_once(": write ") else { continue };
            let Some((key, value)) = advice.split_once(" = ") else { continue };
            let key = key.rsplit(' ').next().expect("a word");
            let end = match value.as_bytes()[0] {
                b'[' => value.find(']').expect(line) + 1,
                b'{' => value.rfind('}').map_or(0, |end| value.find("} }").map_or(end, |both| both + 2)) + 1,
                b'"' => value[1..].find('"').expect(line) + 2,
                _ => value.find([' ', ',']).unwrap_or(value.len()),
            };
            let value = value[..end].split(" or {").next().expect("a value");
            let faults = faults_of(&format!("{key} = {value}"));
            let wrong = faults.contains("unknown") || faults.contains("expected \"");
            assert!(!wrong, "{line}: {key} = {value}: {faults}");
            followed += 1;
        }
        assert!(followed > 40, "{followed}");
    }

    #[test]
    fn a_file_of_another_kind_is_known_by_what_it_begins_with() {
        for (text, what, at) in [
            ("services:\n  web:\n    image: x\n", "YAML", 0..9),
            ("# c\n\n---\nweb:\n", "YAML", 5..8),
            ("version: '3'\n", "YAML", 0..12),
            ("{ \"services\": {} }", "JSON", 0..18),
            ("[\n", "JSON", 0..1),
            ("; c\n[supervisord]\nnodaemon=true\n", "supervisord", 4..17),
            ("x = 1\n[program:web]\ncommand=/bin/x\n", "supervisord", 6..19),
            ("[Unit]\nDescription=x y\n", "systemd", 0..6),
        ] {
            let (found, message) = format(text).expect(text);
            assert!(message.contains(what), "{text}: {message}");
            assert_eq!(found, at, "{text}");
        }
        for text in [
            "",
            "[services.web]\ncommand = x\n",
            "a = 'b: c'\n",
            "[[x]]\na=\n",
            "http://x\n",
            "[services.web:1]\n",
        ] {
            assert_eq!(format(text), None, "{text}");
        }
    }
}
