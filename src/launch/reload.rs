//! A reload: the configuration is read and resolved once more, by the same steps as at the start.

use super::{Launch, by_options, reading, tape, why_unread};
use crate::config::source::diagnostic::{Diagnostic, MAX_DIAGNOSTICS, SourceMap};
use crate::config::source::files::{self, Io};
use crate::config::source::grouping;
use crate::config::{Plan, resolve};
use crate::exit_code;
use crate::model::environ::Environ;
use crate::runtime::reload::{ConfigReader, NewSet};
use crate::sys::args;
use crate::text::redact;

/// What a reload needs of the start.
pub(super) struct Reader(pub(super) Launch<'static>);

impl ConfigReader for Reader {
    fn read(&self, environ: &Environ) -> (Result<NewSet, Vec<String>>, Vec<u8>) {
        tape::record(|| self.resolve(environ))
    }

    fn replay(&self, tape: Vec<u8>, environ: &Environ) -> Result<NewSet, Vec<String>> {
        tape::play(tape, || self.resolve(environ))
    }
}

impl Reader {
    fn resolve(&self, environ: &Environ) -> Result<NewSet, Vec<String>> {
        let launch = &self.0;
        let mut faults = Vec::new();
        let io = Io { read: &reading::read, list: &reading::list, why: &why_unread };
        let variable = args::variable("RINIT_CONFIG").and_then(|value| std::str::from_utf8(value).ok());
        let files = files::load(&launch.invocation.config, variable, &io, &mut faults);
        let Some(files) = files else {
            let told = told(&faults, &SourceMap::default());
            let none = || vec!["there is no configuration any more".into()];
            return Err(if told.is_empty() { none() } else { told });
        };
        redact::keep(&resolve::written_secrets(&files.root));
        launch.read_checks(&files, environ, &mut faults);
        let mut plan = launch.resolve(&files, environ, &[], &mut faults);
        if !faults.is_empty() {
            return Err(told(&faults, &files.sources));
        }
        launch.something_to_run(&plan).map_err(|why| vec![why])?;
        as_started(launch, &mut plan);
        Ok(NewSet { plan, files })
    }
}

/// What the command line says of the plan.
fn as_started(launch: &Launch<'_>, plan: &mut Plan) {
    if let Some(main) = plan.whole.main.and_then(|main| plan.services.get_mut(main.index())) {
        main.rules.success.extend(launch.invocation.remap.iter().copied().flat_map(exit_code::remapped));
    }
    by_options(launch.invocation, &mut plan.whole);
}

fn told(faults: &[Diagnostic], sources: &SourceMap) -> Vec<String> {
    let mut told = grouping::told(faults, sources);
    told.truncate(MAX_DIAGNOSTICS);
    told
}

/// Keeps what a reload needs of the start.
pub(super) fn reader(launch: &Launch<'_>) -> Box<dyn ConfigReader> {
    let invocation = Box::leak(Box::new(launch.invocation.clone()));
    let profiles = launch.profiles.clone();
    Box::new(Reader(Launch { invocation, inherited: launch.inherited, ignored: Vec::new(), profiles }))
}
