//! One pass through the model: sequences laid end to end, on one thread. No I/O.

use pulp::{Arch, Simd, WithSimd};

use crate::{
    folder::Pooling,
    kernel::{
        attention::{Attention, Scratch},
        gemm::{Gemm, Then},
        norm::LayerNorm,
        numbers::Numbers,
    },
    weights::{Bert, Dense, Layer, Norm},
};

/// Intermediate numbers of the feed-forward layers that are computed at a time: both sides of either product then stay
/// in the second-level cache.
const MIDDLE: usize = 192;

/// Memory of a thread, kept from pass to pass.
#[derive(Default)]
pub(crate) struct Buffers {
    /// `[tokens, hidden]`
    states: Numbers,
    /// `[tokens, 3 * group]`, of a group of heads
    qkv: Numbers,
    /// `[tokens, hidden]`
    attended: Numbers,
    /// `[tokens, MIDDLE]`
    middle: Numbers,
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
        let Buffers { states, attended, middle, .. } = &mut *buffers;
        states.set_len(tokens * hidden);
        attended.set_len(tokens * hidden);
        middle.set_len(tokens * MIDDLE);
        self.embed(sequences, states);
        for layer in &self.bert.layers {
            self.attend(layer, sequences, buffers);
            self.feed(layer, buffers);
        }
        let states = &buffers.states;
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

    /// The attention of a layer, one group of heads after the other, so that what they compute stays in the
    /// second-level cache.
    fn attend(self, layer: &Layer, sequences: &[&[u32]], buffers: &mut Buffers) {
        let Buffers { states, qkv, attended, scratch, .. } = buffers;
        let (hidden, heads) = (self.bert.hidden, self.bert.group);
        let head_size = hidden / self.bert.heads;
        let (group, tokens) = (heads * head_size, states.len() / hidden);
        qkv.set_len(tokens * 3 * group);
        for column in (0..hidden).step_by(group) {
            self.arch.dispatch(Gemm {
                m: tokens,
                left: states,
                left_stride: hidden,
                right: layer.qkv.panels().columns(3 * column, 3 * group),
                output: qkv,
                output_stride: 3 * group,
                then: Then::Bias(&layer.qkv.bias[3 * column..]),
            });
            let mut first = 0;
            for sequence in sequences {
                let length = sequence.len();
                self.arch.dispatch(Attention {
                    length,
                    heads,
                    head_size,
                    qkv: &qkv[first * 3 * group..][..length * 3 * group],
                    output: &mut attended[first * hidden + column..],
                    output_stride: hidden,
                    scratch,
                });
                first += length;
            }
        }
        self.dense(&layer.output, attended, states, Then::AddTo);
        self.normalize(&layer.output_norm, states);
    }

    /// The feed-forward part of a layer.
    fn feed(self, layer: &Layer, buffers: &mut Buffers) {
        // the sum grows where nobody needs the numbers any more; the states are read until the last product
        let Buffers { states, attended: sum, middle, .. } = buffers;
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
        states.iter_mut().zip(&**sum).for_each(|(state, sum)| *state += sum);
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
