//! An init that is running or has ended.

use super::launch::Files;
use super::process::Process;
use super::sandbox::{self, Plan, Started};
use super::{AT_ONCE, PATIENCE, eventually, eventually_within, ms};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A started init. Dropping it kills its whole namespace.
#[derive(Debug)]
pub struct Running {
    first: libc::pid_t,
    init: libc::pid_t,
    /// Of PID 1; open until it is reaped.
    pidfd: OwnedFd,
    status: Option<File>,
    streams: Vec<Stream>,
    files: Files,
    started: Instant,
    ended: Option<ExitStatus>,
    reaped: bool,
}

/// How an init ended, and its whole output.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    /// Standard output, or the output of the terminal.
    pub out: String,
    pub err: String,
    /// From the start to the end.
    pub after: Duration,
    /// The time of the end.
    pub at: Instant,
    /// The processes left in the namespace. Always empty for PID 1: the kernel kills them.
    pub left: Vec<Process>,
}

impl Ended {
    /// Returns the exit code; 1000 + signal if the init itself was killed, which no test expects.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| 1000 + self.status.signal().unwrap_or(0))
    }

    /// Fails the test if the exit code is a different one.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code(), code, "exit code\n{}", self.story());
        self
    }

    /// Fails the test unless rinit's own lines contain each of these words.
    #[track_caller]
    pub fn tells(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.err.contains(word), "nothing is said of `{word}`\n{}", self.story());
        }
        self
    }

    /// Returns the whole output, for a failure message.
    pub fn story(&self) -> String {
        format!("after {:?}\n--- out\n{}--- err\n{}---", self.after, self.out, self.err)
    }
}

impl Running {
    #[track_caller]
    pub(super) fn start(plan: Plan, files: Files) -> Self {
        let started = Instant::now();
        let Started { first, init, status, output } = sandbox::start(plan).unwrap();
        // SAFETY: a child of ours, not reaped; the descriptor has no other owner.
        let pidfd = unsafe {
            let fd = libc::syscall(libc::SYS_pidfd_open, first, 0);
            OwnedFd::from_raw_fd(i32::try_from(fd).unwrap())
        };
        let streams = output.into_iter().map(Stream::new).collect();
        let status = status.map(File::from);
        Self { first, init, pidfd, status, streams, files, started, ended: None, reaped: false }
    }

    // ------------------------------------------------------------------------------ inspecting

    /// Returns standard output so far, or the output of the terminal.
    pub fn out(&self) -> String {
        self.streams.first().map(Stream::text).unwrap_or_default()
    }

    /// Returns standard error so far.
    pub fn err(&self) -> String {
        self.streams.get(1).map(Stream::text).unwrap_or_default()
    }

    /// Returns the directory that is [`super::FILES`] inside.
    pub fn directory(&self) -> &Path {
        &self.files.0
    }

    /// Returns the content of a file in that directory; empty if it does not exist.
    pub fn file(&self, name: &str) -> String {
        fs::read_to_string(self.directory().join(name)).unwrap_or_default()
    }

