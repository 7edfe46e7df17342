//! `logging`: a driver's name, or a table.

use super::DEFAULTS;
use crate::config::read::scalar;
use crate::config::read::table::{Table, one_of};
use crate::config::source::document::Value;
use crate::config::{LogDriver, LogFile, Logging};

/// How many files are kept where only their size is bounded, as Docker's `local` driver does.
const DEFAULT_MAX_FILE: u32 = 5;
const MAX_MAX_FILE: i64 = 1000;

/// Reads it from a service, or from `[defaults]`.
pub fn read(table: &Table<'_>) -> Logging {
    const KEY: &str = "logging";
    let Some(entry) = table.entry(KEY) else { return Logging::default() };
    if !matches!(entry.node.value, Value::Table(_)) {
        let driver = table.word(KEY).unwrap_or_default();
        if driver == LogDriver::File && table.path != DEFAULTS {
            table.fault(KEY, "needs a path; write logging = { driver = \"file\", file = \"/path\" }");
        }
        return Logging { driver, ..Logging::default() };
    }
    let inherited = table.inherited(KEY).and_then(|entry| match &entry.node.value {
        Value::Text(word) => one_of(word).ok(),
        _ => None,
    });
    let Some(logging) = table.table(KEY) else { return Logging::default() };
    let driver = logging.word("driver").or(inherited).unwrap_or_default();
    let timestamps = logging.flag("timestamps").unwrap_or(false);
    if timestamps && logging.has("timestamps") && !matches!(driver, LogDriver::Prefix | LogDriver::File) {
        let why = match driver {
            LogDriver::Json => "can never act: with the driver \"json\" each line has its time; drop the key",
            _ => "can never act: expected the driver \"prefix\" or \"file\"; drop the key",
        };
        logging.fault("timestamps", why);
    }
    let file = file(&logging, driver, table.path == DEFAULTS);
    logging.close();
    Logging { driver, timestamps, file: file.map(Box::new) }
}

fn file(logging: &Table<'_>, driver: LogDriver, in_defaults: bool) -> Option<LogFile> {
    let path = logging.text("file");
    let max_size = logging.size("max_size");
    let max_file = logging.integer("max_file", 1, MAX_MAX_FILE);
    if driver != LogDriver::File {
        // In `[defaults]` they are for those that name the driver.
        for key in ["file", "max_size", "max_file"] {
            if logging.has(key) && !in_defaults {
                logging.fault(key, "can never act: expected driver = \"file\"; drop the key");
            }
        }
        return None;
    }
    if max_size == Some(0) {
        logging.fault(
            "max_size",
            "found 0, expected a size such as \"10MiB\"; without the key it is not bounded",
        );
    }
    if max_file.is_some() && logging.has("max_file") && logging.node("max_size").is_none() {
        logging.fault("max_file", "can never act without max_size, past which a new file is begun; add it");
    }
    match &path {
        Some(path) => {
            scalar::is_absolute(logging, "file", path);
        }
        None if in_defaults || logging.node("file").is_some() => {}
        None => logging.fault_here("has no file; expected file = \"/path\" beside driver = \"file\""),
    }
    let max_file = max_file.and_then(|count| u32::try_from(count).ok()).unwrap_or(DEFAULT_MAX_FILE);
    Some(LogFile { path: path?, max_size, max_file })
}
