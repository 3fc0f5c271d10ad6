//! The activation functions of the feed-forward layers. No I/O.

use pulp::Simd;

use super::math::{erf, exp};

/// A function of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activation {
    /// `x Φ(x)`, by the error function.
    Gelu,
    /// The approximation of it by the hyperbolic tangent.
    GeluTanh,
    /// `max(x, 0)`
    Relu,
}

impl Activation {
    /// The function that `hidden_act` of a configuration names.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "gelu" => Some(Self::Gelu),
            "gelu_new" | "gelu_fast" | "gelu_pytorch_tanh" => Some(Self::GeluTanh),
            "relu" => Some(Self::Relu),
            _ => None,
        }
    }

    /// Replaces numbers by their function.
    #[inline(always)]
    pub(crate) fn apply<S: Simd>(self, simd: S, numbers: &mut [S::f32s]) {
        let splat = |x| simd.splat_f32s(x);
        match self {
            Self::Gelu => {
                for x in numbers {
                    let half = simd.mul_f32s(*x, splat(0.5));
                    let erf = erf(simd, simd.mul_f32s(*x, splat(std::f32::consts::FRAC_1_SQRT_2)));
                    *x = simd.mul_add_e_f32s(half, erf, half);
                }
            }
            Self::GeluTanh => {
                for x in numbers {
                    // 0.5 x (1 + tanh u) = x / (1 + e^(-2u)), u = sqrt(2/pi) (x + 0.044715 x^3)
                    let square = simd.mul_f32s(*x, *x);
                    let inner = simd.mul_add_e_f32s(square, splat(0.044_715), splat(1.0));
                    let u = simd.mul_f32s(simd.mul_f32s(*x, inner), splat(-1.595_769));
                    *x = simd.div_f32s(*x, simd.add_f32s(exp(simd, u), splat(1.0)));
                }
            }
            Self::Relu => {
                for x in numbers {
                    *x = simd.max_f32s(*x, splat(0.0));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use pulp::WithSimd;
    use rstest::rstest;

    use super::*;
    use crate::kernel::math::tests::exact_erf;

    struct Apply<'a>(Activation, &'a mut [f32]);

    impl WithSimd for Apply<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            self.0.apply(simd, S::as_mut_simd_f32s(self.1).0);
        }
    }

    #[rstest]
    #[case("gelu", |x: f64| 0.5 * x * (1.0 + exact_erf(x / 2f64.sqrt())))]
    #[case("gelu_new", |x: f64| 0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh()))]
    #[case("relu", |x: f64| x.max(0.0))]
    fn agrees_with_its_definition(#[case] name: &str, #[case] exact: impl Fn(f64) -> f64) {
        let arguments: Vec<f32> = (-1200..1200).map(|i| i as f32 / 100.0).collect();
        for arch in [pulp::Arch::new(), pulp::Arch::Scalar] {
            let mut found = arguments.clone();
            arch.dispatch(Apply(Activation::named(name).unwrap(), &mut found));
            for (x, found) in arguments.iter().zip(&found) {
                let exact = exact(f64::from(*x));
                assert!((f64::from(*found) - exact).abs() < 1e-6 * exact.abs().max(1.0), "{x}: {found} for {exact}");
            }
        }
    }
}
