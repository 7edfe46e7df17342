//! Patterns of a shell: `*`, `?`, `[a-z]`, `[!a-z]`; `*` takes a `/` too, as in a `case`.

/// Whether a name fits a pattern. Without recursion: at a dead end the last `*` takes one byte more.
#[must_use]
pub fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let (mut rest, mut left) = (pattern, name);
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        let step = match (rest.split_first(), left.split_first()) {
            (Some((b'*', behind)), _) => {
                retry = Some((behind, left));
                Some((behind, left))
            }
            (None, None) => return true,
            (Some((b'?', behind)), Some((_, tail))) => Some((behind, tail)),
            (Some((b'[', class)), Some((byte, tail))) => match in_class(class, *byte) {
                Some((true, behind)) => Some((behind, tail)),
                Some((false, _)) => None,
                None => (*byte == b'[').then_some((class, tail)),
            },
            (Some((want, behind)), Some((byte, tail))) if want == byte => Some((behind, tail)),
            _ => None,
        };
        match (step, retry) {
            (Some(next), _) => (rest, left) = next,
            (None, Some((behind, [_, tail @ ..]))) => {
                retry = Some((behind, tail));
                (rest, left) = (behind, tail);
            }
            (None, _) => return false,
        }
    }
}

/// Whether a byte is in the class that begins here, and what stands behind it; `None`: it is never closed.
fn in_class(class: &[u8], byte: u8) -> Option<(bool, &[u8])> {
    let (inverted, class) = match class {
        [b'!' | b'^', rest @ ..] => (true, rest),
        _ => (false, class),
    };
    let end = class.iter().skip(1).position(|b| *b == b']')? + 1;
    let (mut inside, behind) = (class.get(..end)?, class.get(end + 1..)?);
    let mut found = false;
    while let [low, rest @ ..] = inside {
        (found, inside) = match rest {
            [b'-', high, rest @ ..] => (found || (*low..=*high).contains(&byte), rest),
            _ => (found || *low == byte, rest),
        };
    }
    Some((found != inverted, behind))
}
