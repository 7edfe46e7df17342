//! `rinitctl restart --rolling`.

use super::client::CtlClient;
use super::orders::names_of;
use super::table::{NO_WAIT, SOCKET};
use super::{CtlError, CtlRequest, complain};
use crate::exit_code::{FAILURE, TIMED_OUT, UNREACHED};
use crate::sys::stdio;
use crate::text::gather::Gather;
use crate::text::json::Json;
use crate::text::template::fill;

/// Orders it, and follows its events until the last one is ready again, or one is not.
pub(super) fn restart(request: &CtlRequest<'_>) -> Result<u8, CtlError> {
    let until = request.deadline()?;
    let mut client = request.connect()?;
    let (rows, before) = client.chosen(&request.arguments.words)?;
    let names = names_of(&rows);
    if request.arguments.has(&NO_WAIT) {
        client.ask("restart", &names, FIELD, &mut |_| {})?;
        return Ok(0);
    }
    // First of all: no event is to be missed.
    let mut events = CtlClient::connect(request.arguments.value(&SOCKET), None)?;
    events.follow(before.number("seq"))?;
    client.ask("restart", &names, FIELD, &mut |_| {})?;
    let mut left = names.iter().map(|name| (*name).to_string()).gather();
    loop {
        let event = match events.event(until) {
            Ok(Some(event)) => event,
            Ok(None) => {
                complain(&fill!("{}: not restarted within the time; it goes on", &left.join(", ")));
                return Ok(TIMED_OUT);
            }
            Err(error) if error.code == UNREACHED => {
                return Err(CtlError::new(
                    FAILURE,
                    fill!("{}: not restarted: the container stops", &left.join(", ")),
                ));
            }
            Err(error) => return Err(error),
        };
        if event.text("row") == Some("gap") {
            return Err(CtlError::new(FAILURE, "events were missed; rinitctl events tells how it goes on"));
        }
        if let Some(code) = heard(&event, &mut left, names.len()) {
            return Ok(code);
        }
    }
}

const FIELD: &str = ",\"rolling\":true";

/// Takes in an event; returns the exit code if it is the last.
fn heard(event: &Json, left: &mut Vec<String>, count: usize) -> Option<u8> {
    let service = event.text("service").unwrap_or_default();
    match event.text("event") {
        Some("rolled") => {
            left.retain(|name| name != service);
            if stdio::is_terminal(1) {
                super::print(&fill!("{}: restarted\n", service));
            }
            left.is_empty().then_some(0)
        }
        Some("roll-failed") => {
            let done = count.saturating_sub(left.len()).to_string();
            let what = if event.is_true("kept") {
                "the new process beside it did not get ready, and it runs on"
            } else {
                "not ready after its restart"
            };
            complain(&fill!(
                "{}: {}; the rolling restart ends there, {} of {} are restarted",
                service,
                what,
                &done,
                &count.to_string()
            ));
            Some(FAILURE)
        }
        _ => None,
    }
}
