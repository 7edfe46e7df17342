//! Each kind of check on real things: one that holds, one that does not, for the reason that it exists.

mod files;
mod given;
mod peers;
mod programs;

use crate::harness::{Ended, Init, Launch};

/// What `--check` said of each check, by its name.
struct Report {
    ended: Ended,
}

/// rinit with these checks, to be run.
fn checking(checks: &str) -> Launch {
    Init::config(checks).args(&["--check", "--format", "json"])
}

fn report(launch: Launch) -> Report {
    Report { ended: launch.run() }
}

impl Report {
    /// Status and found.
    #[track_caller]
    fn of(&self, name: &str) -> (&str, &str) {
        let named = format!("\"name\":\"{name}\"");
        let line = self.ended.out.lines().find(|line| line.contains(&named));
        let line = line.unwrap_or_else(|| panic!("no {name}\n{}", self.ended.story()));
        let field = |key: &str| {
            let (_, rest) = line.split_once(&format!("\"{key}\":\"")).expect("a field");
            rest.split("\",\"").next().unwrap_or_default()
        };
        (field("status"), field("found"))
    }

    /// These hold.
    #[track_caller]
    fn pass(&self, names: &[&str]) -> &Self {
        for name in names {
            assert_eq!(self.of(name).0, "pass", "{name}\n{}", self.ended.story());
        }
        self
    }

    /// This does not, because of that.
    #[track_caller]
    fn fail(&self, name: &str, found: &str) -> &Self {
        let (status, told) = self.of(name);
        assert!(status == "fail" && told.contains(found), "{name}: {found}\n{}", self.ended.story());
        assert_eq!(self.ended.code(), 69, "{}", self.ended.story());
        self
    }
}