    /// Waits until standard output contains this text.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        let start = Instant::now();
        while !self.out().contains(text) {
            assert!(start.elapsed() < PATIENCE, "`{text}` was not written\n{}", self.story());
            std::thread::sleep(ms(1));
        }
    }

    /// Waits until standard error contains this text.
    #[track_caller]
    pub fn wait_for_err(&self, text: &str) {
        let start = Instant::now();
        while !self.err().contains(text) {
            assert!(start.elapsed() < PATIENCE, "`{text}` was not said\n{}", self.story());
            std::thread::sleep(ms(1));
        }
    }

    fn story(&self) -> String {
        format!("--- out\n{}--- err\n{}--- processes\n{:#?}", self.out(), self.err(), self.processes())
    }

    fn proc(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root/proc", self.first))
    }

    /// Returns every process of the namespace, including the init; see [`Self::others`].
    pub fn processes(&self) -> Vec<Process> {
        let entries = fs::read_dir(self.proc()).into_iter().flatten().flatten();
        let numbers = entries.filter(|entry| entry.file_name().as_encoded_bytes()[0].is_ascii_digit());
        numbers.filter_map(|entry| Process::read(entry.path())).collect()
    }

    /// Returns every process except PID 1 and the init.
    pub fn others(&self) -> Vec<Process> {
        let own = if self.first == self.init { 1 } else { 2 };
        self.processes().into_iter().filter(|process| process.pid > own).collect()
    }

    /// Returns the process of the init.
    #[track_caller]
    pub fn init(&self) -> Process {
        let pid = if self.first == self.init { "1" } else { "2" };
        Process::read(self.proc().join(pid)).unwrap_or_else(|| panic!("the init is gone\n{}", self.story()))
    }

    /// Returns the init's pid outside the namespace, for tools.
    pub fn pid_outside(&self) -> i32 {
        self.init
    }

    /// Returns the number of zombies.
    pub fn zombies(&self) -> usize {
        self.processes().iter().filter(|process| process.is_zombie()).count()
    }

    /// Returns the processes whose command line contains this text.
    pub fn find(&self, command: &str) -> Vec<Process> {
        self.others().into_iter().filter(|process| process.command.contains(command)).collect()
    }

    /// Waits for the one process whose command line contains this text.
    #[track_caller]
    pub fn the(&self, command: &str) -> Process {
        let mut found = Vec::new();
        eventually(&format!("there is one process `{command}`"), || {
            found = self.find(command);
            found.len() == 1
        });
        found.remove(0)
    }

    // ------------------------------------------------------------------------------ acting

    /// Sends a signal to the init from outside its namespace, as an engine does.
    #[track_caller]
    pub fn signal(&self, signal: i32) {
        // SAFETY: integers only; the process is a child that is not reaped, or below one.
        let result = unsafe { libc::kill(self.init, signal) };
        // A nanny may have reaped it: then it needs no signal.
        assert!(result == 0 || self.status.is_some(), "kill: {}", std::io::Error::last_os_error());
    }

    /// Waits until the init handles this signal or blocks it to take it later (the kernel does not show signals
    /// blocked while sigwait waits for them; by then the init has a child). Before that, the kernel drops signals to
    /// PID 1.
    #[track_caller]
    pub fn wait_until_it_takes(&self, signal: i32) {
        let start = Instant::now();
        loop {
            let init = self.init();
            if super::has_signal(init.mask("SigCgt") | init.mask("SigBlk"), signal)
                || !self.others().is_empty()
            {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "it never takes signal {signal}\n{}", self.story());
        }
    }

    /// Sends a signal to any process of the namespace.
    #[track_caller]
    pub fn signal_to(&self, process: &Process, signal: i32) {
        // SAFETY: integers only.
        let result = unsafe { libc::kill(self.outside(process.pid), signal) };
        assert_eq!(result, 0, "kill {process:?}: {}", std::io::Error::last_os_error());
    }

    /// The same for a process that may have ended; returns whether it existed.
    pub fn try_signal_to(&self, process: &Process, signal: i32) -> bool {
        let outside = self.find_outside(process.pid);
        // SAFETY: integers only.
        outside.is_some_and(|pid| unsafe { libc::kill(pid, signal) } == 0)
    }

    /// Returns the outer pid of a process of the namespace.
    #[track_caller]
    fn outside(&self, pid: i32) -> i32 {
        self.find_outside(pid).expect("the process is gone")
    }

    fn find_outside(&self, pid: i32) -> Option<i32> {
        let space = |host: &str| fs::read_link(format!("/proc/{host}/ns/pid")).ok();
        let own = space(&self.first.to_string());
        let hosts = fs::read_dir("/proc").unwrap().flatten();
        let hosts = hosts.filter_map(|entry| entry.file_name().into_string().ok());
        let mut hosts = hosts.filter(|host| host.parse::<i32>().is_ok());
        let found = hosts.find(|host| {
            let status = fs::read_to_string(format!("/proc/{host}/status")).unwrap_or_default();
            let inner = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
            inner.and_then(|pids| pids.split_whitespace().last()) == Some(&pid.to_string())
                && space(host) == own
        });
        found.and_then(|host| host.parse().ok())
    }

    /// Types on the terminal.
    #[track_caller]
    pub fn type_in(&mut self, text: &str) {
        self.streams[0].file.write_all(text.as_bytes()).unwrap();
    }

    /// Resizes the terminal, which signals its foreground group.
    #[track_caller]
    pub fn resize(&self, rows: u16, columns: u16) {
        let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: a structure of ours.
        let result =
            unsafe { libc::ioctl(self.streams[0].file.as_raw_fd(), libc::TIOCSWINSZ as _, &raw const size) };
        assert_eq!(result, 0);
    }

    /// Stops reading standard output or error (1, 2): the pipe fills up, as with a log driver that hangs.
    pub fn stop_reading(&self, fd: usize) {
        *self.streams[fd - 1].paused.lock().unwrap() = true;
    }

    /// Resumes reading.
    pub fn read_on(&self, fd: usize) {
        *self.streams[fd - 1].paused.lock().unwrap() = false;
    }

    // ------------------------------------------------------------------------------ the end

    /// Returns whether the init has ended; does not wait.
    pub fn has_ended(&mut self) -> bool {
        self.poll(Duration::ZERO)
    }

    /// Sends TERM; rinit must end within [`AT_ONCE`].
    #[track_caller]
    pub fn stops_at_once(self) -> Ended {
        let asked = Instant::now();
        self.signal(libc::SIGTERM);
        let ended = self.end();
        let took = ended.at - asked;
        assert!(took < AT_ONCE, "the stop took {took:?}\n{}", ended.story());
        ended
    }

    /// Waits for the end; fails the test after [`PATIENCE`].
    #[track_caller]
    pub fn end(self) -> Ended {
        self.end_within(PATIENCE)
    }

    /// Waits for the end; fails the test after `patience`.
    #[track_caller]
    pub fn end_within(mut self, patience: Duration) -> Ended {
        assert!(self.poll(patience), "it has not ended within {patience:?}\n{}", self.story());
        let at = Instant::now();
        let left = self.others().into_iter().filter(|process| !process.is_zombie()).collect();
        self.kill();
        let [out, err] = [0, 1].map(|n| self.streams.get_mut(n).map(Stream::finish).unwrap_or_default());
        let status = self.ended.take().unwrap();
        Ended { status, out, err, after: at - self.started, at, left }
    }

    /// Sends SIGTERM and waits for the end.
    #[track_caller]
    pub fn stop(self) -> Ended {
        self.signal(libc::SIGTERM);
        self.end()
    }

    /// Waits for the end of the init, at most this long; returns whether it has ended.
    fn poll(&mut self, patience: Duration) -> bool {
        if self.ended.is_some() {
            return true;
        }
        let fd = self.status.as_ref().map_or(self.pidfd.as_raw_fd(), AsRawFd::as_raw_fd);
        let mut wanted = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let span = i32::try_from(patience.as_millis()).unwrap();
        // SAFETY: an array of one entry.
        if unsafe { libc::poll(&raw mut wanted, 1, span) } <= 0 {
            return false;
        }
        let mut status = [0; 4];
        if let Some(pipe) = &mut self.status {
            pipe.read_exact(&mut status).expect("the nanny died");
            self.ended = Some(ExitStatus::from_raw(i32::from_ne_bytes(status)));
        } else {
            self.reap();
        }
        true
    }

    fn reap(&mut self) {
        let mut status = 0;
        // SAFETY: a child of ours, reaped once.
        unsafe { libc::waitpid(self.first, &raw mut status, 0) };
        self.reaped = true;
        self.ended.get_or_insert(ExitStatus::from_raw(status));
    }

    /// Kills the namespace.
    fn kill(&mut self) {
        if !self.reaped {
            // SAFETY: a child of ours, not reaped.
            unsafe { libc::kill(self.first, libc::SIGKILL) };
            self.reap();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A pipe or terminal read by a thread, so that no writer waits for the test.
#[derive(Debug)]
struct Stream {
    file: File,
    text: Arc<Mutex<Vec<u8>>>,
    paused: Arc<Mutex<bool>>,
    reader: Option<JoinHandle<()>>,
}

impl Stream {
    fn new(fd: OwnedFd) -> Self {
        let file = File::from(fd);
        let text = Arc::new(Mutex::new(Vec::new()));
        let paused = Arc::new(Mutex::new(false));
        let (mut source, kept, wait) = (file.try_clone().unwrap(), Arc::clone(&text), Arc::clone(&paused));
        let reader = std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            loop {
                while *wait.lock().unwrap() {
                    std::thread::sleep(ms(1));
                }
                // A terminal whose other end is closed returns EIO.
                match source.read(&mut chunk) {
                    Ok(0) | Err(_) => return,
                    Ok(count) => kept.lock().unwrap().extend_from_slice(&chunk[..count]),
                }
            }
        });
        Self { file, text, paused, reader: Some(reader) }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap()).into_owned()
    }

    /// Reads to the end: until every writer has closed it.
    fn finish(&mut self) -> String {
        *self.paused.lock().unwrap() = false;
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.text()
    }
}
