//! What the API server cannot check about a spec: regular expressions and globs. No I/O.

use globset::GlobBuilder;
use lexigram_api::resource::IngestionJobSpec;
use regex::RegexBuilder;

/// Size up to which a regular expression may compile, in bytes.
const REGEX_BYTES: usize = 1 << 20;

/// A field that cannot be used as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{field}: '{value}' is no {expected} ({problem}); correct it in a new IngestionJob, since the field is immutable"
)]
pub struct Invalid {
    /// Path of the field.
    pub field: String,
    /// What it holds.
    pub value: String,
    /// What it should hold.
    pub expected: &'static str,
    /// What is wrong.
    pub problem: String,
}

/// Checks a spec that the API server has let pass.
///
/// # Errors
/// The first field that cannot be used.
pub fn validate(spec: &IngestionJobSpec) -> Result<(), Invalid> {
    for (name, globs) in [("include", &spec.source.include), ("exclude", &spec.source.exclude)] {
        for (index, glob) in globs.iter().enumerate() {
            GlobBuilder::new(glob).literal_separator(true).build().map_err(|error| Invalid {
                field: format!("spec.source.{name}[{index}]"),
                value: glob.clone(),
                expected: "glob",
                problem: error.kind().to_string(),
            })?;
        }
    }
    for (index, rule) in spec.failure_policy.rules.iter().enumerate() {
        RegexBuilder::new(&rule.message).size_limit(REGEX_BYTES).build().map_err(|error| Invalid {
            field: format!("spec.failurePolicy.rules[{index}].message"),
            value: rule.message.clone(),
            expected: "regular expression",
            problem: last_line(&error.to_string()),
        })?;
    }
    Ok(())
}

/// The crate explains over several lines with a drawing; what is wrong stands in the last one.
fn last_line(text: &str) -> String {
    let line = text.lines().last().unwrap_or(text).trim();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

#[cfg(test)]
mod tests {
    use lexigram_api::{
        failure::{FailureCategory, FailureRule},
        resource::Source,
    };
    use rstest::rstest;

    use super::*;

    fn spec(source: Source, rules: &[&str]) -> IngestionJobSpec {
        let mut spec: IngestionJobSpec =
            serde_json::from_value(serde_json::json!({"source": {"configMap": {"name": "docs"}}})).unwrap();
        spec.source = source;
        spec.failure_policy.rules = rules
            .iter()
            .map(|message| FailureRule {
                message: (*message).to_owned(),
                stage: None,
                category: FailureCategory::Transient,
            })
            .collect();
        spec
    }

    #[rstest]
    #[case::include(&["**/*.md", "[a"], &[], &[], "spec.source.include[1]: '[a' is no glob (unclosed character class; missing ']')")]
    #[case::exclude(&[], &["{a,b"], &[], "spec.source.exclude[0]: '{a,b' is no glob (unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?))")]
    #[case::rule(&[], &[], &["ok", "(a"], "spec.failurePolicy.rules[1].message: '(a' is no regular expression (unclosed group)")]
    #[case::huge_rule(&[], &[], &["(((a{99}){99}){99})"], "spec.failurePolicy.rules[0].message: '(((a{99}){99}){99})' is no regular expression (Compiled regex exceeds size limit of 1048576 bytes.)")]
    fn names_the_field_and_the_problem(
        #[case] include: &[&str],
        #[case] exclude: &[&str],
        #[case] rules: &[&str],
        #[case] message: &str,
    ) {
        let owned = |globs: &[&str]| globs.iter().map(ToString::to_string).collect();
        let source = Source { include: owned(include), exclude: owned(exclude), ..Default::default() };
        let invalid = validate(&spec(source, rules)).unwrap_err();
        assert_eq!(
            invalid.to_string(),
            format!("{message}; correct it in a new IngestionJob, since the field is immutable")
        );
    }

    #[test]
    fn good_globs_and_expressions_pass() {
        let source = Source { include: vec!["**/*.{md,txt}".to_owned()], ..Default::default() };
        assert_eq!(validate(&spec(source, &["^connection (reset|closed)"])), Ok(()));
    }
}
