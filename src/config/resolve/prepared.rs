//! `[configs.NAME]` and `[secrets.NAME]`.

use super::environment::beside;
use super::service::owner;
use crate::config::prepared::{FileSource, Generator, PreparedFile};
use crate::config::read::condition;
use crate::config::read::env_file::check_name;
use crate::config::read::interpolate::OnlyNames;
use crate::config::read::scalar;
use crate::config::read::table::{ReadContext, Table};
use crate::config::source::diagnostic::{SourceMap, Span};
use crate::config::source::document::{Node, Value};
use crate::text::gather::Gather;
use crate::text::template::fill;

/// The keys that say what is in a file, of which each has one.
const SOURCES: [&str; 4] = ["content", "file", "environment", "generate"];

/// Reads both tables, in the order of the files.
pub fn read(root: &Table<'_>, sources: &SourceMap) -> Vec<PreparedFile> {
    let mut found: Vec<PreparedFile> = Vec::new();
    for (key, secret) in [("configs", false), ("secrets", true)] {
        let Some(table) = root.table(key) else { continue };
        for entry in table.entries() {
            let outer = root.reading();
            let reading = ReadContext::new(outer.scope);
            let path = fill!("{}.{}", key, entry.key);
            if let Some(one) = Table::open(&reading, path.clone(), entry.at, &entry.node) {
                let file = read_one(&one, path, &entry.key, secret, sources);
                one.close();
                if let Some(file) = file {
                    check_target(outer, &file, &found);
                    found.push(file);
                }
            }
            outer.absorb(reading.into_faults());
        }
    }
    found
}

/// What stands in the files as the text of a secret: it is kept from being shown before any fault is told.
#[must_use]
pub fn written_secrets(root: &Node) -> Vec<String> {
    let tables = root.get("secrets").map_or(&[][..], Node::entries);
    // What is expanded is a secret once it is.
    let texts = tables.iter().filter_map(|entry| written(entry.node.get("content")?));
    texts.filter(|text| !text.contains("${")).gather()
}

fn check_target(reading: &ReadContext<'_>, file: &PreparedFile, others: &[PreparedFile]) {
    let same = |other: &&PreparedFile| {
        !file.target.is_empty() && other.target == file.target && other.off.is_none() && file.off.is_none()
    };
    if let Some(other) = others.iter().find(same) {
        let message =
            fill!("{}: {} is the target of {} too; keep one of them", file.path, file.target, other.path);
        reading.fault(file.at, message);
    }
}

fn read_one(
    table: &Table<'_>,
    path: String,
    name: &str,
    secret: bool,
    sources: &SourceMap,
) -> Option<PreparedFile> {
    let off = condition::condition(table).err();
    if off.is_some() {
        table.reading().forgive_unset();
    }
    let mut vars = table.list("vars");
    for name in vars.iter().flatten() {
        if name.contains(|c: char| !c.is_ascii_alphanumeric() && c != '_') || check_name(name).is_err() {
            table.fault("vars", &format!("\"{name}\" is no name that stands between \"${{\" and \"}}\""));
        }
    }
    let source = source(table, vars.as_deref(), secret, sources);
    let is_template = matches!(source, Some((FileSource::Content(_) | FileSource::File(_), _)) | None);
    if vars.is_some() && !is_template {
        table.fault("vars", "does nothing here: the value is written as it is; drop the key");
    }
    // A secret's file is its value, in which a `$` is a `$`.
    if secret && matches!(source, Some((FileSource::File(_), _))) {
        vars.get_or_insert_default();
    }
    let keep = table.flag("keep");
    if keep.is_some() && matches!(source, Some((FileSource::Generate(_), _))) {
        table.fault("keep", "does nothing here: what is generated is made once, and kept; drop the key");
    }
    let (uid, gid) = (table.text_or_number("uid"), table.text_or_number("gid"));
    uid.iter().for_each(|uid| owner(table, "uid", uid));
    gid.iter().for_each(|gid| owner(table, "gid", gid));
    let mode = scalar::mode(table, "mode");
    let target = target(table, name, secret);
    // What is written and reads as nothing, without a fault, is not known yet.
    let is_there = |key, read: bool| read || !table.has(key);
    let is_known = is_there("uid", uid.is_some())
        && is_there("gid", gid.is_some())
        && is_there("mode", mode.is_some())
        && is_there("target", table.text("target").is_some())
        && source_is_known(table, &source);
    let (source, source_at) = source?;
    let keep = keep.unwrap_or(false);
    let at = table.at;
    Some(PreparedFile {
        path,
        at,
        off,
        is_known,
        secret,
        source,
        source_at,
        vars,
        target: target?,
        uid,
        gid,
        mode,
        keep,
    })
}

