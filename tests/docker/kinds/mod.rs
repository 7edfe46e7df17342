//! Every kind of check, in containers where it passes and in containers where it fails for the reason that it is
//! there for. A failure tells what was found, what was expected, and what to do; where that can be done here, the
//! test does it, word for word, and the container starts.

mod files;
mod given;
mod machine;
mod names;
mod peers;
mod programs;
mod rights;
mod storage;

use crate::engine::{Ran, run, unique};
use crate::images::{Config, debian, workplace};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::{fs, slice};

/// What starts when the checks hold.
const COMMAND: [&str; 3] = ["--", "echo", "started"];

/// The container of these checks, run with `options` to its end.
fn checked(checks: &str, options: &[&str]) -> Ran {
    let config = Config::new(checks);
    run(&[options, slice::from_ref(&config.mount.as_str())].concat(), debian(), &COMMAND)
}

/// The checks hold: the command runs, and rinit has nothing to say.
#[track_caller]
fn starts(checks: &str, options: &[&str]) {
    let ran = checked(checks, options);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "started\n", ""), "{options:?}: {ran:?}");
}

/// They do not: nothing is started, and each of `parts` is told.
#[track_caller]
fn refuses(checks: &str, options: &[&str], parts: &[&str]) {
    let ran = checked(checks, options);
    assert_eq!((ran.code, ran.out.as_str()), (69, ""), "{options:?}: {ran:?}");
    assert!(ran.err.contains("nothing was started"), "{ran:?}");
    tells(&ran, parts);
}

#[track_caller]
fn tells(ran: &Ran, parts: &[&str]) {
    for part in parts {
        assert!(ran.err.contains(part), "no {part:?} in\n{}", ran.err);
    }
}

/// A file that a container gets at a path, by the option of `docker run` in it; removed at the end of its scope.
struct Given {
    path: PathBuf,
    /// `--volume=…`, read-only as a secret is.
    mount: String,
}

impl Given {
    fn new(at: &str, content: impl AsRef<[u8]>, mode: u32) -> Self {
        let path = workplace().join(unique("given"));
        fs::write(&path, content).expect("a file under target");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode set");
        let mount = format!("--volume={}:{at}:ro", path.display());
        Self { path, mount }
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// A kind that is added wants its containers, too.
#[test]
fn no_kind_is_left_out() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/docker/kinds");
    let texts: Vec<String> = fs::read_dir(directory)
        .expect("this directory")
        .map(|entry| fs::read_to_string(entry.expect("an entry").path()).expect("text"))
        .collect();
    for kind in rinit::checks::KINDS {
        let table = format!("[checks.{}", kind.name);
        let shown =
            |text: &String| text.contains(&format!("{table}.")) || text.contains(&format!("{table}]"));
        assert!(texts.iter().any(shown), "no container with {table}");
    }
}
