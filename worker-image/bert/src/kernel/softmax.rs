//! The softmax of attention, its division left to whoever uses it. No I/O.

use pulp::Simd;

use super::math::exp;

/// Replaces the first `length` numbers of a row by `e^(number - largest)` and the others by zero, as near as makes no
/// difference; the sum of the row is returned, for a division. The row fills whole registers.
#[inline(always)]
pub(crate) fn exponentials<S: Simd>(simd: S, row: &mut [f32], length: usize) -> f32 {
    row[length..].fill(f32::NEG_INFINITY);
    let numbers = S::as_mut_simd_f32s(row).0;
    let mut largest = simd.splat_f32s(f32::NEG_INFINITY);
    for x in &*numbers {
        largest = simd.max_f32s(largest, *x);
    }
    let largest = simd.splat_f32s(simd.reduce_max_f32s(largest));
    let mut sum = simd.splat_f32s(0.0);
    for x in numbers {
        *x = exp(simd, simd.sub_f32s(*x, largest));
        sum = simd.add_f32s(sum, *x);
    }
    simd.reduce_sum_f32s(sum)
}

#[cfg(test)]
mod tests {
    use pulp::WithSimd;

    use super::*;

    struct Row<'a>(&'a mut [f32], usize);

    impl WithSimd for Row<'_> {
        type Output = f32;

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> f32 {
            exponentials(simd, self.0, self.1)
        }
    }

    #[test]
    fn agrees_with_its_definition_and_ignores_what_lies_beyond() {
        for arch in [pulp::Arch::new(), pulp::Arch::Scalar] {
            for length in 1..=32 {
                let mut row: Vec<f32> = (0..32).map(|i| ((i * 37) % 23) as f32 - 11.0).collect();
                row[length..].fill(1e30);
                let exact: Vec<f64> = row[..length].iter().map(|x| f64::from(*x).exp()).collect();
                let total: f64 = exact.iter().sum();
                let sum = arch.dispatch(Row(&mut row, length));
                for (found, exact) in row.iter().zip(&exact) {
                    assert!((f64::from(found / sum) - exact / total).abs() < 1e-6);
                }
                assert!(row[length..].iter().all(|x| *x < 1e-37));
            }
        }
    }
}
