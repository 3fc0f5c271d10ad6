//! One pass through the model: sequences laid end to end, on one thread. No I/O.

use pulp::{Arch, Simd, WithSimd};

use crate::{
    folder::Pooling,
    kernel::{
        attention::{Attention, Scratch},
        gemm::{Gemm, Then},
        norm::LayerNorm,
    },
    weights::{Bert, Dense, Layer, Norm},
};

/// Tokens that go through the feed-forward layers at a time, and how many of their intermediate numbers: both sides of
/// either product then stay in the second-level cache.
const FEED: usize = 144;
const MIDDLE: usize = 384;

/// Memory of a thread, kept from pass to pass.
#[derive(Default)]
pub(crate) struct Buffers {
    /// `[tokens, hidden]`
    states: Vec<f32>,
    /// `[tokens, 3 * hidden]`
    qkv: Vec<f32>,
    /// `[tokens, hidden]`
    attended: Vec<f32>,
    /// `[FEED, MIDDLE]`
    middle: Vec<f32>,
    scratch: Scratch,
}

/// What a model does with its tokens.
#[derive(Clone, Copy)]
pub(crate) struct Pass<'a> {
    pub(crate) arch: Arch,
    pub(crate) bert: &'a Bert,
    pub(crate) pooling: Pooling,
    pub(crate) normalize: bool,
}

impl Pass<'_> {
    /// A vector for each sequence. A sequence has at least one token and at most as many as the model has positions,
    /// and each token is in the vocabulary.
    pub(crate) fn run(self, sequences: &[&[u32]], buffers: &mut Buffers) -> Vec<Vec<f32>> {
        let hidden = self.bert.hidden;
        let tokens: usize = sequences.iter().map(|sequence| sequence.len()).sum();
        let Buffers { states, qkv, attended, middle, scratch } = buffers;
        states.resize(tokens * hidden, 0.0);
        qkv.resize(tokens * 3 * hidden, 0.0);
        attended.resize(tokens * hidden, 0.0);
        middle.resize(FEED * MIDDLE, 0.0);
        self.embed(sequences, states);
        for layer in &self.bert.layers {
            self.dense(&layer.qkv, states, qkv, Then::Bias);
            let mut first = 0;
            for sequence in sequences {
                let length = sequence.len();
                self.arch.dispatch(Attention {
                    length,
                    heads: self.bert.heads,
                    head_size: hidden / self.bert.heads,
                    qkv: &qkv[first * 3 * hidden..][..length * 3 * hidden],
                    output: &mut attended[first * hidden..][..length * hidden],
                    scratch,
                });
                first += length;
            }
            for (states, attended) in states.chunks_mut(FEED * hidden).zip(attended.chunks_mut(FEED * hidden)) {
                self.feed(layer, states, attended, middle);
            }
        }
        let mut first = 0;
        let pool = |sequence: &&[u32]| {
            let states = &states[first * hidden..][..sequence.len() * hidden];
            first += sequence.len();
            self.pool(states)
        };
        sequences.iter().map(pool).collect()
    }

    fn embed(self, sequences: &[&[u32]], states: &mut [f32]) {
        let hidden = self.bert.hidden;
        let tokens = sequences.iter().flat_map(|sequence| sequence.iter().enumerate());
        for (state, (position, token)) in states.chunks_exact_mut(hidden).zip(tokens) {
            let word = &self.bert.words[*token as usize * hidden..][..hidden];
            let position = &self.bert.positions[position * hidden..][..hidden];
            state.iter_mut().zip(word).zip(position).for_each(|((state, word), position)| *state = word + position);
        }
        self.normalize(&self.bert.norm, states);
    }

    /// What follows attention in a layer, for some tokens.
    fn feed(self, layer: &Layer, states: &mut [f32], attended: &mut [f32], middle: &mut [f32]) {
        self.dense(&layer.output, attended, states, Then::AddTo);
        self.normalize(&layer.output_norm, states);
        // the sum grows where nobody needs the numbers any more; the states are read until the last product
        let sum = attended;
        let (hidden, intermediate) = (self.bert.hidden, self.bert.intermediate);
        let m = states.len() / hidden;
        for first in (0..intermediate).step_by(MIDDLE) {
            let count = MIDDLE.min(intermediate - first);
            self.arch.dispatch(Gemm {
                m,
                left: states,
                left_stride: hidden,
                right: layer.up.panels().columns(first, count),
                output: middle,
                output_stride: MIDDLE,
                then: Then::Activate(&layer.up.bias[first..], self.bert.activation),
            });
            self.arch.dispatch(Gemm {
                m,
                left: middle,
                left_stride: MIDDLE,
                right: layer.down.panels().rows(first, count),
                output: sum,
                output_stride: hidden,
                then: if first == 0 { Then::Bias(&layer.down.bias) } else { Then::Add },
            });
        }
        states.iter_mut().zip(&*sum).for_each(|(state, sum)| *state += sum);
        self.normalize(&layer.down_norm, states);
    }

    fn dense<'a>(self, dense: &'a Dense, left: &[f32], output: &mut [f32], then: impl FnOnce(&'a [f32]) -> Then<'a>) {
        let right = dense.panels();
        let (m, left_stride, output_stride) = (left.len() / right.k, right.k, right.n);
        self.arch.dispatch(Gemm { m, left, left_stride, right, output, output_stride, then: then(&dense.bias) });
    }

    fn normalize(self, norm: &Norm, rows: &mut [f32]) {
        let (weight, bias, epsilon) = (&norm.weight, &norm.bias, self.bert.epsilon);
        self.arch.dispatch(LayerNorm { rows, weight, bias, epsilon });
    }

    /// The vector of a sequence, from those of its tokens.
    fn pool(self, states: &[f32]) -> Vec<f32> {
        let hidden = self.bert.hidden;
        let mut vector = states[..hidden].to_vec();
        if self.pooling == Pooling::Mean {
            self.arch.dispatch(AddRows { sum: &mut vector, rows: &states[hidden..] });
            let count = (states.len() / hidden) as f32;
            vector.iter_mut().for_each(|number| *number /= count);
        }
        if self.normalize {
            let norm = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
            // the bound is that of torch.nn.functional.normalize
            let norm = norm.max(1e-12);
            vector.iter_mut().for_each(|number| *number /= norm);
        }
        vector
    }
}

/// Adds rows to one.
struct AddRows<'a> {
    sum: &'a mut [f32],
    rows: &'a [f32],
}

impl WithSimd for AddRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        for row in self.rows.chunks_exact(self.sum.len()) {
            self.sum.iter_mut().zip(row).for_each(|(sum, number)| *sum += number);
        }
    }
}
