//! `collect()` for lists, compiled once for each type of item and not for each iterator, of which there are a hundred.

/// Every iterator.
pub trait Gather: Iterator + Sized {
    /// All items, as `collect()` makes a `Vec` of them.
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
