//! Expands `${NAME}` as Compose does, in texts of any bytes: in configuration values, where it is the only syntax, and
//! in templates, whose other `$…` are kept.

use crate::text::template::fill;
/// The value of a variable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum VariableValue {
    /// It is set, maybe to an empty value.
    Set(Vec<u8>),
    /// It is not set.
    Unset,
    /// It will be known later.
    Later,
}

/// How to expand a text.
#[derive(Clone, Copy)]
pub struct ExpansionRules<'a> {
    /// Returns the value of a variable.
    pub value: &'a dyn Fn(&str) -> VariableValue,
    /// `None`: every `${…}` is a reference, `$$` means `$`, and a malformed reference is a fault. Otherwise only those
    /// references are expanded whose name and operation (`:-default`) this accepts; everything else is kept byte for
    /// byte, including `$$`.
    pub only: OnlyNames<'a>,
}

/// See [`ExpansionRules::only`].
pub type OnlyNames<'a> = Option<&'a dyn Fn(&str, &str) -> bool>;

/// An expanded text.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ExpandedBytes {
    /// The text, final except for values known later.
    pub bytes: Vec<u8>,
    /// Whether it depends on such a value.
    pub later: bool,
}

/// Why a text cannot be expanded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExpansionFault {
    /// The byte offset.
    pub at: usize,
    /// What is wrong and what to do: one line.
    pub message: String,
}

/// How deep defaults may nest. No file must be able to exhaust the stack of PID 1.
const MAX_DEPTH: usize = 16;

/// Expands `${NAME}`, `${NAME:-default}`, `${NAME-default}`, `${NAME:?message}`, `${NAME?message}`, `${NAME:+other}`,
/// `${NAME+other}` and, as in Compose, `$$`. Any other `$` is kept, so that `sh -c 'echo $HOME'` needs no doubling.
pub fn expand(text: &[u8], rules: &ExpansionRules<'_>) -> Result<ExpandedBytes, ExpansionFault> {
    let mut out = ExpandedBytes { bytes: Vec::with_capacity(text.len()), later: false };
    expand_into(text, 0, rules, 0, &mut out)?;
    Ok(out)
}

/// Returns line and column of an offset, both from 1; the column counts characters.
#[must_use]
pub fn line_and_column(text: &[u8], at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let column = String::from_utf8_lossy(before.get(start..).unwrap_or_default()).chars().count() + 1;
    (line, column)
}

/// `base` is the offset of `text` in the whole text.
fn expand_into(
    text: &[u8],
    base: usize,
    rules: &ExpansionRules<'_>,
    depth: usize,
    out: &mut ExpandedBytes,
) -> Result<(), ExpansionFault> {
    let fault = |at, message| Err(ExpansionFault { at, message });
    if depth > MAX_DEPTH {
        return fault(
            base,
            format!("\"${{\" within \"${{\" more than {MAX_DEPTH} deep; write it in fewer steps"),
        );
    }
    let mut rest = text;
    while let Some(dollar) = rest.iter().position(|byte| *byte == b'$') {
        let (plain, tail) = rest.split_at(dollar);
        out.bytes.extend_from_slice(plain);
        let at = base + (text.len() - tail.len());
        // Not one of our references: keep it, and continue inside it.
        rest = tail.get(1..).unwrap_or_default();
        match rest.first() {
            Some(b'$') if rules.only.is_none() => rest = rest.get(1..).unwrap_or_default(),
            Some(b'{') => {
                let inside = rest.get(1..).unwrap_or_default();
                let Some(end) = closing_brace(inside) else {
                    if rules.only.is_none() {
                        let message =
                            "a \"${\" without its \"}\"; write \"$${\" for the characters themselves";
                        return fault(at, message.into());
                    }
                    out.bytes.push(b'$');
                    continue;
                };
                let (body, after) = inside.split_at(end);
                let reference = match Reference::parse(body) {
                    Ok(reference) => reference,
                    Err(why) if rules.only.is_none() => return fault(at, why),
                    Err(_) => {
                        out.bytes.push(b'$');
                        continue;
                    }
                };
                if rules.only.is_some_and(|ours| !ours(reference.name, reference.operation)) {
                    out.bytes.push(b'$');
                    continue;
                }
                reference.replace(at, rules, depth + 1, out)?;
                rest = after.get(1..).unwrap_or_default();
                continue;
            }
            _ => {}
        }
        out.bytes.push(b'$');
    }
    out.bytes.extend_from_slice(rest);
    Ok(())
}

/// Finds the brace that closes the one before `text`; `${a:-${b}}` nests.
fn closing_brace(text: &[u8]) -> Option<usize> {
    let (mut depth, mut before) = (0usize, 0);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'}' if depth == 0 => return Some(at),
            b'}' => depth -= 1,
            b'{' if before == b'$' => depth += 1,
            _ => {}
        }
        before = *byte;
    }
    None
}

/// The content of the braces.
struct Reference<'t> {
    name: &'t str,
    /// `:-`, `?` etc.; empty if there is only a name.
    operation: &'t str,
    /// The text after the operation.
    argument: &'t [u8],
}

