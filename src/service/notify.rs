//! What a service says to its NOTIFY_SOCKET (sd_notify(3)): `NAME=value` lines. Unknown names are ignored, as are
//! values that make no sense.

use crate::model::Pid;
use std::time::Duration;

/// The largest message; longer ones are ignored. As in systemd.
pub const MAX_MESSAGE: usize = 4096;
/// How much of STATUS is kept.
const MAX_STATUS: usize = 256;
/// The longest name of a kept descriptor.
const MAX_FD_NAME: usize = 255;
/// The name of one without.
const STORED: &str = "stored";

/// One message.
#[derive(Clone, Copy)]
pub struct NotifyMessage<'a>(&'a [u8]);

impl<'a> NotifyMessage<'a> {
    /// Takes the text of a datagram.
    #[must_use]
    pub fn new(text: &'a [u8]) -> Self {
        Self(text)
    }

    /// Returns the value of a name: the last one, if there are several.
    #[must_use]
    pub fn value(self, name: &str) -> Option<&'a [u8]> {
        let line = |line: &'a [u8]| line.strip_prefix(name.as_bytes())?.strip_prefix(b"=");
        self.0.split(|byte| *byte == b'\n').rev().find_map(line)
    }

    /// Returns whether `NAME=1` is said.
    #[must_use]
    pub fn says(self, name: &str) -> bool {
        self.value(name) == Some(b"1")
    }

    fn text(self, name: &str) -> Option<&'a str> {
        std::str::from_utf8(self.value(name)?).ok()
    }

    fn number(self, name: &str) -> Option<u64> {
        self.text(name)?.trim().parse().ok()
    }

    /// Returns a number of microseconds.
    #[must_use]
    pub fn span(self, name: &str) -> Option<Duration> {
        self.number(name).map(Duration::from_micros)
    }

    /// Returns `MAINPID`.
    #[must_use]
    pub fn main_pid(self) -> Option<Pid> {
        Pid::try_from(self.number("MAINPID")?).ok()
    }

    /// Returns `ERRNO`.
    #[must_use]
    pub fn errno(self) -> Option<u16> {
        u16::try_from(self.number("ERRNO")?).ok()
    }

    /// Returns `EXIT_STATUS`.
    #[must_use]
    pub fn exit_status(self) -> Option<u8> {
        u8::try_from(self.number("EXIT_STATUS")?).ok()
    }

    /// Returns `STATUS`, cut to what is kept.
    #[must_use]
    pub fn status(self) -> Option<String> {
        let value = self.value("STATUS")?;
        let text = String::from_utf8_lossy(value.get(..MAX_STATUS).unwrap_or(value));
        Some(text.trim_end_matches(char::REPLACEMENT_CHARACTER).replace(char::is_control, " "))
    }

    /// Returns `FDNAME`, or what a descriptor without a valid name is called.
    #[must_use]
    pub fn fd_name(self) -> &'a str {
        let is_valid = |name: &&str| {
            (1..=MAX_FD_NAME).contains(&name.len())
                && name.bytes().all(|byte| (b' '..0x7f).contains(&byte) && byte != b':')
        };
        self.text("FDNAME").filter(is_valid).unwrap_or(STORED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_name_and_nonsense_is_ignored() {
        let long = format!("STATUS={}\nREADY=1", "ä".repeat(400));
        for (text, ready, main, status) in [
            ("READY=1", true, None, None),
            ("READY=1\nSTATUS=up \u{1b}[1m\tnow\nMAINPID=12\n", true, Some(12), Some("up  [1m now".into())),
            ("READY=0\nMAINPID=-1", false, None, None),
            ("XREADY=1\nREADY\nMAINPID=99999999999", false, None, None),
            ("STATUS=a=b", false, None, Some("a=b".into())),
            ("", false, None, None),
            (&long, true, None, Some("ä".repeat(128))),
        ] {
            let message = NotifyMessage::new(text.as_bytes());
            assert_eq!((message.says("READY"), message.main_pid(), message.status()), (ready, main, status));
        }
        let message = NotifyMessage::new(b"WATCHDOG_USEC=1500000\nERRNO=2\nFDNAME=a:b");
        assert_eq!(message.span("WATCHDOG_USEC"), Some(Duration::from_millis(1500)));
        assert_eq!((message.errno(), message.fd_name()), (Some(2), "stored"));
        assert_eq!(NotifyMessage::new(b"FDNAME=state-1").fd_name(), "state-1");
    }
}
