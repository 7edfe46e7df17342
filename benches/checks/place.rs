//! The environment that the checks describe: files, mounts and variables, all as expected.

use super::common;
use std::ffi::CString;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The number of checks of each of the four kinds.
const EACH: usize = 50;

/// Services of ten lines each, with 200 checks of five: 2,000 lines.
const SERVICES: usize = 100;

/// The environment of all measurements.
pub struct Place {
    /// A temporary directory on disk.
    pub directory: PathBuf,
    /// The binaries under test.
    pub ours: Vec<(&'static str, String)>,
    /// The environment variables that the checks expect.
    pub variables: Vec<String>,
}

impl Place {
    /// Creates it. The mounts belong to this process and end with it.
    pub fn new() -> Self {
        let directory = common::directory("checks");
        own_mounts();
        let mut variables = ten_variables(&directory);
        for n in 0..EACH {
            file(&directory.join(format!("file{n}")), "some words\n", if n % 2 == 0 { 0o640 } else { 0o755 });
            tmpfs(&directory.join(format!("mount{n}")), n % 2 == 0);
            variables.push(format!("V{n}={}", form(n).2));
        }
        file(&directory.join("app.conf"), "listen = 8080\n", 0o640);
        file(&directory.join("start"), "#!/bin/sh\nexec true\n", 0o755);
        fs::create_dir(directory.join("data")).unwrap();
        tmpfs(&directory.join("state"), false);
        let ours = common::ours(&directory);
        // Write everything to disk before anything is measured.
        // SAFETY: no arguments.
        unsafe { libc::sync() };
        Self { directory, ours, variables }
    }

    /// Returns a path below the directory.
    pub fn path(&self, name: &str) -> String {
        self.directory.join(name).to_str().unwrap().to_owned()
    }

    /// Writes a configuration; returns its path.
    pub fn config(&self, name: &str, text: &str) -> String {
        file(&self.directory.join(name), text, 0o644);
        self.path(name)
    }

    /// 50 checks each of files, variables, mounts and the user, five lines each.
    pub fn many(&self) -> String {
        let directory = self.directory.to_str().unwrap();
        let mut text = String::new();
        for n in 0..EACH {
            let (mode, right) = if n % 2 == 0 { ("0640", "readable") } else { ("0755", "writable") };
            let file = format!("mode = \"{mode}\"\nowner = \"root\"\n{right} = true");
            writeln!(text, "[checks.file.\"{directory}/file{n}\"]\n{file}\n").unwrap();
            let (keys, more, _) = form(n);
            writeln!(text, "[checks.env.V{n}]\n{keys}\n{more}\nrequired = true\n").unwrap();
            let mode = if n % 2 == 0 { "ro" } else { "rw" };
            let mount = format!("mode = \"{mode}\"\nfstype = \"tmpfs\"\noptions = {{ has = [\"nosuid\"] }}");
            writeln!(text, "[checks.mount.\"{directory}/mount{n}\"]\n{mount}\n").unwrap();
            let who = if n % 2 == 0 { "root = true\nin_passwd = true" } else { "uid = 0\ngid = \"root\"" };
            writeln!(text, "[checks.user.u{n}]\nname = \"root\"\n{who}\n").unwrap();
        }
        text
    }

    /// The same, with 100 services.
    pub fn long(&self) -> String {
        let mut text = self.many();
        for n in 0..SERVICES {
            let after = n.saturating_sub(1);
            let needs = if n == 0 { "after = []".into() } else { format!("depends_on = [\"s{after}\"]") };
            write!(
                text,
                "[services.s{n}]\n\
                 command = [\"/usr/bin/app\", \"--worker\", \"{n}\"]\n\
                 {needs}\n\
                 restart = \"always\"\n\
                 user = \"root\"\n\
                 working_dir = \"/srv\"\n\
                 stop_grace_period = \"5s\"\n\
                 environment = {{ NUMBER = \"{n}\", BASE = \"${{APP}}/s{n}\" }}\n\
                 healthcheck = {{ tcp = 8080, interval = \"5s\", retries = 3 }}\n\n"
            )
            .unwrap();
        }
        assert_eq!(text.lines().count(), 2000, "the file has the length that it is said to have");
        text
    }
}

/// Returns the keys of a variable check, on two lines, and a valid value.
fn form(n: usize) -> (&'static str, &'static str, &'static str) {
    [
        ("type = \"int\"", "min = 1", "17"),
        ("type = \"url\"", "schemes = [\"http\", \"https\"]", "https://example.org:8443/path?query=1"),
        ("type = \"port\"", "min = 1024", "8080"),
        ("type = \"bool\"", "description = \"whether it is on\"", "true"),
        ("one_of = [\"debug\", \"info\", \"error\"]", "description = \"how much is said\"", "info"),
    ][n % 5]
}

/// Returns the variables for `ten.toml` and `ten.sh`.
fn ten_variables(directory: &Path) -> Vec<String> {
    let app = format!("APP={}", directory.to_str().unwrap());
    let url = "DATABASE_URL=postgres://app:secret@db:5432/app";
    [app.as_str(), url, "PORT=8080", "LOG_LEVEL=info", "WORKERS=4"].map(str::to_owned).to_vec()
}

fn file(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Enters a private mount namespace.
fn own_mounts() {
    // SAFETY: integers and constant strings.
    unsafe {
        assert_eq!(libc::unshare(libc::CLONE_NEWNS), 0, "{}", io::Error::last_os_error());
        let private = libc::MS_REC | libc::MS_PRIVATE;
        let done = libc::mount(c"".as_ptr(), c"/".as_ptr(), std::ptr::null(), private, std::ptr::null());
        assert_eq!(done, 0, "{}", io::Error::last_os_error());
    }
}

fn tmpfs(path: &Path, read_only: bool) {
    fs::create_dir(path).unwrap();
    let at = CString::new(path.to_str().unwrap()).unwrap();
    let flags = libc::MS_NOSUID | if read_only { libc::MS_RDONLY } else { 0 };
    // SAFETY: strings of ours.
    let done = unsafe {
        let kind = c"tmpfs".as_ptr();
        libc::mount(kind, at.as_ptr(), kind, flags, c"size=64k".as_ptr().cast())
    };
    assert_eq!(done, 0, "{}: {}", path.display(), io::Error::last_os_error());
}
