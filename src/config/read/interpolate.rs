//! `${NAME}` in string values, as Compose has it, and the facts that the configuration may ask about.

/// What the configuration may know about the container: its environment and which paths exist.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// The value of a variable. An empty value is `Some("")`.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// Whether a path exists.
    pub exists: &'a dyn Fn(&str) -> bool,
    /// The text of a file (`env_file`); the error is the system's word.
    pub read: &'a dyn Fn(&str) -> Result<String, String>,
    /// Variables that are not set yet, but that a check may export. What needs one is judged later.
    pub later: &'a [String],
}

/// A text after expansion.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Expanded {
    /// The final text.
    Text(String),
    /// It needs a variable that only the checks will set.
    Later,
}

/// Expands `${NAME}`, `${NAME:-default}`, `${NAME-default}`, `${NAME:?message}`, `${NAME?message}`,
/// `${NAME:+other}`, `${NAME+other}` and `$$`. A `$` before anything else stands for itself, so that
/// `sh -c 'echo $HOME'` needs no doubling. The error is one line for the user.
pub fn expand(text: &str, scope: &Scope<'_>) -> Result<Expanded, String> {
    expand_in(text, scope, 0)
}

/// How deep defaults may nest. A file must not be able to use up the stack of PID 1.
const MAX_DEPTH: usize = 16;

fn expand_in(text: &str, scope: &Scope<'_>, depth: usize) -> Result<Expanded, String> {
    if depth > MAX_DEPTH {
        return Err(format!("\"${{\" within \"${{\" more than {MAX_DEPTH} deep; write it in fewer steps"));
    }
    let mut out = String::with_capacity(text.len());
    let mut later = false;
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        let (plain, tail) = rest.split_at(dollar);
        out.push_str(plain);
        if let Some(after) = tail.strip_prefix("$$") {
            out.push('$');
            rest = after;
        } else if let Some(inside) = tail.strip_prefix("${") {
            let end = closing_brace(inside).ok_or_else(|| {
                "a \"${\" without its \"}\"; write \"$${\" for the characters themselves".to_string()
            })?;
            let (body, after) = inside.split_at(end);
            match reference(body, scope, depth + 1)? {
                Expanded::Text(value) => out.push_str(&value),
                Expanded::Later => later = true,
            }
            rest = after.strip_prefix('}').unwrap_or(after);
        } else {
            out.push('$');
            rest = tail.strip_prefix('$').unwrap_or("");
        }
    }
    out.push_str(rest);
    Ok(if later { Expanded::Later } else { Expanded::Text(out) })
}

/// Where the brace that was opened just before `text` closes; `${a:-${b}}` nests.
fn closing_brace(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    for (at, c) in text.char_indices() {
        match c {
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            '{' if text.get(..at).is_some_and(|before| before.ends_with('$')) => depth += 1,
            _ => {}
        }
    }
    None
}

fn reference(body: &str, scope: &Scope<'_>, depth: usize) -> Result<Expanded, String> {
    let name_len = body.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
    let (name, operation) = body.split_at(name_len);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(format!("\"${{{body}}}\" names no variable; write \"$$\" for the character $"));
    }
    let value = (scope.variable)(name);
    if value.as_deref().is_none_or(str::is_empty) && scope.later.iter().any(|known| known == name) {
        return Ok(Expanded::Later);
    }
    // With a colon an empty value counts as unset.
    let (operator, word) = match operation.strip_prefix(':') {
        Some(rest) => (rest, value.clone().filter(|v| !v.is_empty())),
        None => (operation, value.clone()),
    };
    let set = word;
    let argument = operator.get(1..).unwrap_or("");
    match operator.chars().next() {
        Some('-') => set.map_or_else(|| expand_in(argument, scope, depth), |v| Ok(Expanded::Text(v))),
        Some('+') => {
            set.map_or_else(|| Ok(Expanded::Text(String::new())), |_| expand_in(argument, scope, depth))
        }
        Some('?') => set.map(Expanded::Text).ok_or_else(|| {
            if argument.is_empty() { unset(name) } else { format!("{name} is not set: {argument}") }
        }),
        None if operation.is_empty() => value.map(Expanded::Text).ok_or_else(|| unset(name)),
        _ => {
            Err(format!("\"${{{body}}}\": after the name comes \":-default\", \":?message\" or \":+other\""))
        }
    }
}

fn unset(name: &str) -> String {
    format!("{name} is not set and has no default; set it, or write ${{{name}:-default}}")
}

#[cfg(test)]
mod tests {
    use super::super::interpolate::*;

    fn with(text: &str) -> Result<Expanded, String> {
        let variable = |name: &str| match name {
            "A" => Some("alpha".to_string()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let later = ["SOON".to_string()];
        expand(
            text,
            &Scope { variable: &variable, exists: &|_| false, read: &|_| Err(String::new()), later: &later },
        )
    }

    #[test]
    fn every_form_as_compose_has_it() {
        let table = [
            ("plain", "plain"),
            ("${A}-${A}", "alpha-alpha"),
            ("$$A $A $", "$A $A $"),
            ("$${A}", "${A}"),
            ("${EMPTY}", ""),
            ("${EMPTY:-d}", "d"),
            ("${EMPTY-d}", ""),
            ("${NONE:-d}", "d"),
            ("${NONE:-}", ""),
            ("${NONE:-${A}}", "alpha"),
            ("${NONE:-a}b}", "ab}"),
            ("${A:+x}", "x"),
            ("${NONE:+x}", ""),
            ("${EMPTY+x}", "x"),
        ];
        for (text, want) in table {
            assert_eq!(with(text), Ok(Expanded::Text(want.into())), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_expanded_says_why() {
        for (text, part) in [
            ("${NONE}", "NONE is not set"),
            ("${NONE:?tell me}", "NONE is not set: tell me"),
            ("${A", "without its"),
            ("${}", "names no variable"),
            ("${1}", "names no variable"),
            ("${A!}", "after the name comes"),
        ] {
            let error = with(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn nesting_has_an_end() {
        let deep = |levels: usize| format!("{}x{}", "${NO:-".repeat(levels), "}".repeat(levels));
        assert_eq!(with(&deep(16)), Ok(Expanded::Text("x".into())));
        assert!(with(&deep(200_000)).expect_err("deep").contains("more than 16 deep"));
    }

    #[test]
    fn what_a_check_will_set_is_judged_later() {
        assert_eq!(with("http://${SOON}/"), Ok(Expanded::Later));
        assert_eq!(with("${SOON:-x}"), Ok(Expanded::Later));
    }
}
