//! Which calls one pass makes, and in which order.

use serde_json::{Value, json};

use super::{fixtures::*, mock_api::*};
use crate::config::AiWorkers;

#[tokio::test]
async fn a_new_job_gets_claim_work_spec_and_job_in_this_order() {
    let calls = vec![
        get(format!("{CLAIMS}/lexigram-store")).not_found(),
        Call::new("POST", CLAIMS).sends("/metadata/name", json!("lexigram-store")),
        Call::new("POST", CONFIG_MAPS).sends("/metadata/name", json!("handbook-r1")),
        Call::new("POST", JOBS)
            .sends("/metadata/name", json!("handbook-r1"))
            .sends("/metadata/ownerReferences/0/uid", json!(OUR_UID)),
        status_says("Started"),
        event("Started"),
    ];
    assert!(passes(&job(json!({})), vec![], vec![], 1, calls).await);
}

#[tokio::test]
async fn what_an_earlier_attempt_made_is_adopted() {
    let calls = vec![
        get(format!("{CLAIMS}/lexigram-store")),
        Call::new("POST", CONFIG_MAPS).refused(409, "AlreadyExists", "exists"),
        get(format!("{CONFIG_MAPS}/handbook-r1")).answers(owned_by(OUR_UID)),
        Call::new("POST", JOBS).refused(409, "AlreadyExists", "exists"),
        get(format!("{JOBS}/handbook-r1")).answers(owned_by(OUR_UID)),
        status_says("Started"),
        event("Started"),
    ];
    assert!(passes(&job(json!({})), vec![], vec![], 1, calls).await);
}

#[tokio::test]
async fn what_belongs_to_somebody_else_is_left_alone_and_told() {
    let calls = vec![
        get(format!("{CLAIMS}/lexigram-store")),
        Call::new("POST", CONFIG_MAPS).refused(409, "AlreadyExists", "exists"),
        get(format!("{CONFIG_MAPS}/handbook-r1")).answers(owned_by("99999999-0000-0000-0000-000000000000")),
        status_says("NameTaken").sends(
            "/status/conditions/0/message",
            json!("ConfigMap 'handbook-r1' exists and belongs to somebody else; delete or rename it, and the job goes on; it is tried again"),
        ),
        event("NameTaken"),
    ];
    assert!(!passes(&job(json!({})), vec![], vec![], 1, calls).await);
}

#[tokio::test]
async fn a_quota_that_is_exceeded_is_told() {
    let calls = vec![
        get(format!("{CLAIMS}/lexigram-store")).not_found(),
        Call::new("POST", CLAIMS).refused(
            403,
            "Forbidden",
            "persistentvolumeclaims \"lexigram-store\" is forbidden: exceeded quota: small",
        ),
        status_says("QuotaExceeded"),
        event("QuotaExceeded"),
    ];
    assert!(!passes(&job(json!({})), vec![], vec![], 1, calls).await);
}

#[tokio::test]
async fn a_missing_secret_is_told_and_nothing_is_made() {
    let http = json!({"http": {"urls": ["https://x.example/a"], "headersSecretRef": {"name": "token"}}});
    let calls = vec![
        get("/api/v1/namespaces/docs/secrets/token").not_found(),
        status_says("SecretNotFound").sends("/status/state", json!("Stalled")),
        event("SecretNotFound"),
    ];
    assert!(passes(&job(json!({"source": http})), vec![], vec![], 1, calls).await);
}

#[tokio::test]
async fn a_run_that_has_ended_is_counted_with_what_its_worker_did() {
    let jobs = vec![kube_job("handbook-r1", 1, false, complete(60))];
    let pods = vec![finished(&report("handbook-r1", 7, [0, 0, 0]))];
    let calls = vec![status_says("Completed"), event("Completed")];
    let (passed, metrics) = made(&job(json!({})), jobs, pods, 61, calls).await;
    let counted = metrics.encode().unwrap();
    for line in [
        r#"lexigram_runs_total{kind="IngestionJob",result="succeeded"} 1"#,
        r#"lexigram_items_total{kind="IngestionJob",result="done"} 7"#,
        r#"lexigram_chunks_total{kind="IngestionJob"} 28"#,
        r#"lexigram_active_workers{kind="IngestionJob"} 0"#,
    ] {
        assert!(passed && counted.contains(line), "{line} is not in\n{counted}");
    }
}

#[tokio::test]
async fn nothing_changed_means_no_call() {
    let mut object = job(json!({}));
    let at_work = || kube_job("handbook-r1", 1, false, active());
    let calls = vec![status_says("Running")];
    assert!(passes(&object, vec![at_work()], vec![running("handbook-r1")], 52, calls).await);
    let seen = seen(vec![run(&at_work(), &[running("handbook-r1")])]);
    let plan = crate::controller::job::plan::plan(&object, &seen, &AiWorkers::default(), at(52));
    object.status = Some(crate::controller::job::status::project(&object, &seen, &plan, None, at(52)));
    assert!(passes(&object, vec![at_work()], vec![running("handbook-r1")], 60, vec![]).await);
}

