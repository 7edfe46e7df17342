//! Warns about users, directories, programs and templates in the configuration that the image lacks. Only a warning,
//! since a volume or a oneshot may provide them. Also reports faults of existing templates.

use super::{Launch, answer, bare};
use crate::checks::run::Interrupted;
use crate::checks::run::workers::Workers;
use crate::cli::LogLevel;
use crate::config::prepared::FileSource;
use crate::config::source::diagnostic::Diagnostic;
use crate::config::source::files::Files;
use crate::config::source::grouping;
use crate::config::{Plan, Service};
use crate::diagnosis;
use crate::exit_code;
use crate::model::environ::Environ;
use crate::output;
use crate::prepare;
use crate::received::Early;
use crate::service::launcher::Starter;
use crate::sys::executable::lookup;
use crate::sys::fs::stat;
use crate::sys::process::spawn::SessionMode;
use crate::text::template::fill;

impl Launch<'_> {
    /// `--validate`, for a configuration without other faults: checks its templates, and warns about what is missing.
    #[cold]
    pub(super) fn validate(&self, files: &Files, plan: &Plan, environ: &Environ, later: &[String]) -> u8 {
        let missing = self.warn_of_missing(files, plan, environ);
        let mut early = Early::new(&self.invocation.rewrites, &plan.whole.signals);
        let mut crew = Workers::new(self.ignored.clone(), &mut early);
        let steps = prepare::templates(plan, later);
        if steps.iter().any(|step| step.off.is_none()) {
            let done = match prepare::run(&steps, &files.sources, environ, &mut crew) {
                Ok(done) => done,
                Err(Interrupted(signal)) => return exit_code::of_signal(signal),
            };
            done.faults.iter().for_each(|fault| output::line(LogLevel::Error, "", fault));
            if done.code != 0 {
                return done.code;
            }
        }
        let end = if missing > 0 { ", but the warnings above\n" } else { "\n" };
        answer(&fill!("the configuration has no faults{}", end), 0)
    }

    /// Warns about everything that is missing, with source positions; returns how many.
    #[cold]
    #[inline(never)]
    pub(super) fn warn_of_missing(&self, files: &Files, plan: &Plan, environ: &Environ) -> usize {
        let starter = bare(self.inherited, SessionMode::Foreground);
        starter.told_who_runs.set(true);
        let mut missing = Vec::new();
        for service in plan.services.iter().filter(|service| service.is_on()) {
            of(service, &starter, environ, &mut |key, why| {
                if let Some(at) = files.at_of(service.base(), key) {
                    let message = fill!("services.{}.{}: {}", service.base(), key, why);
                    let found = Diagnostic { at: Some(at), message };
                    // Of several instances once.
                    if !missing.contains(&found) {
                        missing.push(found);
                    }
                }
            });
        }
        for file in plan.prepared.iter().filter(|file| file.off.is_none() && file.is_known) {
            if let FileSource::File(path) = &file.source
                && stat::stat(path).is_err()
            {
                let message =
                    fill!("{}.file: there is no {}; put it into the image, or mount it", file.path, path);
                missing.push(Diagnostic { at: Some(file.source_at), message });
            }
        }
        for line in grouping::told(&missing, &files.sources) {
            output::line(LogLevel::Warn, "", &line);
        }
        missing.len()
    }
}

fn of(service: &Service, starter: &Starter, environ: &Environ, tell: &mut dyn FnMut(&str, &str)) {
    let program = &service.program;
    let word = program.argv.first().and_then(|word| word.to_str().ok()).unwrap_or("");
    if let Some(why) = starter.nobody(program) {
        // The error names the program, which does not matter here.
        tell("user", why.split_once("\": ").map_or(&*why, |(_, why)| why));
    }
    if let Some(directory) =
        program.working_dir.as_deref().filter(|path| !stat::stat(path).is_ok_and(|found| found.dir))
    {
        tell("working_dir", &fill!("there is no directory {}; make it in the image, or mount it", directory));
    }
    // A path relative to the working directory can only be checked if that exists.
    if word.is_empty() || word.contains('/') && !word.starts_with('/') {
        return;
    }
    let own = program.environment.iter().rev().find(|(name, _)| name == "PATH");
    let path = own.map(|(_, value)| value.as_bytes()).or_else(|| environ.bytes("PATH"));
    if let Some(why) = diagnosis::why_not(&lookup::look_for(word, path)) {
        tell("command", &fill!("\"{}\": {}", word, why));
    }
}
