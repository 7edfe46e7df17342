//! The programs under test: their paths, and how each is asked to start a command.

use super::common;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The text above the tables in `benches/RESULTS.md`.
const PREFACE: &str = "\
# rinit beside its peers

What is measured and how: [docs/performance.md](../docs/performance.md). To repeat it, as root, with the peers installed
(Debian: tini dumb-init catatonit s6 runit daemontools supervisor):

```sh
cargo build --release --target x86_64-unknown-linux-musl
.ci/release
export RINIT_SMALL=$PWD/target/released/x86_64-unknown-linux-musl/release/rinit
cargo bench --bench peers -- --markdown >benches/RESULTS.md
benches/cost.sh >>benches/RESULTS.md
```

`rinit` is what the first line builds, `rinit-small` the file that is released. `direct` is no init at all, `bare` one without a C library that only does vfork, exec and
wait: the floor, and no peer. n is the number of samples; ratios are of medians within this run. What is not met, and what limits
it, is told in docs/performance.md too.

";

/// An init for one command.
pub struct Init {
    pub name: &'static str,
    path: String,
    /// The arguments between its name and the command.
    before: &'static [&'static str],
}

impl Init {
    /// Returns the words that start this command under it.
    pub fn words(&self, command: &[&str]) -> Vec<String> {
        let path = (!self.path.is_empty()).then_some(self.path.as_str());
        path.into_iter()
            .chain(self.before.iter().copied())
            .chain(command.iter().copied())
            .map(str::to_owned)
            .collect()
    }

    pub fn path(&self) -> &str {
        &self.path
    }
}

/// All programs that were found.
pub struct Programs {
    /// rinit, its peers for one command, `direct`, which is no init at all, and `bare`, which has no C library and
    /// only does vfork, exec and wait.
    pub inits: Vec<Init>,
    /// The program that they start.
    pub probe: String,
    /// A temporary directory on disk.
    pub directory: PathBuf,
}

impl Programs {
    pub fn find() -> Self {
        let directory = common::directory("peers");
        let probe = build_probe(&directory);
        let mut inits = vec![
            Init { name: "direct", path: String::new(), before: &[] },
            Init { name: "bare", path: probe.clone(), before: &["bare", "0", "--"] },
        ];
        let ours = common::ours(&directory).into_iter();
        inits.extend(ours.map(|(name, path)| Init { name, path, before: &["--"] }));
        for name in ["tini", "tini-static", "dumb-init", "catatonit"] {
            match find(name) {
                Some(path) => inits.push(Init { name, path, before: &["--"] }),
                None => eprintln!("{name} is not installed"),
            }
        }
        // Pages of a file that is not written to disk yet would count as private and dirty.
        // SAFETY: no arguments.
        unsafe { libc::sync() };
        Self { inits, probe, directory }
    }

    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.inits.iter().map(|init| init.name)
    }

    /// rinit, and the second binary if any.
    pub fn ours(&self) -> impl Iterator<Item = &Init> {
        self.inits.iter().filter(|init| init.name.starts_with("rinit"))
    }

    /// Returns the probe's words for one of its roles.
    pub fn probe<'a>(&'a self, role: &[&'a str]) -> Vec<&'a str> {
        [&[self.probe.as_str()], role].concat()
    }

    /// Returns the text above the tables.
    pub fn preface(&self) -> String {
        let mut text = String::from(PREFACE);
        text.push_str(&common::circumstances(self.ours().map(|init| (init.name, init.path()))));
        let packages = ["tini", "dumb-init", "catatonit", "s6", "runit", "daemontools", "supervisor"];
        let query = [&["-W", "-f=${Package} ${Version}, "], &packages[..]].concat();
        let versions = common::output("dpkg-query", &query);
        writeln!(text, "- peers (Debian): {}\n", versions.trim_end_matches([',', ' '])).unwrap();
        text
    }
}

/// Returns the path of an installed program.
pub fn find(name: &str) -> Option<String> {
    let path = std::env::var("PATH").unwrap_or_default();
    let places = path.split(':').map(|directory| format!("{directory}/{name}"));
    places.into_iter().find(|path| Path::new(path).is_file())
}

/// Builds the probe, which has no C library: cargo's targets do not help there.
fn build_probe(directory: &Path) -> String {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/probe.rs");
    let target = directory.join("probe").to_str().unwrap().to_owned();
    let codegen = ["opt-level=2", "panic=abort", "relocation-model=static", "strip=symbols"];
    let link =
        ["-nostdlib", "-nostartfiles", "-static", "-no-pie", "-Wl,--build-id=none", "-Wl,-z,noseparate-code"];
    let mut rustc = Command::new(std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned()));
    rustc.args(["--edition", "2024", "--crate-type", "bin", source, "-o", &target]);
    rustc.args(codegen.iter().flat_map(|word| ["-C", word]));
    rustc.args(link.iter().map(|word| format!("-Clink-arg={word}")));
    assert!(rustc.status().unwrap().success(), "the probe does not build");
    target
}
