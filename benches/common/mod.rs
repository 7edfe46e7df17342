//! Common to all benchmarks: starting programs, showing samples, the command line.

// Each benchmark compiles its own copy and uses parts of it.
#![allow(dead_code)]

pub mod start;
pub mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use table::Table;

/// The parsed command line.
pub struct Options {
    pub markdown: bool,
    /// A tenth of the samples: a quick check that it works.
    pub quick: bool,
    wanted: Vec<String>,
}

/// Something to measure, with its name.
pub type Subject<T> = (&'static str, fn(&T, &Options) -> Vec<Table>);

impl Options {
    /// Parses the arguments; exits if they are wrong, or without root.
    pub fn read<T>(subjects: &[Subject<T>]) -> Self {
        let mut options = Self { markdown: false, quick: false, wanted: Vec::new() };
        for word in std::env::args().skip(1) {
            match word.as_str() {
                "--markdown" => options.markdown = true,
                "--quick" => options.quick = true,
                "--bench" => {} // cargo's own
                word if subjects.iter().any(|(name, _)| *name == word) => {
                    options.wanted.push(word.to_owned())
                }
                word => {
                    let names: Vec<&str> = subjects.iter().map(|(name, _)| *name).collect();
                    eprintln!("no subject {word}: there are {}", names.join(", "));
                    std::process::exit(64);
                }
            }
        }
        // SAFETY: no arguments.
        if unsafe { libc::geteuid() } != 0 {
            eprintln!("a namespace of its own needs root");
            std::process::exit(77);
        }
        options
    }

    /// Returns the number of samples for a full run's `count`.
    pub fn samples(&self, count: usize) -> usize {
        if self.quick { (count / 10).max(3) } else { count }
    }

    /// Measures the selected subjects and prints the tables as they come, then the bars; as Markdown: below `preface`,
    /// with the bars first.
    pub fn measure<T>(&self, subjects: &[Subject<T>], of: &T, preface: impl FnOnce() -> String) {
        let mut bars = Vec::new();
        let mut tables = String::new();
        for (name, subject) in subjects {
            if !self.wanted.is_empty() && !self.wanted.iter().any(|wanted| wanted == name) {
                continue;
            }
            for table in subject(of, self) {
                let text = table.text(self.markdown);
                if self.markdown {
                    tables.push_str(&text);
                } else {
                    print!("{text}");
                }
                bars.extend(table.judged());
            }
        }
        let bars = table::bars(&bars, self.markdown);
        if self.markdown {
            print!("{}{bars}\n## The figures\n\n{tables}", preface());
        } else {
            print!("{bars}");
        }
    }
}

/// Creates a temporary directory on disk.
pub fn directory(name: &str) -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    directory
}

/// Copies the binaries under test into a directory: `$RINIT_BIN` or else the musl release build, and `$RINIT_SMALL`.
pub fn ours(directory: &Path) -> Vec<(&'static str, String)> {
    let built = format!("{}/../x86_64-unknown-linux-musl/release/rinit", env!("CARGO_TARGET_TMPDIR"));
    let ours = std::env::var("RINIT_BIN").unwrap_or(built);
    assert!(
        Path::new(&ours).exists(),
        "no {ours}: cargo build --release --target x86_64-unknown-linux-musl, or set RINIT_BIN"
    );
    let copy = |name: &'static str, from: &str| {
        let path = directory.join(name).to_str().unwrap().to_owned();
        fs::copy(from, &path).unwrap();
        (name, path)
    };
    let small = std::env::var("RINIT_SMALL").ok().map(|small| copy("rinit-small", &small));
    std::iter::once(copy("rinit", &ours)).chain(small).collect()
}

/// Describes when and where it was measured, and the size of the binaries.
pub fn circumstances<'a>(ours: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let cpus = std::thread::available_parallelism().unwrap();
    let (date, kernel) = (output("date", &["-u", "+%Y-%m-%d"]), output("uname", &["-rm"]));
    let mut text =
        format!("Measured on {date}, Linux {kernel}, {cpus} CPUs, with other work on the machine.\n\n");
    for (name, path) in ours {
        text.push_str(&format!("- {name}: {} bytes\n", fs::metadata(path).unwrap().len()));
    }
    text
}

/// Returns the output of a program.
pub fn output(program: &str, words: &[&str]) -> String {
    let out = Command::new(program).args(words).output().unwrap();
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^52 ns")]
pub fn micros(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1000.0
}
