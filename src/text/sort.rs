//! A heapsort for all lists, using dynamic dispatch. The standard library's sort is compiled per item type, at 2 KB or
//! more each; rinit sorts nothing long enough to need its speed.

/// Sorts by a key, in place. Not stable.
pub fn sort_by_key<T, K: Ord>(items: &mut [T], key: impl Fn(&T) -> K) {
    let len = items.len();
    heapsort(len, &mut |step| match step {
        SortStep::IsLess(one, other) => match (items.get(one), items.get(other)) {
            (Some(one), Some(other)) => key(one) < key(other),
            _ => false,
        },
        SortStep::Swap(one, other) => {
            items.swap(one, other);
            true
        }
    });
}

/// Sorts by the items' own order, in place.
pub fn sort<T: Ord>(items: &mut [T]) {
    let len = items.len();
    heapsort(len, &mut |step| match step {
        SortStep::IsLess(one, other) => items.get(one) < items.get(other),
        SortStep::Swap(one, other) => {
            items.swap(one, other);
            true
        }
    });
}

/// The operations of the algorithm on the list: by index only, so that it is compiled once.
enum SortStep {
    IsLess(usize, usize),
    Swap(usize, usize),
}

fn heapsort(len: usize, list: &mut dyn FnMut(SortStep) -> bool) {
    for root in (0..len / 2).rev() {
        sift_down(root, len, list);
    }
    for end in (1..len).rev() {
        list(SortStep::Swap(0, end));
        sift_down(0, end, list);
    }
}

/// Moves an item down until no child is larger.
fn sift_down(mut root: usize, len: usize, list: &mut dyn FnMut(SortStep) -> bool) {
    loop {
        let mut child = 2 * root + 1;
        if child >= len {
            return;
        }
        if child + 1 < len && list(SortStep::IsLess(child, child + 1)) {
            child += 1;
        }
        if !list(SortStep::IsLess(root, child)) {
            return;
        }
        list(SortStep::Swap(root, child));
        root = child;
    }
}

#[cfg(test)]
mod tests {
    use super::super::sort::*;

    #[test]
    fn every_list_is_sorted_as_the_standard_library_sorts_it() {
        let mut seed = 1_u32;
        for len in 0..200_usize {
            let mut items: Vec<u32> = Vec::new();
            for _ in 0..len {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                items.push((seed >> 16) % 50);
            }
            let mut expected = items.clone();
            expected.sort_unstable();
            let mut by_key = items.clone();
            sort(&mut items);
            assert_eq!(items, expected);
            sort_by_key(&mut by_key, |item| std::cmp::Reverse(*item));
            expected.reverse();
            assert_eq!(by_key, expected);
        }
    }
}
