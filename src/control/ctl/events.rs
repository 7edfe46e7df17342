//! `rinitctl events`.

use super::names::selects;
use super::status::without;
use super::table::{FOLLOW, JSON};
use super::{CtlError, CtlRequest, print};
use crate::exit_code::UNREACHED;
use crate::text::escape::on_one_line;
use crate::text::json::Json;

pub(super) fn run(request: &CtlRequest<'_>) -> Result<u8, CtlError> {
    let arguments = request.arguments;
    let mut client = request.connect()?;
    // Report unknown names now, rather than waiting for nothing.
    if !arguments.words.is_empty() {
        client.chosen(&arguments.words)?;
    }
    let json = arguments.has(&JSON);
    let shown = |row: &Json| {
        let meant = arguments.words.is_empty()
            || row.text("service").is_none()
            || arguments.words.iter().any(|word| selects(word, row));
        if meant { line(row, json) } else { String::new() }
    };
    if !arguments.has(&FOLLOW) {
        let mut text = String::new();
        client.ask("events", &[], "", &mut |row| text.push_str(&shown(&row)))?;
        return Ok(print(&text));
    }
    client.follow(Some(0))?;
    loop {
        match client.event(None) {
            Ok(Some(row)) => {
                let text = shown(&row);
                if !text.is_empty() && print(&text) != 0 {
                    return Ok(1);
                }
            }
            Ok(None) => {}
            // The container has ended.
            Err(failure) if failure.code == UNREACHED => return Ok(0),
            Err(failure) => return Err(failure),
        }
    }
}

fn line(row: &Json, json: bool) -> String {
    let mut text = String::new();
    if json {
        without(row, &["id"]).write(&mut text);
        text.push('\n');
        return text;
    }
    if row.text("row") == Some("gap") {
        return format!("… {} events were missed\n", row.number("missed").unwrap_or(0));
    }
    let at = row.number("at_ms").unwrap_or(0);
    text.push_str(&format!("{:>6}.{:03}  ", at / 1000, at % 1000));
    if let Some(service) = row.text("service") {
        text.extend([on_one_line(service).as_str(), ": "]);
    }
    text.push_str(&row.text("event").unwrap_or("?").replace('-', " "));
    let Json::Object(members) = row else { return text };
    for (name, value) in members {
        if ["id", "row", "seq", "at_ms", "event", "service"].contains(&name.as_str()) || *value == Json::Null
        {
            continue;
        }
        let mut shown = String::new();
        match value.as_text() {
            Some(value) => shown.push_str(&on_one_line(value)),
            None => value.write(&mut shown),
        }
        let name = match name.strip_suffix("_ms") {
            Some(name) => {
                shown.push_str("ms");
                name
            }
            None => name.as_str(),
        };
        text.extend([" ", name, "=", &shown]);
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::super::events::*;
    use crate::text::json::parse;

    #[test]
    fn an_event_is_a_line() {
        let row = parse(
            r#"{"id":1,"row":"event","seq":9,"at_ms":12045,"event":"start-failed","service":"web","code":3,"after_ms":20,"next":"restarting","pid":null}"#,
        );
        let row = row.expect("JSON");
        assert_eq!(line(&row, false), "    12.045  web: start failed code=3 after=20ms next=restarting\n");
        assert!(line(&row, true).starts_with("{\"row\":\"event\",\"seq\":9,"));
        let gap = parse(r#"{"row":"gap","missed":17}"#).expect("JSON");
        assert_eq!(line(&gap, false), "… 17 events were missed\n");
    }
}
