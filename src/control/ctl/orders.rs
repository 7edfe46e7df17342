//! `rinitctl start`, `stop`, `restart`, `signal`, `shutdown`: gives an order and waits for its result.

use super::client::CtlClient;
use super::status::why;
use super::table::{CODE, DRY_RUN, NO_WAIT, ONLY, ROLLING, SOCKET};
use super::wait::{Awaited, Told, WaitGoal, wait_for};
use super::{CtlError, CtlRequest, complain};
use crate::exit_code::{FAILURE, TIMED_OUT, USAGE};
use crate::sys::event::clock;
use crate::sys::net::line_stream::readable;
use crate::sys::stdio;
use crate::text::escape::{json_string, on_one_line, printable};
use crate::text::gather::Gather;
use crate::text::json::Json;
use crate::text::template::fill;

/// An order, with its name in the protocol and its messages.
struct OrderVerb {
    verb: &'static str,
    /// As in `web: started`.
    done: &'static str,
    goal: WaitGoal,
}

pub(super) fn start(request: &CtlRequest<'_>) -> Result<u8, CtlError> {
    order(request, &OrderVerb { verb: "start", done: "started", goal: WaitGoal::Started })
}

pub(super) fn stop(request: &CtlRequest<'_>) -> Result<u8, CtlError> {
    order(request, &OrderVerb { verb: "stop", done: "stopped", goal: WaitGoal::Stopped })
}

pub(super) fn restart(request: &CtlRequest<'_>) -> Result<u8, CtlError> {
    if request.arguments.has(&ROLLING) {
        return super::rolling::restart(request);
    }
    order(request, &OrderVerb { verb: "restart", done: "restarted", goal: WaitGoal::Started })
}

pub(super) fn signal(request: &CtlRequest<'_>) -> Result<u8, CtlError> {
    let (word, names) = request.arguments.words.split_first().ok_or(CtlError::new(FAILURE, "no signal"))?;
    let mut field = String::from(",\"signal\":");
    json_string(word, &mut field);
    let mut client = request.connect()?;
    let (rows, _) = client.chosen(names)?;
    client.ask("signal", &names_of(&rows), &field, &mut |_| {})?;
    Ok(0)
}

/// Prints what has changed, or what is wrong.
pub(super) fn reload(request: &CtlRequest<'_>) -> Result<u8, CtlError> {
    let dry_run = if request.arguments.has(&DRY_RUN) { ",\"dry_run\":true" } else { "" };
    let mut lines: Vec<String> = Vec::new();
    let mut client = request.connect()?;
    let result = client.ask("reload", &[], dry_run, &mut |row| {
        lines.extend(row.text("text").map(str::to_string));
    });
    for line in &lines {
        match result {
            Ok(_) => _ = super::print(&fill!("{}\n", &printable(line))),
            Err(_) => complain(line),
        }
    }
    result.map(|_| 0)
}

pub(super) fn names_of(rows: &[Json]) -> Vec<&str> {
    rows.iter().filter_map(|row| row.text("name")).gather()
}

fn order(request: &CtlRequest<'_>, order: &OrderVerb) -> Result<u8, CtlError> {
    let until = request.deadline()?;
    let mut client = request.connect()?;
    let (rows, before) = client.chosen(&request.arguments.words)?;
    let only = if request.arguments.has(&ONLY) { ",\"only\":true" } else { "" };
    client.ask(order.verb, &names_of(&rows), only, &mut |_| {})?;
    if request.arguments.has(&NO_WAIT) {
        return Ok(0);
    }
    let awaited = |row: &Json| {
        let name = row.text("name")?.to_string();
        // A service that is already stopping must be gone before it is started.
        let old = order.verb == "restart" || row.text("state") == Some("stopping");
        let before = row.number("pid").filter(|_| old && order.goal == WaitGoal::Started);
        Some(Awaited { name, before, first: None })
    };
    let left = rows.iter().filter_map(awaited).gather();
    let mut line = ProgressLine { shown: false, wanted: stdio::is_terminal(2) };
    let socket = request.arguments.value(&SOCKET);
    wait_for(&mut client, socket, order.goal, left, before.number("seq"), until, &mut |told| {
        match told {
            Told::Pending(name, row) => line.show(order.verb, name, row),
            Told::Reached(name) => {
                line.clear();
                if stdio::is_terminal(1) {
                    super::print(&fill!("{}: {}\n", name, order.done));
                }
            }
            Told::Lost(name, why) => {
                line.clear();
                complain(&fill!("{}: not {}: {}", name, order.done, why));
            }
            Told::Late(name) => {
                line.clear();
                complain(&fill!("{}: not {} within the time; it goes on", name, order.done));
            }
        };
    })
}

/// A line on the terminal that shows what is waited for.
struct ProgressLine {
    shown: bool,
    wanted: bool,
}

impl ProgressLine {
    fn show(&mut self, verb: &str, name: &str, row: &Json) {
        if !self.wanted {
            return;
        }
        let state = row.text("state").unwrap_or("?");
        let reason = why(row);
        let colon = if reason.is_empty() { "" } else { ": " };
        let text = fill!("{} {}: {}{}{}", verb, name, state, colon, reason);
        let line = super::picture::cut(&on_one_line(&text), super::picture::width().unwrap_or(80));
        self.shown = stdio::write_all(2, fill!("\r\x1b[K{}", line).as_bytes());
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            stdio::write_all(2, b"\r\x1b[K");
        }
    }
}

pub(super) fn shutdown(request: &CtlRequest<'_>) -> Result<u8, CtlError> {
    let until = request.deadline()?;
    let field = match request.arguments.value(&CODE) {
        None => String::new(),
        Some(text) => {
            let code: u8 = text.parse().map_err(|_| {
                CtlError::new(USAGE, fill!("--code {}: expected an exit code, 0 to 255", text))
            })?;
            format!(",\"code\":{code}")
        }
    };
    let mut client = request.connect()?;
    client.ask("shutdown", &[], &field, &mut |_| {})?;
    if request.arguments.has(&NO_WAIT) {
        return Ok(0);
    }
    ended(&mut client, request.arguments.value(&SOCKET), until)
}

/// Waits until rinit is gone, which closes the connection.
fn ended(
    client: &mut CtlClient,
    socket: Option<&str>,
    until: Option<crate::model::Moment>,
) -> Result<u8, CtlError> {
    // A connection that follows events is closed at the end; if no more may follow, use this one.
    let watched =
        CtlClient::connect(socket, None).and_then(|follower| follower.follow(None).map(|()| follower));
    let watched = match &watched {
        Ok(follower) => follower,
        Err(_) => client,
    };
    loop {
        if !readable(&[watched.raw()], until).unwrap_or(false) {
            complain("rinit has not ended within the time; it goes on stopping");
            return Ok(TIMED_OUT);
        }
        if !watched.skim() {
            return Ok(0);
        }
        if until.is_some_and(|until| clock::now() >= until) {
            return Ok(TIMED_OUT);
        }
    }
}
