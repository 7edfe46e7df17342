//! An environment: what rinit was given plus additions by checks, files and services. Names and values are bytes, as
//! in execve(2): values that are not UTF-8 are kept unchanged.

use crate::text::escape::{bytes_as_text, text_as_bytes};
use crate::text::gather::Gather;
use crate::text::glob::glob;
use std::ffi::{CStr, CString};

/// `NAME=value` entries in their original order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Environ {
    entries: Vec<CString>,
}

impl Environ {
    /// Creates an environment from the entries of execve(2).
    pub fn from_entries(entries: impl IntoIterator<Item = CString>) -> Self {
        Self { entries: entries.into_iter().gather() }
    }

    /// Returns the entries for execve(2).
    #[must_use]
    pub fn entries(&self) -> &[CString] {
        &self.entries
    }

    /// Returns the entries by value.
    #[must_use]
    pub fn into_entries(self) -> Vec<CString> {
        self.entries
    }

    /// Iterates over names and values; skips entries without `=`.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.entries.iter().filter_map(|entry| split(entry))
    }

    /// Returns the raw value of a variable.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.entries.iter().find_map(|entry| value_of(entry, name))
    }

    /// Returns the value of a variable; bytes that are not UTF-8 are encoded so that [`text_as_bytes`] restores them.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        self.bytes(name).map(bytes_as_text)
    }

    /// Returns the value of a variable; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        self.bytes(name).map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// Returns the value of a variable if it is set and not empty.
    #[must_use]
    pub fn get_full(&self, name: &str) -> Option<String> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// Returns whether a variable is set and not empty.
    #[must_use]
    pub fn has_full(&self, name: &str) -> bool {
        self.bytes(name).is_some_and(|value| !value.is_empty())
    }

    /// Sets a variable. Ignores a name or value with a NUL and a name with `=`, which cannot be set.
    pub fn set(&mut self, name: &str, value: &str) {
        let value = text_as_bytes(value);
        let Ok(entry) = CString::new([name.as_bytes(), b"=", &value].concat()) else { return };
        if name.is_empty() || name.contains('=') {
            return;
        }
        self.put(name, entry);
    }

    /// Sets a variable, given its `NAME=value` entry.
    pub fn put(&mut self, name: &str, entry: CString) {
        // execve(2) allows duplicate names, and programs differ in which one they use: keep only one.
        let mut new = Some(entry);
        self.entries.retain_mut(|known| {
            let is_other = value_of(known, name).is_none();
            match new.take_if(|_| !is_other) {
                Some(entry) => {
                    *known = entry;
                    true
                }
                None => is_other,
            }
        });
        self.entries.extend(new);
    }

    /// Removes a variable.
    pub fn remove(&mut self, name: &str) {
        self.entries.retain(|known| value_of(known, name).is_none());
    }

    /// Removes the variables whose names fit one of these patterns of a shell.
    pub fn remove_fitting(&mut self, patterns: &[String]) {
        let fits = |name: &[u8]| patterns.iter().any(|pattern| glob(pattern.as_bytes(), name));
        self.entries.retain(|known| !split(known).is_some_and(|(name, _)| fits(name)));
    }
}

/// Returns the value if this is the entry of `name`. The position of "=" rules out most entries.
fn value_of<'e>(entry: &'e CString, name: &str) -> Option<&'e [u8]> {
    let entry = entry.as_bytes();
    let (known, value) = entry.split_at_checked(name.len())?;
    let (equals, value) = value.split_first()?;
    (*equals == b'=' && known == name.as_bytes()).then_some(value)
}

fn split(entry: &CStr) -> Option<(&[u8], &[u8])> {
    let bytes = entry.to_bytes();
    let equals = bytes.iter().position(|b| *b == b'=')?;
    Some((bytes.get(..equals)?, bytes.get(equals + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::super::environ::*;

    #[test]
    fn the_last_word_on_a_name_holds_and_order_stays() {
        let mut environ = Environ::from_entries([c"A=1".into(), c"B=x=y".into(), c"odd".into()]);
        environ.set("A", "2");
        environ.set("C", "");
        environ.set("BAD=", "x");
        assert_eq!(environ.get("A").as_deref(), Some("2"));
        assert_eq!(environ.get("B").as_deref(), Some("x=y"));
        assert_eq!((environ.get("C").as_deref(), environ.get_full("C")), (Some(""), None));
        environ.remove("B");
        environ.set("DB_HOST", "h");
        environ.set("DB_PASS", "p");
        environ.remove_fitting(&["DB_*".into(), "X".into()]);
        environ.set("RAW", &bytes_as_text(b"\xff\xc3\xa4"));
        assert_eq!(environ.bytes("RAW"), Some(&b"\xff\xc3\xa4"[..]));
        environ.remove("RAW");
        let left: Vec<_> = environ.entries().iter().map(|e| e.to_str().expect("utf-8")).collect();
        assert_eq!(left, ["A=2", "odd", "C="]);
    }

    /// With `A=1 A=2`, setting `A=3` gave `A=3 A=2`, and a shell used the last.
    #[test]
    fn what_was_given_twice_is_set_once() {
        let given = || Environ::from_entries([c"A=1".into(), c"B=1".into(), c"A=2".into(), c"A".into()]);
        let mut environ = given();
        environ.set("A", "3");
        assert_eq!(environ.entries(), [c"A=3".to_owned(), c"B=1".into(), c"A".into()]);
        environ.set("C", "4");
        assert_eq!(environ.entries().last().map(CString::as_c_str), Some(c"C=4"));
        let mut environ = given();
        environ.remove("A");
        assert_eq!(environ.entries(), [c"B=1".to_owned(), c"A".into()]);
    }
}
