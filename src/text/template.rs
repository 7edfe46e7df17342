//! Templates: each `{}` is replaced by the next argument; their number is checked at compile time.

/// Fills a template: `fill!("{} of {}", a, b)`. The arguments are strings; the work is done by a non-generic function,
/// since there are many templates.
macro_rules! fill {
    ($template:expr $(, $part:expr)* $(,)?) => {{
        const TEMPLATE: &str = $template;
        const _: () = $crate::text::template::check(TEMPLATE, $crate::text::template::count!($($part),*));
        $crate::text::template::fill_places(TEMPLATE, &[$(&$part),*])
    }};
}

/// Counts its arguments.
macro_rules! count {
    () => { 0 };
    ($first:expr $(, $rest:expr)*) => { 1 + $crate::text::template::count!($($rest),*) };
}

pub(crate) use {count, fill};

/// Counts the `{}` of a template.
#[must_use]
pub const fn places(template: &str) -> usize {
    let bytes = template.as_bytes();
    let (mut count, mut rest) = (0, bytes);
    while let [first, tail @ ..] = rest {
        if let (b'{', [b'}', ..]) = (*first, tail) {
            count += 1;
        }
        rest = tail;
    }
    count
}

/// Fails to compile if the numbers of `{}` and arguments differ.
pub const fn check(template: &str, parts: usize) {
    assert!(places(template) == parts, "a template has more or fewer places than there are parts");
}

/// Replaces each `{}` by the next argument; used by [`fill!`] and similar macros, which count them.
#[must_use]
#[inline(never)]
pub fn fill_places(template: &str, parts: &[&str]) -> String {
    let room =
        parts.iter().fold(template.len(), |room, part| room + part.len()).saturating_sub(2 * parts.len());
    let (mut text, mut rest) = (String::with_capacity(room), template);
    for part in parts {
        let place = rest.as_bytes().windows(2).position(|pair| pair == b"{}");
        let Some((before, after)) = place.and_then(|at| Some((rest.get(..at)?, rest.get(at + 2..)?))) else {
            break;
        };
        text.push_str(before);
        text.push_str(part);
        rest = after;
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_filled_place_by_place() {
        assert_eq!(fill!("{} and {}{}", "a", "b", ""), "a and b");
        assert_eq!(fill!("no place"), "no place");
        for (template, count) in
            [("", 0), ("{", 0), ("{} {x}", 1), ("{{}", 1), ("{}{}", 2), ("{ tcp = PORT } ${NAME} {", 0)]
        {
            assert_eq!(places(template), count, "{template}");
        }
    }

    #[test]
    #[should_panic(expected = "more or fewer places")]
    fn a_part_too_many_is_refused() {
        check("{} of two", 2);
    }
}
