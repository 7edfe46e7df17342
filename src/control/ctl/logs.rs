//! `rinitctl logs`: shows the output that rinit keeps of each service, and follows it.

use super::client::CtlClient;
use super::picture::{CellTone, is_coloured, painted};
use super::table::{FOLLOW, LINES, REOPEN};
use super::{CtlError, CtlRequest, print};
use crate::exit_code::{FAILURE, TIMED_OUT, UNREACHED, USAGE};
use crate::sys::event::clock;
use crate::sys::net::line_stream::readable;
use crate::text::gather::Gather;
use crate::text::json::Json;
use crate::text::template::fill;
use std::time::Duration;

/// The polling interval per ten followed services.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// How long to wait until log files are reopened; and the interval of the checks.
const REOPEN_TIMEOUT: Duration = Duration::from_secs(5);
const REOPEN_POLL_INTERVAL: Duration = Duration::from_millis(5);

/// A service whose output is shown.
struct Followed {
    name: String,
    /// The position up to which it was shown.
    to: Option<u64>,
    /// An incomplete line, if lines of several services are shown.
    half: Vec<u8>,
    /// Whether rinit keeps its output.
    kept: bool,
}

pub(super) fn run(request: &CtlRequest<'_>) -> Result<u8, CtlError> {
    let arguments = request.arguments;
    if arguments.has(&REOPEN) {
        return reopen(&mut request.connect()?);
    }
    let most = match arguments.value(&LINES) {
        None => usize::MAX,
        Some(text) => text
            .parse()
            .map_err(|_| CtlError::new(USAGE, fill!("--lines {}: expected a number of lines", text)))?,
    };
    let mut client = request.connect()?;
    let (rows, _) = client.chosen(&arguments.words)?;
    let new = |row: &Json| Followed {
        name: row.text("name").unwrap_or_default().into(),
        to: None,
        half: Vec::new(),
        kept: true,
    };
    let mut all: Vec<Followed> = rows.iter().map(new).gather();
    let exact = |name: &str| arguments.words.iter().any(|word| word == name);
    let width = all.iter().map(|one| one.name.chars().count()).max().filter(|_| all.len() > 1);
    let mut why = None;
    for one in &mut all {
        let mut bytes = Vec::new();
        if let Err(failure) = fetch(&mut client, one, &mut bytes) {
            one.kept = false;
            if exact(&one.name) || failure.code != UNREACHED {
                return Err(failure);
            }
            why = why.or(Some(failure));
            continue;
        }
        if !show(one, last_lines(&bytes, most), width) {
            return Ok(FAILURE);
        }
    }
    all.retain(|one| one.kept);
    if let (true, Some(failure)) = (all.is_empty(), why) {
        return Err(failure);
    }
    if !arguments.has(&FOLLOW) {
        for one in &mut all {
            flush(one, width);
        }
        return Ok(0);
    }
    follow(&mut client, &mut all, width)
}

/// Shows new output until the container has ended.
fn follow(client: &mut CtlClient, all: &mut [Followed], width: Option<usize>) -> Result<u8, CtlError> {
    let rounds = u32::try_from(all.len() / 10 + 1).unwrap_or(u32::MAX);
    let interval = POLL_INTERVAL.saturating_mul(rounds);
    loop {
        let _ = readable(&[], Some(clock::now().after(interval)));
        for one in &mut *all {
            let mut bytes = Vec::new();
            match fetch(client, one, &mut bytes) {
                Ok(()) if bytes.is_empty() => {}
                Ok(()) if show(one, &bytes, width) => {}
                Ok(()) => return Ok(FAILURE),
                // The container has ended.
                Err(failure) if failure.code == UNREACHED => return Ok(0),
                Err(failure) => return Err(failure),
            }
        }
    }
}

