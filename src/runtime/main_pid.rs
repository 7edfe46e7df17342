//! Services whose main process is not the one that rinit has started: they say so (`MAINPID=`), or their first process
//! has put another one into the background (`pid_file`).

use super::EventLoop;
use crate::cli::LogLevel;
use crate::exit_code;
use crate::model::{ExitStatus, Pid, ServiceId, Signal};
use crate::supervisor::ServiceStatus;
use crate::supervisor::event::Event;
use crate::sys::Errno;
use crate::sys::event::poll::PollInterest;
use crate::sys::fs::files;
use crate::sys::process::procfs::{self, Process};
use crate::sys::process::{fork, kill, reap};
use crate::sys::stdio;
use crate::text::io_error::unreadable;
use crate::text::template::fill;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::time::Duration;

/// The longest chain of parents up to rinit.
const MAX_DEPTH: usize = 64;
/// Bounds of the pause between two looks at a PID file; it doubles each time.
const MIN_LOOK: Duration = Duration::from_millis(5);
const MAX_LOOK: Duration = Duration::from_millis(200);

/// A main process that rinit has not started as such.
pub(super) struct AdoptedMain {
    service: ServiceId,
    pid: Pid,
    /// The process groups of the first process and of this one (0: none).
    groups: [Pid; 2],
    /// Whether the first process, after which the first group is named, is alive.
    first_lives: bool,
    /// Tells that it has ended, as long as it is another process's child.
    end: Option<OwnedFd>,
}

/// A helper that looks for the main process of a service.
pub(super) struct Follower {
    service: ServiceId,
    helper: Pid,
    /// Its answer: lines, the last of which is a pid or why there is none.
    pipe: OwnedFd,
    answer: Vec<u8>,
    /// The group that the first process has left.
    group: Pid,
}

impl EventLoop {
    /// A service names its main process.
    pub(super) fn take_main_pid(&mut self, service: ServiceId, pid: Pid) {
        let ServiceStatus::Running { pid: leader, .. } = self.runtime.core.state_of(service) else { return };
        if pid == leader {
            return;
        }
        match self.candidate(service, pid, crate::sys::pid()) {
            Ok(process) => {
                self.adopt(service, leader, &process);
                self.events.push_back(Event::MainPid { service, pid });
            }
            Err(why) if self.is_first_refusal(service) => {
                self.say(LogLevel::Warn, Some(service), &fill!("its MAINPID is ignored: {}", &why));
            }
            Err(_) => {}
        }
    }

    /// Returns a process that may be the main process of a service, or why it may not: it has to be alive, below rinit
    /// and not below another service, and its user's, unless that is root.
    fn candidate(&self, service: ServiceId, pid: Pid, rinit: Pid) -> Result<Process, String> {
        let core = &self.runtime.core;
        let shown = pid.to_string();
        let found = procfs::process(pid).filter(|process| !process.zombie);
        let found = found.ok_or_else(|| fill!("there is no process {}", &shown))?;
        let of_another = |pid: Pid| core.knows(pid) && core.service_of(pid) != Some(service);
        let mut above = found.pid;
        for _ in 0..MAX_DEPTH {
            if of_another(above) || of_another(found.session) {
                return Err(fill!("pid {} belongs to another service", &shown));
            }
            above = procfs::process(above).map_or(0, |process| process.parent);
            if above == rinit || above == 0 {
                break;
            }
        }
        if above != rinit || pid == rinit {
            return Err(fill!("pid {} is no process below rinit", &shown));
        }
        let uid = self.reporter(service);
        if uid != 0 && procfs::user(pid) != Some(uid) {
            return Err(fill!("pid {} is not of the service's user, uid {}", &shown, &uid.to_string()));
        }
        Ok(found)
    }

