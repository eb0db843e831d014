//! Sets of small numbers, 64 to a word.

/// Words that hold `count` numbers.
pub(super) const fn words(count: usize) -> usize {
    count.div_ceil(64)
}

/// The numbers whose turn it is when `is` says so.
pub(super) fn of(is: impl ExactSizeIterator<Item = bool>) -> Vec<u64> {
    let mut set = vec![0; words(is.len())];
    is.enumerate().for_each(|(number, is)| set[number / 64] |= u64::from(is) << (number % 64));
    set
}

/// All numbers below `count`.
pub(super) fn all(count: usize) -> Vec<u64> {
    of((0..count).map(|_| true))
}

pub(super) fn is_empty(set: &[u64]) -> bool {
    set.iter().all(|word| *word == 0)
}

pub(super) const fn contains(set: &[u64], number: usize) -> bool {
    set[number / 64] >> (number % 64) & 1 == 1
}

pub(super) const fn remove(set: &mut [u64], number: usize) {
    set[number / 64] &= !(1 << (number % 64));
}

/// Takes out what is not in `other`; false when nothing is left.
pub(super) fn keep(set: &mut [u64], other: &[u64]) -> bool {
    let mut any = 0;
    for (word, other) in set.iter_mut().zip(other) {
        *word &= other;
        any |= *word;
    }
    any != 0
}

/// Takes out what is in `other`.
pub(super) fn take_out(set: &mut [u64], other: &[u64]) {
    set.iter_mut().zip(other).for_each(|(word, other)| *word &= !other);
}

pub(super) fn is_subset(set: &[u64], other: &[u64]) -> bool {
    set.iter().zip(other).all(|(word, other)| word & !other == 0)
}

/// The first number from `from` on.
pub(super) fn first_from(set: &[u64], from: usize) -> Option<usize> {
    let word = set.get(from / 64)? & (u64::MAX << (from % 64));
    let rest = set[from / 64 + 1..].iter().copied();
    let (index, word) = [word].into_iter().chain(rest).enumerate().find(|(_, word)| *word != 0)?;
    Some((from / 64 + index) * 64 + word.trailing_zeros() as usize)
}

/// The numbers, ascending.
pub(super) fn ones(set: &[u64]) -> impl Iterator<Item = usize> {
    set.iter().enumerate().flat_map(|(index, word)| {
        let mut word = *word;
        std::iter::from_fn(move || {
            let lowest = (word != 0).then(|| word.trailing_zeros() as usize)?;
            word &= word - 1;
            Some(index * 64 + lowest)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_go_on_from_word_to_word() {
        let numbers = [0, 5, 63, 64, 100, 127, 128, 199];
        let mut set = of((0..200).map(|number| numbers.contains(&number)));
        assert!(ones(&set).eq(numbers));
        assert!((0..200).all(|number| contains(&set, number) == numbers.contains(&number)));
        for (from, first) in [(0, 0), (1, 5), (64, 64), (65, 100), (128, 128), (129, 199)] {
            assert_eq!(first_from(&set, from), Some(first), "{from}");
        }
        assert_eq!([200, 256, 999].map(|from| first_from(&set, from)), [None; 3]);
        assert!(is_subset(&set, &all(200)) && !is_subset(&all(200), &set));
        remove(&mut set, 100);
        assert!(!contains(&set, 100) && contains(&set, 127));
        take_out(&mut set, &of((0..200).map(|number| number < 128)));
        assert!(ones(&set).eq([128, 199]) && !is_empty(&set));
        assert!(keep(&mut set, &of((0..200).map(|number| number == 199))));
        assert!(!keep(&mut set, &of((0..200).map(|number| number == 0))) && is_empty(&set));
    }
}
