//! Attention of one sequence, on its exact length. No I/O.

use pulp::{Simd, WithSimd};

use super::{
    gemm::{Gemm, PANEL, Panels, Then, pack_transposed, panel_of, panels_len},
    numbers::Numbers,
    softmax::exponentials,
};

/// Queries whose scores are held at a time: few enough for the first-level cache.
const QUERIES: usize = 24;

/// Memory that attention works in, kept from sequence to sequence.
#[derive(Default)]
pub(crate) struct Scratch {
    keys: Numbers,
    values: Numbers,
    scores: Numbers,
    sums: Vec<f32>,
}

/// Attention of one sequence, some heads.
pub(crate) struct Attention<'a> {
    /// Tokens.
    pub(crate) length: usize,
    pub(crate) heads: usize,
    /// Numbers of a token in a head.
    pub(crate) head_size: usize,
    /// `[length, 3 * heads * head_size]`: queries, which are already divided by the square root of the head's size,
    /// then keys, then values.
    pub(crate) qkv: &'a [f32],
    /// `[length, heads * head_size]`, rows `output_stride` numbers apart.
    pub(crate) output: &'a mut [f32],
    pub(crate) output_stride: usize,
    pub(crate) scratch: &'a mut Scratch,
}

impl WithSimd for Attention<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { length, heads, head_size, qkv, output, output_stride, scratch } = self;
        let (hidden, row_size) = (heads * head_size, length.next_multiple_of(PANEL));
        let Scratch { keys, values, scores, sums } = scratch;
        // zeroed, since padding has to be finite: it meets weights that are nearly zero
        keys.set_len(panels_len(head_size, row_size));
        keys.fill(0.0);
        values.set_len(panels_len(length, head_size));
        values.fill(0.0);
        scores.set_len(QUERIES * row_size);
        sums.resize(QUERIES, 0.0);
        for head in 0..heads {
            let part = |which: usize| &qkv[which * hidden + head * head_size..];
            pack_transposed(part(1).chunks(3 * hidden).map(|row| &row[..head_size]), head_size, row_size, keys);
            for (token, row) in part(2).chunks(3 * hidden).enumerate() {
                let mut column = 0;
                while column < head_size {
                    let (first, width) = panel_of(column, head_size);
                    let numbers = &row[column..head_size.min(column + width)];
                    values[first * length + token * width..][..numbers.len()].copy_from_slice(numbers);
                    column += width;
                }
            }
            for first in (0..length).step_by(QUERIES) {
                let m = QUERIES.min(length - first);
                Gemm {
                    m,
                    left: &part(0)[first * 3 * hidden..],
                    left_stride: 3 * hidden,
                    right: Panels::new(head_size, row_size, keys),
                    output: scores,
                    output_stride: row_size,
                    then: Then::Store,
                }
                .with_simd(simd);
                for (row, sum) in scores.chunks_exact_mut(row_size).zip(sums.iter_mut()).take(m) {
                    *sum = exponentials(simd, row, length);
                }
                let output = &mut output[first * output_stride + head * head_size..];
                Gemm {
                    m,
                    left: scores,
                    left_stride: row_size,
                    right: Panels::new(length, head_size, values),
                    output,
                    output_stride,
                    then: Then::Store,
                }
                .with_simd(simd);
                // the division of the softmax, here on the fewer numbers
                for (row, sum) in output.chunks_mut(output_stride).zip(sums.iter()).take(m) {
                    let scale = 1.0 / sum;
                    row[..head_size].iter_mut().for_each(|x| *x *= scale);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(1, 1, 4)]
    #[case(7, 2, 8)]
    #[case(24, 3, 32)]
    #[case(61, 2, 20)]
    #[case(130, 1, 96)]
    fn agrees_with_its_definition(#[case] length: usize, #[case] heads: usize, #[case] size: usize) {
        let hidden = heads * size;
        let qkv: Vec<f32> = (0..length * 3 * hidden).map(|i| ((i * 7919) % 2003) as f32 / 500.0 - 2.0).collect();
        let at = |token: usize, which: usize, i: usize| f64::from(qkv[(token * 3 + which) * hidden + i]);
        for arch in [pulp::Arch::new(), pulp::Arch::Scalar] {
            let mut output = vec![0.0; length * hidden];
            let mut scratch = Scratch::default();
            // memory is used again after a longer sequence
            for length in [length, length.div_ceil(2), length] {
                let (qkv, output) = (&qkv[..length * 3 * hidden], &mut output[..length * hidden]);
                let (output_stride, scratch) = (hidden, &mut scratch);
                arch.dispatch(Attention { length, heads, head_size: size, qkv, output, output_stride, scratch });
            }
            for (token, head) in (0..length).flat_map(|token| (0..heads).map(move |head| (token, head))) {
                let score = |key| (0..size).map(|i| at(token, 0, head * size + i) * at(key, 1, head * size + i)).sum();
                let weights: Vec<f64> = (0..length).map(|key| f64::exp(score(key))).collect();
                let total: f64 = weights.iter().sum();
                for i in head * size..(head + 1) * size {
                    let exact = (0..length).map(|key| weights[key] / total * at(key, 2, i)).sum::<f64>();
                    let found = f64::from(output[token * hidden + i]);
                    assert!((found - exact).abs() < 1e-4, "{found} for {exact}");
                }
            }
        }
    }
}