/// What is in it, and where that is said.
fn source(
    table: &Table<'_>,
    vars: Option<&[String]>,
    secret: bool,
    sources: &SourceMap,
) -> Option<(FileSource, Span)> {
    let known = if secret { &SOURCES[..] } else { SOURCES.get(..3)? };
    let mut said = known.iter().filter_map(|key| Some((*key, table.node(key)?)));
    let Some((key, node)) = said.next() else {
        let rest = if secret { ", environment or generate" } else { " or environment" };
        table.fault_here(&fill!("says nothing of what is in it; expected content, file{}", rest));
        return None;
    };
    if let Some((other, _)) = said.next() {
        table.fault(other, &fill!("found beside {}; expected one of them", key));
    }
    let source = match (key, &node.value) {
        ("content", Value::Text(raw)) => {
            let listed = |name: &str, _: &str| vars.is_some_and(|vars| vars.iter().any(|var| var == name));
            let only: OnlyNames<'_> = if vars.is_some() { Some(&listed) } else { None };
            // What is not known yet is read again after the checks.
            FileSource::Content(table.expand_only(key, node, raw, only))
        }
        ("content", _) => {
            table.wrong(key, node, "a string");
            return None;
        }
        ("file", _) => {
            let path = table.text("file");
            if path.as_deref() == Some("") {
                table.fault(key, "is empty; expected the path of a file, or of a directory of templates");
            }
            FileSource::File(beside(sources, node.at, &path.or_else(|| written(node))?))
        }
        ("environment", _) => FileSource::Environment(variable(table)?),
        _ => {
            let parse = |text: &str| Generator::parse(text);
            FileSource::Generate(table.parse("generate", "a string", |_| None, parse)?)
        }
    };
    Some((source, node.at))
}

/// Whether what is in it is known already.
fn source_is_known(table: &Table<'_>, source: &Option<(FileSource, Span)>) -> bool {
    match source {
        Some((FileSource::Content(text), _)) => text.is_some(),
        Some((FileSource::File(_), _)) => table.text("file").is_some(),
        _ => true,
    }
}

/// A text as it stands in the file.
fn written(node: &Node) -> Option<String> {
    if let Value::Text(text) = &node.value { Some(text.clone()) } else { None }
}

/// The name of a variable that is set, or will be.
fn variable(table: &Table<'_>) -> Option<String> {
    const KEY: &str = "environment";
    let name = table.text(KEY)?;
    if check_name(&name).is_err() {
        table.fault(KEY, "names no variable; expected a name, whose value is written as it is");
        return None;
    }
    let scope = &table.reading().scope;
    let is_known = scope.later.contains(&name) || (scope.variable)(&name).is_some();
    if !is_known && !table.reading().forgives() {
        let remedy = ["; set it, or write when_env = \"", &name, "\", so that nothing is written without it"];
        table.fault(KEY, &fill!("{} is not set{}", name, &remedy.concat()));
    }
    Some(name)
}

fn target(table: &Table<'_>, name: &str, secret: bool) -> Option<String> {
    const KEY: &str = "target";
    if table.node(KEY).is_none() {
        if secret && !name.contains('/') && !matches!(name, "" | "." | "..") {
            return Some(fill!("/run/secrets/{}", name));
        }
        table.fault_here("has no target; expected the absolute path at which it is written");
        return None;
    }
    let Some(target) = table.text(KEY) else { return written(table.node(KEY)?) };
    if scalar::is_absolute(table, KEY, &target) && target.split('/').any(|part| part == "..") {
        table.fault(KEY, "has \"..\" in it; expected the path itself");
    }
    Some(target)
}
