//! A `collect()` for vectors that is compiled once per item type instead of once per iterator: rinit has a hundred of
//! them.

/// Implemented by every iterator.
pub trait Gather: Iterator + Sized {
    /// Collects all items into a `Vec`.
    fn gather(mut self) -> Vec<Self::Item> {
        list_of(&mut || self.next())
    }
}

impl<I: Iterator> Gather for I {}

#[inline(never)]
fn list_of<T>(next: &mut dyn FnMut() -> Option<T>) -> Vec<T> {
    let mut list = Vec::new();
    while let Some(item) = next() {
        list.push(item);
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_all_items_in_their_order() {
        assert_eq!((0..9).filter(|n| n % 2 == 1).gather(), [1, 3, 5, 7]);
        assert_eq!("".split_whitespace().gather(), [""; 0]);
    }
}
