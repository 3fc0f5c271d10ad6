//! What follows from a failed attempt: the policy's rules, attempts and actions. Pure; no I/O.

use jiff::Timestamp;
use lexigram_api::failure::{FailureAction, FailureCategory, FailurePolicy, FailureRule, Stage, Verdict};
use regex::Regex;
use thiserror::Error;

use crate::{
    failure::Classified,
    source::SourceError,
    store::{FailedAttempt, WorkItem},
};

/// Longest message that the ledger keeps, in characters.
const MESSAGE_CHARS: usize = 1000;

/// Why one document could not be ingested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The stage that failed.
    pub stage: Stage,
    /// The category, before the policy's rules.
    pub category: FailureCategory,
    /// The failure in one CamelCase word.
    pub reason: &'static str,
    /// The failure for a person.
    pub message: String,
    /// Whether the source no longer has the document: then trying again is useless.
    pub gone: bool,
}

impl Failure {
    /// The failure that an error of a layer stands for.
    #[must_use]
    pub fn new(stage: Stage, error: &dyn Classified) -> Self {
        let message = error.to_string().chars().take(MESSAGE_CHARS).collect();
        Self { stage, category: error.category(), reason: error.reason(), message, gone: false }
    }

    /// The failure to fetch a document.
    #[must_use]
    pub fn of_source(error: &SourceError) -> Self {
        Self { gone: matches!(error, SourceError::Gone { .. }), ..Self::new(Stage::Source, error) }
    }

    /// A part of this program broke on a document.
    #[must_use]
    pub fn broken(stage: Stage, error: &tokio::task::JoinError) -> Self {
        let message = format!("the worker broke on this document: {error}");
        Self { stage, category: FailureCategory::Unknown, reason: "WorkerBroken", message, gone: false }
    }

    /// The input no longer holds what was listed of it.
    #[must_use]
    pub fn input_changed() -> Self {
        Self {
            stage: Stage::Source,
            category: FailureCategory::InvalidInput,
            reason: "InputChanged",
            message: "the input has changed since it was listed; start the batch again to embed what it holds now"
                .to_owned(),
            gone: true,
        }
    }

    /// A worker died with the document in hand. It left no word of the stage; `Source` is where every document begins.
    #[must_use]
    pub fn worker_died() -> Self {
        Self {
            stage: Stage::Source,
            category: FailureCategory::Unknown,
            reason: "WorkerDied",
            message: "a worker was killed, evicted or ran out of memory while it had the document in hand".to_owned(),
            gone: false,
        }
    }
}

/// A rule of the failure policy that cannot be understood.
#[derive(Debug, Error)]
#[error("spec.failurePolicy.rules[{index}].message: '{expression}' is not a regular expression: {problem}")]
pub struct InvalidRule {
    index: usize,
    expression: String,
    problem: String,
}

impl Classified for InvalidRule {
    fn category(&self) -> FailureCategory {
        FailureCategory::Configuration
    }

    fn reason(&self) -> &'static str {
        "InvalidFailureRule"
    }
}

/// The failure policy, ready to be applied.
#[derive(Debug)]
pub struct Judge {
    policy: FailurePolicy,
    rules: Vec<(Regex, Option<Stage>, FailureCategory)>,
}

impl Judge {
    /// Compiles the rules of a policy.
    ///
    /// # Errors
    /// If a rule's message is not a regular expression.
    pub fn new(policy: FailurePolicy) -> Result<Self, InvalidRule> {
        let compile = |(index, rule): (usize, &FailureRule)| match Regex::new(&rule.message) {
            Ok(regex) => Ok((regex, rule.stage, rule.category)),
            Err(error) => {
                // the last line says what is wrong, those before it draw it
                let problem = error.to_string().lines().last().unwrap_or_default().trim().to_owned();
                Err(InvalidRule { index, expression: rule.message.clone(), problem })
            }
        };
        let rules = policy.rules.iter().enumerate().map(compile).collect::<Result<_, _>>()?;
        Ok(Self { policy, rules })
    }

    /// The category of a failure, by the rules: that of the first that applies, or the one that it has.
    #[must_use]
    pub fn category(&self, stage: Stage, category: FailureCategory, message: &str) -> FailureCategory {
        let applies = |rule_stage: &Option<Stage>, regex: &Regex| {
            rule_stage.is_none_or(|rule_stage| rule_stage == stage) && regex.is_match(message)
        };
        let rule = self.rules.iter().find(|(regex, rule_stage, _)| applies(rule_stage, regex));
        rule.map_or(category, |(_, _, category)| *category)
    }

