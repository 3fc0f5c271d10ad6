//! Matrix products with a right side that was packed beforehand. No I/O.
//!
//! The right side lies in panels of [`PANEL`] columns, so that the innermost loop reads it front to back; the left
//! side is read as it is, row by row, which spares the copy that general-purpose GEMM crates make on every call.

use pulp::{Simd, WithSimd};

use super::activation::Activation;

/// Columns of a panel: 2 registers of AVX2, 4 of NEON.
pub(crate) const PANEL: usize = 16;
/// Rows of a tile: with 2 registers a row, 12 sums are enough to keep both FMA units of a core busy.
const TILE: usize = 6;
/// Rows of the left side that meet a panel before the next panel is read. About as many as the second-level cache
/// holds: with fewer, the weights, which no cache holds whole, are read from memory more often.
const BLOCK: usize = 40 * TILE;

/// Panels of a matrix `[k, n]`: for each 16 columns `k` rows of 16 numbers, zeros where there is no column.
#[derive(Clone, Copy)]
pub(crate) struct Panels<'a> {
    /// Rows of the matrix.
    pub(crate) k: usize,
    /// Columns of the matrix.
    pub(crate) n: usize,
    /// Numbers from the beginning of a panel to that of the next, `k * 16` unless these are some rows of a matrix.
    pub(crate) stride: usize,
    /// `ceil(n / 16)` panels.
    pub(crate) data: &'a [f32],
}

impl<'a> Panels<'a> {
    pub(crate) fn new(k: usize, n: usize, data: &'a [f32]) -> Self {
        Self { k, n, stride: k * PANEL, data }
    }

    /// Some of the rows.
    pub(crate) fn rows(self, first: usize, count: usize) -> Self {
        Self { k: count, data: &self.data[first * PANEL..], ..self }
    }

    /// Some of the columns, the first of which begins a panel.
    pub(crate) fn columns(self, first: usize, count: usize) -> Self {
        Self { n: count, data: &self.data[first / PANEL * self.stride..], ..self }
    }
}

/// Numbers that the panels of a matrix `[k, n]` take.
pub(crate) fn panels_len(k: usize, n: usize) -> usize {
    n.div_ceil(PANEL) * PANEL * k
}

/// Packs the transpose of `rows`: each row becomes a column. `data` is as long as [`panels_len`] says.
#[inline(always)]
pub(crate) fn pack_transposed<'a>(rows: impl Iterator<Item = &'a [f32]>, k: usize, data: &mut [f32]) {
    for (column, row) in rows.enumerate() {
        let panel = &mut data[column / PANEL * k * PANEL..][..k * PANEL];
        for (to, from) in panel.iter_mut().skip(column % PANEL).step_by(PANEL).zip(row) {
            *to = *from;
        }
    }
}

/// What becomes of a product.
#[derive(Clone, Copy)]
pub(crate) enum Then<'a> {
    /// It is stored.
    Store,
    /// The bias, one number a column of the panels (padding included), is added; the sum is stored.
    Bias(&'a [f32]),
    /// The bias is added, and the function of the sum is stored.
    Activate(&'a [f32], Activation),
    /// The bias is added, and the sum is added to what the output holds.
    AddTo(&'a [f32]),
    /// It is added to what the output holds.
    Add,
}

/// `output = left * right`, with `m` rows. Rows of `left` begin `left_stride` numbers apart, those of `output`
/// `output_stride`; both slices begin with the first number of the first row.
pub(crate) struct Gemm<'a> {
    pub(crate) m: usize,
    pub(crate) left: &'a [f32],
    pub(crate) left_stride: usize,
    pub(crate) right: Panels<'a>,
    pub(crate) output: &'a mut [f32],
    pub(crate) output_stride: usize,
    pub(crate) then: Then<'a>,
}

impl WithSimd for Gemm<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // registers of a panel's row; a constant for each instruction set, so that one arm remains
        match S::F32_LANES {
            16 => self.run::<S, 1>(simd),
            8 => self.run::<S, 2>(simd),
            4 => self.run::<S, 4>(simd),
            2 => self.run::<S, 8>(simd),
            _ => self.run::<S, 16>(simd),
        }
    }
}

