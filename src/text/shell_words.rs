//! A command line in words, split as a shell would split it. No shell runs: its operators are refused, and `${NAME}` is
//! the only thing that is expanded.

use super::gather::Gather;

/// A part of a word.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WordPiece {
    /// What stays in its word after expansion: plain text, and what stands in quotes.
    Fixed(String),
    /// A `${…}` outside quotes: blanks in its value separate words.
    Loose(String),
}

impl WordPiece {
    /// Returns the text as it is to be expanded.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Fixed(text) | Self::Loose(text) => text,
        }
    }
}

/// A command line.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ShellLine {
    /// Its words.
    pub words: Vec<Vec<WordPiece>>,
    /// Where a `$NAME` without braces stands outside single quotes, which a shell would replace: its first byte, and the
    /// first behind it.
    pub bare: Vec<(usize, usize)>,
}

/// Blanks in quotes inside of a `${…}`, which separate no words; characters that no text has.
const KEPT_BLANKS: [(char, char); 3] = [(' ', '\u{fdd0}'), ('\t', '\u{fdd1}'), ('\n', '\u{fdd2}')];

/// Splits a command line into words as a shell would: blanks separate, quotes and backslashes protect.
pub fn split(line: &str) -> Result<Vec<String>, String> {
    let words = parse(line)?.words;
    Ok(words.iter().map(|word| restored(&word.iter().map(WordPiece::text).collect::<String>())).gather())
}

/// Splits a command line, and keeps what stands in quotes apart from what does not. An operator of the shell is an error
/// and not an argument that surprises.
pub fn parse(line: &str) -> Result<ShellLine, String> {
    let mut splitter = Splitter { rest: line, line, word: None, quoted: false, found: ShellLine::default() };
    while let Some(c) = splitter.next() {
        match c {
            '\'' | '"' => {
                splitter.quoted = true;
                splitter.word.get_or_insert_default();
                splitter.quote(c)?;
            }
            '\\' => {
                splitter.quoted = true;
                let next = splitter.next().ok_or("ends in a backslash that protects nothing")?;
                splitter.protect(next);
            }
            c if c.is_whitespace() => splitter.finish()?,
            '$' if splitter.rest.starts_with('{') => splitter.reference()?,
            '$' => splitter.dollar(),
            c => splitter.push(c),
        }
    }
    splitter.finish()?;
    Ok(splitter.found)
}

/// Adds what a word is after expansion: no word where nothing is left of it, several where blanks stand in the value of a
/// `${…}` outside quotes. Returns whether everything in it is known.
pub fn expand_into(
    word: &[WordPiece],
    words: &mut Vec<String>,
    expand: &mut dyn FnMut(&str) -> Option<String>,
) -> bool {
    let (mut current, mut known) = (None::<String>, true);
    let mut whole = Vec::new();
    for piece in word {
        let Some(text) = expand(piece.text()) else {
            known = false;
            continue;
        };
        match piece {
            WordPiece::Fixed(_) => current.get_or_insert_default().push_str(&text),
            WordPiece::Loose(_) => {
                for c in text.chars() {
                    if matches!(c, ' ' | '\t' | '\n') {
                        whole.extend(current.take());
                    } else {
                        let kept = KEPT_BLANKS.iter().find(|(_, kept)| *kept == c);
                        current.get_or_insert_default().push(kept.map_or(c, |(blank, _)| *blank));
                    }
                }
            }
        }
    }
    whole.extend(current);
    if known {
        words.append(&mut whole);
    }
    known
}

fn restored(text: &str) -> String {
    let blank = |c: char| KEPT_BLANKS.iter().find(|(_, kept)| *kept == c).map_or(c, |(blank, _)| *blank);
    text.chars().map(blank).collect()
}

/// Whether a word sets a variable, for a shell.
#[must_use]
pub fn assigns(word: &str) -> bool {
    let name = word.split_once('=').map_or("", |(name, _)| name);
    !name.is_empty() && name_len(name) == name.len()
}

/// How long the name of a variable is that begins here.
fn name_len(text: &str) -> usize {
    let letters = text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
    if text.starts_with(|c: char| c.is_ascii_digit()) { 0 } else { letters }
}

