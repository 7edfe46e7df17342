//! An environment: what rinit was given, and what checks, files and services add. Names and values
//! are bytes, as execve(2) has them; nothing is lost that is not UTF-8.

use crate::text::escape::{bytes_as_text, text_as_bytes};
use crate::text::gather::Gather;
use std::ffi::{CStr, CString};

/// `NAME=value` entries in the order in which they were given.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Environ {
    entries: Vec<CString>,
}

impl Environ {
    /// From the entries that execve(2) handed over.
    pub fn from_entries(entries: impl IntoIterator<Item = CString>) -> Self {
        Self { entries: entries.into_iter().gather() }
    }

    /// The entries, as execve(2) takes them.
    #[must_use]
    pub fn entries(&self) -> &[CString] {
        &self.entries
    }

    /// The entries themselves.
    #[must_use]
    pub fn into_entries(self) -> Vec<CString> {
        self.entries
    }

    /// Names and values; an entry without `=` is left out.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.entries.iter().filter_map(|entry| split(entry))
    }

    /// The value of a variable, as it is.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.entries.iter().find_map(|entry| value_of(entry, name))
    }

    /// The value of a variable, in which [`text_as_bytes`] finds again what is not UTF-8.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        self.bytes(name).map(bytes_as_text)
    }

    /// The value of a variable; what is not UTF-8 in it is replaced.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        self.bytes(name).map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// The value of a variable that is set and not empty.
    #[must_use]
    pub fn get_full(&self, name: &str) -> Option<String> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// Whether a variable is set and not empty.
    #[must_use]
    pub fn has_full(&self, name: &str) -> bool {
        self.bytes(name).is_some_and(|value| !value.is_empty())
    }

    /// Sets a variable. A name or value with a NUL or a name with `=` cannot be set, and is not.
    pub fn set(&mut self, name: &str, value: &str) {
        let value = text_as_bytes(value);
        let Ok(entry) = CString::new([name.as_bytes(), b"=", &value].concat()) else { return };
        if name.is_empty() || name.contains('=') {
            return;
        }
        self.put(name, entry);
    }

    /// Sets a variable by its entry, `NAME=value`.
    pub fn put(&mut self, name: &str, entry: CString) {
        // A name may have been given twice (execve(2) allows it), and programs differ in which of the two they take.
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
}

/// The value, if the entry is this variable's. Most are ruled out by the place of their "=".
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
        environ.set("RAW", &bytes_as_text(b"\xff\xc3\xa4"));
        assert_eq!(environ.bytes("RAW"), Some(&b"\xff\xc3\xa4"[..]));
        environ.remove("RAW");
        let left: Vec<_> = environ.entries().iter().map(|e| e.to_str().expect("utf-8")).collect();
        assert_eq!(left, ["A=2", "odd", "C="]);
    }

    /// `A=1 A=2` was `A=3 A=2` after `A = "3"`, and a shell took the last.
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