impl Gemm<'_> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, simd: S) {
        let Self { m, left, left_stride, right, output, output_stride, then } = self;
        let Panels { k, n, stride, data } = right;
        if k == 0 {
            return;
        }
        for block in (0..m).step_by(BLOCK) {
            let end = (block + BLOCK).min(m);
            for index in 0..n.div_ceil(PANEL) {
                let panel = S::as_simd_f32s(&data[index * stride..][..k * PANEL]).0.as_chunks::<V>().0;
                let column = index * PANEL;
                let width = PANEL.min(n - column);
                for row in (block..end).step_by(TILE) {
                    // rows that do not exist are the last one again, and are not stored
                    let rows = std::array::from_fn(|i| &left[(row + i).min(m - 1) * left_stride..][..k]);
                    let tile = Tile { sums: tile::<S, V>(simd, rows, panel), rows: TILE.min(m - row), column };
                    let output = &mut output[row * output_stride + column..];
                    if width == PANEL {
                        tile.finish(simd, then, output, output_stride);
                    } else {
                        let mut whole = [0.0; TILE * PANEL];
                        for i in 0..tile.rows {
                            whole[i * PANEL..][..width].copy_from_slice(&output[i * output_stride..][..width]);
                        }
                        let rows = tile.rows;
                        tile.finish(simd, then, &mut whole, PANEL);
                        for i in 0..rows {
                            output[i * output_stride..][..width].copy_from_slice(&whole[i * PANEL..][..width]);
                        }
                    }
                }
            }
        }
    }
}

/// The products of [`TILE`] rows and a panel.
#[inline(always)]
fn tile<S: Simd, const V: usize>(simd: S, rows: [&[f32]; TILE], panel: &[[S::f32s; V]]) -> [[S::f32s; V]; TILE] {
    let mut sums = [[simd.splat_f32s(0.0); V]; TILE];
    let [r0, r1, r2, r3, r4, r5] = rows;
    // zip, not indices: the loop then has no bounds checks
    for ((((((panel, r0), r1), r2), r3), r4), r5) in panel.iter().zip(r0).zip(r1).zip(r2).zip(r3).zip(r4).zip(r5) {
        let left = [*r0, *r1, *r2, *r3, *r4, *r5];
        for i in 0..TILE {
            let left = simd.splat_f32s(left[i]);
            for v in 0..V {
                sums[i][v] = simd.mul_add_e_f32s(left, panel[v], sums[i][v]);
            }
        }
    }
    sums
}

struct Tile<S: Simd, const V: usize> {
    sums: [[S::f32s; V]; TILE],
    rows: usize,
    column: usize,
}

impl<S: Simd, const V: usize> Tile<S, V> {
    #[inline(always)]
    fn finish(self, simd: S, then: Then<'_>, output: &mut [f32], stride: usize) {
        match then {
            Then::Store => self.store(output, stride, |sum, _, _| sum),
            Then::Bias(bias) => {
                let bias = self.bias(bias);
                self.store(output, stride, |sum, _, v| simd.add_f32s(sum, bias[v]));
            }
            Then::AddTo(bias) => {
                let bias = self.bias(bias);
                self.store(output, stride, |sum, old, v| simd.add_f32s(old, simd.add_f32s(sum, bias[v])));
            }
            Then::Add => self.store(output, stride, |sum, old, _| simd.add_f32s(old, sum)),
            Then::Activate(bias, activation) => {
                let bias = self.bias(bias);
                self.store(output, stride, |sum, _, v| simd.add_f32s(sum, bias[v]));
                // out of the sums' registers first: the function needs them
                for i in 0..self.rows {
                    activation.apply(simd, S::as_mut_simd_f32s(&mut output[i * stride..][..PANEL]).0);
                }
            }
        }
    }

