//! Whether the claim of a namespace's embedded stores is there, or can be made. No I/O.

use k8s_openapi::api::{core::v1::PersistentVolumeClaim, storage::v1::StorageClass};
use kube::ResourceExt;
use lexigram_api::pod::STORE_CLAIM;

use super::{INSTALL, unseen};
use crate::{
    doctor::{finding::Finding, observe::Seen},
    operator::{Operator, serving},
};

const CHECK: &str = "store";
/// Annotation of the cluster's default StorageClass.
const DEFAULT: &str = "storageclass.kubernetes.io/is-default-class";
/// Parts of the names of provisioners whose file systems are in the network: SQLite does not work on them.
const NETWORK: [&str; 4] = ["nfs", "efs.csi", "file.csi", "filestore"];

/// The claim, or where there is none yet the StorageClass that it would be made with.
pub fn store(
    operators: &Seen<Vec<Operator>>,
    classes: &Seen<Vec<StorageClass>>,
    claim: &Seen<Option<PersistentVolumeClaim>>,
    namespace: &str,
) -> Vec<Finding> {
    let finding = match (claim, classes) {
        (Ok(Some(claim)), _) => of_claim(claim, namespace),
        (Err(_), _) => return unseen(CHECK, claim).into_iter().collect(),
        (Ok(None), Err(_)) => return unseen(CHECK, classes).into_iter().collect(),
        (Ok(None), Ok(classes)) => {
            let operator = operators.as_ref().ok().and_then(|operators| serving(operators, namespace));
            of_class(classes, operator)
        }
    };
    vec![finding]
}

fn of_claim(claim: &PersistentVolumeClaim, namespace: &str) -> Finding {
    let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Pending");
    let fix = format!("kubectl --namespace {namespace} describe persistentvolumeclaim {STORE_CLAIM}");
    match phase {
        "Bound" => Finding::ok(CHECK, format!("the claim {STORE_CLAIM} in {namespace} is bound")),
        "Lost" => Finding::problem(CHECK, format!("the volume of the claim {STORE_CLAIM} in {namespace} is lost"), fix),
        _ => Finding::warning(
            CHECK,
            format!("the claim {STORE_CLAIM} in {namespace} has no volume yet; it may only wait for its first pod"),
            fix,
        ),
    }
}

fn of_class(classes: &[StorageClass], operator: Option<&Operator>) -> Finding {
    let named = operator.and_then(|operator| operator.setting("LEXIGRAM_STORE_CLASS"));
    let is_default = |class: &&StorageClass| class.annotations().get(DEFAULT).is_some_and(|value| value == "true");
    let found = match named {
        Some(name) => classes.iter().find(|class| class.name_any() == name),
        None => classes.iter().find(is_default),
    };
    let upgrade = operator.map_or_else(|| INSTALL.to_owned(), Operator::upgrade);
    let other =
        classes.iter().find(|class| !in_network(class)).map_or_else(|| "NAME".to_owned(), ResourceExt::name_any);
    match (found, named) {
        (Some(class), _) if in_network(class) => Finding::warning(
            CHECK,
            format!(
                "the StorageClass {} is a network file system, on which embedded stores do not work",
                class.name_any()
            ),
            format!("{upgrade} --set store.storageClassName={other}"),
        ),
        (Some(class), _) => {
            Finding::ok(CHECK, format!("the claim {STORE_CLAIM} will be made of the StorageClass {}", class.name_any()))
        }
        (None, Some(name)) => Finding::problem(
            CHECK,
            format!("the chart's store.storageClassName, {name}, is not there"),
            format!("{upgrade} --set store.storageClassName={other}"),
        ),
        (None, None) => Finding::warning(
            CHECK,
            "the cluster has no default StorageClass: embedded stores wait for a volume",
            format!("kubectl annotate storageclass {other} {DEFAULT}=true"),
        ),
    }
}

fn in_network(class: &StorageClass) -> bool {
    NETWORK.iter().any(|part| class.provisioner.contains(part))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        doctor::{
            checks::testing::{assert_findings, forbidden},
            finding::Verdict,
        },
        operator::operator,
    };

    fn class(name: &str, provisioner: &str, default: bool) -> StorageClass {
        let annotations = json!({DEFAULT: default.to_string()});
        let class = json!({"metadata": {"name": name, "annotations": annotations}, "provisioner": provisioner});
        serde_json::from_value(class).unwrap()
    }

    #[rstest]
    #[case::default(vec![class("standard", "rancher.io/local-path", true)], None, Verdict::Ok, "StorageClass standard", "")]
    #[case::named(vec![class("fast", "ebs.csi.aws.com", false)], Some("fast"), Verdict::Ok, "StorageClass fast", "")]
    #[case::none(vec![class("fast", "ebs.csi.aws.com", false)], None, Verdict::Warning, "no default StorageClass",
        "kubectl annotate storageclass fast storageclass.kubernetes.io/is-default-class=true")]
    #[case::missing(vec![class("fast", "ebs.csi.aws.com", true)], Some("slow"), Verdict::Problem, "slow, is not there",
        "--set store.storageClassName=fast")]
    #[case::network(vec![class("efs", "efs.csi.aws.com", true)], None, Verdict::Warning, "network file system", "=NAME")]
    fn classes(
        #[case] there: Vec<StorageClass>,
        #[case] named: Option<&str>,
        #[case] verdict: Verdict,
        #[case] message: &str,
        #[case] fix: &str,
    ) {
        let settings: Vec<(&str, &str)> = named.map(|name| ("LEXIGRAM_STORE_CLASS", name)).into_iter().collect();
        let operators = Ok(vec![operator("system", &settings)]);
        assert_findings(&store(&operators, &Ok(there), &Ok(None), "docs"), &[(verdict, message, fix)]);
    }

    #[rstest]
    #[case(json!({"phase": "Bound"}), Verdict::Ok, "is bound", "")]
    #[case(json!({"phase": "Pending"}), Verdict::Warning, "has no volume yet", "describe persistentvolumeclaim")]
    #[case(json!({"phase": "Lost"}), Verdict::Problem, "is lost", "describe persistentvolumeclaim")]
    fn claims(#[case] status: Value, #[case] verdict: Verdict, #[case] message: &str, #[case] fix: &str) {
        let claim = serde_json::from_value(json!({"metadata": {}, "status": status})).unwrap();
        assert_findings(&store(&forbidden(), &forbidden(), &Ok(Some(claim)), "docs"), &[(verdict, message, fix)]);
    }

    #[test]
    fn who_may_not_look_is_told_so() {
        assert_findings(&store(&forbidden(), &forbidden(), &Ok(None), "docs"), &[(Verdict::Unknown, "may not", "")]);
    }
}
