//! Explains early ends of programs: a fatal signal, a command line that only a shell understands, arguments too long
//! for the kernel.

use crate::exit_code;
use crate::model::Signal;
use crate::sys::executable::lookup::ExecFacts;
use crate::sys::fs::stat;
use crate::sys::process::rlimits::TooLong;
use crate::text::escape::json_string;
use crate::text::shell_words;
use crate::text::template::fill;
use crate::text::units::show_size;

/// Signals that programs cause themselves: the number, its meaning, and its usual cause in a container.
const OF_ITS_OWN: &[(u8, &str)] = &[
    (
        4,
        "an instruction that this processor does not have: the program was built for a newer one (x86-64-v3 wants AVX2); use a build for the plain architecture, or another machine",
    ),
    (5, "a breakpoint, or a check of its own that failed; its last lines tell which"),
    (
        6,
        "it gave itself up: an assertion, an exception that nobody caught, a damaged heap, or no memory; its last lines tell which",
    ),
    (
        7,
        "memory that has nothing behind it: most often /dev/shm is full, or a file that it has mapped was cut off; give it more room (docker run --shm-size 256m)",
    ),
    (8, "a division by zero, or a number that does not fit: a fault of the program's"),
    (
        11,
        "memory that is not its own: a fault of the program's or of a library's, also of one that was built for another C library (glibc on Alpine)",
    ),
    (13, "it wrote to a pipe or a socket whose reader is gone"),
    (
        24,
        "more processor time than its limit allows (ulimit cpu); raise that (docker run --ulimit cpu=-1, or ulimits.cpu)",
    ),
    (
        25,
        "a file larger than its limit allows (ulimit fsize); raise that (docker run --ulimit fsize=-1, or ulimits.fsize)",
    ),
    (
        31,
        "a system call that the seccomp profile forbids; allow it (docker run --security-opt seccomp=PROFILE; with seccomp=unconfined you see whether that is it), or use a newer engine",
    ),
];

/// Explains a kill by a signal that rinit neither sent nor forwarded.
#[must_use]
pub fn killed_by(signal: Signal) -> Option<String> {
    let (_, means) = OF_ITS_OWN.iter().find(|(number, _)| *number == signal.number())?;
    Some(fill!("killed by {}, and not by rinit: {}{}", &signal.to_string(), means, &room(signal)))
}

/// Explains the exit code of a shell whose program was killed by a signal.
#[must_use]
pub fn told_by(code: u8) -> Option<String> {
    let signal = exit_code::signal(code)?;
    // A SIGPIPE behind a shell is normal.
    let (_, means) = OF_ITS_OWN.iter().find(|(number, _)| *number == signal.number() && *number != 13)?;
    Some(fill!(
        "it ended with {}, as a shell does whose program was killed by {}: {}{}",
        &code.to_string(),
        &signal.to_string(),
        means,
        &room(signal)
    ))
}

/// Returns the size of /dev/shm.
fn room(signal: Signal) -> String {
    match stat::space("/dev/shm") {
        Ok(space) if signal.number() == 7 => {
            fill!("; /dev/shm has {}, {} of it free", &show_size(space.size), &show_size(space.free))
        }
        _ => String::new(),
    }
}

/// Shell builtins and keywords that are not programs.
const OF_THE_SHELL: &str = " exec cd source . export set unset ulimit umask trap eval if for while until case [[ { ( ! \
                            alias shopt declare local readonly return exit break wait time function ";

/// Operators between shell commands.
const OPERATORS: &[&str] =
    &["|", "||", "&", "&&", ";", ">", ">>", "<", "<<", "2>&1", "2>", ">&2", "1>&2", "&>"];

/// Returns whether a word is a shell operator.
#[must_use]
pub fn is_operator(word: &[u8]) -> bool {
    OPERATORS.iter().any(|operator| operator.as_bytes() == word)
}

/// `["app", "--flag"]`
pub(super) fn list<'w>(words: impl IntoIterator<Item = &'w str>) -> String {
    let mut list = String::from("[");
    for word in words {
        if list.len() > 1 {
            list.push_str(", ");
        }
        json_string(word, &mut list);
    }
    list.push(']');
    list
}

/// Formats the words as the shell command line that was meant.
fn line(words: &[String]) -> String {
    let [one] = words else {
        let mut line = String::new();
        for (n, word) in words.iter().enumerate() {
            line.push_str(if n > 0 { " " } else { "" });
            if word.contains(|c: char| c.is_whitespace() || c == '"') || word.is_empty() {
                line.push_str(&fill!("'{}'", &word.replace('\'', "'\\''")));
            } else {
                line.push_str(word);
            }
        }
        return line;
    };
    one.clone()
}