    #[inline(always)]
    fn bias<'a>(&self, bias: &'a [f32]) -> &'a [S::f32s] {
        &S::as_simd_f32s(&bias[self.column..][..PANEL]).0[..V]
    }

    /// `combine` gets the sum, what the output holds, and which register of the row it is.
    #[allow(clippy::needless_range_loop, reason = "constant indices keep the sums in registers")]
    #[inline(always)]
    fn store(&self, output: &mut [f32], stride: usize, combine: impl Fn(S::f32s, S::f32s, usize) -> S::f32s) {
        // by constants, since an index that is not one would keep the sums out of registers
        for i in 0..TILE {
            if i < self.rows {
                let output = S::as_mut_simd_f32s(&mut output[i * stride..][..PANEL]).0;
                for v in 0..V {
                    output[v] = combine(self.sums[i][v], output[v], v);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn numbers(seed: usize, len: usize) -> Vec<f32> {
        (0..len).map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.5 - 1.0).collect()
    }

    fn check(arch: pulp::Arch, (m, k, n): (usize, usize, usize), mode: usize) -> Result<(), TestCaseError> {
        let (left, right) = (numbers(1, m * (k + 3)), numbers(2, n * k));
        let bias: Vec<f32> = numbers(3, n.next_multiple_of(PANEL));
        let mut data = vec![0.0; panels_len(k, n)];
        pack_transposed(right.chunks_exact(k), k, &mut data);
        let stride = n + 1;
        let before = numbers(4, m * stride);
        let mut output = before.clone();
        let then = match mode {
            0 => Then::Store,
            1 => Then::Bias(&bias),
            2 => Then::AddTo(&bias),
            _ => Then::Activate(&bias, Activation::Relu),
        };
        let right_side = Panels::new(k, n, &data);
        let (left_stride, output_stride) = (k + 3, stride);
        arch.dispatch(Gemm {
            m,
            left: &left,
            left_stride,
            right: right_side,
            output: &mut output,
            output_stride,
            then,
        });
        for row in 0..m {
            for column in 0..stride {
                let old = before[row * stride + column];
                let sum: f32 =
                    (0..k).map(|p| left[row * (k + 3) + p] * right.get(column * k + p).unwrap_or(&0.0)).sum();
                let expected = match mode {
                    _ if column == n => old,
                    0 => sum,
                    1 => sum + bias[column],
                    2 => sum + bias[column] + old,
                    _ => (sum + bias[column]).max(0.0),
                };
                let found = output[row * stride + column];
                prop_assert!((found - expected).abs() < 1e-4, "{row}/{column}: {found} for {expected}");
            }
        }
        Ok(())
    }

    #[test]
    fn parts_of_a_matrix_add_up_to_the_whole() {
        let (m, k, n) = (7, 40, 48);
        let (left, right) = (numbers(1, m * k), numbers(2, n * k));
        let mut data = vec![0.0; panels_len(k, n)];
        pack_transposed(right.chunks_exact(k), k, &mut data);
        let all = Panels::new(k, n, &data);
        let (mut whole, mut parts) = (vec![0.0; m * n], vec![0.0; m * n]);
        let run = |first: usize, column: usize, right, output: &mut [f32]| {
            let (left, output) = (&left[first..], &mut output[column..]);
            let then = Then::Add;
            pulp::Arch::new().dispatch(Gemm { m, left, left_stride: k, right, output, output_stride: n, then });
        };
        run(0, 0, all, &mut whole);
        for column in [0, 16, 32] {
            run(0, column, all.rows(0, 24).columns(column, 16), &mut parts);
            run(24, column, all.rows(24, 16).columns(column, 16), &mut parts);
        }
        assert!(whole.iter().zip(&parts).all(|(a, b)| (a - b).abs() < 1e-5));
    }

    proptest! {
        #[test]
        fn agrees_with_the_naive_product(m in 1..120usize, k in 1..70usize, n in 1..70usize, mode in 0..4usize) {
            check(pulp::Arch::new(), (m, k, n), mode)?;
            check(pulp::Arch::Scalar, (m, k, n), mode)?;
        }
    }
}
