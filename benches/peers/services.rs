//! The same services for every installed supervisor: each runs the probe, which stays.
//!
//! Services of s6, runit and daemontools are written as usual: a two-line script that execs.

use super::programs::{Programs, find};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Ten typical checks: most of variables, one of the user, one of a mount.
pub const CHECKS: &str = r#"
[checks.env.HOME]
type = "path"
[checks.env.PATH]
[checks.env.WHO]
one_of = ["me", "you"]
[checks.env.PORT]
type = "port"
default = "8080"
[checks.env.WORKERS]
type = "int"
min = 1
max = 64
default = "4"
[checks.env.DEBUG]
type = "bool"
default = "false"
[checks.env.TIMEOUT]
type = "duration"
default = "30s"
[checks.env.URL]
type = "url"
default = "http://localhost:80/"
[checks.user]
root = true
[checks.mount."/proc"]
mode = "rw"
"#;

/// How to stop a supervisor.
pub enum Stop {
    /// Send this signal to PID 1.
    Signal(i32),
    /// Run this command with the directories of all services.
    Command(Vec<String>),
}

/// A supervisor with its services set up.
pub struct Supervisor {
    pub name: &'static str,
    pub words: Vec<String>,
    pub stop: Stop,
    /// The directories of its services, if any.
    pub directories: Vec<String>,
}

/// Returns the configuration for rinit.
pub fn rinit_config(programs: &Programs, count: usize, fifo: &str, more: &str) -> String {
    let mut text = String::from(more);
    text.push_str("[defaults]\nrestart = \"always\"\nrestart_policy = { delay = \"0s\" }\n");
    for n in 0..count {
        writeln!(text, "[services.s{n}]\ncommand = [\"{}\", \"stay\", \"{fifo}\"]", programs.probe).unwrap();
    }
    let name = format!("rinit-{count}{}.toml", if more.is_empty() { "" } else { "-more" });
    write(&programs.directory.join(name), &text, 0o644)
}

fn write(path: &Path, text: &str, mode: u32) -> String {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Creates a directory with a `run` file for each service.
fn tree(programs: &Programs, name: &str, count: usize, fifo: &str) -> (String, Vec<String>) {
    let root = programs.directory.join(name);
    let _ = fs::remove_dir_all(&root);
    let mut directories = Vec::new();
    for n in 0..count {
        let directory = root.join(format!("s{n}"));
        fs::create_dir_all(&directory).unwrap();
        write(&directory.join("run"), &format!("#!/bin/sh\nexec {} stay {fifo}\n", programs.probe), 0o755);
        directories.push(directory.to_str().unwrap().to_owned());
    }
    (root.to_str().unwrap().to_owned(), directories)
}

/// A program that supervises the services in a directory.
struct Scanner {
    name: &'static str,
    program: &'static str,
    options: &'static [&'static str],
    /// The command that stops its services, if no signal does.
    stop: Option<&'static [&'static str]>,
}

const SCANNERS: [Scanner; 3] = [
    Scanner { name: "s6", program: "s6-svscan", options: &["-c", "1100"], stop: None },
    Scanner { name: "runit", program: "runsvdir", options: &["-P"], stop: Some(&["sv", "down"]) },
    Scanner { name: "daemontools", program: "svscan", options: &[], stop: Some(&["svc", "-d"]) },
];

