//! Whether the API server is there, and knows the kinds. No I/O.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion,
};
use kube::ResourceExt;
use lexigram_api::{VERSION, resource};

use super::{INSTALL, unseen};
use crate::doctor::{finding::Finding, observe::Seen};

const SERVER: &str = "API server";
const CRDS: &str = "CRDs";

/// The oldest minor version of Kubernetes 1 that the operator works with.
const OLDEST: u32 = 31;

/// The API server answers, and is new enough.
pub fn server(version: &Seen<String>) -> Vec<Finding> {
    let finding = match version {
        Ok(version) => match minor(version) {
            Some(minor) if minor < OLDEST => Finding::problem(
                SERVER,
                format!("{version} is too old: Kubernetes 1.{OLDEST} is the oldest that works"),
                "upgrade the cluster's control plane",
            ),
            _ => Finding::ok(SERVER, format!("Kubernetes {version}")),
        },
        Err(error) => Finding::problem(SERVER, error.to_string(), "kubectl cluster-info"),
    };
    vec![finding]
}

/// The 33 of "v1.33.1".
fn minor(version: &str) -> Option<u32> {
    version.strip_prefix("v1.")?.split(['.', '+', '-']).next()?.parse().ok()
}

/// Each CRD is there, established, and that of this release.
pub fn crds(found: &[(String, Seen<Option<CustomResourceDefinition>>)]) -> Vec<Finding> {
    let findings: Vec<Finding> = found
        .iter()
        .filter_map(|(name, crd)| match crd {
            Ok(Some(crd)) => crd_finding(crd),
            Ok(None) => {
                Some(Finding::problem(CRDS, format!("{name} is missing"), format!("{INSTALL} --set crds.install=true")))
            }
            Err(_) => unseen(CRDS, crd),
        })
        .collect();
    match findings.is_empty() {
        true => vec![Finding::ok(CRDS, format!("{} kinds of version {VERSION} are served", found.len()))],
        false => findings,
    }
}

fn crd_finding(crd: &CustomResourceDefinition) -> Option<Finding> {
    let name = crd.name_any();
    let upgrade = || format!("{INSTALL} --reuse-values");
    let conditions = crd.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let established = conditions.clone().any(|of| of.type_ == "Established" && of.status == "True");
    if !established {
        let said = conditions.filter(|of| of.status == "False").find_map(|of| of.message.clone());
        let message =
            format!("{name} is not served yet: {}", said.unwrap_or_else(|| "it was made a moment ago".to_owned()));
        let wait = format!("kubectl wait --for=condition=Established customresourcedefinition/{name}");
        return Some(Finding::problem(CRDS, message, wait));
    }
    let Some(version) = version_of(crd).filter(|version| version.served && version.storage) else {
        let message = format!("{name} has no version {VERSION} that is served and stored");
        return Some(Finding::problem(CRDS, message, upgrade()));
    };
    let known = resource::crds().unwrap_or_default();
    let own = known.iter().find(|own| own.name_any() == name).and_then(version_of);
    (own.and_then(|own| own.schema.as_ref()) != version.schema.as_ref())
        .then(|| Finding::warning(CRDS, format!("{name} is that of another release than this plugin's"), upgrade()))
}

fn version_of(crd: &CustomResourceDefinition) -> Option<&CustomResourceDefinitionVersion> {
    crd.spec.versions.iter().find(|version| version.name == VERSION)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;
    use crate::doctor::{
        checks::testing::{assert_findings, forbidden},
        finding::Verdict,
    };

    #[rstest]
    #[case("v1.33.1", Verdict::Ok, "")]
    #[case("v1.31.0-eks-1", Verdict::Ok, "")]
    #[case("v1.30.9+k3s1", Verdict::Problem, "upgrade")]
    fn servers(#[case] version: &str, #[case] verdict: Verdict, #[case] fix: &str) {
        assert_findings(&server(&Ok(version.to_owned())), &[(verdict, version, fix)]);
    }

    /// The first CRD as the API server has it.
    fn crd(change: impl FnOnce(&mut Value)) -> (String, Seen<Option<CustomResourceDefinition>>) {
        let mut crd = serde_json::to_value(resource::crds().unwrap().swap_remove(0)).unwrap();
        crd["status"] = json!({"acceptedNames": {"kind": "", "plural": ""}, "storedVersions": [], "conditions":
            [{"type": "Established", "status": "True", "lastTransitionTime": null, "reason": "", "message": ""}]});
        change(&mut crd);
        ("embeddingbatches.workers.lexigram.dev".to_owned(), Ok(Some(serde_json::from_value(crd).unwrap())))
    }

    #[test]
    fn crds_are_there_established_and_of_this_release() {
        assert_findings(&crds(&[crd(|_| ())]), &[(Verdict::Ok, "1 kinds of version v1alpha1", "")]);
    }

    #[test]
    fn a_missing_one_is_named_with_the_command_that_installs_it() {
        let missing = ("ingestionjobs.workers.lexigram.dev".to_owned(), Ok(None));
        let expected =
            (Verdict::Problem, "ingestionjobs.workers.lexigram.dev is missing", "helm upgrade --install lexigram");
        assert_findings(&crds(&[crd(|_| ()), missing]), &[expected]);
    }

    #[rstest]
    #[case::not_established(|crd: &mut Value| crd["status"]["conditions"] = json!([
        {"type": "NamesAccepted", "status": "False", "message": "\"ij\" is already in use"}]),
        Verdict::Problem, "is not served yet: \"ij\" is already in use", "kubectl wait")]
    #[case::another_version(|crd: &mut Value| crd["spec"]["versions"][0]["name"] = json!("v1"),
        Verdict::Problem, "has no version v1alpha1", "helm upgrade")]
    #[case::not_stored(|crd: &mut Value| crd["spec"]["versions"][0]["storage"] = json!(false),
        Verdict::Problem, "has no version v1alpha1", "helm upgrade")]
    #[case::another_release(|crd: &mut Value| crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["new"]
        = json!({"type": "string"}), Verdict::Warning, "that of another release", "helm upgrade")]
    fn crds_that_are_not_as_they_should_be(
        #[case] change: fn(&mut Value),
        #[case] verdict: Verdict,
        #[case] message: &str,
        #[case] fix: &str,
    ) {
        assert_findings(&crds(&[crd(change)]), &[(verdict, message, fix)]);
    }

    #[test]
    fn who_may_not_look_is_told_so() {
        let found = ("ingestionjobs.workers.lexigram.dev".to_owned(), forbidden());
        assert_findings(&crds(&[found]), &[(Verdict::Unknown, "may not", "")]);
    }
}
