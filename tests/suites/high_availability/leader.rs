//! The leader dies, ends or is stopped: the other one takes over, and nothing is done twice.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{coordination::v1::Lease, core::v1::Pod};
use kube::{Api, api::DeleteParams};
use lexigram_tests::{holder, kubectl, named, until_object};
use serde_json::{Value, json};

use crate::{jobs::Jobs, setting, with_two_operators, work::Work};

/// From the last word of one leader to the first one of the next, in the lease's own times; and the lease's duration.
fn gap(before: &Lease, after: &Lease) -> (SignedDuration, SignedDuration) {
    let (before, after) = (before.spec.as_ref().unwrap(), after.spec.as_ref().unwrap());
    let (renewed, acquired) = (before.renew_time.as_ref().unwrap().0, after.acquire_time.as_ref().unwrap().0);
    let duration = before.lease_duration_seconds.unwrap();
    (acquired.duration_since(renewed), SignedDuration::from_secs(duration.into()))
}

fn transitions(lease: &Lease) -> i32 {
    lease.spec.as_ref().and_then(|spec| spec.lease_transitions).unwrap()
}

#[test]
fn the_leader_is_killed_again_and_again_and_nothing_is_lost_or_done_twice() {
    with_two_operators(json!({}), async |it| {
        let jobs = Jobs::watch(it);
        let mut works = Vec::new();
        for number in 0..setting("LEXIGRAM_LEADER_KILLS", 6) {
            it.until_operators(2).await;
            let before = it.until_lease(None).await;
            let leader = holder(&before).unwrap();
            let containers = it.containers(&named(leader)).await;
            works.push(Work::begin(it, number).await);
            // the process first: it must not find the time to give its lease back
            containers.iter().for_each(|container| container.signal("SIGKILL"));
            it.api::<Pod>().delete(leader, &DeleteParams::default().grace_period(0)).await.unwrap();
            let after = it.until_lease(Some(leader)).await;
            let (gap, duration) = gap(&before, &after);
            // the last renewal may have come after the look at it, and those that wait look once a second
            assert!(gap < duration * 2, "the lease of {duration} was taken over after {gap}");
            assert_eq!(transitions(&after), transitions(&before) + 1);
            println!("kill {number}: taken over {gap} after the last renewal");
        }
        for work in &works {
            work.until_done(it).await;
        }
        jobs.assert_once(&works.iter().flat_map(Work::jobs).collect::<Vec<_>>());
    });
}

#[test]
fn a_leader_that_is_told_to_end_hands_over_at_once() {
    with_two_operators(json!({}), async |it| {
        it.until_operators(2).await;
        let jobs = Jobs::watch(it);
        let before = it.until_lease(None).await;
        let leader = holder(&before).unwrap();
        let work = Work::begin(it, 0).await;
        it.api::<Pod>().delete(leader, &DeleteParams::default()).await.unwrap();
        let after = it.until_lease(Some(leader)).await;
        let (gap, duration) = gap(&before, &after);
        assert!(gap < duration, "the next one waited {gap} for the end of a lease that was given back");
        println!("taken over {gap} after the last renewal");
        work.until_done(it).await;
        jobs.assert_once(&work.jobs());
    });
}

/// Requests that a line of the operator's log tells of, if it changes something other than a lease: when, and what.
fn write(line: &str) -> Option<(Timestamp, String)> {
    let line: Value = serde_json::from_str(line).ok()?;
    let (method, url) = (line["http.method"].as_str()?, line["http.url"].as_str()?);
    let writes = line["message"] == "requesting" && method != "GET" && !url.contains("/leases");
    let at = line["timestamp"].as_str()?.parse().ok()?;
    writes.then(|| (at, format!("{method} {url}")))
}

#[test]
fn a_leader_that_comes_back_after_its_lease_went_writes_nothing() {
    // the Kubernetes client logs each request that it sends
    with_two_operators(json!({"operator": {"logLevel": "info,kube_client=debug"}}), async |it| {
        it.until_operators(2).await;
        let jobs = Jobs::watch(it);
        let before = it.until_lease(None).await;
        let leader = holder(&before).unwrap();
        let [container] = it.containers(&named(leader)).await.try_into().unwrap();
        // under way, so that there is something to write at any moment
        let under_way = Work::begin(it, 0).await;
        container.signal("SIGSTOP");
        let meanwhile = Work::begin(it, 1).await;
        let after = it.until_lease(Some(leader)).await;
        container.signal("SIGCONT");
        let pods: Api<Pod> = it.api();
        until_object(pods, leader, "was started again", |pod: &Pod| {
            let container = pod.status.as_ref()?.container_statuses.as_ref()?.first()?;
            (container.restart_count > 0 && container.state.as_ref()?.running.is_some()).then_some(())
        })
        .await;
        for work in [&under_way, &meanwhile] {
            work.until_done(it).await;
        }
        let log = kubectl(&["--namespace", &it.namespace, "logs", leader, "--previous"]).unwrap();
        let writes: Vec<_> = log.lines().filter_map(write).collect();
        assert!(!writes.is_empty(), "the log tells of no request at all:\n{log}");
        let taken = after.spec.as_ref().unwrap().acquire_time.as_ref().unwrap().0;
        let late: Vec<_> = writes.iter().filter(|(at, _)| *at >= taken).collect();
        assert!(late.is_empty(), "{late:?}");
        assert!(log.contains("the lease could not be renewed in time"), "{log}");
        assert_eq!(holder(&it.until_lease(None).await), holder(&after));
        jobs.assert_once(&[under_way, meanwhile].iter().flat_map(Work::jobs).collect::<Vec<_>>());
    });
}
