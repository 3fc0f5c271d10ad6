//! Whether the operator's process leads, and has understood its configuration. No I/O.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{coordination::v1::Lease, core::v1::ConfigMap};
use lexigram_api::duration::in_words;
use serde_json::Value;

use super::unseen;
use crate::{
    doctor::{
        finding::Finding,
        observe::{Process, Seen},
    },
    operator::{Operator, serving},
};

const LEASE: &str = "leader";
const CONFIG: &str = "configuration";

/// How far the clocks of this machine and of the operator's node may be apart.
const CLOCKS: SignedDuration = SignedDuration::from_secs(30);
/// What the operator's metrics say where it goes on with the configuration before.
const REFUSED: &str = "lexigram_config_valid 0";

/// The operator's process leads, and has understood its configuration; nothing is said of one that does not run.
pub fn process(
    operators: &Seen<Vec<Operator>>,
    process: Option<&Process>,
    namespace: &str,
    now: Timestamp,
) -> Vec<Finding> {
    let serving = operators.as_ref().ok().and_then(|operators| serving(operators, namespace));
    match (serving, process) {
        (Some(operator), Some(process)) if operator.replicas().1 > 0 => {
            vec![lease(&process.lease, operator, now), config(process, operator)]
        }
        _ => Vec::new(),
    }
}

fn lease(seen: &Seen<Option<Lease>>, operator: &Operator, now: Timestamp) -> Finding {
    if let Some(finding) = unseen(LEASE, seen) {
        return finding;
    }
    let (place, name) = operator.place();
    let logs = format!("kubectl --namespace {place} logs deployment/{name} --tail=50");
    let spec = seen.iter().flatten().find_map(|lease| lease.spec.as_ref());
    let holder = spec.and_then(|spec| spec.holder_identity.as_deref()).filter(|holder| !holder.is_empty());
    let renewed = spec.and_then(|spec| spec.renew_time.as_ref());
    let (Some(holder), Some(renewed)) = (holder, renewed) else {
        return Finding::problem(LEASE, "no process of the operator holds its lease", logs);
    };
    let age = now.duration_since(renewed.0);
    let granted = spec.and_then(|spec| spec.lease_duration_seconds).unwrap_or(0);
    match age > SignedDuration::from_secs(granted.into()) + CLOCKS {
        true => Finding::problem(
            LEASE,
            format!("{holder} has not renewed the operator's lease for {}", in_words(age)),
            logs,
        ),
        false => Finding::ok(LEASE, format!("{holder} holds the operator's lease")),
    }
}

fn config(process: &Process, operator: &Operator) -> Finding {
    if let Some(finding) = unseen(CONFIG, &process.config) {
        return finding;
    }
    let text =
        process.config.iter().flatten().find_map(|map: &ConfigMap| map.data.as_ref()?.get("config.yaml").cloned());
    let Some(text) = text else {
        let (place, name) = operator.place();
        return Finding::problem(
            CONFIG,
            format!("the ConfigMap {name} in {place} has no config.yaml"),
            operator.upgrade(),
        );
    };
    if process.metrics.iter().flatten().any(|metrics| metrics.lines().any(|line| line == REFUSED)) {
        let (place, name) = operator.place();
        let fix = format!("kubectl --namespace {place} logs deployment/{name} | grep configuration");
        return Finding::problem(
            CONFIG,
            "the operator has refused the newest configuration and goes on with the one before",
            fix,
        );
    }
    let keys: Value = serde_saphyr::from_str(&text).unwrap_or_default();
    let is = |key: &str, value: bool| keys["ai_workers"][key] == Value::Bool(value);
    let set = |words: &str| format!("{} --set ai_workers.{words}", operator.upgrade());
    if is("enabled", false) {
        Finding::warning(CONFIG, "ai_workers.enabled is false: nothing is started", set("enabled=true"))
    } else if is("stub", true) {
        Finding::warning(CONFIG, "ai_workers.stub is true: workers do nothing and succeed at once", set("stub=false"))
    } else if is("enable_maintenance", false) {
        let message = "ai_workers.enable_maintenance is false: no schedule is active";
        Finding::warning(CONFIG, message, set("enable_maintenance=true"))
    } else {
        Finding::ok(CONFIG, "read, and nothing is switched off")
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::{
        doctor::{checks::testing::assert_findings, finding::Verdict},
        operator::operator,
    };

    fn around(lease: Value, config: &str, metrics: &str) -> Process {
        let config = json!({"metadata": {}, "data": {"config.yaml": config}});
        Process {
            lease: Ok(serde_json::from_value(lease).unwrap()),
            config: Ok(Some(serde_json::from_value(config).unwrap())),
            pods: Ok(Vec::new()),
            metrics: Ok(Some(metrics.to_owned())),
        }
    }

    fn held(renewed: &str) -> Value {
        json!({"metadata": {}, "spec": {"holderIdentity": "pod-1", "leaseDurationSeconds": 15, "renewTime": renewed}})
    }

    fn found(operator: Operator, process: &Process) -> Vec<Finding> {
        super::process(&Ok(vec![operator]), Some(process), "docs", "2027-01-15T08:00:00Z".parse().unwrap())
    }

    #[rstest]
    #[case::held(held("2027-01-15T07:59:58.000000Z"), Verdict::Ok, "pod-1 holds the operator's lease", "")]
    #[case::stale(
        held("2027-01-15T07:55:00.000000Z"),
        Verdict::Problem,
        "pod-1 has not renewed the operator's lease for 5m00s",
        "logs"
    )]
    #[case::given_back(json!({"metadata": {}, "spec": {"holderIdentity": ""}}), Verdict::Problem, "no process", "logs")]
    #[case::never(Value::Null, Verdict::Problem, "no process", "logs")]
    fn leases(#[case] lease: Value, #[case] verdict: Verdict, #[case] message: &str, #[case] fix: &str) {
        assert_findings(&found(operator("system", &[]), &around(lease, "", ""))[..1], &[(verdict, message, fix)]);
    }

    #[rstest]
    #[case::fine("ai_workers: {enabled: true}", "lexigram_config_valid 1\n", Verdict::Ok, "read", "")]
    #[case::off(
        "ai_workers: {enabled: false}",
        "",
        Verdict::Warning,
        "nothing is started",
        "--set ai_workers.enabled=true"
    )]
    #[case::stub("ai_workers: {stub: true}", "", Verdict::Warning, "do nothing", "--set ai_workers.stub=false")]
    #[case::idle(
        "ai_workers: {enable_maintenance: false}",
        "",
        Verdict::Warning,
        "no schedule is active",
        "maintenance=true"
    )]
    #[case::refused("ai_workers: {enabled: 3}", "lexigram_config_valid 0\n", Verdict::Problem, "has refused", "logs")]
    fn configurations(
        #[case] config: &str,
        #[case] metrics: &str,
        #[case] verdict: Verdict,
        #[case] message: &str,
        #[case] fix: &str,
    ) {
        let process = around(held("2027-01-15T07:59:58.000000Z"), config, metrics);
        assert_findings(&found(operator("system", &[]), &process)[1..], &[(verdict, message, fix)]);
    }

    #[test]
    fn of_an_operator_that_does_not_run_no_more_is_said() {
        let mut away = operator("system", &[]);
        away.0.status = None;
        let process = around(held("2027-01-15T07:59:58.000000Z"), "", "");
        assert_findings(&found(away, &process), &[]);
    }
}
