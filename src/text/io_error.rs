//! Messages for read errors.

use crate::text::template::fill;
use std::io;

/// Explains why a file could not be read; follows its name.
#[must_use]
pub fn unreadable(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "does not exist".into(),
        io::ErrorKind::PermissionDenied => "may not be read by this user".into(),
        io::ErrorKind::IsADirectory => {
            "is a directory (a bind mount whose source is missing makes one)".into()
        }
        io::ErrorKind::TimedOut => {
            "is no file but a pipe, and nothing came out of it; expected a file".into()
        }
        io::ErrorKind::FileTooLarge => "is larger than 4 MiB".into(),
        _ if error.raw_os_error().is_some() => {
            let text = error.to_string();
            let plain = text.split(" (os error").next().unwrap_or(&text);
            fill!("cannot be read: {}", plain.to_ascii_lowercase())
        }
        _ => error.to_string(),
    }
}
