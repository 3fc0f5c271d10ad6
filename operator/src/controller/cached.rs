//! What caches keep of an object: with tens of thousands of them, what nobody looks at is most of the memory. No I/O.

use k8s_openapi::api::{
    batch::v1::{CronJob, CronJobSpec, Job, JobSpec},
    core::v1::{Pod, PodStatus},
};
use kube::ResourceExt;

/// Where kubectl keeps a second copy of what it applied.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Drops what no controller reads of any object's metadata.
pub(super) fn slim(object: &mut impl ResourceExt) {
    object.managed_fields_mut().clear();
    object.annotations_mut().remove(LAST_APPLIED);
}

/// What the operator makes, and reads again only in part.
pub(super) trait Child: ResourceExt {
    /// Drops what no controller reads of it.
    fn slim(&mut self);
}

impl Child for Job {
    fn slim(&mut self) {
        slim(self);
        let of = |JobSpec { completions, suspend, .. }| JobSpec { completions, suspend, ..JobSpec::default() };
        self.spec = self.spec.take().map(of);
    }
}

impl Child for CronJob {
    fn slim(&mut self) {
        slim(self);
        let of = |CronJobSpec { suspend, .. }| CronJobSpec { suspend, ..CronJobSpec::default() };
        self.spec = self.spec.take().map(of);
    }
}

impl Child for Pod {
    fn slim(&mut self) {
        slim(self);
        self.spec = None;
        let of = |status: PodStatus| PodStatus {
            phase: status.phase,
            reason: status.reason,
            message: status.message,
            pod_ip: status.pod_ip,
            conditions: status.conditions,
            container_statuses: status.container_statuses,
            ..PodStatus::default()
        };
        self.status = self.status.take().map(of);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use k8s_openapi::api::core::v1::PodSpec;
    use serde_json::json;

    use super::*;
    use crate::controller::{
        job::tests::fixtures::{kube_job, pod},
        runs::Run,
    };

    #[test]
    fn a_run_reads_the_same_from_what_is_kept() {
        let job = kube_job("handbook-r1", 0, true, json!({"active": 1}));
        let pod = pod("handbook-r1", 1, "Running", json!({"running": {}}));
        let (mut slim_job, mut slim_pod) = (job.clone(), pod.as_ref().clone());
        slim_pod.spec = Some(PodSpec::default());
        slim_job.spec.get_or_insert_default().template.spec = Some(PodSpec::default());
        slim_job.slim();
        slim_pod.slim();
        assert!(Run::read(&job, &[Arc::clone(&pod)]).is_some());
        assert_eq!(Run::read(&slim_job, &[Arc::new(slim_pod.clone())]), Run::read(&job, &[pod]));
        assert_eq!((slim_pod.spec, slim_job.spec.unwrap().template.spec), (None, None));
    }

    #[test]
    fn kubectl_s_copy_is_dropped_and_other_annotations_are_kept() {
        let mut job: Job = serde_json::from_value(json!({"metadata": {
            "name": "a",
            "annotations": {LAST_APPLIED: "{}", "workers.lexigram.dev/run": "now"},
            "managedFields": [{"manager": "kubectl", "operation": "Apply"}],
        }}))
        .unwrap();
        slim(&mut job);
        assert_eq!(job.annotations().keys().collect::<Vec<_>>(), ["workers.lexigram.dev/run"]);
        assert!(job.managed_fields().is_empty());
    }
}
