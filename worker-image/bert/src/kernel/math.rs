//! `exp` and `erf` on whole registers, good to about 1e-7. No I/O.

use pulp::Simd;

/// The exponential, relative error below 2e-7. Arguments are cut to -87..=88: what is smaller is as good as zero.
#[inline(always)]
pub(crate) fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let x = simd.min_f32s(simd.max_f32s(x, simd.splat_f32s(-87.0)), simd.splat_f32s(88.0));
    // x = n ln 2 + r. Adding 1.5 * 2^23 rounds to the integer n and leaves it in the low bits.
    let round = simd.splat_f32s(12_582_912.0);
    let shifted = simd.mul_add_e_f32s(x, simd.splat_f32s(std::f32::consts::LOG2_E), round);
    let n = simd.sub_f32s(shifted, round);
    // ln 2 in two parts, the first of which times n is exact
    let r = simd.mul_add_e_f32s(n, simd.splat_f32s(-0.693_359_4), x);
    let r = simd.mul_add_e_f32s(n, simd.splat_f32s(2.121_944_4e-4), r);
    // e^r = 1 + r + r^2 p(r), the polynomial of Cephes' expf
    let p = polynomial(simd, r, [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5]);
    let p = simd.add_f32s(simd.mul_add_e_f32s(p, simd.mul_f32s(r, r), r), simd.splat_f32s(1.0));
    // times 2^n: n is added to the exponent
    let exponent = simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(23));
    simd.transmute_f32s_u32s(simd.add_u32s(simd.transmute_u32s_f32s(p), exponent))
}

/// The error function, absolute error below 5e-7.
#[inline(always)]
pub(crate) fn erf<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    // beyond 4 it is 1 in single precision
    let x = simd.min_f32s(simd.max_f32s(x, simd.splat_f32s(-4.0)), simd.splat_f32s(4.0));
    let x2 = simd.mul_f32s(x, x);
    // the rational approximation that Eigen uses
    let above = polynomial(
        simd,
        x2,
        [
            -2.726_142_3e-10,
            2.770_681_4e-8,
            -2.101_024e-6,
            -5.692_506_4e-5,
            -7.349_906_3e-4,
            -2.954_6e-3,
            -1.609_603_3e-2,
        ],
    );
    let below =
        polynomial(simd, x2, [-1.456_607_2e-5, -2.133_740_6e-4, -1.682_827e-3, -7.373_329_2e-3, -1.426_473_9e-2]);
    simd.div_f32s(simd.mul_f32s(x, above), below)
}

/// The coefficient of the highest power comes first.
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(simd: S, x: S::f32s, coefficients: [f32; N]) -> S::f32s {
    let mut sum = simd.splat_f32s(coefficients[0]);
    for coefficient in &coefficients[1..] {
        sum = simd.mul_add_e_f32s(sum, x, simd.splat_f32s(*coefficient));
    }
    sum
}

#[cfg(test)]
pub(crate) mod tests {
    use pulp::WithSimd;

    use super::*;

    /// The error function in double precision, by the series whose terms are all positive.
    pub(crate) fn exact_erf(x: f64) -> f64 {
        let (mut term, mut sum) = (x, x);
        for n in 1..400 {
            term *= 2.0 * x * x / f64::from(2 * n + 1);
            sum += term;
        }
        sum * (-x * x).exp() * 2.0 / std::f64::consts::PI.sqrt()
    }

    struct Both<'a>(&'a mut [f32], &'a mut [f32]);

    impl WithSimd for Both<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            for x in S::as_mut_simd_f32s(self.0).0 {
                *x = exp(simd, *x);
            }
            for x in S::as_mut_simd_f32s(self.1).0 {
                *x = erf(simd, *x);
            }
        }
    }

    #[test]
    fn exp_and_erf_agree_with_double_precision() {
        for arch in [pulp::Arch::new(), pulp::Arch::Scalar] {
            let arguments: Vec<f32> = (-8000..8000).map(|i| i as f32 / 100.0).collect();
            let small: Vec<f32> = arguments.iter().map(|x| x / 10.0).collect();
            let (mut exps, mut erfs) = (arguments.clone(), small.clone());
            arch.dispatch(Both(&mut exps, &mut erfs));
            for (x, found) in arguments.iter().zip(&exps) {
                let exact = f64::from(*x).exp();
                assert!((f64::from(*found) / exact - 1.0).abs() < 2e-7, "exp {x}: {found}");
            }
            for (x, found) in small.iter().zip(&erfs) {
                assert!((f64::from(*found) - exact_erf(f64::from(*x))).abs() < 5e-7, "erf {x}: {found}");
            }
            // as many as the widest register holds
            let mut ends = [0.0; 16];
            ends[..3].copy_from_slice(&[f32::NEG_INFINITY, -1000.0, -88.0]);
            arch.dispatch(Both(&mut ends, &mut []));
            assert!(ends[..3].iter().all(|x| (0.0..1e-37).contains(x)) && ends[3] == 1.0, "{ends:?}");
        }
    }
}
