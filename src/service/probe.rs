//! Starts a health probe that is a program or a connection.

use super::launcher::{Role, StartFailure, Started, Starter};
use crate::config::{ProbeSpec, Program};
use crate::exit_code;
use crate::sys::Errno;
use crate::sys::process::{fork, spawn};
use crate::text::template::fill;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::Duration;

impl StartFailure {
    /// The process of a probe could not be created.
    #[must_use]
    pub fn no_probe(errno: Errno) -> Self {
        let why = fill!("no process for a probe: {}", crate::sys::describe(errno));
        Self { lasting: false, code: exit_code::OS_ERROR, why, error: None, key: "" }
    }

    /// The channel of `notify` could not be opened.
    #[must_use]
    pub fn no_channel(errno: Errno) -> Self {
        let why = fill!("cannot open what `notify` needs: {}", crate::sys::describe(errno));
        Self { lasting: false, code: exit_code::OS_ERROR, why, error: None, key: "notify" }
    }
}

impl Starter {
    /// Starts one health probe; returns the pipe with its output, which does not go to the log.
    pub fn probe<'a>(
        &'a self,
        program: &Program,
        timeout: Duration,
    ) -> Result<(Started<'a>, Option<OwnedFd>), StartFailure> {
        match &program.probe {
            Some(ProbeSpec::Exec(argv)) => {
                let mut recipe = self.recipe_as(
                    program,
                    program.probe_user.as_ref().or(program.user.as_ref()),
                    argv,
                    Role::Service,
                )?;
                // Without a pipe its output is discarded.
                let (read, write) = fork::pipe().ok().unzip();
                let null = self.null.as_ref().map(|fd| fd.as_raw_fd());
                let out = write.as_ref().map(|fd: &OwnedFd| fd.as_raw_fd()).or(null);
                recipe.stdio = [null, out, out];
                Ok((self.settle(spawn::spawn(recipe))?, read))
            }
            Some(ProbeSpec::Tcp(host, port)) => {
                fork::fork(&self.ignored, || u8::from(!fork::connects(host, *port, timeout)))
                    .map(|pid| (Started::Running(pid), None))
                    .map_err(StartFailure::no_probe)
            }
            // Checks are evaluated elsewhere, and logs looked at.
            Some(ProbeSpec::Check(_) | ProbeSpec::Log(_)) | None => Err(StartFailure {
                lasting: true,
                code: exit_code::OS_ERROR,
                why: "no healthcheck".into(),
                error: None,
                key: "",
            }),
        }
    }
}
