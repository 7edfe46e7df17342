//! `environment` and `env_file`: the variables of a service.

use super::DEFAULTS;
use crate::config::read::env_file::{self, check_name};
use crate::config::read::table::{ReadContext, Table};
use crate::config::source::diagnostic::{SourceMap, Span};
use crate::config::source::document::{Node, Value};
use crate::text::glob::glob;
use crate::text::template::fill;

/// All variables in order: those of the files, of `[defaults]`, of the service; a later one replaces an earlier one.
pub fn read(
    table: &Table<'_>,
    sources: &SourceMap,
    clear_env: bool,
    unset: &[String],
) -> Vec<(String, String)> {
    let mut variables = Variables { list: Vec::new(), clear_env, unset };
    files(table, sources, &mut variables);
    for (inherited, node) in table.layers("environment") {
        let path = if inherited { DEFAULTS } else { &table.path };
        variables.read(table, node, &fill!("{}.environment", path));
    }
    variables.list
}

/// `unset`: variables that are not inherited, by name or pattern.
pub fn unset(table: &Table<'_>, clear_env: bool) -> Vec<String> {
    const KEY: &str = "unset";
    let Some(names) = table.list(KEY) else { return Vec::new() };
    if names.is_empty() || names.iter().any(|name| check_name(name).is_err()) {
        table.fault(
            KEY,
            "holds no name of a variable; expected names or patterns, such as [\"DB_PASSWORD\", \"AWS_*\"]",
        );
    }
    if clear_env && table.has(KEY) {
        table.fault(KEY, "can never act: with clear_env nothing is inherited; keep one of them");
    }
    names
}

struct Variables<'u> {
    list: Vec<(String, String)>,
    clear_env: bool,
    unset: &'u [String],
}

impl Variables<'_> {
    fn set(&mut self, name: &str, value: String) {
        match self.list.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => self.list.push((name.to_string(), value)),
        }
    }

    /// A name alone: what rinit was given under it, which is inherited by itself unless something is in the way.
    fn pass(&mut self, reading: &ReadContext<'_>, name: &str) {
        let covered = self.list.iter().any(|(known, _)| known == name);
        let unset = self.unset.iter().any(|pattern| glob(pattern.as_bytes(), name.as_bytes()));
        if (self.clear_env || covered || unset)
            && let Some(value) = (reading.scope.variable)(name)
        {
            self.set(name, value);
        }
    }

    fn read(&mut self, table: &Table<'_>, node: &Node, path: &str) {
        const KEY: &str = "environment";
        let reading = table.reading();
        let fault = |at: Span, why: &str| reading.fault(at, fill!("{}: {}", path, why));
        match &node.value {
            Value::Table(entries) => {
                for entry in entries {
                    if let Err(why) = check_name(&entry.key) {
                        fault(entry.at, &why);
                    }
                    if let Some(value) = table.text_of(KEY, &entry.node, "a string") {
                        self.set(&entry.key, value);
                    }
                }
            }
            Value::List(items) => {
                for item in items {
                    let Value::Text(text) = &item.value else {
                        table.wrong(KEY, item, "\"NAME=value\" or \"NAME\"");
                        continue;
                    };
                    let (name, value) =
                        text.split_once('=').map_or((text.as_str(), None), |(n, v)| (n, Some(v)));
                    if let Err(why) = check_name(name) {
                        fault(item.at, &why);
                    }
                    match value {
                        None => self.pass(reading, name),
                        Some(value) => {
                            if let Some(value) = table.expand_node(KEY, item, value) {
                                self.set(name, value);
                            }
                        }
                    }
                }
            }
            _ => table.wrong(KEY, node, "a table, or a list of \"NAME=value\""),
        }
    }
}

fn files(table: &Table<'_>, sources: &SourceMap, variables: &mut Variables<'_>) {
    const KEY: &str = "env_file";
    let Some(node) = table.node(KEY) else { return };
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    for item in items {
        let file = match &item.value {
            Value::Table(_) => {
                let Some(below) = Table::open(table.reading(), table.path_of(KEY), item.at, item) else {
                    continue;
                };
                let required = below.flag("required").unwrap_or(true);
                let path = below.text("path");
                if !below.has("path") {
                    below.fault_here("has no path; expected { path = \"/etc/app.env\", required = false }");
                }
                below.close();
                path.map(|path| (path, required))
            }
            _ => table.text_of(KEY, item, "a path, or { path, required }").map(|path| (path, true)),
        };
        if let Some((path, required)) = file {
            load(table, item.at, &beside(sources, item.at, &path), required, variables);
        }
    }
}

/// A relative path begins at the directory of the file that names it, as in Compose.
pub fn beside(sources: &SourceMap, at: Span, path: &str) -> String {
    let (file, ..) = sources.place(at);
    match file.rsplit_once('/') {
        Some((directory, _)) if !path.starts_with('/') => fill!("{}/{}", directory, path),
        _ => path.to_string(),
    }
}

fn load(table: &Table<'_>, at: Span, path: &str, required: bool, variables: &mut Variables<'_>) {
    let reading = table.reading();
    // A service that is off needs no file.
    if reading.forgives() {
        return;
    }
    let key = table.path_of("env_file");
    let text = match (reading.scope.read)(path) {
        Ok(text) => text,
        Err(_) if !required && !(reading.scope.exists)(path) => return,
        Err(why) => {
            let remedy = if required { "; expected a file, or { path, required = false }" } else { "" };
            reading.fault(at, fill!("{}: {} {}{}", key, path, why, remedy));
            return;
        }
    };
    let (found, faults) = env_file::parse(&text, &reading.scope);
    faults.into_iter().for_each(|why| reading.fault(at, fill!("{}: {}: {}", key, path, why)));
    for (name, value) in found {
        match value {
            None => variables.pass(reading, &name),
            Some(value) if value.contains('\0') => {
                reading.fault(at, fill!("{}: {}: {} holds a NUL character; take it out", key, path, name));
            }
            Some(value) => variables.set(&name, value),
        }
    }
}
