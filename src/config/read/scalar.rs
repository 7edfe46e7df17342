//! One value that is a word, a signal or a scalar.

use super::table::Table;
use crate::config::source::document::Value;
use crate::model::Signal;
use crate::text::gather::Gather;
use crate::text::suggest::did_you_mean;
use serde::Deserialize;

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
        format!("no such signal; expected a name such as \"SIGTERM\" or a number from 1 to 64{hint}")
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

/// Reads a word as a variant of `T`; the error lists the words there are, or the nearest one.
pub fn one_of<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, String> {
    let words = serde::de::value::StrDeserializer::<UnknownWord>::new(text);
    T::deserialize(words).map_err(|unknown| unknown.explain(text))
}

/// serde's complaint about an unknown variant, reduced to the words that it knows.
#[derive(Debug)]
struct UnknownWord(&'static [&'static str]);

impl UnknownWord {
    fn explain(&self, text: &str) -> String {
        // Compose's name of a condition is known, but not advertised.
        let words = self.0.iter().filter(|word| !word.starts_with("service_"));
        let expected: Vec<String> = words.map(|word| format!("\"{word}\"")).gather();
        format!("expected {}{}", expected.join(" or "), did_you_mean(text, self.0.iter().copied()))
    }
}

impl std::fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("unknown word")
    }
}

impl std::error::Error for UnknownWord {}

impl serde::de::Error for UnknownWord {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Self(&[])
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self(expected)
    }
}
