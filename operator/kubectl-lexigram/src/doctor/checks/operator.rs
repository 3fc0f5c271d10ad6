//! Whether an operator watches the namespace, and runs. No I/O.

use k8s_openapi::api::core::v1::Pod;

use super::{INSTALL, unseen};
use crate::{
    doctor::{finding::Finding, observe::Seen},
    operator::{Operator, serving},
};

const CHECK: &str = "operator";

/// An operator watches the namespace, and its processes are available.
pub fn deployment(operators: &Seen<Vec<Operator>>, pods: &[Pod], namespace: &str) -> Vec<Finding> {
    let Ok(found) = operators else { return unseen(CHECK, operators).into_iter().collect() };
    let Some(operator) = serving(found, namespace) else { return vec![unserved(found, namespace)] };
    let (place, name) = operator.place();
    let (wanted, available) = operator.replicas();
    let selector = operator.selector();
    let mut findings = Vec::new();
    if wanted == 0 {
        let fix = format!("kubectl --namespace {place} scale deployment {name} --replicas=1");
        findings.push(Finding::problem(CHECK, format!("{name} in {place} is scaled to no process"), fix));
    } else if available == 0 {
        let said = trouble(pods).unwrap_or_else(|| "its pods do not say why".to_owned());
        let fix = format!("kubectl --namespace {place} describe pods --selector {selector}");
        findings.push(Finding::problem(CHECK, format!("{name} in {place} is not available: {said}"), fix));
    } else if available < wanted {
        let fix = format!("kubectl --namespace {place} describe pods --selector {selector}");
        let message = format!("of {name} in {place} only {available} of {wanted} processes are available");
        findings.push(Finding::warning(CHECK, message, fix));
    }
    let at_work = |operator: &&Operator| operator.watches(namespace) && operator.replicas().0 > 0;
    if found.iter().filter(at_work).count() > 1 {
        let places: Vec<String> = found.iter().filter(at_work).map(|operator| operator.place().0).collect();
        let message = format!("{namespace} is watched by several operators, in {}", places.join(" and "));
        findings.push(Finding::warning(CHECK, message, "helm list --all-namespaces --filter lexigram"));
    }
    let (own, version) = (env!("CARGO_PKG_VERSION"), operator.version());
    if version.is_some_and(|version| version != own) {
        let message = format!("the operator is of release {}, this plugin of {own}", version.unwrap_or_default());
        findings.push(Finding::warning(CHECK, message, "kubectl krew upgrade lexigram"));
    }
    if findings.is_empty() {
        let message = format!("{name} in {place}: {available} of {wanted} processes available, release {own}");
        findings.push(Finding::ok(CHECK, message));
    }
    findings
}

fn unserved(found: &[Operator], namespace: &str) -> Finding {
    let Some(operator) = found.first() else {
        return Finding::problem(CHECK, "no operator is installed", INSTALL);
    };
    let (place, name) = operator.place();
    let watched = operator.setting("LEXIGRAM_NAMESPACES").unwrap_or_default();
    Finding::problem(
        CHECK,
        format!("no operator watches {namespace}: {name} in {place} watches {watched}"),
        format!("{} --set 'watchNamespaces={{{watched},{namespace}}}'", operator.upgrade()),
    )
}

/// Why the first pod that does not run does not.
fn trouble(pods: &[Pod]) -> Option<String> {
    let mut containers = pods.iter().filter_map(|pod| pod.status.as_ref()?.container_statuses.as_ref()).flatten();
    containers.find_map(|container| {
        let ended = container.last_state.as_ref().and_then(|state| state.terminated.as_ref());
        let waiting = container.state.as_ref()?.waiting.as_ref();
        let said = ended.and_then(|ended| ended.message.clone()).or_else(|| waiting?.message.clone());
        let reason = waiting.and_then(|waiting| waiting.reason.clone());
        let words: Vec<String> = [reason, said].into_iter().flatten().collect();
        (!words.is_empty()).then(|| words.join(": ").trim().replace('\n', " "))
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::{
        doctor::{
            checks::testing::{assert_findings, forbidden},
            finding::Verdict,
        },
        operator::operator,
    };

    fn scaled(mut operator: Operator, wanted: i32, available: i32) -> Operator {
        operator.0.spec.as_mut().unwrap().replicas = Some(wanted);
        operator.0.status.as_mut().unwrap().available_replicas = Some(available);
        operator
    }

    fn crashed() -> Vec<Pod> {
        let pods = json!([{"metadata": {}, "status": {"containerStatuses": [{
            "name": "operator", "image": "", "imageID": "", "ready": false, "restartCount": 3,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"exitCode": 1, "message": "ai_workers.stub: 3 is not allowed\n"}},
        }]}}]);
        serde_json::from_value(pods).unwrap()
    }

    #[rstest]
    #[case::there(vec![operator("system", &[])], Verdict::Ok, "1 of 1 processes available", "")]
    #[case::none(vec![], Verdict::Problem, "no operator is installed", "helm upgrade --install lexigram")]
    #[case::elsewhere(vec![operator("system", &[("LEXIGRAM_NAMESPACES", "a")])], Verdict::Problem, "no operator watches docs",
        "helm upgrade lexigram charts/lexigram-workers --namespace system --reuse-values --set 'watchNamespaces={a,docs}'")]
    #[case::scaled_down(vec![scaled(operator("system", &[]), 0, 0)], Verdict::Problem, "is scaled to no process",
        "kubectl --namespace system scale deployment lexigram-operator --replicas=1")]
    #[case::crashes(vec![scaled(operator("system", &[]), 1, 0)], Verdict::Problem,
        "CrashLoopBackOff: ai_workers.stub: 3 is not allowed", "kubectl --namespace system describe pods --selector app.")]
    #[case::one_of_two(vec![scaled(operator("system", &[]), 2, 1)], Verdict::Warning, "only 1 of 2", "describe pods")]
    #[case::two(vec![operator("system", &[]), operator("docs", &[])], Verdict::Warning, "watched by several operators, in system and docs",
        "helm list")]
    #[case::one_asleep(vec![scaled(operator("system", &[]), 0, 0), operator("docs", &[])], Verdict::Ok, "in docs", "")]
    fn deployments(
        #[case] operators: Vec<Operator>,
        #[case] verdict: Verdict,
        #[case] message: &str,
        #[case] fix: &str,
    ) {
        assert_findings(&deployment(&Ok(operators), &crashed(), "docs"), &[(verdict, message, fix)]);
    }

    #[test]
    fn another_release_is_told() {
        let mut other = operator("system", &[]);
        other.0.metadata.labels.as_mut().unwrap().insert("app.kubernetes.io/version".to_owned(), "9.9.9".to_owned());
        let expected = (Verdict::Warning, "the operator is of release 9.9.9", "kubectl krew upgrade lexigram");
        assert_findings(&deployment(&Ok(vec![other]), &crashed(), "docs"), &[expected]);
        assert_findings(&deployment(&forbidden(), &[], "docs"), &[(Verdict::Unknown, "may not", "")]);
    }
}
