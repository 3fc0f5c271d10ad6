//! The JSON of OpenAI's `/embeddings`: the request, and what is checked of an answer. Pure.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use lexigram_api::embedding::{EncodingFormat, OpenAISettings};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, SeqAccess, Visitor},
};
use serde_json::Value;

use super::ProviderError;

/// Bytes that a number takes in an answer, at the most: `-1.2345678901234567e-10, `.
pub(super) const NUMBER_BYTES: usize = 24;

/// The body of a request.
#[derive(Serialize)]
pub(super) struct Request<'a> {
    model: &'a str,
    input: &'a [&'a str],
    /// Servers that know numbers only may not know this field either.
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding_format: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<i32>,
}

impl<'a> Request<'a> {
    pub(super) fn new(settings: &'a OpenAISettings, input: &'a [&'a str]) -> Self {
        let encoding_format = match settings.encoding_format {
            EncodingFormat::Base64 => Some("base64"),
            EncodingFormat::Float => None,
        };
        Self { model: &settings.model, input, encoding_format, dimensions: settings.dimensions }
    }
}

/// An answer that fits its request.
#[derive(Debug, PartialEq)]
pub(super) struct Answer {
    /// In the order of the texts; none where a number is not finite.
    pub(super) vectors: Vec<Option<Vec<f32>>>,
    /// What the provider says that the texts have cost.
    pub(super) tokens: Option<i64>,
}

#[derive(Deserialize)]
struct Body {
    data: Vec<Datum>,
    #[serde(default)]
    usage: Value,
}

#[derive(Deserialize)]
struct Datum {
    index: usize,
    embedding: Vector,
}

/// Reads the answer to a request with so many texts. The dimension is that of the first vector where none is expected.
pub(super) fn read(body: &[u8], texts: usize, dimension: Option<usize>) -> Result<Answer, ProviderError> {
    let Body { data, usage } = serde_json::from_slice(body).map_err(|error| malformed(&error))?;
    if data.len() != texts {
        return Err(ProviderError::AnswerInvalid(format!("{} vectors for {texts} texts", data.len())));
    }
    let expected = dimension.or_else(|| data.first().map(|datum| datum.embedding.0.len())).unwrap_or(0);
    let mut vectors: Vec<Option<Vec<f32>>> = vec![None; texts];
    let mut seen = vec![false; texts];
    for Datum { index, embedding: Vector(vector) } in data {
        match seen.get_mut(index) {
            Some(seen) if !*seen => *seen = true,
            Some(_) => return Err(ProviderError::AnswerInvalid(format!("index {index} is there twice"))),
            None => return Err(ProviderError::AnswerInvalid(format!("index {index} for {texts} texts"))),
        }
        if vector.is_empty() {
            return Err(ProviderError::AnswerInvalid("a vector without numbers".to_owned()));
        }
        if vector.len() != expected {
            return Err(ProviderError::WrongDimension { expected, found: vector.len() });
        }
        if let Some(place) = vectors.get_mut(index) {
            *place = vector.iter().all(|number| number.is_finite()).then_some(vector);
        }
    }
    let tokens = ["total_tokens", "prompt_tokens"].iter().find_map(|&name| usage.get(name)?.as_i64());
    Ok(Answer { vectors, tokens: tokens.filter(|&tokens| tokens > 0) })
}

/// Says where, never what: the answer is not ours to repeat.
fn malformed(error: &serde_json::Error) -> ProviderError {
    let kind = match error.classify() {
        serde_json::error::Category::Eof => "it breaks off",
        serde_json::error::Category::Data => "it is not what /embeddings answers",
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => "it is not JSON",
    };
    ProviderError::AnswerInvalid(format!("{kind} (line {}, column {})", error.line(), error.column()))
}

/// Shares out what a request has cost by the tokens of its texts.
pub(super) fn shared_out(total: i64, own: &[usize]) -> Vec<i64> {
    let sum: i128 = own.iter().map(|&tokens| tokens as i128).sum::<i128>().max(1);
    let (mut so_far, mut given) = (0i128, 0i128);
    let share = |&tokens: &usize| {
        so_far += tokens as i128;
        let share = i128::from(total) * so_far / sum - given;
        given += share;
        i64::try_from(share).unwrap_or(i64::MAX)
    };
    own.iter().map(share).collect()
}

/// Little-endian 32-bit floats in base64, or an array of numbers, whatever was asked for.
struct Vector(Vec<f32>);

impl<'de> Deserialize<'de> for Vector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(VectorVisitor).map(Self)
    }
}

struct VectorVisitor;