    /// Remembers the groups of a new main process, and watches for its end while it is another process's child.
    fn adopt(&mut self, service: ServiceId, leader: Pid, process: &Process) {
        let known = self.adopted.iter().position(|adopted| adopted.service == service);
        let known = known.map(|at| self.adopted.swap_remove(at));
        let [first, _] = known.as_ref().map_or([leader, 0], |known| known.groups);
        let first_lives = known.map_or_else(|| self.runtime.core.knows(leader), |known| known.first_lives);
        // Never a group that others are in too.
        let own = procfs::process(crate::sys::pid()).map_or(0, |rinit| rinit.group);
        let shared = process.group == own
            || self.runtime.core.service_of(process.group).is_some_and(|other| other != service);
        let group = if shared || process.group == first { 0 } else { process.group };
        let is_child = process.parent == crate::sys::pid();
        let end = if is_child { None } else { reap::end_of(process.pid).ok() };
        let adopted = AdoptedMain { service, pid: process.pid, groups: [first, group], first_lives, end };
        self.adopted.push(adopted);
        self.escaped.iter_mut().for_each(|known| known.change_main(service, process.pid));
    }

    /// Returns the process groups of the service with this first or main process; 0: none.
    pub(super) fn groups_of(&self, leader: Pid) -> [Pid; 2] {
        let known = self.adopted.iter().find(|adopted| adopted.pid == leader);
        known.map_or([leader, 0], |adopted| adopted.groups)
    }

    /// Returns whether any process is left in the groups of the service with this first or main process.
    pub(super) fn any_group_outlives(&self, leader: Pid) -> bool {
        let Some(known) = self.adopted.iter().find(|adopted| adopted.pid == leader) else {
            return kill::group_outlives(leader);
        };
        known.first_lives || known.groups.into_iter().any(|group| group != 0 && kill::group_outlives(group))
    }

    /// Sends signals to the process groups of a service.
    pub(super) fn signal_groups(&self, leader: Pid, signals: &[Signal]) {
        for group in self.groups_of(leader) {
            // ESRCH: it has just ended and will be reaped. 0 is refused.
            let _ = kill::group(group, signals);
        }
    }

    /// A process was reaped that may be the first of a service with another main process.
    pub(super) fn first_ended(&mut self, pid: Pid) {
        for adopted in &mut self.adopted {
            let [first, _] = adopted.groups;
            adopted.first_lives &= first != pid;
        }
    }

    /// Forgets the main process of an earlier run.
    pub(super) fn forget_main(&mut self, service: ServiceId) {
        self.adopted.retain(|adopted| adopted.service != service);
    }

    /// Returns the descriptors that tell of the ends of main processes, and of helpers that look for one.
    pub(super) fn main_descriptors(&self, all: &mut Vec<PollInterest>) {
        let ends = self.adopted.iter().filter_map(|adopted| adopted.end.as_ref());
        all.extend(ends.map(|fd| PollInterest::reading(fd.as_raw_fd())));
    }

    /// A main process that is another process's child has ended, if this descriptor tells so.
    pub(super) fn main_ended(&mut self, fd: RawFd) -> bool {
        let is = |adopted: &&mut AdoptedMain| adopted.end.as_ref().is_some_and(|end| end.as_raw_fd() == fd);
        let Some(adopted) = self.adopted.iter_mut().find(is) else { return false };
        adopted.end = None;
        let pid = adopted.pid;
        // By now it may be rinit's child: then it is reaped with its exit code.
        if self.runtime.core.knows(pid)
            && procfs::process(pid).is_none_or(|left| left.parent != crate::sys::pid())
        {
            let group_left = self.is_left(pid);
            let outcome = ExitStatus::Code(0);
            self.ended = Some((pid, outcome));
            self.step(Event::Exited { pid, outcome, group_left });
        }
        true
    }