    /// What becomes of `item`, whose attempt failed at `now`.
    #[must_use]
    pub fn judge(&self, item: &WorkItem, failure: Failure, now: Timestamp) -> FailedAttempt {
        let Failure { stage, category, reason, message, gone } = failure;
        let category = self.category(stage, category, &message);
        let attempts = item.attempts.saturating_add(i32::from(category.spends_attempt()));
        let verdict = match gone {
            true => Verdict { action: FailureAction::Archive, next_attempt: None },
            false => self.policy.judge(category, attempts.unsigned_abs(), now, item.document.unsigned_abs()),
        };
        FailedAttempt {
            document: item.document,
            attempts,
            stage,
            category,
            reason: reason.to_owned(),
            message,
            time: now,
            verdict,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn item(attempts: i32) -> WorkItem {
        WorkItem { document: 7, name: "a.md".to_owned(), attempts, revision: None, suspect: false }
    }

    fn failure(stage: Stage, category: FailureCategory) -> Failure {
        Failure { stage, category, reason: "Test", message: "connection reset by peer".to_owned(), gone: false }
    }

    fn rule(message: &str, stage: Option<Stage>, category: FailureCategory) -> FailureRule {
        FailureRule { message: message.to_owned(), stage, category }
    }

    #[rstest]
    #[case::first_of_five(FailureCategory::Transient, 0, 1, FailureAction::Retry)]
    #[case::last_of_five(FailureCategory::Transient, 4, 5, FailureAction::Archive)]
    #[case::a_rate_limit_spends_nothing(FailureCategory::RateLimited, 4, 4, FailureAction::Retry)]
    #[case::bad_input(FailureCategory::InvalidInput, 0, 1, FailureAction::Archive)]
    fn attempts_are_counted(
        #[case] category: FailureCategory,
        #[case] before: i32,
        #[case] after: i32,
        #[case] action: FailureAction,
    ) {
        let judge = Judge::new(FailurePolicy::default()).unwrap();
        let attempt = judge.judge(&item(before), failure(Stage::Parse, category), Timestamp::UNIX_EPOCH);
        assert_eq!((attempt.attempts, attempt.verdict.action), (after, action));
    }

    #[rstest]
    #[case::no_rule(vec![], FailureCategory::Unknown)]
    #[case::first_match_wins(
        vec![rule("reset", None, FailureCategory::Transient), rule("reset", None, FailureCategory::Timeout)],
        FailureCategory::Transient
    )]
    #[case::of_that_stage(vec![rule("^connection", Some(Stage::Source), FailureCategory::Transient)], FailureCategory::Transient)]
    #[case::of_another_stage(vec![rule("connection", Some(Stage::Parse), FailureCategory::Transient)], FailureCategory::Unknown)]
    #[case::another_message(vec![rule("refused", None, FailureCategory::Transient)], FailureCategory::Unknown)]
    fn rules_give_another_category(#[case] rules: Vec<FailureRule>, #[case] category: FailureCategory) {
        let judge = Judge::new(FailurePolicy { rules, ..Default::default() }).unwrap();
        let attempt = judge.judge(&item(0), failure(Stage::Source, FailureCategory::Unknown), Timestamp::UNIX_EPOCH);
        assert_eq!(attempt.category, category);
    }

    #[test]
    fn a_document_that_is_gone_is_archived_whatever_the_policy_says() {
        let rules = vec![rule("gone", None, FailureCategory::Transient)];
        let judge = Judge::new(FailurePolicy { rules, ..Default::default() }).unwrap();
        let gone = Failure::of_source(&SourceError::Gone { detail: "HTTP 404".to_owned() });
        let attempt = judge.judge(&item(0), gone, Timestamp::UNIX_EPOCH);
        assert_eq!(attempt.verdict, Verdict { action: FailureAction::Archive, next_attempt: None });
        assert_eq!(attempt.reason, "SourceGone");
    }

    #[test]
    fn an_invalid_rule_is_named() {
        let rules = vec![rule("fine", None, FailureCategory::Timeout), rule("(open", None, FailureCategory::Timeout)];
        let error = Judge::new(FailurePolicy { rules, ..Default::default() }).unwrap_err();
        let message = error.to_string();
        assert!(
            message.starts_with("spec.failurePolicy.rules[1].message: '(open' is not a regular expression"),
            "{message}"
        );
        assert!(message.contains("unclosed group"), "{message}");
    }
}
