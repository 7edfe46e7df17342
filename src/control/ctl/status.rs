//! `rinitctl status`.

use super::client::ChangeWatch;
use super::picture::{CellTone, TableCell, is_coloured, table, width};
use super::table::{JSON, SOCKET, WATCH};
use super::{CtlError, CtlRequest, print};
use crate::exit_code::NOT_RUNNING;
use crate::sys::event::clock;
use crate::sys::stdio;
use crate::text::escape::on_one_line;
use crate::text::gather::Gather;
use crate::text::json::Json;
use crate::text::template::fill;
use crate::text::units::show_duration;
use std::time::Duration;

/// How often `--watch` updates the times shown.
const REDRAW_INTERVAL: Duration = Duration::from_secs(1);

pub(super) fn run(request: &CtlRequest<'_>) -> Result<u8, CtlError> {
    let arguments = request.arguments;
    let mut client = request.connect()?;
    let watch = arguments.has(&WATCH);
    let mut changes = watch.then(|| ChangeWatch::since(arguments.value(&SOCKET), None));
    let mut before = String::new();
    loop {
        let (rows, last) = client.chosen(&arguments.words)?;
        let text = if arguments.has(&JSON) { json(&rows, &last) } else { human(&rows, &last) };
        let Some(changes) = &mut changes else {
            let idle = !arguments.words.is_empty() && !rows.iter().all(runs);
            return Ok(if print(&text) != 0 {
                1
            } else if idle {
                NOT_RUNNING
            } else {
                0
            });
        };
        let written = if stdio::is_terminal(1) {
            // Cursor to the upper left, clear the screen.
            print(&fill!("\x1b[H\x1b[J{}", text))
        } else if text != before {
            print(&text)
        } else {
            0
        };
        if written != 0 {
            return Ok(1);
        }
        before = text;
        let until = stdio::is_terminal(1).then(|| clock::now().after(REDRAW_INTERVAL));
        if !changes.wait(until) {
            return Ok(0);
        }
    }
}

/// Returns whether a service has a process.
pub(super) fn runs(row: &Json) -> bool {
    row.number("pid").is_some()
}

/// Returns the documented JSON object: `{"state": …, "services": […]}`.
pub(super) fn json(rows: &[Json], last: &Json) -> String {
    let state = last.get("state").cloned().unwrap_or(Json::Null);
    let services = rows.iter().map(|row| without(row, &["id", "row"])).gather();
    let all = Json::Object(vec![("state".into(), state), ("services".into(), Json::List(services))]);
    let mut text = String::new();
    all.write(&mut text);
    text.push('\n');
    text
}

/// Removes members that belong to the protocol only.
pub(super) fn without(row: &Json, names: &[&str]) -> Json {
    match row {
        Json::Object(members) => {
            Json::Object(members.iter().filter(|(name, _)| !names.contains(&name.as_str())).cloned().gather())
        }
        other => other.clone(),
    }
}

fn human(rows: &[Json], last: &Json) -> String {
    let mut text = String::new();
    if last.text("state") == Some("stopping") {
        text.push_str("rinit is stopping\n");
    }
    let cells: Vec<Vec<TableCell>> = rows.iter().map(cells).gather();
    let heads = ["NAME", "STATE", "HEALTH", "PID", "UPTIME", "RESTARTS", "WHY"];
    text.push_str(&table(&heads, &cells, width(), is_coloured()));
    text
}

fn cells(row: &Json) -> Vec<TableCell> {
    let state = row.text("state").unwrap_or("?");
    let health = row.text("health");
    let tone = match (state, health) {
        ("failed", _) | (_, Some("unhealthy")) => CellTone::Bad,
        ("running", None | Some("healthy")) | ("done" | "listening", _) => CellTone::Good,
        ("off" | "stopped" | "scheduled", _) => CellTone::Faint,
        _ => CellTone::Pending,
    };
    let dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    let number = |name: &str| row.number(name).map(|number| number.to_string());
    vec![
        (on_one_line(row.text("name").unwrap_or("?")), CellTone::Plain),
        (on_one_line(state), tone),
        (dash(health.map(on_one_line)), tone),
        (dash(number("pid")), CellTone::Plain),
        (dash(span(row, "uptime_ms")), CellTone::Plain),
        (dash(number("restarts")), CellTone::Plain),
        (on_one_line(&why(row)), CellTone::Plain),
    ]
}

/// Formats a number of milliseconds.
pub(super) fn span(row: &Json, name: &str) -> Option<String> {
    row.number(name).map(|ms| show_duration(Duration::from_millis(ms)))
}

/// Describes how a service last ended: `exited with code 3`.
pub(super) fn last_exit(row: &Json) -> Option<String> {
    let exit = row.get("last_exit")?;
    match (exit.number("code"), exit.text("signal")) {
        (Some(code), _) => Some(format!("exited with code {code}")),
        (None, Some(signal)) => Some(fill!("killed by {}", signal)),
        (None, None) => None,
    }
}

