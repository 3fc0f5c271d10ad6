//! Whether the objects of the namespace get on. No I/O.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use lexigram_api::resource::{ConditionType, State, condition};
use serde::Deserialize;

use super::unseen;
use crate::{
    doctor::{finding::Finding, observe::Seen},
    error::PluginError,
    objects::Object,
    outcome::status,
};

const CHECK: &str = "objects";
/// Findings of single objects that are told.
const MOST: usize = 10;
/// How long the operator may take to look at a new object.
const PATIENCE: SignedDuration = SignedDuration::from_mins(1);

/// The part of a status that every kind has.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Common {
    observed_generation: Option<i64>,
    state: Option<State>,
    conditions: Vec<Condition>,
}

/// No object waits for a person, or for an operator; how many are queued.
pub fn objects(seen: &Seen<Vec<Object>>, namespace: &str, now: Timestamp) -> Vec<Finding> {
    let objects = match seen {
        Ok(objects) => objects,
        // the check of the CRDs says why
        Err(PluginError::NotInstalled) => return Vec::new(),
        Err(_) => return unseen(CHECK, seen).into_iter().collect(),
    };
    let mut findings: Vec<Finding> = objects.iter().filter_map(|object| of_object(object, namespace, now)).collect();
    let rest = findings.len().saturating_sub(MOST);
    findings.truncate(MOST);
    if rest > 0 {
        let fix = format!("kubectl lexigram status --namespace {namespace}");
        findings.push(Finding::warning(CHECK, format!("{rest} more need somebody"), fix));
    }
    if findings.is_empty() {
        let state = |object: &Object| status::<Common>(object).ok().flatten().and_then(|status| status.state);
        let queued = objects.iter().filter(|object| state(object) == Some(State::Queued)).count();
        findings.push(Finding::ok(
            CHECK,
            format!("of {} in {namespace} none needs somebody, {queued} are queued", objects.len()),
        ));
    }
    findings
}

fn of_object(object: &Object, namespace: &str, now: Timestamp) -> Option<Finding> {
    let target = object.target();
    let describe = format!("kubectl --namespace {namespace} describe {target}");
    let status: Common = match status(object) {
        Ok(status) => status.unwrap_or_default(),
        Err(error) => return Some(Finding::warning(CHECK, error.to_string(), "kubectl krew upgrade lexigram")),
    };
    let stalled = condition(&status.conditions, ConditionType::Stalled).filter(|of| of.status == "True");
    if let Some(Condition { reason, message, .. }) = stalled {
        return Some(Finding::warning(CHECK, format!("{target} is stalled, {reason}: {message}"), describe));
    }
    let age = object.content.creation_timestamp().map(|created| now.duration_since(created.0));
    (status.observed_generation.is_none() && age.is_some_and(|age| age > PATIENCE))
        .then(|| Finding::problem(CHECK, format!("no operator has looked at {target} yet"), describe))
}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        doctor::{
            checks::testing::{assert_findings, forbidden},
            finding::Verdict,
        },
        kind::Kind,
    };

    fn object(status: Value) -> Object {
        let content = json!({"metadata": {"name": "a", "creationTimestamp": "2027-01-15T08:00:00Z"}, "status": status});
        Object { kind: Kind::Ingestion, content: serde_json::from_value(content).unwrap() }
    }

    fn of(objects: Vec<Object>, now: &str) -> Vec<Finding> {
        super::objects(&Ok(objects), "docs", now.parse().unwrap())
    }

    fn stalled() -> Object {
        object(json!({"observedGeneration": 1, "state": "Stalled", "conditions": [{"type": "Stalled", "status": "True",
            "reason": "SecretNotFound", "message": "the Secret key is not there", "lastTransitionTime": "2027-01-15T08:00:00Z"}]}))
    }

    #[rstest]
    #[case::new(object(json!({})), "2027-01-15T08:00:30Z", Verdict::Ok, "of 1 in docs none needs somebody, 0 are queued", "")]
    #[case::queued(object(json!({"observedGeneration": 1, "state": "Queued"})), "2027-01-15T09:00:00Z", Verdict::Ok, "1 are queued", "")]
    #[case::ignored(object(json!({})), "2027-01-15T08:02:00Z", Verdict::Problem, "no operator has looked at ij/a", "describe ij/a")]
    #[case::stalled(
        stalled(),
        "2027-01-15T08:00:30Z",
        Verdict::Warning,
        "ij/a is stalled, SecretNotFound: the Secret key is not there",
        "kubectl --namespace docs describe ij/a"
    )]
    #[case::unknown(object(json!({"state": "Dreaming"})), "2027-01-15T08:00:30Z", Verdict::Warning, "cannot be understood", "krew")]
    fn one_object(
        #[case] object: Object,
        #[case] now: &str,
        #[case] verdict: Verdict,
        #[case] message: &str,
        #[case] fix: &str,
    ) {
        assert_findings(&of(vec![object], now), &[(verdict, message, fix)]);
    }

    #[test]
    fn of_many_only_the_first_are_told() {
        let findings = of(vec![stalled(); 12], "2027-01-15T08:00:30Z");
        assert_eq!(findings.len(), 11);
        assert_findings(&findings[10..], &[(Verdict::Warning, "2 more need somebody", "kubectl lexigram status")]);
    }

    #[test]
    fn where_the_kinds_are_unknown_the_crds_are_the_problem() {
        let unknown = Status::failure("404 page not found", "").with_code(404);
        let unknown = PluginError::of_list(kube::Error::Api(unknown.boxed()));
        assert_findings(&super::objects(&Err(unknown), "docs", Timestamp::UNIX_EPOCH), &[]);
        assert_findings(
            &super::objects(&forbidden(), "docs", Timestamp::UNIX_EPOCH),
            &[(Verdict::Unknown, "may not", "")],
        );
    }
}
