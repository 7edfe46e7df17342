//! `rinitctl exec`: executes a command with the user, directory and environment of a service.

use super::logs::unhex;
use super::{CtlError, CtlRequest};
use crate::config::{Program, ProgramSettings, UserSpec};
use crate::exit_code::UNKNOWN_SERVICE;
use crate::model::{ULIMITS, Ulimit};
use crate::service::launcher::Starter;
use crate::sys::process::spawn::SessionMode;
use crate::text::escape::bytes_as_text;
use crate::text::gather::Gather;
use crate::text::json::Json;

pub(super) fn run(request: &CtlRequest<'_>) -> Result<u8, CtlError> {
    let mut client = request.connect()?;
    let (rows, _) = client.chosen(&request.arguments.words)?;
    let [row] = rows.as_slice() else {
        return Err(CtlError::new(UNKNOWN_SERVICE, format!("{} services fit; exec takes one", rows.len())));
    };
    let name = row.text("name").unwrap_or_default();
    let mut context = Json::Null;
    let mut variables = Vec::new();
    client.ask("exec-context", &[name], "", &mut |row| match row.text("row") {
        Some("context") => context = row,
        Some("environment") => variables.extend(variable(&row)),
        _ => {}
    })?;
    // The environment is complete: it includes the variables that depend on the user.
    let settings = ProgramSettings { environment: variables, clear_env: true, ..settings(&context) };
    let argv = request.arguments.command.clone();
    let program = Program { argv, settings: settings.into(), ..Program::default() };
    let starter = Starter::bare(request.inherited, SessionMode::Foreground);
    drop(client);
    let failure = starter.replace(&program);
    Err(CtlError::new(failure.code, failure.why))
}

/// Parses name and value, any bytes.
fn variable(row: &Json) -> Option<(String, String)> {
    Some((text_of(row, "name", "name_hex")?, text_of(row, "value", "value_hex")?))
}

/// Returns a field that may contain any bytes, in the encoding of `bytes_as_text`.
fn text_of(row: &Json, name: &str, hex: &str) -> Option<String> {
    match row.text(name) {
        Some(text) => Some(text.to_string()),
        None => row.text(hex).map(|hex| bytes_as_text(&unhex(hex))),
    }
}

fn settings(context: &Json) -> ProgramSettings {
    let number = |value: &Json| value.as_number().map(|number| number.to_string());
    let id = |name: &str| context.get(name).and_then(number);
    let user = id("uid").map(|user| UserSpec {
        user,
        group: id("gid"),
        groups: context.list("gids").iter().filter_map(number).gather(),
        keep_groups: false,
    });
    ProgramSettings {
        working_dir: text_of(context, "working_dir", "working_dir_hex"),
        user,
        umask: context.number("umask").and_then(|mask| u32::try_from(mask).ok()),
        ulimits: context.list("ulimits").iter().filter_map(ulimit).collect(),
        ..ProgramSettings::default()
    }
}

fn ulimit(row: &Json) -> Option<Ulimit> {
    let name = ULIMITS.into_iter().find(|known| Some(*known) == row.text("name"))?;
    let limit = |name: &str| row.number(name).unwrap_or(u64::MAX);
    Some(Ulimit { name, soft: limit("soft"), hard: limit("hard") })
}

#[cfg(test)]
mod tests {
    use super::super::exec::*;
    use crate::text::json::parse;

    #[test]
    fn a_context_becomes_a_program() {
        let context = parse(
            r#"{"uid":999,"gid":1000,"gids":[1000,8],"working_dir":"/data","umask":63,
            "ulimits":[{"name":"nofile","soft":64,"hard":null},{"name":"new","soft":1,"hard":1}]}"#,
        );
        let program = settings(&context.expect("JSON"));
        let user = program.user.expect("a user");
        assert_eq!((user.user.as_str(), user.group.as_deref()), ("999", Some("1000")));
        assert_eq!(user.groups, ["1000", "8"]);
        assert_eq!(program.working_dir.as_deref(), Some("/data"));
        assert_eq!((program.umask, program.ulimits.len()), (Some(0o77), 1));
        assert_eq!(program.ulimits[0], Ulimit { name: "nofile", soft: 64, hard: u64::MAX });
        let row = parse(r#"{"row":"environment","name":"A","value_hex":"ff3d"}"#).expect("JSON");
        let (name, value) = variable(&row).expect("a variable");
        assert_eq!((name.as_str(), &*crate::text::escape::text_as_bytes(&value)), ("A", &b"\xff="[..]));
    }
}
