//! Parses the variables that a script writes to the file named by `RINIT_ENV`: `NAME=value` lines, and records between
//! two NUL bytes for arbitrary values. No unquoting, no expansion, and values are never shown.

use crate::text::template::fill;
/// The maximum size of such a file.
pub const MAX_ENV_FILE: usize = 64 * 1024;

/// Returns the `NAME=value` entries; none contains a NUL, and the part before `=` is a valid name. Both forms may be
/// mixed. The error follows the file's name.
pub fn parse(bytes: &[u8]) -> Result<Vec<&[u8]>, String> {
    if bytes.len() > MAX_ENV_FILE {
        return Err(fill!("holds more than {} KiB", &(MAX_ENV_FILE / 1024).to_string()));
    }
    let mut found = Vec::new();
    let (mut rest, mut number) = (bytes, 1);
    while let Some((first, behind)) = rest.split_first() {
        let fault = |why: &str| Err([&nth(bytes, rest, number), why].concat());
        let (entry, left) = if *first == 0 {
            let Some(ended) = split_once(behind, 0) else {
                return fault(" begins with a NUL byte and does not end with one: it was written in halves");
            };
            ended
        } else {
            let Some(ended) = split_once(rest, b'\n') else {
                return fault(" has no end of line: it was written in halves, or by a printf without \\n");
            };
            if ended.0.contains(&0) {
                return fault(
                    " has a NUL byte in it; a record of any bytes begins with one, and ends with one: printf '\\0%s\\0' \"NAME=$value\"",
                );
            }
            ended
        };
        match entry.iter().position(|byte| *byte == b'=') {
            Some(at) if entry.get(..at).is_some_and(is_name) => found.push(entry),
            None if entry.is_empty() => {}
            _ if entry.starts_with(b"export ") => return fault(" begins with a shell's word; drop `export`"),
            _ => {
                return fault(
                    " is no NAME=value; a value with line ends is written as printf '\\0%s\\0' \"NAME=$value\"",
                );
            }
        }
        (rest, number) = (left, number + 1);
    }
    Ok(found)
}

/// Returns whether it is a valid variable name: letters, digits and `_`, not starting with a digit.
#[must_use]
pub fn is_name(name: &[u8]) -> bool {
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    name.first().is_some_and(|first| !first.is_ascii_digit()) && name.iter().all(word)
}

/// Formats a position: `line 3`; `record 3` after NUL bytes, where lines cannot be counted.
fn nth(bytes: &[u8], rest: &[u8], number: usize) -> String {
    let before = bytes.get(..bytes.len() - rest.len()).unwrap_or_default();
    let what = if before.contains(&0) || rest.first() == Some(&0) { "record " } else { "line " };
    [what, &number.to_string()].concat()
}

fn split_once(bytes: &[u8], by: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == by)?;
    Some((bytes.get(..at)?, bytes.get(at + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_what_was_written() {
        for (written, want) in [
            (&b""[..], vec![]),
            (b"\n\n", vec![]),
            (b"A=1\nB=\n", vec![&b"A=1"[..], b"B="]),
            (
                b"A=x=y \"quoted\" 'too' $HOME # no comment\r\n",
                vec![b"A=x=y \"quoted\" 'too' $HOME # no comment\r"],
            ),
            (b"_a1=\xff\xfe\n", vec![b"_a1=\xff\xfe"]),
            (b"\0A=one\ntwo\n\xff\0", vec![b"A=one\ntwo\n\xff"]),
            (b"A=1\n\0B=2\n\0C=3\n\0D=4\0\0E=5\0", vec![b"A=1", b"B=2\n", b"C=3", b"D=4", b"E=5"]),
            (b"\0\0A=1\n", vec![b"A=1"]),
        ] {
            assert_eq!(parse(written), Ok(want), "{written:?}");
        }
    }

    #[test]
    fn what_is_no_assignment_is_told_without_its_text() {
        for (written, want) in [
            (&b"A=1"[..], "line 1 has no end of line: it was written in halves"),
            (b"A=1\nB=2", "line 2 has no end of line"),
            (b"A=1\n\0B=2", "record 2 begins with a NUL byte and does not end with one"),
            (b"\0A=1\0B=2\0C=3\n", "record 2 has a NUL byte in it"),
            (b"A=1\0B=2\0", "line 1 has no end of line"),
            (b"SECRET\n", "line 1 is no NAME=value; a value with line ends is written as printf '\\0%s\\0'"),
            (b"1A=SECRET\n", "line 1 is no NAME=value"),
            (b"A B=SECRET\n", "line 1 is no NAME=value"),
            (b"=SECRET\n", "line 1 is no NAME=value"),
            (b"\0SECRET\0", "record 1 is no NAME=value"),
            (b"A=1\nexport B=SECRET\n", "line 2 begins with a shell's word; drop `export`"),
        ] {
            let told = parse(written).expect_err("a fault");
            assert!(told.starts_with(want) && !told.contains("SECRET"), "{told}");
        }
        let most = [b"A=".as_slice(), &vec![b'x'; MAX_ENV_FILE - 3], b"\n"].concat();
        assert_eq!(parse(&most).map(|found| found.len()), Ok(1));
        assert_eq!(parse(&[&most[..], b"\n"].concat()), Err("holds more than 64 KiB".into()));
    }
}
