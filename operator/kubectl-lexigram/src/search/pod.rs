//! The pod that searches: built, and read. No I/O.

use k8s_openapi::{
    api::core::v1::{Container, Pod, PodSpec},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use lexigram_api::pod::{self, Mount, STORE_CLAIM, STORE_CLAIM_LABEL};

use super::collection::Collection;
use crate::{error::PluginError, operator::WorkerImage};

/// Who has made the pod.
const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "kubectl-lexigram");

/// What is asked.
pub struct Question<'a> {
    /// The question.
    pub text: &'a str,
    /// What makes a chunk fit, as the worker's command has it.
    pub mode: &'static str,
    /// Chunks that are asked for.
    pub limit: u16,
    /// How long the pod may run, in seconds: it ends also where nobody removes it.
    pub timeout_seconds: u64,
}

/// The pod that searches a collection, once.
pub fn pod(collection: &Collection, question: &Question<'_>, worker: &WorkerImage) -> Result<Pod, PluginError> {
    let mut arguments = vec!["search".to_owned(), "--store".to_owned(), serde_json::to_string(&collection.store)?];
    if let Some(embedding) = &collection.embedding {
        arguments.extend(["--embedding".to_owned(), serde_json::to_string(embedding)?]);
    }
    let limit = question.limit.to_string();
    let rest = ["--mode", question.mode, "--limit", &limit, "--json", "--", question.text];
    arguments.extend(rest.map(str::to_owned));
    let container = Container {
        name: "search".to_owned(),
        image: Some(worker.image.clone()),
        image_pull_policy: worker.pull_policy.clone(),
        args: Some(arguments.iter().map(|word| literal(word)).collect()),
        resources: worker.resources.clone(),
        ..Default::default()
    };
    let mut labels = collection.overrides.labels.clone();
    labels.insert(MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned());
    if collection.mounts.contains(&Mount::store()) {
        labels.insert(STORE_CLAIM_LABEL.to_owned(), STORE_CLAIM.to_owned());
    }
    let spec = pod::spec(container, &collection.mounts, &collection.overrides, &worker.pull_secrets);
    Ok(Pod {
        metadata: ObjectMeta {
            generate_name: Some("lexigram-search-".to_owned()),
            labels: Some(labels),
            annotations: Some(collection.overrides.annotations.clone()),
            ..Default::default()
        },
        spec: Some(PodSpec { active_deadline_seconds: i64::try_from(question.timeout_seconds).ok(), ..spec }),
        status: None,
    })
}

/// Kubernetes replaces `$(NAME)` in arguments; a doubled dollar sign is one.
fn literal(word: &str) -> String {
    word.replace("$(", "$$(")
}

/// Whether it has succeeded; none while it has not ended.
pub fn result(pod: &Pod) -> Option<bool> {
    match pod.status.as_ref()?.phase.as_deref()? {
        "Succeeded" => Some(true),
        "Failed" => Some(false),
        _ => None,
    }
}

/// What a pod waits for that has not ended.
pub fn waits_for(pod: &Pod) -> String {
    let status = pod.status.clone().unwrap_or_default();
    let unscheduled = status
        .conditions
        .unwrap_or_default()
        .into_iter()
        .find(|condition| condition.type_ == "PodScheduled" && condition.status == "False");
    let waiting = status.container_statuses.unwrap_or_default().into_iter().find_map(|of| of.state?.waiting);
    let (reason, message) = match (unscheduled, waiting) {
        (Some(condition), _) => (condition.reason, condition.message),
        (None, Some(waiting)) => (waiting.reason, waiting.message),
        (None, None) => (Some("it is at work".to_owned()), None),
    };
    [reason, message].into_iter().flatten().collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_pod_is_fit_for_a_restricted_namespace_and_beside_the_store() {
        let collection = Collection::find("handbook", &[], &[]);
        let question = Question { text: "who pays $(HOME)?", mode: "hybrid", limit: 5, timeout_seconds: 180 };
        let worker = WorkerImage { image: "worker:1".to_owned(), ..Default::default() };
        insta::assert_yaml_snapshot!(pod(&collection, &question, &worker).unwrap());
    }

    #[rstest]
    #[case(json!({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": "persistentvolumeclaim \"lexigram-store\" not found"}]}),
        "Unschedulable: persistentvolumeclaim \"lexigram-store\" not found")]
    #[case(json!({"containerStatuses": [{"name": "search", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"waiting": {"reason": "ErrImagePull"}}}]}), "ErrImagePull")]
    #[case(json!({"phase": "Running"}), "it is at work")]
    fn what_a_pod_waits_for_is_said(#[case] status: Value, #[case] expected: &str) {
        let pod: Pod = serde_json::from_value(json!({"metadata": {}, "status": status})).unwrap();
        assert_eq!((waits_for(&pod).as_str(), result(&pod)), (expected, None));
    }
}
