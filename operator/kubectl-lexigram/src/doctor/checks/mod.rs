//! What the doctor looks at, one module a part of an installation. Pure functions of what was observed, no I/O.

pub mod access;
mod api;
mod objects;
mod operator;
mod process;
mod storage;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use super::{
    finding::Finding,
    observe::{Observed, Seen},
};
use crate::error::PluginError;

/// How the chart is installed, or brought up to date.
pub(super) const INSTALL: &str =
    "helm upgrade --install lexigram charts/lexigram-workers --namespace lexigram-system --create-namespace";

/// All checks, in the order in which one needs the others.
pub fn all(seen: &Observed, now: Timestamp) -> Vec<Finding> {
    if seen.server.is_err() {
        return api::server(&seen.server);
    }
    [
        api::server(&seen.server),
        api::crds(&seen.crds),
        operator::deployment(&seen.operators, pods(seen), &seen.namespace),
        process::process(&seen.operators, seen.process.as_ref(), &seen.namespace, now),
        storage::store(&seen.operators, &seen.classes, &seen.claim, &seen.namespace),
        access::access(&seen.access, &seen.namespace, &seen.user),
        objects::objects(&seen.objects, &seen.namespace, now),
    ]
    .concat()
}

/// The operator's pods; none where the user may not look.
fn pods(seen: &Observed) -> &[Pod] {
    seen.process.as_ref().and_then(|process| process.pods.as_ref().ok()).map(Vec::as_slice).unwrap_or_default()
}

/// Why something could not be looked at: it is nobody's fault if the user may not.
pub(super) fn unseen<T>(check: &'static str, seen: &Seen<T>) -> Option<Finding> {
    match seen {
        Ok(_) => None,
        Err(PluginError::Refused(status)) if status.is_forbidden() => Some(Finding::unknown(check, &status.message)),
        Err(error) => Some(Finding::problem(check, error.to_string(), "kubectl cluster-info")),
    }
}

#[cfg(test)]
pub(super) mod testing {
    use kube::core::Status;

    use super::*;
    use crate::doctor::finding::Verdict;

    /// The answer to a user who may not.
    pub fn forbidden<T>() -> Seen<T> {
        Err(PluginError::Refused(Status::failure("may not", "Forbidden").with_code(403).boxed()))
    }

    /// Verdict, beginning of the message, and part of the fix; nothing where it says more or something else.
    pub fn assert_findings(findings: &[Finding], expected: &[(Verdict, &str, &str)]) {
        assert_eq!(findings.len(), expected.len(), "{findings:#?}");
        for (finding, (verdict, message, fix)) in findings.iter().zip(expected) {
            let said = finding.fix.clone().unwrap_or_default();
            let same = finding.verdict == *verdict && finding.message.contains(message);
            assert!(same && said.contains(fix) && fix.is_empty() == said.is_empty(), "{finding:#?}");
        }
    }
}