    /// Looks for the main process of a service, whose first process has put it into the background.
    pub(super) fn follow(&mut self, service: ServiceId, first: Pid) {
        let services = self.services();
        let path = services.get(service.index());
        let path = path.and_then(|found| found.program.notify.as_ref()?.pid_file.as_deref());
        let rinit = crate::sys::pid();
        let followed = path.map(|path| {
            let (pipe, write) = fork::pipe()?;
            let job = || self.look_for_main(service, rinit, path, write.as_raw_fd());
            let helper = fork::fork(&self.runtime.starter.ignored, job)?;
            Ok::<_, Errno>(Follower { service, helper, pipe, answer: Vec::new(), group: first })
        });
        match followed {
            Some(Ok(follower)) => {
                self.events.push_back(Event::Starting { service, pid: follower.helper });
                self.followers.push(follower);
            }
            Some(Err(errno)) => {
                let why = fill!("no process to read its pid_file: {}", crate::sys::describe(errno));
                self.say(LogLevel::Error, Some(service), &why);
                self.not_followed(service, first);
            }
            None => self.not_followed(service, first),
        }
    }

    fn not_followed(&mut self, service: ServiceId, group: Pid) {
        // Not a second one beside what is left of the first.
        kill::what_outlives(group);
        self.events.push_back(Event::SpawnFailed { service, lasting: false, code: exit_code::OS_ERROR });
    }

    /// In a helper: reads the PID file until it names a process that may be the one. It is killed when that takes too
    /// long.
    fn look_for_main(&self, service: ServiceId, rinit: Pid, path: &str, answer: RawFd) -> u8 {
        let mut pause = MIN_LOOK;
        let mut told = String::new();
        loop {
            let text = files::slurp(path, 64).map_err(|error| unreadable(&error));
            let pid = text.and_then(|text| {
                let text = String::from_utf8_lossy(&text);
                text.trim().parse::<Pid>().map_err(|_| "it holds no number".to_string())
            });
            match pid.and_then(|pid| self.candidate(service, pid, rinit)) {
                Ok(found) => {
                    stdio::write_all(answer, fill!("={}\n", &found.pid.to_string()).as_bytes());
                    return 0;
                }
                Err(why) if why != told => {
                    stdio::write_all(answer, fill!("{}\n", &why).as_bytes());
                    told = why;
                }
                Err(_) => {}
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(MAX_LOOK);
        }
    }

    /// A process was reaped. Returns whether it was a helper that looked for a main process.
    pub(super) fn follower_ended(&mut self, pid: Pid) -> bool {
        let Some(at) = self.followers.iter().position(|follower| follower.helper == pid) else {
            return false;
        };
        let mut follower = self.followers.swap_remove(at);
        fork::read_rest(follower.pipe.as_raw_fd(), &mut follower.answer);
        let Follower { service, group, .. } = follower;
        if !self.runtime.core.is_following(service) {
            return true;
        }
        let main = follower.last_line().strip_prefix('=').and_then(|pid| pid.parse::<Pid>().ok());
        let found = main.and_then(|pid| self.candidate(service, pid, crate::sys::pid()).ok());
        match found {
            Some(process) => {
                self.adopt(service, group, &process);
                if let Some(logs) = &mut self.runtime.logs {
                    logs.run_started(service, process.pid);
                }
                self.events.push_back(Event::Spawned { service, pid: process.pid });
            }
            None => self.not_followed(service, group),
        }
        true
    }

    /// Returns what the start of a service waits for, if that is its PID file.
    pub(super) fn why_not_followed(&mut self, service: ServiceId) -> Option<String> {
        let follower = self.followers.iter_mut().find(|follower| follower.service == service)?;
        fork::read_rest(follower.pipe.as_raw_fd(), &mut follower.answer);
        let why = follower.last_line();
        let services = self.services();
        let path = services.get(service.index())?.program.notify.as_ref()?.pid_file.as_deref()?;
        Some(fill!("its first process has ended, and {} does not name its main process: {}", path, &why))
    }
}

impl Follower {
    fn last_line(&self) -> String {
        let text = String::from_utf8_lossy(&self.answer);
        text.lines().next_back().unwrap_or("the file system does not answer").to_string()
    }
}