/// Orders all log files to be reopened, and waits for that.
fn reopen(client: &mut CtlClient) -> Result<u8, CtlError> {
    client.ask("reopen-logs", &[], "", &mut |_| {})?;
    let until = clock::now().after(REOPEN_TIMEOUT);
    loop {
        match client.ask("version", &[], "", &mut |_| {})?.number("logs_unopened") {
            Some(0) => return Ok(0),
            Some(count) => {
                let text = format!("{count} log files could not be opened anew; rinit's own lines say why");
                return Err(CtlError::new(FAILURE, text));
            }
            None if clock::now() >= until => {
                return Err(CtlError::new(TIMED_OUT, "the log files are not open anew yet; it goes on"));
            }
            None => {
                let _ = readable(&[], Some(clock::now().after(REOPEN_POLL_INTERVAL)));
            }
        }
    }
}

/// Fetches a service's new output.
fn fetch(client: &mut CtlClient, one: &mut Followed, bytes: &mut Vec<u8>) -> Result<(), CtlError> {
    let since = one.to.map_or_else(String::new, |to| format!(",\"since\":{to}"));
    let mut to = one.to;
    client.ask("logs", &[&one.name], &since, &mut |row| {
        if row.text("row") == Some("gap") {
            if !bytes.is_empty() && !bytes.ends_with(b"\n") {
                bytes.push(b'\n');
            }
            let missed = row.number("missed").unwrap_or(0);
            bytes.extend_from_slice(format!("… {missed} bytes were missed\n").as_bytes());
            return;
        }
        match row.text("text") {
            Some(text) => bytes.extend_from_slice(text.as_bytes()),
            None => bytes.extend(row.text("text_hex").map(unhex).unwrap_or_default()),
        }
        to = row.number("to").or(to);
    })?;
    one.to = to;
    Ok(())
}

/// Decodes hexadecimal digits.
pub(super) fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    text.as_bytes().chunks(2).map_while(pair).gather()
}

/// Returns the last lines of a text, including an incomplete one.
fn last_lines(bytes: &[u8], most: usize) -> &[u8] {
    let body = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    if most == 0 {
        return &[];
    }
    let ends = body.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n');
    let start = ends.map(|(at, _)| at + 1).nth(most - 1).unwrap_or(0);
    bytes.get(start..).unwrap_or_default()
}

/// Shows output, with the service's name before each line if there are several; false if stdout was closed.
fn show(one: &mut Followed, bytes: &[u8], width: Option<usize>) -> bool {
    let Some(width) = width else { return crate::sys::stdio::write_all(1, bytes) };
    let mut text = Vec::new();
    one.half.extend_from_slice(bytes);
    let half = std::mem::take(&mut one.half);
    for line in half.split_inclusive(|byte| *byte == b'\n') {
        if line.ends_with(b"\n") {
            prefixed(&one.name, line, width, &mut text);
        } else {
            one.half = line.to_vec();
        }
    }
    crate::sys::stdio::write_all(1, &text)
}

fn prefixed(name: &str, line: &[u8], width: usize, text: &mut Vec<u8>) {
    let blanks = " ".repeat(width.saturating_sub(name.chars().count()));
    let prefix = fill!("{}{} | ", name, blanks);
    text.extend_from_slice(painted(&prefix, CellTone::Faint, is_coloured()).as_bytes());
    text.extend_from_slice(line);
}

/// Shows an incomplete line at the end.
fn flush(one: &mut Followed, width: Option<usize>) {
    if let (Some(width), false) = (width, one.half.is_empty()) {
        let mut text = Vec::new();
        one.half.push(b'\n');
        prefixed(&one.name, &one.half, width, &mut text);
        print(&String::from_utf8_lossy(&text));
        one.half.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::logs::*;

    #[test]
    fn the_last_lines_are_counted_from_the_end() {
        for (text, most, want) in [
            ("a\nb\nc\n", 2, "b\nc\n"),
            ("a\nb\nc", 2, "b\nc"),
            ("a\nb\n", 9, "a\nb\n"),
            ("a\nb\n", 0, ""),
            ("\n\n\n", 1, "\n"),
            ("", 3, ""),
        ] {
            assert_eq!(last_lines(text.as_bytes(), most), want.as_bytes(), "{text:?} {most}");
        }
    }

    #[test]
    fn hexadecimal_is_read() {
        assert_eq!(unhex("00fF1"), [0, 255]);
        assert_eq!(unhex("zz"), [0u8; 0]);
    }
}
