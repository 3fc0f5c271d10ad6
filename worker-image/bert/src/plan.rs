//! Which sequences go through the model together, and on which thread. No I/O.

/// Tokens of a pass, as long as plenty are left: more take memory and gain nothing.
const MOST: usize = 480;
/// Tokens of a pass at the end: fewer would make the products too flat to be fast.
const LEAST: usize = 96;

/// Indices of sequences that have any tokens, longest first, cut into passes. Passes become smaller towards the end, so that threads which
/// take one after the other end together.
pub(crate) fn passes(lengths: &[usize], threads: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).filter(|&index| lengths[index] > 0).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(lengths[index]));
    let mut left: usize = lengths.iter().sum();
    let mut passes = Vec::new();
    let (mut pass, mut tokens, mut limit) = (Vec::new(), 0, 0);
    for index in order {
        if pass.is_empty() || tokens + lengths[index] > limit {
            if !pass.is_empty() {
                passes.push(std::mem::take(&mut pass));
            }
            tokens = 0;
            limit = match threads {
                0 | 1 => MOST,
                _ => (left / (2 * threads)).clamp(LEAST, MOST),
            };
        }
        pass.push(index);
        tokens += lengths[index];
        left -= lengths[index];
    }
    if !pass.is_empty() {
        passes.push(pass);
    }
    passes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_hold_every_sequence_once_and_stay_small() {
        let lengths: Vec<usize> = (0..500).map(|i| 1 + (i * 7919) % 256).collect();
        for threads in [1, 2, 8] {
            let passes = passes(&lengths, threads);
            let mut seen: Vec<usize> = passes.iter().flatten().copied().collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..500).collect::<Vec<_>>());
            let tokens = |pass: &Vec<usize>| pass.iter().map(|&index| lengths[index]).sum::<usize>();
            assert!(passes.iter().all(|pass| tokens(pass) <= MOST));
            assert!(passes.last().is_some_and(|pass| tokens(pass) <= 2 * LEAST || threads == 1));
        }
    }

    #[test]
    fn a_sequence_longer_than_a_pass_stands_alone_and_few_are_shared_out() {
        assert_eq!(passes(&[3, MOST + 1], 1), vec![vec![1], vec![0]]);
        assert_eq!(passes(&[128; 2], 2), vec![vec![0], vec![1]]);
        assert_eq!(passes(&[], 2), Vec::<Vec<usize>>::new());
    }
}
