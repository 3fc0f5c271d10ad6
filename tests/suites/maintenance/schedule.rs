//! When runs are started.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use kube::{
    ResourceExt,
    api::{Patch, PatchParams},
    runtime::watcher::Config,
};
use lexigram_api::{
    contract::TaskResult,
    resource::{ConditionType, MaintenanceSchedule},
};
use lexigram_tests::{OPERATORS, condition_of, ended_runs, kubectl, sandbox, until, until_object};
use serde_json::{Value, json};

use crate::{jobs, on_demand, task, tasks};

/// A node that there is not: a run waits for it and stays at work.
fn nowhere() -> Value {
    json!({"nodeSelector": {"example.com/disk": "none-has-this"}})
}

#[test]
fn a_cron_schedule_is_a_cron_job_and_its_run_reports_items() {
    sandbox(json!({}), async |it| {
        it.ingest("docs", json!({"source": {"inline": [{"name": "a.md", "text": "# A\n\nOf a."}]}})).await;
        it.until_true("docs", ConditionType::Complete).await;
        it.schedules()
            .apply("minutely", json!({"schedule": "* * * * *", "timeZone": "Europe/Berlin", "tasks": tasks()}))
            .await;
        let schedule = it.schedules().until_true("minutely", ConditionType::Ready).await;
        assert!(schedule.status.unwrap().next_schedule_time.is_some());
        let cron = it.api::<CronJob>().get("minutely-m").await.unwrap();
        assert_eq!(cron.owner_references()[0].kind, "MaintenanceSchedule");
        assert_eq!(cron.spec.unwrap().time_zone.as_deref(), Some("Europe/Berlin"));

        let schedule = it
            .schedules()
            .until("minutely", "has a run that is over", |schedule| {
                (!ended_runs(schedule).is_empty()).then(|| schedule.clone())
            })
            .await;
        let run = ended_runs(&schedule).remove(0);
        assert_eq!(run.result, Some(TaskResult::Succeeded), "{run:?}");
        assert_eq!(run.job, format!("minutely-m-{}", run.scheduled_time.0.as_second() / 60));
        assert!(task(&run, "health").items >= 4, "{run:?}");
        assert!(schedule.status.as_ref().unwrap().items.unwrap() >= 4);
        assert_eq!(condition_of(&schedule, ConditionType::Healthy).unwrap().status, "True", "{schedule:?}");
        let said = kubectl(&["--namespace", &it.namespace, "get", "ms", "minutely"]).unwrap();
        assert!(said.contains("* * * * * Europe/Berlin") && said.contains("True"), "{said}");

        it.schedules().change("minutely", json!({"suspend": true})).await;
        it.schedules().until_reason("minutely", ConditionType::Ready, "Suspended").await;
        let suspended = |cron: &CronJob| (cron.spec.as_ref()?.suspend == Some(true)).then_some(());
        until_object(it.api(), "minutely-m", "is suspended", suspended).await;
    });
}

#[test]
fn an_interval_runs_at_its_slots() {
    sandbox(json!({}), async |it| {
        let made = it.schedules().apply("often", json!({"intervalSeconds": 60, "tasks": tasks()})).await;
        let created = made.creation_timestamp().unwrap().0.as_second();
        let first_two = |schedule: &MaintenanceSchedule| Some(ended_runs(schedule)).filter(|runs| runs.len() >= 2);
        let runs = it.schedules().until("often", "has two runs that are over", first_two).await;
        let names: Vec<_> = runs.iter().rev().map(|run| run.job.clone()).collect();
        assert_eq!(names, [format!("often-m{}", created + 60), format!("often-m{}", created + 120)]);
        it.schedules().change("often", json!({"suspend": true})).await;
        let schedule = it.schedules().until_reason("often", ConditionType::Ready, "Suspended").await;
        assert_eq!(schedule.status.unwrap().next_schedule_time, None);
    });
}

#[test]
fn runs_are_made_when_somebody_asks_and_old_ones_go() {
    sandbox(json!({}), async |it| {
        let mut spec = on_demand(tasks());
        spec["successfulRunsHistoryLimit"] = json!(2);
        it.schedules().apply("asked", spec).await;
        let mut made = Vec::new();
        for number in 0..3 {
            made.push(it.run_now("asked", number).await.job);
        }
        let schedule = it.schedules().until_true("asked", ConditionType::RequestAccepted).await;
        let told: Vec<_> = ended_runs(&schedule).into_iter().map(|run| run.job).collect();
        assert_eq!(told, [made[2].clone(), made[1].clone()]);
        until(it.api::<Job>(), Config::default(), "two Jobs are left", |jobs: &[&Job]| {
            (jobs.iter().map(|job| job.name_any()).eq(made[1..].iter().cloned())).then_some(())
        })
        .await;
        it.schedules().annotate("asked", &[("workers.lexigram.dev/run", "soon")]).await;
        let schedule = it.schedules().until_reason("asked", ConditionType::RequestAccepted, "InvalidRequest").await;
        let message = &condition_of(&schedule, ConditionType::RequestAccepted).unwrap().message;
        assert!(message.starts_with("annotation workers.lexigram.dev/run: 'soon' is no time such as"), "{message}");
    });
}

