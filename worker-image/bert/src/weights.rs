//! The weights, packed for the kernels. No I/O.

use std::borrow::Cow;

use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::{
    ModelError,
    folder::{Description, WEIGHTS, unusable},
    kernel::{
        activation::Activation,
        gemm::{PANEL, Panels, WIDE, pack_transposed, panels_len},
        numbers::Numbers,
    },
};

/// A BERT, ready to compute.
pub(crate) struct Bert {
    pub(crate) hidden: usize,
    pub(crate) heads: usize,
    /// Heads whose queries, keys and values lie side by side: as many as fill wide panels.
    pub(crate) group: usize,
    pub(crate) intermediate: usize,
    pub(crate) vocabulary: usize,
    pub(crate) epsilon: f32,
    pub(crate) activation: Activation,
    /// `[vocabulary, hidden]`
    pub(crate) words: Vec<f32>,
    /// `[positions, hidden]`, what every token gets for its type added
    pub(crate) positions: Vec<f32>,
    pub(crate) norm: Norm,
    pub(crate) layers: Vec<Layer>,
}

/// One layer of the encoder.
pub(crate) struct Layer {
    /// For each group of heads its queries, divided by the square root of the head's size; its keys; its values.
    pub(crate) qkv: Dense,
    pub(crate) output: Dense,
    pub(crate) output_norm: Norm,
    pub(crate) up: Dense,
    pub(crate) down: Dense,
    pub(crate) down_norm: Norm,
}

/// Weight and bias of a layer normalisation.
pub(crate) struct Norm {
    pub(crate) weight: Vec<f32>,
    pub(crate) bias: Vec<f32>,
}

/// A dense layer `[inputs, outputs]`.
pub(crate) struct Dense {
    inputs: usize,
    outputs: usize,
    panels: Numbers,
    /// As many numbers as the panels have columns.
    pub(crate) bias: Vec<f32>,
}

impl Dense {
    pub(crate) fn panels(&self) -> Panels<'_> {
        Panels::new(self.inputs, self.outputs, &self.panels)
    }
}

impl Bert {
    /// Packs the tensors of a safetensors file.
    pub(crate) fn read(bytes: &[u8], description: &Description) -> Result<Self, ModelError> {
        let tensors = SafeTensors::deserialize(bytes).map_err(|error| unusable(WEIGHTS, &error))?;
        let bare = tensors.tensor("embeddings.word_embeddings.weight").is_ok();
        let tensors = Tensors { tensors, prefix: if bare { "" } else { "bert." } };
        let config = &description.config;
        let hidden = config.hidden_size;
        let embeddings =
            |kind: &str, count| tensors.numbers(&format!("embeddings.{kind}_embeddings.weight"), &[count, hidden]);
        let mut positions = embeddings("position", config.max_position_embeddings)?.into_owned();
        let types = embeddings("token_type", config.type_vocab_size)?;
        for position in positions.chunks_exact_mut(hidden) {
            // sentences have one type only, the first
            position.iter_mut().zip(&*types).for_each(|(number, of_type)| *number += of_type);
        }
        let (heads, middle) = (config.num_attention_heads, config.intermediate_size);
        let head_size = hidden / heads;
        let group = group(heads, head_size);
        let layers = (0..config.num_hidden_layers).map(|index| {
            let name = |part: &str| format!("encoder.layer.{index}.{part}");
            let (query, key, value) =
                (name("attention.self.query"), name("attention.self.key"), name("attention.self.value"));
            let scale = 1.0 / (head_size as f32).sqrt();
            Ok(Layer {
                qkv: tensors.dense(
                    &[(&query, scale), (&key, 1.0), (&value, 1.0)],
                    hidden,
                    hidden,
                    group * head_size,
                )?,
                output: tensors.dense(&[(&name("attention.output.dense"), 1.0)], hidden, hidden, hidden)?,
                output_norm: tensors.norm(&name("attention.output.LayerNorm"), hidden)?,
                up: tensors.dense(&[(&name("intermediate.dense"), 1.0)], hidden, middle, middle)?,
                down: tensors.dense(&[(&name("output.dense"), 1.0)], middle, hidden, hidden)?,
                down_norm: tensors.norm(&name("output.LayerNorm"), hidden)?,
            })
        });
        Ok(Self {
            hidden,
            heads,
            group,
            intermediate: middle,
            vocabulary: config.vocab_size,
            epsilon: config.layer_norm_eps,
            activation: description.activation,
            words: embeddings("word", config.vocab_size)?.into_owned(),
            positions,
            norm: tensors.norm("embeddings.LayerNorm", hidden)?,
            layers: layers.collect::<Result<_, ModelError>>()?,
        })
    }
}