struct Splitter<'t> {
    line: &'t str,
    rest: &'t str,
    word: Option<Vec<WordPiece>>,
    /// Whether quotes or backslashes stand in the word.
    quoted: bool,
    found: ShellLine,
}

impl Splitter<'_> {
    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next();
        self.rest = chars.as_str();
        next
    }

    fn push(&mut self, c: char) {
        let word = self.word.get_or_insert_default();
        if let Some(WordPiece::Fixed(text)) = word.last_mut() {
            text.push(c);
        } else {
            word.push(WordPiece::Fixed(c.into()));
        }
    }

    /// A character behind a backslash: a `$` is no reference.
    fn protect(&mut self, c: char) {
        self.push(c);
        if c == '$' {
            self.push(c);
        }
    }

    /// A `$` that begins no `${`.
    fn dollar(&mut self) {
        self.push('$');
        if self.rest.starts_with('$') {
            self.next();
            self.push('$');
            return;
        }
        let (at, length) = (self.line.len() - self.rest.len(), name_len(self.rest));
        if length > 0 {
            self.found.bare.push((at - 1, at + length));
        }
    }

    /// A `${…}` outside quotes: the blanks in `${NAME:-a default}` separate no words before it is expanded.
    fn reference(&mut self) -> Result<(), String> {
        let (mut text, mut depth) = (String::from("$"), 1usize);
        text.extend(self.next());
        while depth > 0
            && let Some(c) = self.next()
        {
            match c {
                '\'' | '"' => self.quote_in_reference(c, &mut text)?,
                '\\' => text.extend(self.next().map(keep)),
                c => text.push(c),
            }
            depth += usize::from(c == '$' && self.rest.starts_with('{'));
            depth -= usize::from(c == '}');
        }
        self.word.get_or_insert_default().push(WordPiece::Loose(text));
        Ok(())
    }

    fn quote_in_reference(&mut self, mark: char, text: &mut String) -> Result<(), String> {
        while let Some(c) = self.next() {
            match c {
                c if c == mark => return Ok(()),
                '\\' if mark == '"' && self.rest.starts_with(['"', '\\', '$', '`']) => {
                    text.extend(self.next())
                }
                c => text.push(keep(c)),
            }
        }
        Err(unclosed(mark))
    }

    fn quote(&mut self, mark: char) -> Result<(), String> {
        // An empty pair of quotes is a word too.
        let word = self.word.get_or_insert_default();
        if !matches!(word.last(), Some(WordPiece::Fixed(_))) {
            word.push(WordPiece::Fixed(String::new()));
        }
        while let Some(c) = self.next() {
            match c {
                c if c == mark => return Ok(()),
                '\\' if mark == '"' => match self.next() {
                    Some(c @ ('"' | '\\' | '$' | '`')) => self.protect(c),
                    Some(c) => {
                        self.push('\\');
                        self.push(c);
                    }
                    None => break,
                },
                '$' if mark == '"' && !self.rest.starts_with('{') => self.dollar(),
                c => self.push(c),
            }
        }
        Err(unclosed(mark))
    }

    fn finish(&mut self) -> Result<(), String> {
        const OPERATORS: &[&str] = &["|", "||", "&", "&&", ";", ">", ">>", "<", "2>&1", "2>"];
        let quoted = std::mem::take(&mut self.quoted);
        if let Some(word) = self.word.take() {
            if let [WordPiece::Fixed(text)] = word.as_slice()
                && !quoted
                && OPERATORS.contains(&text.as_str())
            {
                return Err([
                    "\"",
                    text,
                    "\" means something to a shell, but no shell runs; write [\"sh\", \"-c\", \"…\"]",
                ]
                .concat());
            }
            self.found.words.push(word);
        }
        Ok(())
    }
}

fn keep(c: char) -> char {
    KEPT_BLANKS.iter().find(|(blank, _)| *blank == c).map_or(c, |(_, kept)| *kept)
}