/// Says when the clock starts a service next: `next run 2026-12-01T02:30:00+01:00, in 3h`.
fn next_run(row: &Json) -> Option<String> {
    let left = row.number("next_run_unix")?.saturating_sub(clock::calendar().0);
    let left = show_duration(Duration::from_secs(left));
    Some(fill!("next run {}, in {}", row.text("next_run")?, left))
}

/// Explains a state that is not as it should be.
pub(super) fn why(row: &Json) -> String {
    let name = row.text("waits_for").unwrap_or("another");
    let mut parts: Vec<String> = Vec::new();
    let told = |word: &str| match word {
        "start-failed" => "could not be started".into(),
        "given-up" => "given up".into(),
        "policy" => "is not restarted".into(),
        "needs" => fill!("needs {}, which is not to be had", name),
        "shutdown" => "the container stops".into(),
        "start-timeout" => "was not ready within start_timeout".into(),
        "run-timeout" => "ran longer than run_timeout".into(),
        "unhealthy" => "was unhealthy".into(),
        "watchdog" => "did not say WATCHDOG=1 in time".into(),
        "dependency" => "what it depends on was restarted".into(),
        "by-hand" => "by hand".into(),
        "itself" => String::new(),
        other => other.replace('-', " "),
    };
    let reason = row.text("reason").map(told).unwrap_or_default();
    match row.text("state").unwrap_or_default() {
        "waiting" => parts.push(fill!("waits for {}", name)),
        "listening" => parts.push("the next connection starts it".into()),
        "backoff" => {
            parts.push(match span(row, "restart_in_ms") {
                Some(left) => fill!("starts again in {}", left),
                None => "starts again".into(),
            });
        }
        "scheduled" => parts.extend(next_run(row)),
        "off" => parts.extend(row.text("off").map(str::to_string)),
        "running" => {
            if row.is_true("reloading") {
                parts.push("reloading".into());
            }
            parts.extend(row.text("status_text").map(str::to_string));
        }
        "failed" | "stopped" | "stopping" | "done" => parts.push(reason),
        _ => {}
    }
    let health = row.text("health");
    if health == Some("unhealthy") || row.number("health_failures").is_some_and(|count| count > 0) {
        parts.push(row.text("health_reason").unwrap_or("its healthcheck fails").into());
    } else if health == Some("starting") {
        // Failures do not count yet.
        parts.extend(row.text("health_reason").map(str::to_string));
    }
    let told_exit = match row.text("state").unwrap_or_default() {
        "done" | "stopped" | "off" | "waiting" | "listening" => false,
        _ => row.get("last_exit").is_some_and(|exit| exit.number("code") != Some(0)),
    };
    if told_exit && let Some(exit) = last_exit(row) {
        let ago = span(row, "last_exit_ms").map_or_else(String::new, |ago| fill!(" {} ago", ago));
        parts.push([exit, ago].concat());
    }
    parts.retain(|part| !part.is_empty());
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::super::status::*;
    use crate::text::json::parse;

    fn row(text: &str) -> Json {
        parse(text).expect("JSON")
    }

    #[test]
    fn a_table_says_why() {
        for (text, want) in [
            (r#"{"state":"waiting","waits_for":"db"}"#, "waits for db"),
            (
                r#"{"state":"backoff","restart_in_ms":1500,"last_exit":{"code":3},"last_exit_ms":200}"#,
                "starts again in 1.5s; exited with code 3 200ms ago",
            ),
            (
                r#"{"state":"failed","reason":"given-up","last_exit":{"signal":"SIGKILL"},"last_exit_ms":null}"#,
                "given up; killed by SIGKILL",
            ),
            (r#"{"state":"running","health":"unhealthy","health_reason":"no answer"}"#, "no answer"),
            (r#"{"state":"running","last_exit":null}"#, ""),
            (r#"{"state":"running","reloading":true,"status_text":"7 jobs"}"#, "reloading; 7 jobs"),
            (r#"{"state":"stopped","reason":"by-hand","last_exit":{"signal":"SIGTERM"}}"#, "by hand"),
            (r#"{"state":"off","off":"enabled is false"}"#, "enabled is false"),
        ] {
            assert_eq!(why(&row(text)), want, "{text}");
        }
    }

    #[test]
    fn json_is_as_documented() {
        let rows = [row(r#"{"id":1,"row":"service","name":"web","pid":null,"new":[1]}"#)];
        let text = json(&rows, &row(r#"{"ok":true,"state":"up"}"#));
        assert_eq!(text, "{\"state\":\"up\",\"services\":[{\"name\":\"web\",\"pid\":null,\"new\":[1]}]}\n");
    }
}