impl<'de> Visitor<'de> for VectorVisitor {
    type Value = Vec<f32>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("numbers, or base64 of them")
    }

    fn visit_str<E: de::Error>(self, base64: &str) -> Result<Self::Value, E> {
        let bytes = STANDARD.decode(base64).map_err(E::custom)?;
        let (numbers, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(E::custom("no 32-bit numbers"));
        }
        Ok(numbers.iter().map(|&number| f32::from_le_bytes(number)).collect())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        let mut vector = Vec::new();
        // JSON has no word for what is not finite: servers write null
        while let Some(number) = array.next_element::<Option<f32>>()? {
            vector.push(number.unwrap_or(f32::NAN));
        }
        Ok(vector)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::failure::Classified;

    fn settings(change: impl FnOnce(&mut OpenAISettings)) -> OpenAISettings {
        let json = serde_json::json!({ "url": "http://localhost/v1", "model": "m" });
        let mut settings = serde_json::from_value(json).unwrap();
        change(&mut settings);
        settings
    }

    #[test]
    fn a_request_holds_what_was_set() {
        let json = |settings: &OpenAISettings| serde_json::to_value(Request::new(settings, &["a", "b"])).unwrap();
        assert_eq!(
            json(&settings(|settings| settings.dimensions = Some(2))),
            serde_json::json!({ "model": "m", "input": ["a", "b"], "encoding_format": "base64", "dimensions": 2 })
        );
        assert_eq!(
            json(&settings(|settings| settings.encoding_format = EncodingFormat::Float)),
            serde_json::json!({ "model": "m", "input": ["a", "b"] })
        );
    }

    #[rstest]
    #[case::numbers(
        r#"{"data":[{"index":0,"embedding":[1,-0.5]},{"index":1,"embedding":[0.25,2e0]}],"usage":{"total_tokens":7}}"#,
        Some(7)
    )]
    #[case::base64_in_another_order(
        r#"{"data":[{"index":1,"embedding":"AACAPgAAAEA="},{"index":0,"embedding":"AACAPwAAAL8="}]}"#,
        None
    )]
    fn both_encodings_are_read(#[case] body: &str, #[case] tokens: Option<i64>) {
        let vectors = vec![Some(vec![1.0, -0.5]), Some(vec![0.25, 2.0])];
        assert_eq!(read(body.as_bytes(), 2, Some(2)).unwrap(), Answer { vectors, tokens });
    }

    #[rstest]
    #[case::null("[1,null]")]
    #[case::too_large_for_f32("[1,1e39]")]
    #[case::base64_of_nan("\"AACAPwAAwH8=\"")]
    fn a_vector_that_is_not_finite_spoils_no_other(#[case] spoilt: &str) {
        let body = format!(r#"{{"data":[{{"index":0,"embedding":{spoilt}}},{{"index":1,"embedding":[0.25,2]}}]}}"#);
        assert_eq!(read(body.as_bytes(), 2, Some(2)).unwrap().vectors, [None, Some(vec![0.25, 2.0])]);
    }

    #[rstest]
    #[case::too_few(r#"{"data":[{"index":0,"embedding":[1]}]}"#, "1 vectors for 2 texts")]
    #[case::twice(r#"{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}]}"#, "index 0 is there twice")]
    #[case::outside(r#"{"data":[{"index":0,"embedding":[1]},{"index":2,"embedding":[1]}]}"#, "index 2 for 2 texts")]
    #[case::no_index(r#"{"data":[{"embedding":[1]},{"index":2,"embedding":[1]}]}"#, "not what /embeddings answers")]
    #[case::empty(r#"{"data":[{"index":0,"embedding":[]},{"index":1,"embedding":[]}]}"#, "without numbers")]
    #[case::no_base64(r#"{"data":[{"index":0,"embedding":"???"}]}"#, "not what /embeddings answers")]
    #[case::half_a_number(r#"{"data":[{"index":0,"embedding":"AACA"}]}"#, "not what /embeddings answers")]
    #[case::html("<html>secret</html>", "it is not JSON (line 1, column 1)")]
    #[case::cut(r#"{"data":[{"ind"#, "it breaks off")]
    fn malformed_answers_say_what_is_wrong(#[case] body: &str, #[case] expected: &str) {
        let error = read(body.as_bytes(), 2, None).unwrap_err();
        assert_eq!(error.reason(), "ProviderAnswerInvalid");
        assert!(error.to_string().contains(expected) && !error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn a_wrong_dimension_names_both_numbers() {
        let body = br#"{"data":[{"index":0,"embedding":[1,2,3]}]}"#;
        let error = read(body, 1, Some(2)).unwrap_err();
        assert_eq!(error, ProviderError::WrongDimension { expected: 2, found: 3 });
        assert!(error.to_string().contains("spec.embedding.openAI.dimensions"), "{error}");
    }

    #[rstest]
    #[case(10, &[1, 1, 1], &[3, 3, 4])]
    #[case(6, &[1, 2, 3], &[1, 2, 3])]
    #[case(5, &[0], &[0])]
    fn costs_are_shared_out(#[case] total: i64, #[case] own: &[usize], #[case] expected: &[i64]) {
        assert_eq!(shared_out(total, own), expected);
    }
}
