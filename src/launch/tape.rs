//! What was read for a configuration, kept so that it can be resolved once more without a look at any file.
//!
//! At a reload a helper process reads the files, since that may block, and PID 1 resolves what the helper has seen. So
//! there is no second form of a plan that would have to be written and read.

use std::cell::RefCell;
use std::io;

/// The answers to all questions, in order.
enum Tape {
    /// They are being given.
    Recording(Vec<u8>),
    /// They are given once more; from this byte on.
    Playing(Vec<u8>, usize),
}

thread_local! {
    static TAPE: RefCell<Option<Tape>> = const { RefCell::new(None) };
}

/// Runs a job; returns its result, and the answers that it got.
pub fn record<T>(job: impl FnOnce() -> T) -> (T, Vec<u8>) {
    TAPE.set(Some(Tape::Recording(Vec::new())));
    let result = job();
    match TAPE.take() {
        Some(Tape::Recording(bytes)) => (result, bytes),
        _ => (result, Vec::new()),
    }
}

/// Runs the same job once more, with the answers that it got.
pub fn play<T>(bytes: Vec<u8>, job: impl FnOnce() -> T) -> T {
    TAPE.set(Some(Tape::Playing(bytes, 0)));
    let result = job();
    TAPE.set(None);
    result
}

/// Returns whether no file may be looked at.
pub fn is_playing() -> bool {
    TAPE.with_borrow(|tape| matches!(tape, Some(Tape::Playing(..))))
}

/// Returns whether there is a tape.
pub fn is_on() -> bool {
    TAPE.with_borrow(Option::is_some)
}

/// How an answer is kept.
pub type Codec = (fn(io::Result<Vec<u8>>) -> Vec<u8>, fn(&[u8]) -> io::Result<Vec<u8>>);

/// Answers a question: by a look, or from the tape. `None`: there is no tape.
pub fn through(
    question: &[&str],
    look: &dyn Fn() -> io::Result<Vec<u8>>,
    (encode, decode): Codec,
) -> Option<io::Result<Vec<u8>>> {
    TAPE.with_borrow_mut(|tape| match tape.as_mut()? {
        Tape::Recording(bytes) => {
            let answer = encode(look());
            for part in [question.concat().as_bytes(), &answer] {
                bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(0).to_ne_bytes());
                bytes.extend_from_slice(part);
            }
            Some(decode(&answer))
        }
        Tape::Playing(bytes, at) => {
            let asked = next(bytes, at).filter(|known| *known == question.concat().as_bytes());
            let answer = asked.and_then(|_| next(bytes, at));
            // Another question than then: whatever depends on it is not known.
            Some(answer.map_or_else(|| Err(io::ErrorKind::InvalidData.into()), decode))
        }
    })
}

fn next<'b>(bytes: &'b [u8], at: &mut usize) -> Option<&'b [u8]> {
    let (length, rest) = bytes.get(*at..)?.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_ne_bytes(*length)).ok()?;
    let part = rest.get(..length)?;
    *at += 4 + length;
    Some(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn the_second_time_nobody_looks() {
        let looks = Cell::new(0);
        let encode: fn(io::Result<Vec<u8>>) -> Vec<u8> = |answer| answer.unwrap_or_default();
        let codec: Codec = (encode, |bytes| Ok(bytes.to_vec()));
        let ask = |what: &str| {
            let look = || {
                looks.set(looks.get() + 1);
                Ok(what.to_uppercase().into_bytes())
            };
            through(&["read ", what], &look, codec).map(|answer| answer.map_err(|error| error.kind()))
        };
        assert_eq!(ask("none"), None);
        let (first, bytes) = record(|| [ask("a"), ask("b")]);
        assert_eq!((looks.get(), &first[1]), (2, &Some(Ok(b"B".to_vec()))));
        assert_eq!(play(bytes.clone(), || [ask("a"), ask("b")]), first);
        assert_eq!(looks.get(), 2);
        let other = play(bytes, || [ask("a"), ask("c"), ask("b")]);
        assert_eq!(other[1], Some(Err(io::ErrorKind::InvalidData)));
        assert!(!is_on() && looks.get() == 2);
    }
}
