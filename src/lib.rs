//! rinit: the init process for containers.

pub mod checks;
pub mod cli;
pub mod config;
pub mod diagnosis;
pub mod environ;
pub mod helpers;
pub mod launch;
pub mod model;
pub mod notes;
pub mod runtime;
pub mod say;
pub mod starter;
pub mod supervisor;
pub mod sys;

use std::ffi::{c_char, c_int};

/// Runs rinit on the arguments of C's `main`, and returns its exit code.
#[must_use]
pub fn run(argc: c_int, argv: *const *const c_char) -> u8 {
    sys::stdio::fill_gaps();
    // First of all: from here on no signal is lost.
    let inherited = sys::signals::take_over();
    let arguments = sys::given::arguments(argc, argv);
    match cli::parse(arguments.get(1..).unwrap_or_default()) {
        Ok(cli::Parsed::Help) => sys::stdio::write_all(1, cli::HELP.as_bytes()),
        Ok(cli::Parsed::Version) => {
            sys::stdio::write_all(1, concat!("rinit ", env!("CARGO_PKG_VERSION"), "\n").as_bytes());
        }
        Ok(cli::Parsed::Run(invocation)) => return launch::launch(&invocation, inherited),
        Err(why) => {
            say::install(cli::LogLevel::Error, cli::LogFormat::Text);
            say::line(cli::LogLevel::Error, "", &why);
            return launch::USAGE;
        }
    }
    0
}
