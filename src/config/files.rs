//! Which files are the configuration, and what they say when laid over each other.

use super::fault::{At, Fault, Sources};
use super::tree::{self, Node, Value};
use std::io;

/// What is read when nobody says what to read, as far as it exists.
pub const DEFAULT_FILE: &str = "/etc/rinit.toml";
/// See [`DEFAULT_FILE`].
pub const DEFAULT_FOLDER: &str = "/etc/rinit.d";

/// How files are read: `crate::sys::files` in the program, a list in a test.
pub struct Io<'a> {
    /// The bytes of a file.
    pub read: &'a dyn Fn(&str) -> io::Result<Vec<u8>>,
    /// The paths of a folder's `*.toml`, in name order.
    pub list: &'a dyn Fn(&str) -> io::Result<Vec<String>>,
}

/// The configuration as it is written: the texts, and the tree that they make together.
#[derive(Debug)]
pub struct Files {
    /// The texts, for messages.
    pub sources: Sources,
    /// All files, later ones laid over earlier ones.
    pub root: Node,
}

/// Reads the configuration. `paths` are those of `--config`, `variable` is `$RINIT_CONFIG`, which counts when there are none.
/// `None`: nothing was named and neither of the default places exists.
pub fn load(paths: &[String], variable: Option<&str>, io: &Io<'_>, faults: &mut Vec<Fault>) -> Option<Files> {
    let root = Node { value: Value::Table(Vec::new()), at: At::default() };
    let mut loader = Loader { io, files: Files { sources: Sources::default(), root }, faults };
    match variable.filter(|path| !path.is_empty()) {
        _ if !paths.is_empty() => paths.iter().for_each(|path| loader.named(path, "--config")),
        Some(path) => loader.named(path, "RINIT_CONFIG"),
        None => {
            if !loader.defaults() {
                return None;
            }
        }
    }
    Some(loader.files)
}

struct Loader<'l> {
    io: &'l Io<'l>,
    files: Files,
    faults: &'l mut Vec<Fault>,
}

impl Loader<'_> {
    /// A path that somebody named: what is wrong with it is a fault. `by` says where it was named.
    fn named(&mut self, path: &str, by: &str) {
        match (self.io.read)(path) {
            Ok(bytes) => self.add(path, bytes),
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
                let listed = (self.io.list)(path);
                match listed {
                    Ok(found) if found.is_empty() => {
                        self.fault(format!(
                            "{by}: the folder {path} holds no *.toml; put a file into it, or name another"
                        ));
                    }
                    Ok(found) => found.iter().for_each(|file| self.member(file)),
                    Err(error) => self.fault(format!("{by}: the folder {path} {}", reason(&error))),
                }
            }
            Err(error) => {
                self.fault(format!(
                    "{by}: {path} {}; expected a file, or a folder with *.toml",
                    reason(&error)
                ));
            }
        }
    }

    /// The default places; false when neither exists.
    fn defaults(&mut self) -> bool {
        let mut any = true;
        match (self.io.read)(DEFAULT_FILE) {
            Ok(bytes) => self.add(DEFAULT_FILE, bytes),
            Err(error) if absent(&error) => any = false,
            Err(error) => self.fault(format!("{DEFAULT_FILE} {}", reason(&error))),
        }
        match (self.io.list)(DEFAULT_FOLDER) {
            Ok(found) => {
                any |= !found.is_empty();
                found.iter().for_each(|file| self.member(file));
            }
            Err(error) if absent(&error) => {}
            Err(error) => {
                any = true;
                self.fault(format!("the folder {DEFAULT_FOLDER} {}", reason(&error)));
            }
        }
        any
    }

    fn member(&mut self, file: &str) {
        match (self.io.read)(file) {
            Ok(bytes) => self.add(file, bytes),
            Err(error) => self.fault(format!("{file} {}", reason(&error))),
        }
    }

    fn add(&mut self, path: &str, bytes: Vec<u8>) {
        let text = String::from_utf8(bytes).map_err(|error| {
            let good = error.utf8_error().valid_up_to();
            // Up to the fault the text is as it was, so that the place is right.
            (String::from_utf8_lossy(error.as_bytes()).into_owned(), good)
        });
        match text {
            Ok(text) => {
                let file = self.files.sources.add(path.to_string(), text);
                let above = tree::parse(&self.files.sources, file, self.faults);
                tree::merge(&mut self.files.root, above);
            }
            Err((text, good)) => {
                let file = self.files.sources.add(path.to_string(), text);
                let start = u32::try_from(good).unwrap_or(u32::MAX);
                let at = At { file, start, end: start.saturating_add(1) };
                let message = "not UTF-8: found a byte that is no character; save the file as UTF-8".into();
                self.faults.push(Fault { at: Some(at), message });
            }
        }
    }

    fn fault(&mut self, message: String) {
        self.faults.push(Fault { at: None, message });
    }
}

fn absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Why a file could not be read, in words that follow its name.
#[must_use]
pub fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "does not exist".into(),
        io::ErrorKind::PermissionDenied => "may not be read by this user".into(),
        io::ErrorKind::IsADirectory => "is a folder".into(),
        _ if error.raw_os_error().is_some() => {
            let text = error.to_string();
            let plain = text.split(" (os error").next().unwrap_or(&text);
            format!("cannot be read: {}", plain.to_lowercase())
        }
        _ => error.to_string(),
    }
}
