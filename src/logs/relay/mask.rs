//! Finds secrets in relayed output.

/// The replacement of a secret.
pub const SHOWN: &[u8] = b"***";

/// The secrets, as bytes.
pub struct Mask {
    /// Longest first.
    secrets: Vec<Vec<u8>>,
    /// Which bytes a secret can start with.
    first: [bool; 256],
}

impl Mask {
    pub fn new(secrets: Vec<Vec<u8>>) -> Self {
        let mut first = [false; 256];
        for byte in secrets.iter().filter_map(|secret| secret.first()) {
            if let Some(mark) = first.get_mut(usize::from(*byte)) {
                *mark = true;
            }
        }
        Self { secrets, first }
    }

    pub fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }

    fn may_begin(&self, byte: u8) -> bool {
        self.first.get(usize::from(byte)) == Some(&true)
    }

    /// Finds all of them, from the start.
    pub fn find(&self, bytes: &[u8], spans: &mut Vec<(usize, usize)>) {
        let mut from = 0;
        while let Some(step) = bytes.get(from..).and_then(|rest| rest.iter().position(|b| self.may_begin(*b)))
        {
            let at = from + step;
            let rest = bytes.get(at..).unwrap_or_default();
            from = match self.secrets.iter().find(|secret| rest.starts_with(secret)) {
                Some(secret) => {
                    spans.push((at, at + secret.len()));
                    at + secret.len()
                }
                None => at + 1,
            };
        }
    }

    /// Returns how many bytes may be shown already: the rest may be the start of a secret.
    pub fn decided(&self, bytes: &[u8], spans: &mut Vec<(usize, usize)>) -> usize {
        let longest = self.secrets.first().map_or(0, Vec::len);
        let earliest = bytes.len().saturating_sub(longest.saturating_sub(1));
        let begins = |rest: &[u8]| {
            self.secrets.iter().any(|secret| secret.len() > rest.len() && secret.starts_with(rest))
        };
        let may = (earliest..bytes.len()).find(|at| bytes.get(*at..).is_some_and(begins));
        let Some(mut end) = may else { return bytes.len() };
        while let Some((from, _)) = spans.pop_if(|(_, to)| *to > end) {
            end = end.min(from);
        }
        end
    }
}

#[cfg(test)]
mod tests {
    use super::Mask;

    fn mask() -> Mask {
        Mask::new(["hunter2 and more", "hunter2", "two\nlines"].map(|s| s.as_bytes().to_vec()).into())
    }

    #[test]
    fn each_is_found_the_longest_first() {
        let mut spans = Vec::new();
        mask().find(b"a hunter2 b hunter2 and more two\nlines hunt", &mut spans);
        assert_eq!(spans, [(2, 9), (12, 28), (29, 38)]);
    }

    /// A read may end anywhere: half a secret at its end is held until the rest arrives.
    #[test]
    fn what_may_become_a_secret_is_held() {
        for (text, want) in [
            ("x hunt", 2),
            ("x hunte ", 8),
            ("x hunter2", 2),
            ("x hunter2!", 10),
            ("x two\n", 2),
            ("x hunter2 t", 10),
            ("x hunter2 a", 2),
            ("x t", 2),
            ("", 0),
            ("plain", 5),
        ] {
            let mut spans = Vec::new();
            mask().find(text.as_bytes(), &mut spans);
            assert_eq!(mask().decided(text.as_bytes(), &mut spans), want, "{text:?}");
            assert!(spans.iter().all(|(_, to)| *to <= want), "{text:?}: {spans:?}");
        }
    }
}
