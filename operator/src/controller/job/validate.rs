//! What the API server cannot check about a spec: regular expressions. No I/O.

use lexigram_api::{failure::FailurePolicy, resource::JobOptions};
use regex::RegexBuilder;

/// Size up to which a regular expression may compile, in bytes.
const REGEX_BYTES: usize = 1 << 20;

/// A field that cannot be used as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: '{value}' is no {expected} ({problem}); {}", self.fix())]
pub struct Invalid {
    /// Path of the field.
    pub field: String,
    /// What it holds.
    pub value: String,
    /// What it should hold.
    pub expected: &'static str,
    /// What is wrong.
    pub problem: String,
    /// Whether the field may be changed.
    pub correctable: bool,
}

impl Invalid {
    const fn fix(&self) -> &'static str {
        if self.correctable { "correct it" } else { "correct it in a new object, since the field is immutable" }
    }
}

/// Checks options that the API server has let pass.
///
/// # Errors
/// The first field that cannot be used.
pub fn options(options: &JobOptions) -> Result<(), Invalid> {
    rules(&options.failure_policy)
}

/// Checks the rules of a failure policy.
///
/// # Errors
/// The first expression that cannot be used.
pub fn rules(policy: &FailurePolicy) -> Result<(), Invalid> {
    for (index, rule) in policy.rules.iter().enumerate() {
        RegexBuilder::new(&rule.message).size_limit(REGEX_BYTES).build().map_err(|error| Invalid {
            field: format!("spec.failurePolicy.rules[{index}].message"),
            value: rule.message.clone(),
            expected: "regular expression",
            problem: last_line(&error.to_string()),
            correctable: false,
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
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn checked(message: &str) -> Result<(), Invalid> {
        let rule = json!({"message": message, "category": "Transient"});
        options(&serde_json::from_value(json!({"failurePolicy": {"rules": [rule]}})).unwrap())
    }

    #[rstest]
    #[case::open("(a", "'(a' is no regular expression (unclosed group)")]
    #[case::huge(
        "(((a{99}){99}){99})",
        "'(((a{99}){99}){99})' is no regular expression (Compiled regex exceeds size limit of 1048576 bytes.)"
    )]
    fn names_the_rule_and_the_problem(#[case] rule: &str, #[case] message: &str) {
        let expected = format!(
            "spec.failurePolicy.rules[0].message: {message}; correct it in a new object, since the field is immutable"
        );
        assert_eq!(checked(rule).unwrap_err().to_string(), expected);
    }

    #[test]
    fn a_good_expression_passes() {
        assert_eq!(checked("^connection (reset|closed)"), Ok(()));
    }
}
