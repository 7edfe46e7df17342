//! Which files are the configuration, and what they say when laid over each other.

use super::diagnostic::{Diagnostic, SourceMap, Span};
use super::document::{self, Node, Value};
use crate::text::template::fill;
use std::io;

/// What is read when nobody says what to read, as far as it exists.
pub const DEFAULT_FILE: &str = "/etc/rinit.toml";
/// See [`DEFAULT_FILE`].
pub const DEFAULT_DIRECTORY: &str = "/etc/rinit.d";

/// How files are read: `crate::sys::fs::files` in the program, a list in a test.
pub struct Io<'a> {
    /// The bytes of a file.
    pub read: &'a dyn Fn(&str) -> io::Result<Vec<u8>>,
    /// The paths of a directory's `*.toml`, in name order.
    pub list: &'a dyn Fn(&str) -> io::Result<Vec<String>>,
    /// Why one could not be read, in words that follow its name: [`crate::text::io_error::unreadable`], and what is known of the path.
    pub why: &'a dyn Fn(&str, &io::Error) -> String,
}

/// The configuration as it is written: the texts, and the tree that they make together.
#[derive(Debug)]
pub struct Files {
    /// The texts, for messages.
    pub sources: SourceMap,
    /// All files, later ones laid over earlier ones.
    pub root: Node,
}

impl Files {
    /// Where a key of a service stands, or that of `[defaults]`.
    #[must_use]
    pub fn at_of(&self, service: &str, key: &str) -> Option<Span> {
        let own = self.root.get("services").and_then(|services| services.get(service)?.get(key));
        own.or_else(|| self.root.get("defaults")?.get(key)).map(|node| node.at)
    }
}

/// Reads the configuration. `paths` are those of `--config`, `variable` is `$RINIT_CONFIG`, which counts when there are none.
/// `None`: nothing was named and neither of the default places exists.
pub fn load(
    paths: &[String],
    variable: Option<&str>,
    io: &Io<'_>,
    faults: &mut Vec<Diagnostic>,
) -> Option<Files> {
    let root = Node { value: Value::Table(Vec::new()), at: Span::default() };
    let mut loader = Loader { io, files: Files { sources: SourceMap::default(), root }, faults };
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
    faults: &'l mut Vec<Diagnostic>,
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
                        self.fault(fill!(
                            "{}: the directory {} holds no *.toml; put a file into it, or name another",
                            by,
                            path
                        ));
                    }
                    Ok(found) => found.iter().for_each(|file| self.member(file)),
                    Err(error) => {
                        self.fault(fill!("{}: the directory {} {}", by, path, (self.io.why)(path, &error)))
                    }
                }
            }
            Err(error) => {
                let refused = error.kind() == io::ErrorKind::PermissionDenied;
                self.fault(fill!(
                    "{}: {} {}{}",
                    by,
                    path,
                    (self.io.why)(path, &error),
                    if refused { "" } else { "; expected a file, or a directory with *.toml" }
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
            Err(error) => self.fault(format!("{DEFAULT_FILE} {}", (self.io.why)(DEFAULT_FILE, &error))),
        }
        match (self.io.list)(DEFAULT_DIRECTORY) {
            Ok(found) => {
                any |= !found.is_empty();
                found.iter().for_each(|file| self.member(file));
            }
            Err(error) if absent(&error) => {}
            Err(error) => {
                any = true;
                let why = (self.io.why)(DEFAULT_DIRECTORY, &error);
                self.fault(format!("the directory {DEFAULT_DIRECTORY} {why}"));
            }
        }
        any
    }

    fn member(&mut self, file: &str) {
        match (self.io.read)(file) {
            Ok(bytes) => self.add(file, bytes),
            Err(error) => self.fault(fill!("{} {}", file, (self.io.why)(file, &error))),
        }
    }

    fn add(&mut self, path: &str, bytes: Vec<u8>) {
        let text = String::from_utf8(unix_line_ends(bytes)).map_err(|error| {
            let good = error.utf8_error().valid_up_to();
            // Up to the fault the text is as it was, so that the place is right.
            (String::from_utf8_lossy(error.as_bytes()).into_owned(), good)
        });
        match text {
            Ok(text) => {
                let file = self.files.sources.add(path.to_string(), text);
                let above = document::parse(&self.files.sources, file, self.faults);
                document::merge(&mut self.files.root, above);
            }
            Err((text, good)) => {
                let file = self.files.sources.add(path.to_string(), text);
                let start = u32::try_from(good).unwrap_or(u32::MAX);
                let at = Span { file, start, end: start.saturating_add(1) };
                let message = "not UTF-8: found a byte that is no character; save the file as UTF-8".into();
                self.faults.push(Diagnostic { at: Some(at), message });
            }
        }
    }

    fn fault(&mut self, message: String) {
        self.faults.push(Diagnostic { at: None, message });
    }
}