/// Explains a program name that only a shell understands.
pub(super) fn shell_word(look: &ExecFacts) -> Option<String> {
    let words = if look.argv.is_empty() { std::slice::from_ref(&look.word) } else { &look.argv };
    let mut plain = look.word.split_whitespace();
    let first = plain.next()?;
    if let Some(list) = no_json(&line(words)) {
        return Some(fill!(
            "it is a piece of a list that is no JSON, where each word stands in double quotes: {}",
            &list
        ));
    }
    let shell = || list(["sh", "-c", &line(words)]);
    if shell_words::assigns(first) {
        let rest = words.iter().map(String::as_str);
        let list = if words.len() > 1 { list(["env"].into_iter().chain(rest)) } else { shell() };
        return Some(fill!(
            "no shell runs, and nobody takes this for a variable: {}, or set it under environment",
            &list
        ));
    }
    let rest = words.iter().skip(1).map(String::as_str);
    if first == "exec" && words.len() > 1 && !words.iter().any(|word| is_operator(word.as_bytes())) {
        return Some(fill!("no shell runs, whose word this is; leave it out: {}", &list(rest)));
    }
    if first.starts_with('$') || first.contains("${") || first.contains("$(") || first.contains('`') {
        return Some(fill!(
            "no shell runs, which would replace {}; let one: {}, or in a configuration write ${NAME}",
            first,
            &shell()
        ));
    }
    let own = OF_THE_SHELL.contains(&fill!(" {} ", first));
    if own || plain.any(|word| is_operator(word.as_bytes())) {
        let what =
            if own { fill!("{} is a word of the shell's", first) } else { "this is a line for one".into() };
        return Some(fill!("no shell runs, and {}; let one: {}", &what, &shell()));
    }
    None
}

/// Explains `[npm, start]`, a malformed exec form in a Dockerfile.
fn no_json(line: &str) -> Option<String> {
    let inner = line.trim().strip_prefix('[')?;
    let inner = inner.strip_suffix(']').unwrap_or(inner);
    if inner.starts_with(|c: char| c.is_whitespace() || c == '[')
        || !line.contains(',') && !line.ends_with(']')
    {
        return None;
    }
    Some(list(inner.split(',').map(|word| word.trim().trim_matches(['\'', '"', '“', '”']))))
}

/// Explains the failure of a program that was started: some of its arguments were meant for a shell, but no shell ran
/// or it could not use them.
pub(super) fn misread(look: &ExecFacts) -> Option<String> {
    if let [shell, option, line] = look.argv.as_slice()
        && shell.ends_with("sh")
        && option == "-c"
        && let Some(list) = no_json(line)
    {
        return Some(fill!(
            "{} ran a list that is no JSON, as a Dockerfile has it where the words are not in double quotes: {}",
            shell,
            &list
        ));
    }
    let operator = look.argv.iter().skip(1).find(|word| is_operator(word.as_bytes()))?;
    Some(fill!(
        "no shell runs, and {} went to the program as an argument; let one run: {}",
        operator,
        &list(["sh", "-c", &line(&look.argv)])
    ))
}

/// Explains arguments that are too long for execve(2).
pub(super) fn too_long(found: &TooLong) -> String {
    let (bytes, limit) = (found.bytes.to_string(), found.limit.to_string());
    if found.of_one {
        return fill!(
            "{} has {} bytes, and no argument or variable may have more than {} (MAX_ARG_STRLEN); put it into a file, and hand on its path",
            &found.largest,
            &bytes,
            &limit
        );
    }
    fill!(
        "its arguments and environment have {} bytes together, and may have {}, a quarter of the stack's limit; raise that (docker run --ulimit stack=33554432), or hand on less: the largest is {}",
        &bytes,
        &limit,
        &found.largest
    )
}

#[cfg(test)]
mod tests {
    use super::super::early::*;

    fn said(words: &[&str]) -> Option<String> {
        let argv: Vec<String> = words.iter().map(|word| (*word).to_string()).collect();
        shell_word(&ExecFacts { word: words[0].into(), argv, ..ExecFacts::default() })
    }

    #[test]
    fn a_word_of_the_shell_is_told_from_a_name() {
        for (words, want) in [
            (&["exec", "nginx", "-g", "x;"][..], "leave it out: [\"nginx\", \"-g\", \"x;\"]"),
            (&["cd", "/app", "&&", "npm", "start"], "[\"sh\", \"-c\", \"cd /app && npm start\"]"),
            (&["cd /app && npm start"], "[\"sh\", \"-c\", \"cd /app && npm start\"]"),
            (&["npm start > log"], "this is a line for one"),
            (&["FOO=x", "npm", "a b"], "[\"env\", \"FOO=x\", \"npm\", \"a b\"]"),
            (&["FOO=x npm start"], "[\"sh\", \"-c\", \"FOO=x npm start\"]"),
            (&["$JAVA_HOME/bin/java", "-jar"], "[\"sh\", \"-c\", \"$JAVA_HOME/bin/java -jar\"]"),
            (&["${APP}", "a b"], "[\"sh\", \"-c\", \"${APP} 'a b'\"]"),
            (&["[npm,", "start]"], "[\"npm\", \"start\"]"),
            (&["['npm','start']"], "[\"npm\", \"start\"]"),
        ] {
            let text = said(words).unwrap_or_default();
            assert!(text.contains(want), "{words:?}: {text}");
        }
        for words in
            [&["npm", "start"][..], &["executor"], &["/bin/a=b"], &["1=2"], &["[", "-f", "x", "]"], &["a b"]]
        {
            assert_eq!(said(words), None, "{words:?}");
        }
    }

    #[test]
    fn a_line_that_went_to_a_program_is_told() {
        let said = |words: &[&str]| {
            let argv = words.iter().map(|word| (*word).to_string()).collect();
            misread(&ExecFacts { argv, ..ExecFacts::default() })
        };
        let text = said(&["npm", "start", ">", "log"]).expect("told");
        assert!(text.contains("> went to the program") && text.contains("\"npm start > log\""), "{text}");
        let text = said(&["/bin/sh", "-c", "['npm', 'start']"]).expect("told");
        assert!(text.contains("[\"npm\", \"start\"]"), "{text}");
        assert_eq!(said(&["sh", "-c", "[ -f x ] && y"]), None);
        assert_eq!(said(&["npm", "start"]), None);
    }
}
