//! `[hooks] before_start`, and directories of scripts that are a oneshot: executables one after the other, each bounded,
//! its lines with its name before them, and what it writes to `RINIT_ENV` seen by those that follow.
//!
//! All of it is done in a process that may wait: the helper that prepares a start, or rinit's own file as a oneshot
//! ([`oneshot`]).

mod names;
pub mod oneshot;
mod run;

use super::{PrepareContext, PrepareFailure};
use crate::checks::facts;
use crate::cli::LogLevel;
use crate::config::HookRules;
use crate::exit_code;
use crate::model::environ::Environ;
use crate::output;
use crate::service::launcher::Starter;
use crate::sys::fs::{files, mounts, stat, trust};
use crate::sys::process::credentials;
use crate::text::escape::on_one_line;
use crate::text::gather::Gather;
use crate::text::sort::sort;
use crate::text::template::fill;
use names::VersionName;
use run::HookProcess;

/// As much of a file as is looked at for its first line.
const MAX_FIRST_LINE: usize = 256;

/// Why the hooks are over.
pub struct HookFailure {
    /// That of the hook, or what stands for the reason.
    pub code: u8,
    /// In words that follow the hook's name.
    pub why: String,
}

impl HookFailure {
    fn new(why: String) -> Self {
        Self { code: exit_code::CHECK_FAILED, why }
    }
}

/// Runs hooks.
pub struct Hooks<'a> {
    rules: &'a HookRules,
    process: HookProcess,
}

/// A hook that is to be run: its words, of which the first is not a path where an interpreter is.
struct Hook {
    name: String,
    words: Vec<String>,
}

/// Runs what is at a path before anything is started.
pub fn before_start(
    context: &mut PrepareContext,
    path: &str,
    rules: &HookRules,
) -> Result<(), PrepareFailure> {
    let mut hooks = Hooks::new(rules, context.environ.clone());
    let done = hooks.run(path);
    for (name, value) in hooks.process.exported {
        context.export(&name, &value);
    }
    done.map_err(|failure| PrepareFailure::does_not_hold(fill!("hooks.before_start: {}", failure.why)))
}

impl<'a> Hooks<'a> {
    fn new(rules: &'a HookRules, environ: Environ) -> Self {
        // Blocked, signals are looked for; a reader that has gone is an error and not the end.
        let inherited = crate::sys::event::signals::take_over();
        // What a hook leaves behind comes to this process, and is seen.
        let _ = crate::sys::become_subreaper();
        let mut starter = Starter::bare(inherited, crate::sys::process::spawn::SessionMode::Session);
        starter.environ = Some(environ);
        starter.null = crate::sys::stdio::open_null();
        Self { rules, process: HookProcess::new(starter) }
    }

    /// Runs the file at a path, or all that are meant in the directory there.
    fn run(&mut self, path: &str) -> Result<(), HookFailure> {
        let found = stat::stat(path).map_err(|error| {
            HookFailure::new(fill!(
                "{}: {}; make it in the image, mount it, or say when_exists = \"{}\"",
                path,
                &facts::why(&error),
                path
            ))
        })?;
        self.check_trust(path)?;
        if !found.dir {
            let name = path.rsplit('/').next().unwrap_or(path).to_string();
            let hook = self.hook(path, name).map_err(|why| HookFailure::new(fill!("{}: {}", path, why)))?;
            return self.process.run(&hook.name, &hook.words, self.rules);
        }
        let names =
            stat::list(path).map_err(|error| HookFailure::new(fill!("{}: {}", path, &facts::why(&error))))?;
        let mut names: Vec<VersionName> = names.into_iter().map(VersionName).gather();
        sort(&mut names);
        let mut skipped = Vec::new();
        for VersionName(name) in names {
            if let Some(why) = names::why_not(&name) {
                skipped.push((name, why.to_string()));
                continue;
            }
            let full = fill!("{}/{}", path.trim_end_matches('/'), name);
            self.check_trust(&full)?;
            match self.hook(&full, name.clone()) {
                Ok(hook) => self.process.run(&hook.name, &hook.words, self.rules)?,
                Err(why) => skipped.push((name, why)),
            }
        }
        tell_skipped(path, &skipped);
        Ok(())
    }

    /// What is run of a file; the error says why nothing is.
    fn hook(&self, path: &str, name: String) -> Result<Hook, String> {
        let found = stat::stat(path).map_err(|error| facts::why(&error))?;
        if !found.file {
            return Err(if found.dir { "a directory" } else { "no file" }.into());
        }
        if name.ends_with(".envsh") {
            let text = "is made to be sourced by a shell, and is run: what it exports is lost; let it write to the file $RINIT_ENV";
            output::line(LogLevel::Warn, "", &fill!("hook {}: {}", path, text));
        }
        if found.mode & 0o111 != 0 {
            return Ok(Hook { name, words: vec![path.into()] });
        }
        let first = files::slurp(path, MAX_FIRST_LINE).unwrap_or_default();
        let by_name = || name.ends_with(".sh").then(|| vec!["/bin/sh".to_string()]);
        let words = names::interpreter(&first).or_else(by_name);
        match words {
            // Nobody can give it the bit where it lies, and who made the mount has no say in it either.
            Some(mut words) if is_fixed(path) => {
                words.push(path.into());
                Ok(Hook { name, words })
            }
            Some(_) => Err("not executable: chmod +x it (in a Dockerfile: COPY --chmod=755)".into()),
            None => Err("neither executable nor a script with a first line #!".into()),
        }
    }

    /// Whether somebody without privileges could have written what is to be run.
    fn check_trust(&self, path: &str) -> Result<(), HookFailure> {
        let own = credentials::current();
        let (_, loophole) = trust::look(path, (own.uid, own.gid))
            .map_err(|error| HookFailure::new(fill!("{}: {}", path, &facts::why(&error))))?;
        let Some(at) = loophole.filter(|_| !self.rules.trusted) else { return Ok(()) };
        Err(HookFailure::new(fill!(
            "{}: not run, for others in this container could have changed it: {} has the owner {}, the group {} and the mode 0{}; chown root: and chmod go-w it, mount it read-only, or say trusted = true",
            path,
            &at.path,
            &at.uid.to_string(),
            &at.gid.to_string(),
            &format!("{:o}", at.mode)
        )))
    }
}

/// Whether a file lies on a read-only mount of its own: a ConfigMap, a config of Swarm, a volume with `:ro`.
fn is_fixed(path: &str) -> bool {
    let mounts = mounts::read().unwrap_or_default();
    trust::is_read_only(path)
        && mounts::lies_on(&mounts, path)
            .is_ok_and(|found| found.is_some_and(|(mount, _)| mount.point != "/"))
}

fn tell_skipped(path: &str, skipped: &[(String, String)]) {
    let told: Vec<String> = skipped
        .iter()
        .filter(|(_, why)| !why.is_empty())
        .map(|(name, why)| fill!("{} ({})", &on_one_line(name), why))
        .gather();
    if told.is_empty() {
        return;
    }
    // What was meant to run, and is not, weighs more than an editor's backup.
    let meant = skipped.iter().any(|(_, why)| why.starts_with("not executable") || why.starts_with("a name"));
    let level = if meant { LogLevel::Warn } else { LogLevel::Info };
    output::line(level, "", &fill!("hooks: not run in {}: {}", path, &told.join(", ")));
}