struct Tensors<'a> {
    tensors: SafeTensors<'a>,
    prefix: &'static str,
}

impl<'a> Tensors<'a> {
    /// A tensor's numbers, not copied if they are single precision already.
    fn numbers(&self, name: &str, shape: &[usize]) -> Result<Cow<'a, [f32]>, ModelError> {
        let name = format!("{}{name}", self.prefix);
        let problem = |problem: String| unusable(WEIGHTS, &problem);
        let view = self.tensors.tensor(&name).map_err(|_| problem(format!("there is no tensor {name}")))?;
        if view.shape() != shape {
            return Err(problem(format!("tensor {name} has shape {:?}, not {shape:?}", view.shape())));
        }
        decode(&view)
            .ok_or_else(|| problem(format!("tensor {name} is of type {:?}, not F32, F16 or BF16", view.dtype())))
    }

    fn norm(&self, name: &str, size: usize) -> Result<Norm, ModelError> {
        // what came from TensorFlow has other names
        let either = |new: &str, old: &str| match self.numbers(&format!("{name}.{old}"), &[size]) {
            Ok(numbers) => Ok(numbers.into_owned()),
            Err(_) => self.numbers(&format!("{name}.{new}"), &[size]).map(Cow::into_owned),
        };
        Ok(Norm { weight: either("weight", "gamma")?, bias: either("bias", "beta")? })
    }

    /// Dense layers of equal shape, each times a number: `group` columns of each side by side, then the next ones.
    fn dense(&self, parts: &[(&str, f32)], inputs: usize, outputs: usize, group: usize) -> Result<Dense, ModelError> {
        let total = parts.len() * outputs;
        let (mut weights, mut biases) = (Vec::with_capacity(parts.len()), Vec::with_capacity(parts.len()));
        for (name, scale) in parts {
            let mut weight = self.numbers(&format!("{name}.weight"), &[outputs, inputs])?;
            let mut bias = self.numbers(&format!("{name}.bias"), &[outputs])?;
            if *scale != 1.0 {
                weight.to_mut().iter_mut().chain(bias.to_mut()).for_each(|number| *number *= scale);
            }
            weights.push(weight);
            biases.push(bias);
        }
        let columns = || (0..outputs).step_by(group).flat_map(|first| (0..parts.len()).map(move |part| (part, first)));
        let of = |first: usize| group.min(outputs - first);
        let mut bias: Vec<f32> =
            columns().flat_map(|(part, first)| biases[part][first..][..of(first)].iter().copied()).collect();
        bias.resize(total.next_multiple_of(PANEL), 0.0);
        let rows = columns()
            .flat_map(|(part, first)| weights[part][first * inputs..][..of(first) * inputs].chunks_exact(inputs));
        let mut panels = Numbers::zeros(panels_len(inputs, total));
        pack_transposed(rows, inputs, total, &mut panels);
        Ok(Dense { inputs, outputs: total, panels, bias })
    }
}

/// The fewest heads that fill wide panels and of which the heads are a multiple; all of them if there are none such.
fn group(heads: usize, head_size: usize) -> usize {
    (1..heads).find(|group| heads.is_multiple_of(*group) && (group * head_size).is_multiple_of(WIDE)).unwrap_or(heads)
}

fn decode<'a>(view: &TensorView<'a>) -> Option<Cow<'a, [f32]>> {
    let bytes: &'a [u8] = view.data();
    Some(match view.dtype() {
        // the numbers of the file are little-endian and may lie at any address
        Dtype::F32 if cfg!(target_endian = "little") => match bytemuck::try_cast_slice(bytes) {
            Ok(numbers) => Cow::Borrowed(numbers),
            Err(_) => Cow::Owned(convert(bytes, f32::from_le_bytes)),
        },
        Dtype::F32 => Cow::Owned(convert(bytes, f32::from_le_bytes)),
        Dtype::F16 => Cow::Owned(convert(bytes, |two| f16::from_le_bytes(two).to_f32())),
        Dtype::BF16 => Cow::Owned(convert(bytes, |two| bf16::from_le_bytes(two).to_f32())),
        _ => return None,
    })
}

fn convert<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    bytes.as_chunks::<N>().0.iter().map(|bytes| number(*bytes)).collect()
}