/// Sets up `count` services, which report to `fifo`, for every installed supervisor in `wanted`.
pub fn all(
    programs: &Programs,
    count: usize,
    fifo: impl Fn(&str) -> String,
    wanted: &[&str],
) -> Vec<Supervisor> {
    // The latter makes the same calls for each of them as rinit: a session of its own, the mask, a limit.
    let bare = [("bare", "bare"), ("bare-session", "session")].map(|(name, verb)| Supervisor {
        name,
        words: [&programs.probe, verb, &count.to_string(), &programs.probe, "stay", &fifo(name)]
            .map(ToString::to_string)
            .to_vec(),
        stop: Stop::Signal(libc::SIGTERM),
        directories: Vec::new(),
    });
    let mut all = Vec::from(bare);
    for init in programs.ours() {
        let config = rinit_config(programs, count, &fifo(init.name), &format!("# {}\n", init.name));
        let own = programs.directory.join(format!("{}-{count}.toml", init.name));
        fs::rename(config, &own).unwrap();
        all.push(Supervisor {
            name: init.name,
            words: [init.path(), "--quiet", "--config", own.to_str().unwrap()].map(str::to_owned).to_vec(),
            stop: Stop::Signal(libc::SIGTERM),
            directories: Vec::new(),
        });
    }
    for Scanner { name, program, options, stop } in SCANNERS {
        let Some(path) = find(program) else {
            eprintln!("{name} is not installed");
            continue;
        };
        let (root, directories) = tree(programs, name, count, &fifo(name));
        let stop = stop.map_or(Stop::Signal(libc::SIGTERM), |words| {
            Stop::Command(words.iter().map(|word| (*word).to_owned()).collect())
        });
        let words = [&[path.as_str()], options, &[root.as_str()]].concat();
        all.push(Supervisor {
            name,
            words: words.into_iter().map(str::to_owned).collect(),
            stop,
            directories,
        });
    }
    all.extend(supervisord(programs, count, &fifo("supervisord")));
    all.extend(horust(programs, count, &fifo("horust")));
    all.retain(|one| wanted.is_empty() || wanted.contains(&one.name) || one.name.starts_with("rinit"));
    all
}

fn supervisord(programs: &Programs, count: usize, fifo: &str) -> Option<Supervisor> {
    let path = find("supervisord")?;
    let directory = programs.directory.to_str().unwrap();
    let mut text = format!(
        "[supervisord]\nnodaemon=true\nuser=root\nlogfile=/dev/null\nlogfile_maxbytes=0\nminfds=8192\nminprocs=200\npidfile={directory}/supervisord.pid\n"
    );
    for n in 0..count {
        writeln!(
            text,
            "[program:s{n}]\ncommand={} stay {fifo}\nstdout_logfile=NONE\nstderr_logfile=NONE\nautorestart=true",
            programs.probe
        )
        .unwrap();
    }
    let config = write(&programs.directory.join(format!("supervisord-{count}.conf")), &text, 0o644);
    let words = [path.as_str(), "-c", &config].map(str::to_owned).to_vec();
    Some(Supervisor {
        name: "supervisord",
        words,
        stop: Stop::Signal(libc::SIGTERM),
        directories: Vec::new(),
    })
}

fn horust(programs: &Programs, count: usize, fifo: &str) -> Option<Supervisor> {
    let path = find("horust")?;
    let root = programs.directory.join("horust");
    let _ = fs::remove_dir_all(&root);
    fs::create_dir_all(&root).unwrap();
    let text = format!("command = \"{} stay {fifo}\"\n[restart]\nstrategy = \"always\"\n", programs.probe);
    for n in 0..count {
        write(&root.join(format!("s{n}.toml")), &text, 0o644);
    }
    let words = [path.as_str(), "--services-path", root.to_str().unwrap()].map(str::to_owned).to_vec();
    Some(Supervisor { name: "horust", words, stop: Stop::Signal(libc::SIGTERM), directories: Vec::new() })
}

impl Supervisor {
    /// Stops it from outside.
    pub fn stop(&self, pid: libc::pid_t) {
        match &self.stop {
            // SAFETY: the caller holds the child, which is not reaped.
            Stop::Signal(signal) => unsafe {
                libc::kill(pid, *signal);
            },
            Stop::Command(words) => {
                let mut command = Command::new(&words[0]);
                command.args(&words[1..]).args(&self.directories).stdout(Stdio::null()).stderr(Stdio::null());
                // The end of the services shows its result.
                let _ = command.status();
            }
        }
    }

    /// Restores it for another start: removes what it has written to its services' directories.
    pub fn renew(&self) {
        for directory in &self.directories {
            for leftover in ["supervise", "event"] {
                let _ = fs::remove_dir_all(format!("{directory}/{leftover}"));
            }
        }
    }
}
