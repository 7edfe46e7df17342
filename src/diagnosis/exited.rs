//! Explains how a service ended, or why it never becomes healthy, from processes, sockets and the cgroup. Used only
//! after the fact.

use super::hints;
use crate::config::{ProbeSpec, RunnableService};
use crate::exit_code;
use crate::model::{ExitStatus, Pid};
use crate::sys::container::cgroup;
use crate::sys::net::{self, Protocol};
use crate::sys::process::procfs::{self, Process};
use crate::text::gather::Gather;
use crate::text::template::fill;
use crate::text::units::show_size;
use std::net::SocketAddr;

/// Returns the name of a service's program.
fn name(service: &RunnableService) -> String {
    let word = service.program.argv.first().map_or(&b""[..], |word| word.to_bytes());
    String::from_utf8_lossy(word.rsplit(|b| *b == b'/').next().unwrap_or(word)).into_owned()
}

/// Explains a SIGKILL that rinit did not send: the OOM killer, if the count of its kills has grown. `seen`: the
/// previous count; `itself`: whether the service's first process was killed, or another one of it.
pub fn killed(service: &RunnableService, itself: bool, seen: &mut Option<u64>) -> Option<String> {
    let count = cgroup::killed_for_memory();
    let most = cgroup::most_memory();
    // For a single command the previous count is unknown; in a container with a memory limit it was 0.
    let more = count > seen.or(most.map(|_| 0)).unwrap_or(u64::MAX);
    *seen = Some(count);
    let who = [if itself { "" } else { "a process of " }, &name(service)].concat();
    let peak = cgroup::peak_memory().map_or_else(String::new, |bytes| fill!(", used {}", &show_size(bytes)));
    more.then(|| match most {
        Some(most) => fill!("{} was killed by the kernel: out of memory, limit {}{}; raise that (docker run --memory), or let it use less", &who, &show_size(most), &peak),
        None => fill!("{} was killed by the kernel: out of memory; the container has no limit of its own{}, so the machine ran out, or what holds the container: set a limit, or let it use less", &who, &peak),
    })
}

/// Explains that the process `leader` has ended with success because the program put itself into the background, where
/// it cannot be supervised: finds what it left running, in a new group or session or still in its group. `knows`:
/// whether a pid belongs to a service. `by_name`: consider only processes with the program's name.
#[must_use]
pub fn background(
    service: &RunnableService,
    leader: Pid,
    by_name: bool,
    knows: &dyn Fn(Pid) -> bool,
) -> Option<String> {
    let name = name(service);
    let called = |process: &Process| process.name == name.get(..name.len().min(15)).unwrap_or(&name);
    let rinit = crate::sys::pid();
    let mut left = procfs::all();
    let session = left.iter().find(|process| process.pid == rinit)?.session;
    left.retain(|process| {
        let stranger = process.parent == rinit && !knows(process.pid) && !knows(process.session);
        !process.zombie && (process.group == leader || stranger && process.session != session)
    });
    let found = left.iter().find(|process| called(process));
    // Otherwise consider processes that are younger than the service's.
    let found = found.or_else(|| left.iter().find(|process| !by_name && process.pid > leader))?;
    Some(fill!(
        "it has put itself into the background: {} (pid {}) was left running, where it cannot be supervised; give it the option that keeps it in the foreground ({}), name the file that its pid is written to (pid_file = \"/run/…\"), or let it be a oneshot",
        &found.name,
        &found.pid.to_string(),
        hints::foreground(&name)
    ))
}

/// Explains a daemon that ended with success right after its start.
#[must_use]
pub fn at_once(service: &RunnableService) -> String {
    let option = hints::foreground(&name(service));
    fill!(
        "a daemon is to stay, and this one ended at once: if it only does something and ends, write type = \"oneshot\"; if it goes into the background, give it the option that keeps it in the foreground ({}), or name the file that its pid is written to (pid_file = \"/run/…\")",
        option
    )
}

/// Explains why a service's healthcheck can never pass. `leader`: the service's process; `outcome`: how the probe
/// ended.
#[must_use]
pub fn never_healthy(service: &RunnableService, leader: Pid, outcome: Option<ExitStatus>) -> Option<String> {
    match service.program.probe.as_ref()? {
        ProbeSpec::Exec(argv) => match outcome {
            Some(ExitStatus::Code(code @ (exit_code::NOT_EXECUTABLE | exit_code::NOT_FOUND))) => {
                let words: Vec<_> = argv.iter().map(|word| word.to_string_lossy()).gather();
                Some(fill!(
                    "its healthcheck ends with {}, as one does whose program is not there, and can never pass: {}; install that program, or use healthcheck = { tcp = PORT }",
                    &code.to_string(),
                    &words.join(" ")
                ))
            }
            _ => None,
        },
        ProbeSpec::Tcp(host, port) => elsewhere(host, *port, leader),
        // A check reports by itself what it found and what to do.
        ProbeSpec::Check(_) | ProbeSpec::Log(_) => None,
    }
}

/// Returns where a service listens, if not where its healthcheck connects.
fn elsewhere(host: &str, port: u16, leader: Pid) -> Option<String> {
    if !host.starts_with("127.") && host != "localhost" && host != "::1" {
        return None;
    }
    let all = net::listeners(Protocol::Tcp).ok()?;
    let there = |address: SocketAddr| {
        let ip = address.ip();
        address.port() == port && (ip.is_unspecified() || ip.is_loopback())
    };
    if all.iter().any(|(address, _)| there(*address)) {
        return None;
    }
    let mut sockets = procfs::sockets(leader);
    for pid in procfs::descendants(leader) {
        sockets.extend(procfs::sockets(pid));
    }
    let own = all.iter().filter(|(_, inode)| sockets.contains(inode));
    let mut own: Vec<String> = own.map(|(address, _)| address.to_string()).gather();
    own.dedup();
    let port = port.to_string();
    if own.is_empty() {
        return Some(fill!(
            "nothing listens on port {} of {} that its healthcheck connects to, and none of its processes is seen to listen on any other; is it the right port?",
            &port,
            host
        ));
    }
    Some(fill!(
        "nothing listens on port {} of {}, which its healthcheck connects to, and the service listens on {}; correct the healthcheck, or the port and address of the program",
        &port,
        host,
        &own.join(", ")
    ))
}