/// The line ends of a string of several lines are those that a shell understands, wherever the file was written. Before
/// all else, so that every place is one of the text that is kept. A `\r\r\n` is left to be the fault that it is.
fn unix_line_ends(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.contains(&b'\r') {
        let mut next = bytes.clone().into_iter().skip(1);
        let mut before = 0;
        bytes.retain(|byte| {
            let ends = next.next() == Some(b'\n') && *byte == b'\r' && before != b'\r';
            before = *byte;
            !ends
        });
    }
    bytes
}

fn absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::super::files::*;
    use std::cell::RefCell;

    /// A disk of a test: files by path, directories by a path that ends in `/`. Notes what was opened.
    fn load_from(
        disk: &[(&str, &[u8])],
        paths: &[&str],
        variable: Option<&str>,
    ) -> (Option<Files>, Vec<String>, Vec<String>) {
        let opened = RefCell::new(Vec::new());
        let gone = || io::Error::from(io::ErrorKind::NotFound);
        let read = |path: &str| {
            opened.borrow_mut().push(path.to_string());
            let directory = format!("{}/", path.trim_end_matches('/'));
            match disk.iter().find(|(name, _)| *name == path) {
                Some((_, bytes)) => Ok(bytes.to_vec()),
                None if disk.iter().any(|(name, _)| name.starts_with(&directory)) => {
                    Err(io::Error::from(io::ErrorKind::IsADirectory))
                }
                None => Err(gone()),
            }
        };
        let list = |path: &str| {
            opened.borrow_mut().push(format!("{path}/"));
            let directory = format!("{}/", path.trim_end_matches('/'));
            let found = disk.iter().map(|(name, _)| *name).filter(|name| name.starts_with(&directory));
            if !found.clone().any(|_| true) {
                return Err(gone());
            }
            Ok(found.filter(|name| name.ends_with(".toml")).map(str::to_string).collect())
        };
        let paths: Vec<String> = paths.iter().map(|path| (*path).to_string()).collect();
        let mut faults = Vec::new();
        let files = load(
            &paths,
            variable,
            &Io { read: &read, list: &list, why: &|_, error| crate::text::io_error::unreadable(error) },
            &mut faults,
        );
        let sources = files.as_ref().map(|files| &files.sources);
        let told = faults.iter().map(|fault| match (sources, fault.at) {
            (Some(sources), Some(at)) => {
                let (name, line, column) = sources.place(at);
                format!("{name}:{line}:{column}: {}", fault.message)
            }
            _ => fault.message.clone(),
        });
        let told = told.collect();
        (files, told, opened.into_inner())
    }

    fn names(files: Option<Files>) -> Vec<String> {
        files.expect("files").sources.names().map(str::to_string).collect()
    }

    #[test]
    fn nothing_there_costs_two_opens() {
        let (files, faults, opened) = load_from(&[], &[], Some(""));
        assert!(files.is_none() && faults.is_empty());
        assert_eq!(opened, ["/etc/rinit.toml", "/etc/rinit.d/"]);
    }

    #[test]
    fn the_option_goes_before_the_variable_and_that_before_the_default_places() {
        let disk: &[(&str, &[u8])] = &[
            ("/etc/rinit.toml", b""),
            ("/etc/rinit.d/10.toml", b""),
            ("/etc/rinit.d/20.toml", b""),
            ("/etc/rinit.d/readme", b""),
            ("/a.toml", b""),
        ];
        assert_eq!(
            names(load_from(disk, &[], None).0),
            ["/etc/rinit.toml", "/etc/rinit.d/10.toml", "/etc/rinit.d/20.toml"]
        );
        assert_eq!(names(load_from(disk, &[], Some("/a.toml")).0), ["/a.toml"]);
        let (files, faults, _) = load_from(disk, &["/etc/rinit.d", "/a.toml"], Some("/none"));
        assert_eq!(names(files), ["/etc/rinit.d/10.toml", "/etc/rinit.d/20.toml", "/a.toml"]);
        assert_eq!(faults, [""; 0]);
    }

    #[test]
    fn what_cannot_be_read_is_told_and_the_rest_is_read() {
        let disk: &[(&str, &[u8])] = &[
            ("/bytes.toml", b"a = 1\nb = \"\xff\""),
            ("/syntax.toml", b"x = \ny = 2"),
            ("/empty/readme", b""),
        ];
        let paths = ["/none.toml", "/bytes.toml", "/syntax.toml", "/empty"];
        let (files, faults, _) = load_from(disk, &paths, None);
        assert_eq!(faults.len(), 4, "{faults:?}");
        assert!(faults[0].starts_with("--config: /none.toml does not exist; expected a file"), "{faults:?}");
        assert!(faults[1].starts_with("/bytes.toml:2:6: not UTF-8"), "{faults:?}");
        assert!(faults[2].starts_with("/syntax.toml:1:"), "{faults:?}");
        assert!(faults[3].contains("/empty holds no *.toml"), "{faults:?}");
        assert_eq!(names(files), ["/bytes.toml", "/syntax.toml"]);
        assert!(load_from(&[], &[], Some("/x")).1[0].starts_with("RINIT_CONFIG: /x does not exist"));
    }

    #[test]
    fn line_ends_of_windows_are_those_of_unix() {
        let text = b"a = '''\r\nx\r\ny'''\r\nb = \"\"\"\r\nz\\r\\n\\r\r\nw\"\"\"\r\nc = 1\r\n";
        let wrong = [text, &b"# \xff\r\n"[..]].concat();
        let (files, faults, _) = load_from(&[("/v", text), ("/w", &wrong)], &["/v", "/w"], None);
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].starts_with("/w:8:3: not UTF-8"), "{faults:?}");
        let root = files.expect("files").root;
        let of = |key| root.get(key).map(|node| &node.value);
        assert_eq!(of("a"), Some(&Value::Text("x\ny".into())));
        assert_eq!(of("b"), Some(&Value::Text("z\r\n\r\nw".into())));
        assert_eq!(of("c"), Some(&Value::Integer(1)));
        assert_eq!(load_from(&[("/r", b"a = 1\r\r\n")], &["/r"], None).1.len(), 1);
    }

    #[test]
    fn a_number_that_is_none_is_told_once() {
        let text = b"a = 0x\nb = 0b2\nc = 99999999999999999999\n";
        let mut faults = load_from(&[("/n", text)], &["/n"], None).1;
        faults.sort_unstable();
        assert_eq!(
            faults,
            [
                "/n:1:5: not TOML: a number without digits",
                "/n:2:7: not TOML: invalid binary number",
                "/n:3:5: a number that no computer word can hold"
            ]
        );
    }

    #[test]
    fn a_later_file_is_laid_over_table_by_table() {
        let disk: &[(&str, &[u8])] =
            &[("/1.toml", b"[a]\nx = 1\ny = [1, 2]\n[b]\nz = 1"), ("/2.toml", b"[a]\ny = [3]\nw = 4")];
        let files = load_from(disk, &["/1.toml", "/2.toml"], None).0.expect("files");
        let shown = crate::launch::explain::explain(Some(&files), &crate::config::Plan::default());
        assert_eq!(
            shown,
            "keys:\n  a.x = 1  (/1.toml:2)\n  a.y = [3]  (/2.toml:2)\n  a.w = 4  (/2.toml:3)\n  b.z = 1  (/1.toml:5)\n"
        );
    }
}