impl<'t> Reference<'t> {
    fn parse(body: &'t [u8]) -> Result<Self, String> {
        let count = body.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
        let (name, after) = body.split_at(count);
        let name = std::str::from_utf8(name).unwrap_or("");
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            let body = String::from_utf8_lossy(body);
            return Err(format!("\"${{{body}}}\" names no variable; write \"$$\" for the character $"));
        }
        let colon = usize::from(after.first() == Some(&b':'));
        let (operation, argument) = match after.get(colon) {
            Some(b'-' | b'+' | b'?') => after.split_at(colon + 1),
            None if colon == 0 => (after, after),
            _ => {
                let body = String::from_utf8_lossy(body);
                return Err(format!(
                    "\"${{{body}}}\": after the name comes \":-default\", \":?message\" or \":+other\""
                ));
            }
        };
        Ok(Self { name, operation: std::str::from_utf8(operation).unwrap_or(""), argument })
    }

    fn replace(
        &self,
        at: usize,
        rules: &ExpansionRules<'_>,
        depth: usize,
        out: &mut ExpandedBytes,
    ) -> Result<(), ExpansionFault> {
        let Self { name, operation, argument } = *self;
        let value = match (rules.value)(name) {
            VariableValue::Later => {
                out.later = true;
                return Ok(());
            }
            VariableValue::Unset => None,
            // With a colon an empty value counts as unset.
            VariableValue::Set(value) => Some(value).filter(|v| !v.is_empty() || !operation.starts_with(':')),
        };
        // After "${", the name and the operation.
        let base = at + 2 + name.len() + operation.len();
        match (operation.trim_start_matches(':'), value) {
            ("+", None) => Ok(()),
            ("+", Some(_)) | ("-", None) => expand_into(argument, base, rules, depth, out),
            (_, Some(value)) => {
                out.bytes.extend_from_slice(&value);
                Ok(())
            }
            ("?", None) if !argument.is_empty() => {
                let message = fill!("{} is not set: {}", name, String::from_utf8_lossy(argument));
                Err(ExpansionFault { at, message })
            }
            (_, None) => {
                let message =
                    format!("{name} is not set and has no default; set it, or write ${{{name}:-default}}");
                Err(ExpansionFault { at, message })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::expansion::*;

    fn value(name: &str) -> VariableValue {
        match name {
            "A" => VariableValue::Set(b"alpha".into()),
            "B" => VariableValue::Set(b"&|\\\"'\n${A}$$\xff\x01".into()),
            "EMPTY" => VariableValue::Set(Vec::new()),
            "SOON" => VariableValue::Later,
            _ => VariableValue::Unset,
        }
    }

    fn told(text: &[u8], only: OnlyNames<'_>) -> Result<Vec<u8>, ExpansionFault> {
        expand(text, &ExpansionRules { value: &value, only }).map(|out| out.bytes)
    }

    /// Both spellings of nginx's own variables are kept, and those of PHP, make, shells and regular expressions; and
    /// so is anything that is not a valid reference.
    #[test]
    fn what_is_not_listed_stays_byte_for_byte() {
        let only = |name: &str, _: &str| name == "A";
        let same: [&[u8]; 12] = [
            b"proxy_set_header Host $host; return 301 ${scheme}://$host$request_uri;",
            b"$A $$A $$x $$$x $$ $",
            b"$(CC) $@ $< $^ $$(pwd) $1 ${1} ${#A} ${} ${!A} ${A%.*} ${A:0:2}",
            b"^/a$|\\$b(?<x>c)${2,3}$",
            b"${B} ${NONE} ${NONE:-a} ${NONE:?b}",
            b"${",
            b"a ${A",
            b"${\xff}",
            b"\xff\xfe\x00\r\n",
            b"\xef\xbb\xbf# a byte order mark\r\n",
            b"",
            b"no end of line",
        ];
        for text in same {
            assert_eq!(told(text, Some(&only)).as_deref(), Ok(text), "{}", String::from_utf8_lossy(text));
        }
        for (text, want) in [
            ("${A}", "alpha"),
            ("$${A}", "$alpha"),
            ("${scheme}://${A}$uri", "${scheme}://alpha$uri"),
            ("${scheme:-${A}}", "${scheme:-alpha}"),
            ("${A:-${scheme}}", "alpha"),
            ("${A:+$$x ${scheme} ${A}}", "$$x ${scheme} alpha"),
            ("{${A}}", "{alpha}"),
            ("${${A}}", "${alpha}"),
        ] {
            assert_eq!(told(text.as_bytes(), Some(&only)).as_deref(), Ok(want.as_bytes()), "{text}");
        }
    }

    #[test]
    fn a_listed_name_that_is_unset_is_a_fault_with_its_place() {
        let only = |name: &str, _: &str| name.starts_with('N');
        let text = b"line one\n\xc3\xa4 ${A} ${NONE}\n";
        let fault = told(text, Some(&only)).expect_err("unset");
        assert!(fault.message.starts_with("NONE is not set"), "{fault:?}");
        assert_eq!(line_and_column(text, fault.at), (2, 8));
        let fault = told(b"${NO:-x${NO:-${NONE}}}", Some(&only)).expect_err("unset");
        assert_eq!(fault.at, 13);
        assert_eq!(told(b"${NO:-d}", Some(&only)).as_deref(), Ok(&b"d"[..]));
    }

    #[test]
    fn a_value_arrives_as_it_is() {
        let VariableValue::Set(raw) = value("B") else { return };
        for only in [None, Some(&(|_: &str, _: &str| true) as &dyn Fn(&str, &str) -> bool)] {
            let told = told(b"<${B}>", only).expect("a text");
            assert_eq!(told, [b"<", &raw[..], b">"].concat());
        }
        assert_eq!(told(b"\xff ${A} $$ \xfe", None).as_deref(), Ok(&b"\xff alpha $ \xfe"[..]));
    }

    #[test]
    fn places_are_counted_in_characters() {
        let text = "a\nä${X}\n".as_bytes();
        assert_eq!(line_and_column(text, 4), (2, 2));
        assert_eq!(line_and_column(text, 0), (1, 1));
        assert_eq!(line_and_column(text, 99), (3, 1));
        let later = expand(b"${SOON}x", &ExpansionRules { value: &value, only: None }).expect("later");
        assert!(later.later);
    }
}
