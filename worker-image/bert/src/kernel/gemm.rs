//! Matrix products with a right side that was packed beforehand. No I/O.
//!
//! The right side lies in panels of [`PANEL`] columns, so that the innermost loop reads it front to back; the left
//! side is read as it is, row by row, which spares the copy that general-purpose GEMM crates make on every call.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::activation::Activation;

/// Columns of a narrow panel, into which wide ones need not be filled up: 2 registers of AVX-512, 4 of AVX2, 8 of NEON.
pub(crate) const PANEL: usize = 32;
/// Columns of a wide panel. A tile of AVX-512 takes all of them, out of one stream of memory.
pub(crate) const WIDE: usize = 2 * PANEL;
/// Rows of the left side that meet a panel before the next one is read. About as many as the second-level cache
/// holds: with fewer, the weights, which no cache holds whole, are read from memory more often. A multiple of the rows
/// of a tile.
const BLOCK: usize = 480;
/// Rows of a tile: with 2 registers a row, 12 sums are enough to keep both FMA units of a core busy, and with 4, as
/// AVX-512 has them, fewer registers are read for each product.
const TILE: usize = 6;

/// Panels of a matrix `[k, n]`: for each [`WIDE`] columns `k` rows of that many numbers, then for each [`PANEL`] of the
/// columns that are left `k` rows of as many, zeros where there is no column.
#[derive(Clone, Copy)]
pub(crate) struct Panels<'a> {
    /// Rows of the matrix.
    pub(crate) k: usize,
    /// Columns of the matrix.
    pub(crate) n: usize,
    /// Rows of the panels before and after these, where the matrix is a part of one.
    whole: usize,
    first: usize,
    data: &'a [f32],
}

impl<'a> Panels<'a> {
    /// The whole of a matrix; `data` is as long as [`panels_len`] says.
    pub(crate) fn new(k: usize, n: usize, data: &'a [f32]) -> Self {
        Self { k, n, whole: k, first: 0, data }
    }

    /// Some of the rows.
    pub(crate) fn rows(self, first: usize, count: usize) -> Self {
        Self { k: count, first: self.first + first, ..self }
    }

    /// Some of the columns: the first of them begins a wide panel, and `count` fills wide panels or reaches the last.
    pub(crate) fn columns(self, first: usize, count: usize) -> Self {
        Self { n: count, data: &self.data[first * self.whole..], ..self }
    }

    /// The rows of a panel of `width` columns that begins at that column.
    fn panel(self, column: usize, width: usize) -> &'a [f32] {
        &self.data[column * self.whole + self.first * width..][..self.k * width]
    }
}

/// Numbers that the panels of a matrix `[k, n]` take.
pub(crate) fn panels_len(k: usize, n: usize) -> usize {
    n.next_multiple_of(PANEL) * k
}

/// First column and width of the panel that holds a column of a matrix with `n` columns.
#[inline(always)]
pub(crate) fn panel_of(column: usize, n: usize) -> (usize, usize) {
    let width = if column < n / WIDE * WIDE { WIDE } else { PANEL };
    (column / width * width, width)
}

/// Packs the transpose of `rows`, `n` of them: each row becomes a column. `data` is as long as [`panels_len`] says.
#[inline(always)]
pub(crate) fn pack_transposed<'a>(rows: impl Iterator<Item = &'a [f32]>, k: usize, n: usize, data: &mut [f32]) {
    for (column, row) in rows.enumerate() {
        let (first, width) = panel_of(column, n);
        let panel = &mut data[first * k..][..k * width];
        for (to, from) in panel.iter_mut().skip(column - first).step_by(width).zip(row) {
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
        // by constants for each instruction set, so that one arm remains: registers of a wide panel's row and of a
        // tile of it, then those of a narrow one
        match S::F32_LANES {
            16 => self.run::<S, 4, 4, 2, 2>(simd),
            8 => self.run::<S, 8, 2, 4, 2>(simd),
            4 => self.run::<S, 16, 4, 8, 4>(simd),
            2 => self.run::<S, 32, 8, 16, 8>(simd),
            _ => self.run::<S, 64, 16, 32, 16>(simd),
        }
    }
}

impl Gemm<'_> {
    #[inline(always)]
    fn run<S: Simd, const W: usize, const WT: usize, const N: usize, const NT: usize>(mut self, simd: S) {
        let Panels { k, n, .. } = self.right;
        if k == 0 {
            return;
        }
        let wide = n / WIDE * WIDE;
        for block in (0..self.m).step_by(BLOCK) {
            let rows = block..(block + BLOCK).min(self.m);
            for column in (0..wide).step_by(WIDE) {
                for part in (0..W).step_by(WT) {
                    self.panel::<S, W, WT>(simd, rows.clone(), column, part);
                }
            }
            for column in (wide..n).step_by(PANEL) {
                for part in (0..N).step_by(NT) {
                    self.panel::<S, N, NT>(simd, rows.clone(), column, part);
                }
            }
        }
    }

    /// The products of some rows and `V` of the `W` registers of a panel's rows.
    #[inline(always)]
    fn panel<S: Simd, const W: usize, const V: usize>(
        &mut self,
        simd: S,
        rows: Range<usize>,
        column: usize,
        part: usize,
    ) {
        let panel = S::as_simd_f32s(self.right.panel(column, W * S::F32_LANES)).0.as_chunks::<W>().0;
        let column = column + part * S::F32_LANES;
        let all = V * S::F32_LANES;
        let width = all.min(self.right.n.saturating_sub(column));
        if width == 0 {
            return;
        }
        let (m, stride) = (self.m, self.output_stride);
        for row in rows.step_by(TILE) {
            // rows that do not exist are the last one again, and are not stored
            let left = std::array::from_fn(|i| &self.left[(row + i).min(m - 1) * self.left_stride..][..panel.len()]);
            let tile = Tile { sums: tile::<S, W, V>(simd, left, panel, part), rows: TILE.min(m - row), column };
            let output = &mut self.output[row * stride + column..];
            if width == all {
                tile.finish(simd, self.then, output, stride);
            } else {
                let mut whole = [0.0; TILE * WIDE];
                let rows = tile.rows;
                for i in 0..rows {
                    whole[i * all..][..width].copy_from_slice(&output[i * stride..][..width]);
                }
                tile.finish(simd, self.then, &mut whole, all);
                for i in 0..rows {
                    output[i * stride..][..width].copy_from_slice(&whole[i * all..][..width]);
                }
            }
        }
    }
}