#[test]
fn a_run_that_is_due_while_one_is_at_work_waits_or_takes_its_place() {
    sandbox(json!({}), async |it| {
        let spec = json!({"intervalSeconds": 60, "tasks": tasks(), "worker": nowhere()});
        let made = it.schedules().apply("stuck", spec).await;
        let slot = |number: i64| made.creation_timestamp().unwrap().0.as_second() + 60 * number;
        let passed = |schedule: &MaintenanceSchedule| {
            let next = schedule.status.as_ref()?.next_schedule_time.as_ref()?.0.as_second();
            (next >= slot(3)).then_some(())
        };
        it.schedules().until("stuck", "is past its second slot", passed).await;
        assert_eq!(jobs(it).await.into_iter().collect::<Vec<_>>(), [format!("stuck-m{}", slot(1))]);
        it.schedules().change("stuck", json!({"concurrencyPolicy": "Replace"})).await;
        until(it.api::<Job>(), Config::default(), "another Job has taken the place of the first", |jobs: &[&Job]| {
            let [only] = jobs else { return None };
            (only.name_any() == format!("stuck-m{}", slot(2))).then_some(())
        })
        .await;
    });
}

#[test]
fn an_operator_that_was_away_catches_up_with_one_run() {
    sandbox(json!({"operator": {"replicas": 0}}), async |it| {
        it.schedules().apply("missed", json!({"intervalSeconds": 60, "tasks": tasks()})).await;
        // what an operator would have left that went away over four minutes ago
        let last = Timestamp::now() - SignedDuration::from_secs(250);
        let before = json!({"apiVersion": "workers.lexigram.dev/v1alpha1", "kind": "MaintenanceSchedule", "status": {"runs": [{
            "job": format!("missed-m{}", last.as_second()), "scheduledTime": last, "result": "Succeeded",
        }]}});
        it.api::<MaintenanceSchedule>()
            .patch_status("missed", &PatchParams::default(), &Patch::Merge(before))
            .await
            .unwrap();
        it.release(&json!({}));
        let two = |schedule: &MaintenanceSchedule| Some(ended_runs(schedule)).filter(|runs| runs.len() >= 3);
        let runs = it.schedules().until("missed", "has caught up, and had another run", two).await;
        let slots: Vec<_> = runs.iter().map(|run| run.job.clone()).collect();
        let slot = |number: i64| format!("missed-m{}", last.as_second() + 60 * number);
        // had the start of the operator taken a minute more, it would be one slot later
        let first = if slots[1] == slot(5) { 5 } else { 4 };
        assert_eq!(slots, [slot(first + 1), slot(first), slot(0)]);
    });
}

#[test]
fn maintenance_is_switched_off_and_on_in_the_running_configuration() {
    sandbox(json!({}), async |it| {
        it.schedules().apply("nightly", json!({"schedule": "0 3 * * *", "tasks": tasks()})).await;
        it.schedules().apply("hourly", json!({"intervalSeconds": 3600, "tasks": tasks()})).await;
        it.schedules().until_true("nightly", ConditionType::Ready).await;
        let suspended = |wanted: bool| {
            until_object(it.api::<CronJob>(), "nightly-m", "is as the configuration says", move |cron: &CronJob| {
                (cron.spec.as_ref()?.suspend == Some(wanted)).then_some(())
            })
        };
        suspended(false).await;
        let operator = operators(it).await;
        it.release(&json!({"ai_workers": {"enable_maintenance": false}}));
        for name in ["nightly", "hourly"] {
            let schedule = it.schedules().until_reason(name, ConditionType::Ready, "MaintenanceDisabled").await;
            let ready = condition_of(&schedule, ConditionType::Ready).unwrap();
            assert!(
                ready.status == "False" && ready.message.contains("ai_workers.enable_maintenance is false"),
                "{ready:?}"
            );
        }
        suspended(true).await;
        it.release(&json!({"ai_workers": {"enable_maintenance": true}}));
        for name in ["nightly", "hourly"] {
            it.schedules().until_true(name, ConditionType::Ready).await;
        }
        suspended(false).await;
        assert_eq!(operators(it).await, operator, "the operator was restarted");
        assert!(jobs(it).await.is_empty(), "runs that were not due: {:?}", jobs(it).await);
    });
}

async fn operators(it: &lexigram_tests::Sandbox) -> Vec<String> {
    let pods = it.api::<k8s_openapi::api::core::v1::Pod>();
    let found = pods.list(&kube::api::ListParams::default().labels(OPERATORS)).await.unwrap();
    found.iter().map(ResourceExt::name_any).collect()
}

#[test]
fn what_kubernetes_cannot_check_at_apply_time_is_named() {
    sandbox(json!({}), async |it| {
        let spec = json!({"schedule": "0 25 * * *", "tasks": tasks()});
        it.schedules().apply("wrong", spec).await;
        let schedule = it.schedules().until_true("wrong", ConditionType::Stalled).await;
        let stalled = condition_of(&schedule, ConditionType::Stalled).unwrap();
        assert!(stalled.message.starts_with("spec.schedule: '0 25 * * *' is no cron expression ("), "{stalled:?}");
        it.schedules().change("wrong", json!({"schedule": "0 5 * * *", "timeZone": "Europe/Paperville"})).await;
        let zone = |schedule: &MaintenanceSchedule| {
            let stalled = condition_of(schedule, ConditionType::Stalled)?;
            stalled.message.starts_with("spec.timeZone: 'Europe/Paperville' is no IANA time zone").then_some(())
        };
        it.schedules().until("wrong", "names the zone", zone).await;
        it.schedules().change("wrong", json!({"timeZone": "Europe/Berlin"})).await;
        it.schedules().until_true("wrong", ConditionType::Ready).await;
    });
}
