//! One value that is a word, a signal or a scalar.

use super::table::Table;
use crate::config::source::document::Value;
use crate::model::Signal;
use crate::text::gather::Gather;
use crate::text::suggest::did_you_mean;
use crate::text::template::fill;
use crate::text::words::Word;

/// A number or bool as its text.
pub fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Text(_) | Value::List(_) | Value::Table(_) => None,
    }
}

/// A signal's name or number.
pub fn signal(text: &str) -> Result<Signal, String> {
    Signal::parse(text).ok_or_else(|| {
        let name = text.to_ascii_uppercase();
        let hint = did_you_mean(name.strip_prefix("SIG").unwrap_or(&name), Signal::names());
        fill!("no such signal; expected a name such as \"SIGTERM\" or a number from 1 to 64{}", hint)
    })
}

/// Permission bits, in quotes: 755 in TOML is a decimal number, which is another mode.
pub fn mode(table: &Table<'_>, key: &'static str) -> Option<u32> {
    let text = table.text_or_number(key)?;
    let octal = text.strip_prefix("0o").unwrap_or(&text);
    let mode = u32::from_str_radix(octal, 8).ok().filter(|mode| *mode <= 0o7777);
    let quoted = matches!(table.node(key).map(|node| &node.value), Some(Value::Text(_)));
    if mode.is_none() || !quoted {
        table.fault(key, "is no mode; expected octal digits in quotes, such as \"0755\"");
    }
    mode
}

/// Notes a fault if a path is relative; returns whether it is not.
pub fn is_absolute(table: &Table<'_>, key: &'static str, path: &str) -> bool {
    let absolute = path.starts_with('/');
    if !absolute {
        table.fault(key, "is not an absolute path; expected one that begins with \"/\"");
    }
    absolute
}

/// Reads a word as a value of `T`; the error lists the words there are, or the nearest one.
pub fn one_of<T: Word>(text: &str) -> Result<T, String> {
    let found = word_number(text, T::NAMES)?;
    T::VALUES.get(found).copied().ok_or_else(String::new)
}

/// Which of the words it is.
#[inline(never)]
pub(super) fn word_number(text: &str, names: &'static [&'static str]) -> Result<usize, String> {
    names.iter().position(|name| *name == text).ok_or_else(|| {
        // Compose's name of a condition is known, but not advertised.
        let words = names.iter().filter(|word| !word.starts_with("service_"));
        let expected = words.map(|word| fill!("\"{}\"", word)).gather();
        fill!("expected {}{}", expected.join(" or "), did_you_mean(text, names.iter().copied()))
    })
}