/// The products of [`TILE`] rows and `V` of the `W` registers of a panel's rows.
#[inline(always)]
fn tile<S: Simd, const W: usize, const V: usize>(
    simd: S,
    rows: [&[f32]; TILE],
    panel: &[[S::f32s; W]],
    part: usize,
) -> [[S::f32s; V]; TILE] {
    let mut sums = [[simd.splat_f32s(0.0); V]; TILE];
    let [r0, r1, r2, r3, r4, r5] = rows;
    // zip, not indices: the loop then has no bounds checks
    for ((((((panel, r0), r1), r2), r3), r4), r5) in panel.iter().zip(r0).zip(r1).zip(r2).zip(r3).zip(r4).zip(r5) {
        let left = [*r0, *r1, *r2, *r3, *r4, *r5];
        let right: [S::f32s; V] =
            if W == V { std::array::from_fn(|v| panel[v]) } else { std::array::from_fn(|v| panel[part + v]) };
        for i in 0..TILE {
            let left = simd.splat_f32s(left[i]);
            for v in 0..V {
                sums[i][v] = simd.mul_add_e_f32s(left, right[v], sums[i][v]);
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
                    activation.apply(simd, S::as_mut_simd_f32s(&mut output[i * stride..][..V * S::F32_LANES]).0);
                }
            }
        }
    }

    #[inline(always)]
    fn bias<'a>(&self, bias: &'a [f32]) -> &'a [S::f32s] {
        &S::as_simd_f32s(&bias[self.column..][..V * S::F32_LANES]).0[..V]
    }

    /// `combine` gets the sum, what the output holds, and which register of the row it is.
    #[allow(clippy::needless_range_loop, reason = "constant indices keep the sums in registers")]
    #[inline(always)]
    fn store(&self, output: &mut [f32], stride: usize, combine: impl Fn(S::f32s, S::f32s, usize) -> S::f32s) {
        // by constants, since an index that is not one would keep the sums out of registers
        for i in 0..TILE {
            if i < self.rows {
                let output = S::as_mut_simd_f32s(&mut output[i * stride..][..V * S::F32_LANES]).0;
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
        pack_transposed(right.chunks_exact(k), k, n, &mut data);
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
        let (m, k, n) = (7, 40, 150);
        let (left, right) = (numbers(1, m * k), numbers(2, n * k));
        let mut data = vec![0.0; panels_len(k, n)];
        pack_transposed(right.chunks_exact(k), k, n, &mut data);
        let all = Panels::new(k, n, &data);
        let (mut whole, mut parts) = (vec![0.0; m * n], vec![0.0; m * n]);
        let run = |first: usize, column: usize, right, output: &mut [f32]| {
            let (left, output) = (&left[first..], &mut output[column..]);
            let then = Then::Add;
            pulp::Arch::new().dispatch(Gemm { m, left, left_stride: k, right, output, output_stride: n, then });
        };
        run(0, 0, all, &mut whole);
        for (column, count) in [(0, 64), (64, 86)] {
            run(0, column, all.rows(0, 24).columns(column, count), &mut parts);
            run(24, column, all.rows(24, 16).columns(column, count), &mut parts);
        }
        assert!(whole.iter().zip(&parts).all(|(a, b)| (a - b).abs() < 1e-5));
    }

    proptest! {
        #[test]
        fn agrees_with_the_naive_product(m in 1..120usize, k in 1..70usize, n in 1..200usize, mode in 0..4usize) {
            check(pulp::Arch::new(), (m, k, n), mode)?;
            check(pulp::Arch::Scalar, (m, k, n), mode)?;
        }
    }
}