fn unclosed(mark: char) -> String {
    ["a quotation mark ", mark.encode_utf8(&mut [0; 4]), " that is never closed"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_split_as_a_shell_splits_it() {
        let table: &[(&str, &[&str])] = &[
            ("nginx -g 'daemon off;'", &["nginx", "-g", "daemon off;"]),
            ("a  \t b", &["a", "b"]),
            (r#"a "b c" d\ e "" '' "x\"y""#, &["a", "b c", "d e", "", "", "x\"y"]),
            (r#"pre"mid"'post'"#, &["premidpost"]),
            (r#"echo '|' "&&""#, &["echo", "|", "&&"]),
            ("a ${B:?say two words} ${C:-${D:-x y} z}w", &["a", "${B:?say two words}", "${C:-${D:-x y} z}w"]),
            (r#"${A:-"b c"} $${D e} $ f $"#, &["${A:-b c}", "$${D", "e}", "$", "f", "$"]),
            ("a ${B c", &["a", "${B c"]),
            (r"${A:-it\'s\ b\}} c", &["${A:-it's b}}", "c"]),
            ("", &[]),
        ];
        for (line, want) in table {
            assert_eq!(split(line).expect(line), *want, "{line}");
        }
    }

    #[test]
    fn a_shell_operator_is_refused_with_the_remedy() {
        for line in ["a | b", "a && b", "a > f", "a 2>&1", "a &", "a ; b"] {
            assert!(split(line).expect_err(line).contains("[\"sh\", \"-c\""), "{line}");
        }
        assert!(split("a 'b").expect_err("open").contains("never closed"));
        assert!(split("a ${B:-\"c}").expect_err("open").contains("never closed"));
    }

    /// What sh(1) makes of the same line and the same value.
    #[test]
    fn a_value_outside_quotes_is_as_many_words_as_it_has() {
        for (line, value, want) in [
            ("a ${X} b", "1 2\t3", &["a", "1", "2", "3", "b"][..]),
            ("a \"${X}\" b", "1 2", &["a", "1 2", "b"]),
            ("a '${X}' b", "1 2", &["a", "1 2", "b"]),
            ("a ${X} b", "", &["a", "b"]),
            ("a ${X} b", " \n ", &["a", "b"]),
            ("a \"${X}\" b", "", &["a", "", "b"]),
            ("a x${X}y b", "1 2", &["a", "x1", "2y", "b"]),
            ("a x${X}y b", " 1 ", &["a", "x", "1", "y", "b"]),
            ("a --k=\"${X}\"${X}", "1 2", &["a", "--k=1 21", "2"]),
            ("a ${X}${X}", "1 2", &["a", "1", "21", "2"]),
            ("a ${X}", "'1 2' \"3", &["a", "'1", "2'", "\"3"]),
        ] {
            let mut words = Vec::new();
            for word in parse(line).expect(line).words {
                assert!(expand_into(&word, &mut words, &mut |text| Some(text.replace("${X}", value))));
            }
            assert_eq!(words, want, "{line} {value:?}");
        }
        let fixed = |text: &str| vec![WordPiece::Fixed(text.into())];
        assert_eq!(parse(r#"\${X} "\${X}""#).expect("a line").words, [fixed("$${X}"), fixed("$${X}")]);
        // Of a default, what stands in quotes stays together.
        let word = parse("${A:-\"b c\" d}").expect("a line").words.remove(0);
        let mut words = Vec::new();
        assert!(expand_into(&word, &mut words, &mut |text| Some(text[5..text.len() - 1].into())));
        assert_eq!(words, ["b c", "d"]);
        assert!(!expand_into(&word, &mut words, &mut |_| None));
        assert_eq!(words.len(), 2);
    }

    #[test]
    fn a_name_without_braces_is_seen_where_a_shell_would_replace_it() {
        for (line, want) in [
            ("app $PORT", &["$PORT"][..]),
            ("app --port=$PORT \"x $_y z\"", &["$PORT", "$_y"]),
            ("app '$PORT' \\$PORT $$PORT \"\\$PORT\" $1 $ ${PORT} \"${PORT}\"", &[]),
        ] {
            let found = parse(line).expect(line).bare;
            let found: Vec<&str> = found.iter().map(|(from, to)| &line[*from..*to]).collect();
            assert_eq!(found, want, "{line}");
        }
        for (word, want) in
            [("A=b", true), ("_1=", true), ("1=2", false), ("=x", false), ("a/b=c", false), ("A", false)]
        {
            assert_eq!(assigns(word), want, "{word}");
        }
    }
}
