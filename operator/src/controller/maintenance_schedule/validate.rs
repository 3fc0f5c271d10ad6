//! What the API server cannot check about a schedule: cron expression, time zone, globs, regular expressions. No I/O.

use globset::Glob;
use jiff::{SignedDuration, tz::TimeZone};
use lexigram_api::resource::MaintenanceScheduleSpec;

use super::due::{self, Timing};
use crate::controller::job::validate::{self, Invalid};

/// Checks a spec that the API server has let pass, and says when its runs are due.
///
/// # Errors
/// The first field that cannot be used.
pub fn check(spec: &MaintenanceScheduleSpec) -> Result<Timing, Invalid> {
    for (index, glob) in spec.collections.iter().enumerate() {
        Glob::new(glob)
            .map_err(|error| invalid(&format!("spec.collections[{index}]"), glob, "glob", error.kind().to_string()))?;
    }
    validate::rules(&spec.failure_policy).map_err(|invalid| Invalid { correctable: true, ..invalid })?;
    timing(spec)
}

fn timing(spec: &MaintenanceScheduleSpec) -> Result<Timing, Invalid> {
    let Some(schedule) = &spec.schedule else {
        let seconds = spec.interval_seconds.unwrap_or(i32::MAX);
        return Ok(Timing::Every(SignedDuration::from_secs(seconds.into())));
    };
    let cron = due::cron(schedule).map_err(|problem| invalid("spec.schedule", schedule, "cron expression", problem))?;
    let zone = match &spec.time_zone {
        None => TimeZone::UTC,
        Some(name) => due::zone(name).ok_or_else(|| {
            let problem = "there is none of that name, which tells upper from lower case".to_owned();
            invalid("spec.timeZone", name, "IANA time zone such as Europe/Berlin", problem)
        })?,
    };
    Ok(Timing::Cron { cron: Box::new(cron), zone })
}

fn invalid(field: &str, value: &str, expected: &'static str, problem: String) -> Invalid {
    Invalid { field: field.to_owned(), value: value.to_owned(), expected, problem, correctable: true }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;
    use crate::controller::maintenance_schedule::tests::fixtures::schedule;

    #[rstest]
    #[case::cron(json!({"schedule": "61 * * * *", "intervalSeconds": null}), "spec.schedule: '61 * * * *' is no cron expression (")]
    #[case::zone(json!({"schedule": "0 3 * * *", "intervalSeconds": null, "timeZone": "Europe/Paperville"}),
        "spec.timeZone: 'Europe/Paperville' is no IANA time zone such as Europe/Berlin (")]
    #[case::glob(json!({"collections": ["docs", "{a"]}), "spec.collections[1]: '{a' is no glob (")]
    #[case::rule(json!({"failurePolicy": {"rules": [{"message": "(a", "category": "Timeout"}]}}),
        "spec.failurePolicy.rules[0].message: '(a' is no regular expression (")]
    fn the_field_and_the_problem_are_named(#[case] spec: Value, #[case] message: &str) {
        let error = check(&schedule(spec).spec).unwrap_err().to_string();
        assert!(error.starts_with(message) && error.ends_with("; correct it"), "{error}");
    }

    #[test]
    fn a_good_one_passes() {
        let spec = json!({"schedule": "0 3 * * *", "intervalSeconds": null, "timeZone": "Europe/Berlin", "collections": ["docs-*"]});
        assert!(matches!(check(&schedule(spec).spec), Ok(Timing::Cron { .. })));
        assert!(matches!(check(&schedule(json!({})).spec), Ok(Timing::Every(_))));
    }
}
