//! `rinitctl exec`: becomes a command, as who and where a service runs.

use super::logs::unhex;
use super::{CtlError, CtlRequest};
use crate::config::{Program, UserSpec};
use crate::exit_code::UNKNOWN_SERVICE;
use crate::model::environ::Environ;
use crate::model::{ULIMITS, Ulimit};
use crate::service::launcher::Starter;
use crate::sys::process::spawn::SessionMode;
use crate::text::json::Json;
use std::ffi::CString;

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
    let program = program(&context, request.arguments.command.clone());
    // What this process ignores is for nobody: the command's slate is that of a service.
    let starter = Starter {
        environ: Some(Environ::from_entries(variables)),
        folder: None,
        ..Starter::bare(request.inherited, SessionMode::Foreground)
    };
    drop(client);
    let failure = starter.replace(&program);
    Err(CtlError::new(failure.code, failure.why))
}

/// `NAME=value`, any bytes.
fn variable(row: &Json) -> Option<CString> {
    let bytes = |name: &str, hex: &str| match row.text(name) {
        Some(text) => Some(text.as_bytes().to_vec()),
        None => row.text(hex).map(unhex),
    };
    let mut entry = bytes("name", "name_hex")?;
    entry.push(b'=');
    entry.extend(bytes("value", "value_hex")?);
    CString::new(entry).ok()
}

fn program(context: &Json, argv: Vec<CString>) -> Program {
    // As written in the configuration, names or numbers.
    let word = |value: &Json| match value {
        Json::Text(text) => Some(text.clone()),
        Json::Number(text) => Some(text.clone()),
        _ => None,
    };
    let text = |name: &str| context.get(name).and_then(word);
    let user = text("user").or_else(|| text("group").map(|_| String::new())).map(|user| UserSpec {
        user,
        group: text("group"),
        groups: context.list("groups").iter().filter_map(word).collect(),
        keep_groups: context.is_true("keep_groups"),
    });
    Program {
        argv,
        working_dir: text("working_dir"),
        user,
        umask: context.number("umask").and_then(|mask| u32::try_from(mask).ok()),
        ulimits: context.list("ulimits").iter().filter_map(ulimit).collect(),
        ..Program::default()
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
            r#"{"user":"redis","group":null,"groups":["mail",7],"keep_groups":true,"working_dir":"/data","umask":63,
            "ulimits":[{"name":"nofile","soft":64,"hard":null},{"name":"new","soft":1,"hard":1}]}"#,
        );
        let program = program(&context.expect("JSON"), vec![c"sh".into()]);
        let user = program.user.expect("a user");
        assert_eq!((user.user.as_str(), user.group, user.keep_groups), ("redis", None, true));
        assert_eq!(user.groups, ["mail", "7"]);
        assert_eq!(program.working_dir.as_deref(), Some("/data"));
        assert_eq!((program.umask, program.ulimits.len()), (Some(0o77), 1));
        assert_eq!(program.ulimits[0], Ulimit { name: "nofile", soft: 64, hard: u64::MAX });
        let row = parse(r#"{"row":"environment","name":"A","value_hex":"ff3d"}"#).expect("JSON");
        assert_eq!(variable(&row), Some(c"A=\xff=".into()));
    }
}
