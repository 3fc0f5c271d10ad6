//! More memory for a worker that ran out of it, decided by the number of runs that did. No I/O.

use std::collections::BTreeMap;

use k8s_openapi::{api::core::v1::ResourceRequirements, apimachinery::pkg::api::resource::Quantity};
use lexigram_api::failure::FailurePolicy;

/// Key of memory among resources.
const MEMORY: &str = "memory";
const MEBIBYTE: u64 = 1 << 20;

/// What the worker of the next run gets where `exhausted` runs before it ran out of memory: the limit times
/// `memoryFactor` for each of them, up to `memoryLimit`; what it requests grows along. Never less than at the start, and
/// never a limit where there was none.
#[must_use]
pub fn raised(resources: &ResourceRequirements, policy: &FailurePolicy, exhausted: u32) -> ResourceRequirements {
    let mut raised = resources.clone();
    let of = |list: Option<&BTreeMap<String, Quantity>>| list.and_then(|list| bytes(&list.get(MEMORY)?.0));
    let (Some(limit), Some(cap)) = (of(resources.limits.as_ref()), bytes(&policy.memory_limit)) else { return raised };
    let factor = u64::from(policy.memory_factor.unsigned_abs()).saturating_pow(exhausted);
    let grown = limit.saturating_mul(factor).min(cap).max(limit);
    if grown == limit {
        return raised;
    }
    set(&mut raised.limits, grown);
    if let Some(request) = of(resources.requests.as_ref()) {
        set(&mut raised.requests, request.saturating_mul(factor).min(grown));
    }
    raised
}

fn set(list: &mut Option<BTreeMap<String, Quantity>>, bytes: u64) {
    let text = match bytes % MEBIBYTE {
        0 => format!("{}Mi", bytes / MEBIBYTE),
        _ => bytes.to_string(),
    };
    list.get_or_insert_default().insert(MEMORY.to_owned(), Quantity(text));
}

/// The bytes of a quantity of memory; nothing for what is none.
fn bytes(quantity: &str) -> Option<u64> {
    let digits = quantity.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(quantity.len());
    let (number, suffix) = quantity.split_at(digits);
    let unit: u64 = match suffix {
        "" => 1,
        "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => MEBIBYTE,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let parts = 10u64.checked_pow(fraction.len().try_into().ok()?)?;
    let exact = format!("{whole}{fraction}").parse::<u64>().ok()?;
    u64::try_from(u128::from(exact) * u128::from(unit) / u128::from(parts)).ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    #[rstest]
    #[case::none_yet(json!({"limits": {"memory": "1Gi"}}), 0, json!({"limits": {"memory": "1Gi"}}))]
    #[case::once(json!({"limits": {"memory": "1Gi"}}), 1, json!({"limits": {"memory": "2048Mi"}}))]
    #[case::capped(json!({"limits": {"memory": "1Gi"}}), 9, json!({"limits": {"memory": "4096Mi"}}))]
    #[case::never_overflows(json!({"limits": {"memory": "1Gi"}}), 9999, json!({"limits": {"memory": "4096Mi"}}))]
    #[case::more_than_the_cap(json!({"limits": {"memory": "6Gi"}}), 2, json!({"limits": {"memory": "6Gi"}}))]
    #[case::no_limit(json!({"requests": {"memory": "1Gi"}}), 2, json!({"requests": {"memory": "1Gi"}}))]
    #[case::the_request_grows_along(json!({"limits": {"cpu": "1", "memory": "1G"}, "requests": {"memory": "512Mi"}}), 1,
        json!({"limits": {"cpu": "1", "memory": "2000000000"}, "requests": {"memory": "1024Mi"}}))]
    fn memory_grows(#[case] resources: Value, #[case] exhausted: u32, #[case] expected: Value) {
        let policy = FailurePolicy::default();
        let raised = raised(&serde_json::from_value(resources).unwrap(), &policy, exhausted);
        assert_eq!(serde_json::to_value(raised).unwrap(), expected);
    }

    #[test]
    fn a_factor_of_one_keeps_it() {
        let policy = FailurePolicy { memory_factor: 1, ..Default::default() };
        let resources = serde_json::from_value(json!({"limits": {"memory": "1Gi"}})).unwrap();
        assert_eq!(raised(&resources, &policy, 3), resources);
    }

    #[rstest]
    #[case("1Gi", Some(1 << 30))]
    #[case("128974848", Some(128_974_848))]
    #[case("1.5Gi", Some(1_610_612_736))]
    #[case("1.5.5Gi", None)]
    #[case("99999999999999Ti", None)]
    #[case("", None)]
    fn quantities(#[case] text: &str, #[case] expected: Option<u64>) {
        assert_eq!(bytes(text), expected);
    }
}
