//! How fast the matrix product is on this machine, for the benchmark to compare with. No I/O.

use std::{
    num::NonZero,
    thread,
    time::{Duration, Instant},
};

use crate::kernel::{
    gemm::{Gemm, Panels, Then, panels_len},
    numbers::Numbers,
};

/// Floating-point operations a second of the matrix product that the model uses, on so many threads at once: of
/// matrices `[480, 384]` and `[384, 1536]`, the best of half a second.
#[must_use]
pub fn peak(threads: NonZero<usize>) -> f64 {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads.get()).map(|_| scope.spawn(one)).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).sum()
    })
}

fn one() -> f64 {
    let (arch, m, k, n) = (pulp::Arch::new(), 480, 384, 1536);
    let (left, mut panels, mut output) = (vec![0.5; m * k], Numbers::zeros(panels_len(k, n)), vec![0.0; m * n]);
    panels.fill(0.25);
    let (mut best, start) = (Duration::MAX, Instant::now());
    while start.elapsed() < Duration::from_millis(500) {
        let (right, output) = (Panels::new(k, n, &panels), &mut output);
        let start = Instant::now();
        arch.dispatch(Gemm { m, left: &left, left_stride: k, right, output, output_stride: n, then: Then::Store });
        best = best.min(start.elapsed());
    }
    2.0 * (m * k * n) as f64 / best.as_secs_f64()
}
