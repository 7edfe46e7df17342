//! A pseudo-terminal with `docker run -it` on its other end: the test is the person at the keyboard.

use crate::engine::Container;
use crate::eventually;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

pub const CTRL_C: &str = "\x03";
pub const CTRL_Z: &str = "\x1a";
pub const CTRL_BACKSLASH: &str = "\x1c";

pub struct Terminal {
    keyboard: File,
    screen: Arc<Mutex<String>>,
    docker: Child,
    container: Container,
}

impl Terminal {
    /// `docker run -it OPTIONS… IMAGE WORDS…` on a terminal of 24 lines of 80 columns.
    pub fn run(options: &[&str], image: &str, words: &[&str]) -> Self {
        let (ours, theirs) = pair();
        let container = Container::to_be_started();
        let mut command = Command::new("docker");
        command
            .args(["run", "-it", "--name", &container.name])
            .args(options)
            .arg(image)
            .args(words)
            .stdin(Stdio::from(theirs.try_clone().expect("a descriptor")))
            .stdout(Stdio::from(theirs.try_clone().expect("a descriptor")))
            .stderr(Stdio::from(theirs));
        // SAFETY: both are system calls that change only the child itself, which has no other thread.
        unsafe {
            command.pre_exec(|| {
                libc::setsid();
                libc::ioctl(0, libc::TIOCSCTTY, 0);
                Ok(())
            });
        }
        let docker = command.spawn().expect("the `docker` command: Debian's package docker.io");
        drop(command);
        let mut reader = ours.try_clone().expect("a descriptor");
        let screen = Arc::new(Mutex::new(String::new()));
        let shown = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // EIO: nobody has the other end any more.
            while let Ok(length @ 1..) = reader.read(&mut bytes) {
                shown.lock().expect("the screen").push_str(&String::from_utf8_lossy(&bytes[..length]));
            }
        });
        Self { keyboard: ours, screen, docker, container }
    }

    /// All that was shown so far.
    pub fn screen(&self) -> String {
        self.screen.lock().expect("the screen").clone()
    }

    #[track_caller]
    pub fn shows(&self, text: &str) {
        self.shows_times(text, 1);
    }

    #[track_caller]
    pub fn shows_times(&self, text: &str, times: usize) {
        let start = std::time::Instant::now();
        while self.screen().matches(text).count() < times {
            assert!(start.elapsed() < crate::PATIENCE, "no {text:?} on the screen:\n{}", self.screen());
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    pub fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("a keyboard");
    }

    /// The window gets another size, as when a person drags its corner.
    pub fn resize(&self, lines: u16, columns: u16) {
        let size = libc::winsize { ws_row: lines, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the descriptor is a terminal, and `size` outlives the call.
        let result = unsafe { libc::ioctl(self.keyboard.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
        assert_eq!(result, 0, "TIOCSWINSZ");
    }

    /// Waits for the end; the exit code of `docker run`.
    #[track_caller]
    pub fn ends(&mut self) -> i32 {
        let docker = &mut self.docker;
        let status = eventually("the end of docker run -it", || docker.try_wait().expect("a child"));
        status.code().unwrap_or(-1)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the screen of {}:\n{}\n---", self.container.name, self.screen());
        }
        let _ = self.docker.kill();
        let _ = self.docker.wait();
    }
}

/// The two ends of a new pseudo-terminal: ours, theirs.
fn pair() -> (File, OwnedFd) {
    let (mut ours, mut theirs) = (-1, -1);
    let size = libc::winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the pointers are valid for the call, or null where that is allowed.
    let result = unsafe {
        libc::openpty(&raw mut ours, &raw mut theirs, std::ptr::null_mut(), std::ptr::null(), &raw const size)
    };
    assert_eq!(result, 0, "openpty");
    for fd in [ours, theirs] {
        // SAFETY: a descriptor of ours.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    // SAFETY: openpty has just made them, and nobody else has them.
    unsafe { (File::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs)) }
}
