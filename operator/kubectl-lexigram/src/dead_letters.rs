//! `kubectl lexigram dead-letters`: what failed, and having it tried again or given up. Reads objects, writes annotations
//! and standard output.

use clap::{Args, Subcommand, builder::PossibleValuesParser, builder::TypedValueParser};
use lexigram_api::{
    failure::FailureCategory,
    resource::{DeadLetter, DeadLetterStatus},
};
use serde::Deserialize;

use crate::{
    cluster::Cluster,
    complete::objects,
    error::{FINE, PluginError},
    kind::{Kind, Target},
    live,
    objects::{Scope, get},
    outcome::status,
    output::{Format, print, show, table},
    request::{Selection, Wish, ask},
    status::exit_code,
};

/// What is done with dead letters.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what failed of an object: counts, and the newest
    List {
        /// The object, as KIND/NAME
        #[arg(add = objects())]
        target: Target,
        /// How it is written
        #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
        output: Format,
    },
    /// Try again now, with no attempt spent; archived ones too. All of them without a filter
    Retry(Request),
    /// Give up, so that the object can complete without them. All of them without a filter
    Archive(Request),
}

/// What is asked about which dead letters.
#[derive(Debug, Args)]
pub struct Request {
    /// The IngestionJob or EmbeddingBatch, as KIND/NAME
    #[arg(add = objects())]
    target: Target,
    /// Only those of this category; may be given several times
    #[arg(long = "category", value_name = "CATEGORY", ignore_case = true, value_parser = categories())]
    categories: Vec<FailureCategory>,
    /// Only the document or text of this name; may be given several times
    #[arg(long = "id", value_name = "NAME")]
    ids: Vec<String>,
    /// Wait until the object has ended, with exit code 3 if something of it has failed
    #[arg(long)]
    wait: bool,
}

/// The part of a status that every kind has.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WithDeadLetters {
    dead_letters: Option<DeadLetterStatus>,
}

fn categories() -> impl TypedValueParser<Value = FailureCategory> {
    PossibleValuesParser::new(FailureCategory::ALL.map(FailureCategory::as_str)).try_map(|name| {
        let same = |category: &FailureCategory| category.as_str().eq_ignore_ascii_case(&name);
        FailureCategory::ALL
            .into_iter()
            .find(same)
            .ok_or_else(|| PluginError::Usage(format!("'{name}' is no category")))
    })
}

pub async fn main(cluster: &Cluster, command: &Command) -> Result<u8, PluginError> {
    match command {
        Command::List { target, output } => {
            let found: Option<WithDeadLetters> = status(&get(cluster, target).await?)?;
            let dead = found.and_then(|status| status.dead_letters).unwrap_or_default();
            show(*output, &dead, || list(target, &dead))?;
            Ok(FINE)
        }
        Command::Retry(request) => request.make(cluster, Wish::Retry).await,
        Command::Archive(request) => request.make(cluster, Wish::Archive).await,
    }
}

impl Request {
    async fn make(&self, cluster: &Cluster, wish: Wish) -> Result<u8, PluginError> {
        let target = &self.target;
        if target.kind == Kind::Maintenance {
            return Err(PluginError::Usage(format!(
                "{target}: the tasks of a schedule are tried again by themselves; for a run of all of them now: kubectl lexigram run {}",
                target.name
            )));
        }
        let selection = Selection { categories: self.categories.clone(), ids: self.ids.clone() };
        ask(cluster, target, wish, &selection).await?;
        if self.wait {
            return Ok(exit_code(live::follow(cluster, &Scope::One(target.clone()), Format::Table, None).await?));
        }
        let what = if wish == Wish::Retry { "a retry" } else { "archiving" };
        print(&format!("{target}: {what} is asked for; `kubectl lexigram status {target} --watch` shows it\n"))?;
        Ok(FINE)
    }
}

/// What failed, for a person.
fn list(target: &Target, dead: &DeadLetterStatus) -> String {
    if dead.total == 0 {
        return format!("{target}: nothing failed\n");
    }
    let header = ["CATEGORY", "RETRYING", "ARCHIVED", "NOTIFIED"].map(str::to_owned).to_vec();
    let counts = dead.by_category.iter().map(|of| {
        let counts = [of.retrying, of.archived, of.notified].map(|count| count.to_string());
        [of.category.to_string()].into_iter().chain(counts).collect()
    });
    let counts = table([header].into_iter().chain(counts));
    let header = ["ID", "STAGE", "CATEGORY", "ATTEMPTS", "ACTION", "NEXT", "MESSAGE"].map(str::to_owned).to_vec();
    let newest = table([header].into_iter().chain(dead.recent.iter().map(cells)));
    let shown = dead.recent.len();
    let rest = match usize::try_from(dead.total) {
        Ok(total) if total > shown => format!(
            "\nThese are the newest {shown} of {total}. The store has all: `lexigram-worker dead-letters list`, see docs/dead-letters.md\n"
        ),
        _ => String::new(),
    };
    format!("{target}: {}\n\n{counts}\n{newest}{rest}", dead.summary)
}

fn cells(dead: &DeadLetter) -> Vec<String> {
    vec![
        dead.id.clone(),
        dead.stage.as_str().to_owned(),
        dead.category.to_string(),
        dead.attempts.to_string(),
        dead.action.as_str().to_owned(),
        dead.next_retry_time.map(|time| time.to_string()).unwrap_or_default(),
        dead.message.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    fn listed(dead: serde_json::Value) -> String {
        list(&"ij/sixty".parse().unwrap(), &from_value(dead).unwrap())
    }

    #[test]
    fn counts_the_newest_and_where_the_others_are() {
        insta::assert_snapshot!(listed(json!({
            "summary": "2 retrying, 13 archived", "total": 15, "retrying": 2, "archived": 13, "notified": 0,
            "byCategory": [
                {"category": "InvalidInput", "count": 13, "archived": 13},
                {"category": "Timeout", "count": 2, "retrying": 2},
            ],
            "recent": [
                {"id": "slow.pdf", "stage": "Parse", "category": "Timeout", "reason": "ParserTimeout", "attempts": 2,
                 "message": "parsing took longer than 60 s", "action": "Retry",
                 "lastFailureTime": "2027-01-15T08:00:00Z", "nextRetryTime": "2027-01-15T08:01:00Z"},
                {"id": "gone.txt", "stage": "Source", "category": "InvalidInput", "reason": "SourceGone", "attempts": 1,
                 "message": "the document is gone", "action": "Archive", "lastFailureTime": "2027-01-15T07:00:00Z"},
            ],
        })));
    }

    #[test]
    fn nothing_that_failed_is_one_line() {
        assert_eq!(listed(json!({"summary": "0"})), "ij/sixty: nothing failed\n");
    }
}
