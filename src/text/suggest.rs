//! Suggests the word that was probably meant: a known name within a few typos.

use crate::text::gather::Gather;
use crate::text::template::fill;
/// Returns the known name nearest to `word`, if it is near enough to be a typo.
#[must_use]
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    // A word of one or two letters is similar to everything.
    nearest_within((word.chars().count() / 3).min(3), word, known)
}

/// The same with a given maximum of typos.
#[must_use]
pub fn nearest_within<'k>(
    far: usize,
    word: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<&'k str> {
    let word = word.to_ascii_lowercase();
    let mut best = (far + 1, None);
    for name in known {
        closer(&word, name, &mut best);
    }
    best.1
}

fn closer<'k>(word: &str, name: &'k str, best: &mut (usize, Option<&'k str>)) {
    /// Longer words were not typed, and would take too long.
    const MAX_WORD_LEN: usize = 256;
    let longer = name.chars().count().abs_diff(word.chars().count());
    if longer >= best.0 || word.len() > MAX_WORD_LEN {
        return;
    }
    let steps = distance(word, &name.to_ascii_lowercase());
    if steps < best.0 {
        *best = (steps, Some(name));
    }
}

/// `; did you mean "web"?`, or nothing.
#[must_use]
pub fn did_you_mean<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    suggest(nearest(word, known))
}

fn suggest(name: Option<&str>) -> String {
    name.map_or_else(String::new, |name| fill!("; did you mean \"{}\"?", name))
}

/// Returns the number of edits (insert, delete, replace, swap neighbours) from `a` to `b`: optimal string alignment.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().gather();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).gather();
    let mut previous = None;
    for (i, x) in a.chars().enumerate() {
        let mut row = vec![i + 1];
        let mut left_char = None;
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], n: usize| row.get(n).copied().unwrap_or(usize::MAX / 2);
            let mut best =
                (at(&above, j) + usize::from(x != *y)).min(at(&above, j + 1) + 1).min(at(&row, j) + 1);
            if j > 0 && previous == Some(*y) && left_char == Some(x) {
                best = best.min(at(&before, j - 1) + 1);
            }
            row.push(best);
            left_char = Some(*y);
        }
        before = above;
        above = row;
        previous = Some(x);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_its_word() {
        let known = ["command", "environment", "user"];
        assert_eq!(nearest("comand", known), Some("command"));
        assert_eq!(nearest("enviroment", known), Some("environment"));
        assert_eq!(nearest("uesr", known), Some("user"));
        assert_eq!(nearest("replicas", known), None);
    }
}