#[tokio::test]
async fn a_run_that_was_asked_for_lets_the_jobs_of_old_ones_go_with_their_work_specs() {
    let asked = |number: i64, status| {
        let mut child = kube_job(&format!("handbook-r{number}"), number, false, status);
        let request = ("workers.lexigram.dev/run".to_owned(), format!("2027-01-0{number}T00:00:00Z"));
        child.metadata.annotations.get_or_insert_default().extend([request]);
        child
    };
    let jobs = vec![asked(1, complete(60)), asked(2, complete(70)), asked(3, active())];
    let delete = |path: String| Call::new("DELETE", path).answers(json!({"kind": "Status", "status": "Success"}));
    let calls = vec![
        status_says("Running").sends("/status/runs/2/name", json!("handbook-r1")),
        get(format!("{CONFIG_MAPS}/handbook-r1")).answers(owned_by(OUR_UID)),
        delete(format!("{CONFIG_MAPS}/handbook-r1")),
        get(format!("{JOBS}/handbook-r1")).answers(owned_by(OUR_UID)),
        delete(format!("{JOBS}/handbook-r1")).sends("/propagationPolicy", json!("Background")),
    ];
    assert!(passes(&job(json!({})), jobs, vec![running("handbook-r3")], 80, calls).await);
}

#[tokio::test]
async fn suspend_suspends_the_job_and_resume_lets_it_go_on() {
    let patched =
        || Call::new("PATCH", format!("{JOBS}/handbook-r1")).answers(json!({"metadata": {"name": "handbook-r1"}}));
    let suspended = job(json!({"suspend": true}));
    let calls = vec![patched().sends("/spec/suspend", json!(true)), status_says("Suspended"), event("Suspended")];
    let at_work = kube_job("handbook-r1", 1, false, active());
    assert!(passes(&suspended, vec![at_work], vec![running("handbook-r1")], 20, calls).await);
    let calls = vec![patched().sends("/spec/suspend", json!(false)), status_says("Resumed"), event("Resumed")];
    assert!(passes(&job(json!({})), vec![kube_job("handbook-r1", 1, true, json!({}))], vec![], 40, calls).await);
}

#[tokio::test]
async fn an_expired_job_is_deleted_and_its_status_left_alone() {
    let mut object = job(json!({"ttlSecondsAfterFinished": 30}));
    object.status = Some(
        serde_json::from_value(json!({
            "completionTime": at(60).to_string(),
            "conditions": [{"type": "Complete", "status": "True", "reason": "Completed", "message": "", "lastTransitionTime": at(60).to_string()}],
        }))
        .unwrap(),
    );
    let calls = vec![
        Call::new("DELETE", format!("{OBJECTS}/handbook"))
            .sends("/preconditions/uid", json!(OUR_UID))
            .answers(json!({"kind": "Status", "apiVersion": "v1", "status": "Success"})),
    ];
    assert!(passes(&object, vec![], vec![], 100, calls).await);
}

fn conflict() -> Call {
    Call::new("PATCH", format!("{OBJECTS}/handbook/status")).refused(409, "Conflict", "the object has been modified")
}

fn fresh(generation: i64, status: Value) -> Call {
    let mut fresh = serde_json::to_value(job(json!({"suspend": true}))).unwrap();
    fresh["metadata"]["generation"] = json!(generation);
    fresh["metadata"]["resourceVersion"] = json!("8");
    fresh["status"] = status;
    Call::new("GET", format!("{OBJECTS}/handbook")).answers(fresh)
}

#[tokio::test]
async fn a_cache_that_is_behind_hides_no_transition() {
    let write = status_says("Suspended").sends("/metadata/resourceVersion", json!("8"));
    let write = Call { sends: write.sends.into_iter().skip(1).collect(), ..write };
    let calls = vec![conflict(), fresh(1, json!({"state": "Queued"})), write, event("Suspended")];
    assert!(passes(&job(json!({"suspend": true})), vec![], vec![], 1, calls).await);
}

#[tokio::test]
async fn an_edit_in_between_is_planned_for_anew() {
    let calls = vec![conflict(), fresh(2, json!({}))];
    assert!(!passes(&job(json!({"suspend": true})), vec![], vec![], 1, calls).await);
}

#[tokio::test]
async fn a_recorded_end_is_not_undone_by_a_cache_that_is_behind() {
    let complete = json!({"type": "Complete", "status": "True", "reason": "Completed", "message": "", "lastTransitionTime": at(60).to_string()});
    let calls = vec![conflict(), fresh(1, json!({"conditions": [complete]}))];
    assert!(!passes(&job(json!({"suspend": true})), vec![], vec![], 1, calls).await);
}
