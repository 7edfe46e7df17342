//! `rinitctl healthcheck`, for `HEALTHCHECK` and exec probes.

use super::client::CtlClient;
use super::names::selects;
use super::status::{last_exit, why};
use super::table::SOCKET;
use super::{CtlError, CtlRequest};
use crate::exit_code::FAILURE;
use crate::text::gather::Gather;
use crate::text::json::Json;
use crate::text::template::fill;
use std::time::Duration;

/// Below kubelet's default of one second, since not every runtime kills a probe that hangs.
const HEALTHCHECK_TIMEOUT: Duration = Duration::from_millis(900);
/// Docker keeps 4,096 bytes of a probe's output.
const MAX_LINES: usize = 20;

pub(super) fn run(request: &CtlRequest<'_>) -> Result<u8, CtlError> {
    // Only 0 or 1: Docker reserves 2.
    let failed = |failure: CtlError| CtlError::new(FAILURE, failure.text);
    let mut client =
        CtlClient::connect(request.arguments.value(&SOCKET), Some(HEALTHCHECK_TIMEOUT)).map_err(failed)?;
    let (rows, last) = if request.arguments.words.is_empty() {
        client.services(&[])
    } else {
        client.chosen(&request.arguments.words)
    }
    .map_err(failed)?;
    let faults = faults(&rows, &last, &request.arguments.words);
    if faults.is_empty() {
        return Ok(0);
    }
    let more = faults.len().saturating_sub(MAX_LINES);
    let mut text = String::new();
    for line in faults.iter().take(MAX_LINES) {
        text.extend([super::picture::cut(&crate::text::escape::on_one_line(line), 150).as_str(), "\n"]);
    }
    if more > 0 {
        text.push_str(&format!("and {more} more\n"));
    }
    super::print(&text);
    Ok(FAILURE)
}

/// Returns a line for each service that is not as it should be, and for the container.
pub(super) fn faults(rows: &[Json], last: &Json, named: &[String]) -> Vec<String> {
    if last.text("state") == Some("stopping") {
        return vec!["rinit is stopping".into()];
    }
    let is_meant =
        |row: &&Json| named.iter().any(|word| selects(word, row)) || named.is_empty() && should_run(row);
    rows.iter().filter(is_meant).filter_map(fault).gather()
}

/// Returns whether a service should run: it is enabled and was not stopped by hand.
fn should_run(row: &Json) -> bool {
    !row.is_true("by_hand") && row.text("state") != Some("off")
}

fn fault(row: &Json) -> Option<String> {
    let state = row.text("state").unwrap_or("?");
    let health = row.text("health");
    let good = match state {
        "running" => row.is_true("ready") && health != Some("unhealthy"),
        "done" | "listening" => true,
        "failed" | "stopped" | "off" => false,
        // Whether a job's last run succeeded is not whether it will run.
        _ => row.text("schedule").is_some(),
    };
    if good || is_working_oneshot(row, state) {
        return None;
    }
    let shown = if state == "running" { health.unwrap_or(state) } else { state };
    let reason = why(row);
    let reason = if reason.is_empty() {
        last_exit(row).filter(|_| state != "running").unwrap_or_default()
    } else {
        reason
    };
    let colon = if reason.is_empty() { "" } else { ": " };
    Some(fill!("{}: {}{}{}", row.text("name").unwrap_or("?"), shown, colon, reason))
}

/// A running oneshot is fine: what needs it to be completed waits for it and is not ready itself.
fn is_working_oneshot(row: &Json, state: &str) -> bool {
    row.text("type") == Some("oneshot") && state == "running"
}

#[cfg(test)]
mod tests {
    use super::super::health::*;
    use crate::text::json::parse;

    #[test]
    fn only_what_should_run_is_to_be_well() {
        let row = |text: &str| parse(text).expect("JSON");
        let rows: Vec<Json> = [
            r#"{"name":"a","state":"running","ready":true,"health":"healthy"}"#,
            r#"{"name":"b","state":"done","type":"oneshot"}"#,
            r#"{"name":"c","state":"off","off":"profile"}"#,
            r#"{"name":"d","state":"stopped","by_hand":true}"#,
            r#"{"name":"e","state":"running","ready":false,"type":"oneshot"}"#,
            r#"{"name":"f","state":"scheduled","schedule":"@daily","last_result":"failure"}"#,
        ]
        .map(row)
        .into();
        let up = row(r#"{"ok":true,"state":"up"}"#);
        assert!(faults(&rows, &up, &[]).is_empty());
        assert_eq!(faults(&rows, &up, &["d".into()]), ["d: stopped"]);
        assert_eq!(faults(&rows, &row(r#"{"state":"stopping"}"#), &[]), ["rinit is stopping"]);
        for (text, want) in [
            (r#"{"name":"a","state":"running","ready":false,"health":"starting"}"#, "a: starting"),
            (
                r#"{"name":"a","state":"running","ready":true,"health":"unhealthy","health_reason":"500"}"#,
                "a: unhealthy: 500",
            ),
            (r#"{"name":"a","state":"waiting","waits_for":"b"}"#, "a: waiting: waits for b"),
            (r#"{"name":"a","state":"failed","last_exit":{"code":3}}"#, "a: failed: exited with code 3"),
        ] {
            assert_eq!(faults(&[row(text)], &up, &[]), [want]);
        }
    }
}
