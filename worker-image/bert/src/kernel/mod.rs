//! The loops that take the time, written once for every instruction set: `pulp` picks AVX-512, AVX2 with FMA, NEON or
//! plain code when the process starts. No I/O.

pub(crate) mod activation;
pub(crate) mod attention;
pub(crate) mod gemm;
pub(crate) mod math;
pub(crate) mod norm;
pub(crate) mod numbers;
pub(crate) mod softmax;
