//! The command lines of the inits that rinit can replace, parsed exactly like the originals. The name that the file is
//! started under selects one.

mod catatonit;
mod dumb_init;
mod tini;

pub(super) use tini::level as tini_level;

use super::{Invocation, Parsed};
use crate::model::Signal;
use crate::text::gather::Gather;
use crate::text::template::fill;
use std::ffi::{CStr, CString};
use std::time::Duration;

/// The init to imitate: its command line, messages, exit codes, and treatment of its child.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Persona {
    /// rinit itself.
    #[default]
    Rinit,
    /// tini, named docker-init by Docker.
    Tini,
    /// dumb-init.
    DumbInit,
    /// catatonit, named podman-init by Podman.
    Catatonit,
}

impl Persona {
    /// Recognises the name that the program was started under, with or without a path. Releases add suffixes
    /// (tini-static, dumb-init_1.2.5_x86_64, catatonit.x86_64).
    #[must_use]
    pub fn of(name: &[u8]) -> Self {
        let base = name.rsplit(|b| *b == b'/').next().unwrap_or(name);
        let names: [(&[u8], Self); 5] = [
            (b"tini", Self::Tini),
            (b"docker-init", Self::Tini),
            (b"dumb-init", Self::DumbInit),
            (b"catatonit", Self::Catatonit),
            (b"podman-init", Self::Catatonit),
        ];
        names.iter().find(|(stem, _)| base.starts_with(stem)).map_or(Self::Rinit, |(_, persona)| *persona)
    }
}

/// A fixed answer in place of running anything.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The descriptor: standard output (1) or error (2).
    pub fd: i32,
    /// rinit's exit code.
    pub code: u8,
    /// The whole text.
    pub text: String,
}

/// Returns the value of an environment variable.
pub type Variable<'v> = &'v dyn Fn(&str) -> Option<&'static [u8]>;

/// Parses the command line of another init. The error is one line for the user, in that init's form.
pub(super) fn parse(persona: Persona, arguments: &[&CStr], variable: Variable<'_>) -> Result<Parsed, String> {
    let name = arguments.first().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let mut options =
        Options { name: &name, rest: arguments.get(1..).unwrap_or_default(), ..Options::default() };
    match persona {
        Persona::Tini => tini::parse(&mut options, variable),
        Persona::DumbInit => dumb_init::parse(&mut options, variable),
        Persona::Catatonit | Persona::Rinit => catatonit::parse(&mut options, variable),
    }
}

pub(super) fn answer(fd: i32, code: u8, text: String) -> Result<Parsed, String> {
    Ok(Parsed::Answer(Answer { fd, code, text }))
}

/// A version in the original's form, which scripts and Docker parse, plus the note that it is rinit.
macro_rules! version {
    ($of:literal) => {
        concat!($of, " - rinit ", env!("CARGO_PKG_VERSION"), "\n")
    };
}
use version;

/// Defaults common to all of them: nobody waits for leftovers of the command.
fn invocation(persona: Persona, dropped: &[Signal]) -> Invocation {
    Invocation {
        persona,
        kill_after: Some(Duration::ZERO),
        rewrites: dropped.iter().map(|signal| (*signal, None)).gather(),
        ..Invocation::default()
    }
}

/// Command line options in the style of getopt_long(3).
#[derive(Default)]
struct Options<'a> {
    /// The program's name, as started.
    name: &'a str,
    /// The words not yet parsed.
    rest: &'a [&'a CStr],
    /// The option letters; a colon follows each that takes a value.
    letters: &'static [u8],
    /// Long names with their letters.
    long: &'static [(&'static str, u8)],
    /// Whether options may follow non-options.
    permute: bool,
    /// The rest of a word with several letters.
    cluster: &'a [u8],
    /// Non-option words that were skipped.
    words: Vec<&'a CStr>,
}

impl<'a> Options<'a> {
    /// Returns the next option and its value.
    fn next(&mut self) -> Result<Option<(u8, &'a [u8])>, String> {
        while self.cluster.is_empty() {
            let Some((word, rest)) = self.rest.split_first() else { return Ok(None) };
            let bytes = word.to_bytes();
            let dashed = bytes.strip_prefix(b"-").filter(|letters| !letters.is_empty());
            if dashed.is_none() && !self.permute {
                return Ok(None);
            }
            self.rest = rest;
            match dashed {
                None => self.words.push(word),
                Some(b"-") => return Ok(None),
                Some([b'-', long @ ..]) if !self.long.is_empty() => return self.long(long).map(Some),
                Some(letters) => self.cluster = letters,
            }
        }
        let Some((letter, tail)) = self.cluster.split_first() else { return Ok(None) };
        let at = self.letters.iter().position(|known| known == letter && *known != b':');
        let Some(at) = at else { return Err(self.wrong("invalid option -- '", &[*letter], "'")) };
        let valued = self.letters.get(at + 1) == Some(&b':');
        self.cluster = if valued { &[] } else { tail };
        let value = match valued {
            false => Some(&b""[..]),
            true if tail.is_empty() => self.word(),
            true => Some(tail),
        };
        match value {
            Some(value) => Ok(Some((*letter, value))),
            None => Err(self.wrong("option requires an argument -- '", &[*letter], "'")),
        }
    }

    /// Parses a long option, or an unambiguous prefix of one.
    fn long(&mut self, text: &'a [u8]) -> Result<(u8, &'a [u8]), String> {
        let mut parts = text.splitn(2, |b| *b == b'=');
        let name = parts.next().unwrap_or_default();
        let inline = parts.next();
        let mut fits = self.long.iter().filter(|(long, _)| long.as_bytes().starts_with(name));
        let found = match (fits.next(), fits.next()) {
            (Some(only), None) => only,
            (None, _) => return Err(self.wrong("unrecognized option '--", name, "'")),
            _ => return Err(self.wrong("option '--", name, "' is ambiguous")),
        };
        let (full, letter) = *found;
        let at = self.letters.iter().position(|known| *known == letter);
        match (at.and_then(|at| self.letters.get(at + 1)) == Some(&b':'), inline) {
            (true, inline) => match inline.or_else(|| self.word()) {
                Some(value) => Ok((letter, value)),
                None => Err(self.wrong("option '--", full.as_bytes(), "' requires an argument")),
            },
            (false, None) => Ok((letter, b"")),
            (false, Some(_)) => Err(self.wrong("option '--", full.as_bytes(), "' doesn't allow an argument")),
        }
    }

    fn word(&mut self) -> Option<&'a [u8]> {
        let (word, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(word.to_bytes())
    }

    fn wrong(&self, before: &str, what: &[u8], after: &str) -> String {
        fill!("{}: {}{}{}\n", self.name, before, &String::from_utf8_lossy(what), after)
    }

    /// Returns the remaining words: the COMMAND.
    fn command(&self) -> Vec<CString> {
        self.words.iter().chain(self.rest).map(|word| CString::from(*word)).gather()
    }

    /// Returns the last component of the program's path.
    fn base(&self) -> &'a str {
        self.name.rsplit('/').next().unwrap_or(self.name)
    }
}

#[cfg(test)]
mod tests;
