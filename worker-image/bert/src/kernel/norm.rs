//! Layer normalisation. No I/O.

use pulp::{Simd, WithSimd};

/// Normalises rows in place: each to mean 0 and variance 1, then times `weight` plus `bias`.
pub(crate) struct LayerNorm<'a> {
    /// Rows of as many numbers as `weight` and `bias` have.
    pub(crate) rows: &'a mut [f32],
    pub(crate) weight: &'a [f32],
    pub(crate) bias: &'a [f32],
    /// Is added to the variance.
    pub(crate) epsilon: f32,
}

impl WithSimd for LayerNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { rows, weight, bias, epsilon } = self;
        let (weights, weight_rest) = S::as_simd_f32s(weight);
        let (biases, bias_rest) = S::as_simd_f32s(bias);
        let size = weight.len() as f32;
        for row in rows.chunks_exact_mut(weight.len()) {
            let (numbers, rest) = S::as_mut_simd_f32s(row);
            let mean = (sum(simd, numbers, |x| x) + rest.iter().sum::<f32>()) / size;
            let center = simd.splat_f32s(mean);
            // two passes: the square of the mean would cancel against the mean of the squares
            let squares = sum(simd, numbers, |x| {
                let x = simd.sub_f32s(x, center);
                simd.mul_f32s(x, x)
            });
            let squares = squares + rest.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>();
            let scale = 1.0 / (squares / size + epsilon).sqrt();
            let scales = simd.splat_f32s(scale);
            for ((x, weight), bias) in numbers.iter_mut().zip(weights).zip(biases) {
                let normal = simd.mul_f32s(simd.sub_f32s(*x, center), scales);
                *x = simd.mul_add_e_f32s(normal, *weight, *bias);
            }
            for ((x, weight), bias) in rest.iter_mut().zip(weight_rest).zip(bias_rest) {
                *x = (*x - mean) * scale * weight + bias;
            }
        }
    }
}

/// The sum of a function of numbers, in four chains, since each addition waits for the one before it.
#[inline(always)]
fn sum<S: Simd>(simd: S, numbers: &[S::f32s], of: impl Fn(S::f32s) -> S::f32s) -> f32 {
    let (fours, rest) = numbers.as_chunks::<4>();
    let mut sums = [simd.splat_f32s(0.0); 4];
    for four in fours {
        for i in 0..4 {
            sums[i] = simd.add_f32s(sums[i], of(four[i]));
        }
    }
    for x in rest {
        sums[0] = simd.add_f32s(sums[0], of(*x));
    }
    let [a, b, c, d] = sums;
    simd.reduce_sum_f32s(simd.add_f32s(simd.add_f32s(a, b), simd.add_f32s(c, d)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_its_definition(rows in (1..70usize).prop_flat_map(|size| {
            proptest::collection::vec(proptest::collection::vec(-10.0..10.0f32, size), 1..4)
        })) {
            let size = rows[0].len();
            let weight: Vec<f32> = (0..size).map(|i| 1.0 + i as f32 / 100.0).collect();
            let bias: Vec<f32> = (0..size).map(|i| i as f32 / 50.0 - 0.5).collect();
            for arch in [pulp::Arch::new(), pulp::Arch::Scalar] {
                let mut found = rows.concat();
                arch.dispatch(LayerNorm { rows: &mut found, weight: &weight, bias: &bias, epsilon: 1e-3 });
                for (row, found) in rows.iter().zip(found.chunks(size)) {
                    let mean = row.iter().map(|x| f64::from(*x)).sum::<f64>() / size as f64;
                    let variance = row.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / size as f64;
                    for i in 0..size {
                        let normal = (f64::from(row[i]) - mean) / (variance + 1e-3).sqrt();
                        let exact = normal * f64::from(weight[i]) + f64::from(bias[i]);
                        prop_assert!((f64::from(found[i]) - exact).abs() < 1e-4, "{} for {exact}", found[i]);
                    }
                }
            }
        }
    }
}
