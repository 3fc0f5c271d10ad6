//! `lexigram-worker dead-letters`: what failed in a store, and what a person does about it. Reads and writes a store.

use std::{
    io::{self, BufWriter, Write},
    time::Duration,
};

use clap::{
    Args, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use jiff::{Timestamp, Unit};
use lexigram_api::{
    contract::{ExitCode, Selection},
    failure::FailureCategory,
};
use serde_json::json;

use super::{
    fail_with, print, print_json,
    store::StoreArguments,
    table::{table, terminal_width},
    unwritten,
};
use crate::store::{LedgerRow, StoreError, Wanted, printable};

/// How long to wait for a run over the same source: a person wants to know soon.
const PATIENCE: Duration = Duration::from_secs(2);
/// Rows that an export has in memory.
const PAGE: usize = 500;

/// List what failed in a store, and try it again or give it up
///
/// Without a filter, everything that failed is meant. `retry` and `archive` are refused while a run writes.
///
/// Exit codes: 0 done; 2 wrong usage; 75 failed, but may work later; 78 set up wrongly.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// What to do
    #[arg(value_enum)]
    action: Action,
    #[command(flatten)]
    store: StoreArguments,
    /// Only this source or batch, as `list --json` names it
    #[arg(long, value_name = "NAME")]
    scope: Option<String>,
    /// Only failures of this category; may be given several times
    #[arg(long, value_name = "CATEGORY", value_parser = PossibleValuesParser::new(FailureCategory::ALL.map(FailureCategory::as_str))
        .map(|name| FailureCategory::from_name(&name).unwrap_or(FailureCategory::Unknown)))]
    category: Vec<FailureCategory>,
    /// Only the document or text of this name; may be given several times
    #[arg(long, value_name = "NAME")]
    id: Vec<String>,
    /// How many rows to list
    #[arg(long, default_value_t = 1000, value_name = "NUMBER")]
    limit: usize,
    /// Print JSON with every field
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Action {
    /// Show them
    List,
    /// Make them due at once, with no attempt spent, archived ones too: the next run takes them
    Retry,
    /// Give them up
    Archive,
    /// Print one JSON object a line, with every field
    Export,
}

pub(super) async fn main(arguments: Arguments) -> ExitCode {
    let selection = Selection { categories: arguments.category.clone(), ids: arguments.id.clone() };
    let wanted = Wanted { scope: arguments.scope.clone(), selection, failed_before: None };
    let done = match arguments.action {
        Action::List => list(&arguments, &wanted).await,
        Action::Export => export(&arguments, &wanted).await,
        Action::Retry | Action::Archive => change(&arguments, &wanted).await,
    };
    done.unwrap_or_else(|error| fail_with(&error))
}

async fn list(arguments: &Arguments, wanted: &Wanted) -> Result<ExitCode, StoreError> {
    let rows = arguments.store.find()?.open().await?.dead_letter_rows(wanted, 0, arguments.limit).await?;
    let rows: Vec<LedgerRow> = rows.into_iter().map(|(_, row)| row).collect();
    Ok(match rows.as_slice() {
        rows if arguments.json => print_json(&rows),
        [] => print("There are no such dead letters.\n"),
        rows => {
            let header = ["STATE", "DOCUMENT", "CATEGORY", "ATTEMPTS", "NEXT RETRY", "REASON", "MESSAGE"];
            let rows: Vec<[String; 7]> = rows.iter().map(cells).collect();
            print(&table(header, &rows, terminal_width()))
        }
    })
}

fn cells(row: &LedgerRow) -> [String; 7] {
    let failure = row.failure.as_ref();
    let next = row.next_attempt.map(|time| time.round(Unit::Second).unwrap_or(time).to_string());
    [
        row.state.as_str().to_owned(),
        printable(&row.document),
        failure.map(|failure| failure.category.to_string()).unwrap_or_default(),
        row.attempts.to_string(),
        next.unwrap_or_default(),
        failure.map(|failure| failure.reason.clone()).unwrap_or_default(),
        failure.map(|failure| failure.message.clone()).unwrap_or_default(),
    ]
}

async fn export(arguments: &Arguments, wanted: &Wanted) -> Result<ExitCode, StoreError> {
    let store = arguments.store.find()?.open().await?;
    let mut after = 0;
    loop {
        let page = store.dead_letter_rows(wanted, after, PAGE).await?;
        let Some((last, _)) = page.last() else { return Ok(ExitCode::Finished) };
        after = *last;
        if let Err(error) = write(&page) {
            return Ok(unwritten(&error));
        }
    }
}

fn write(page: &[(i64, LedgerRow)]) -> io::Result<()> {
    let mut output = BufWriter::new(io::stdout().lock());
    for (_, row) in page {
        serde_json::to_writer(&mut output, row)?;
        writeln!(output)?;
    }
    output.flush()
}

async fn change(arguments: &Arguments, wanted: &Wanted) -> Result<ExitCode, StoreError> {
    let store = arguments.store.find()?.open_dead_letters(wanted.scope.as_deref(), PATIENCE).await?;
    let (items, what) = match arguments.action {
        Action::Archive => (store.archive_dead_letters(wanted).await?, "given up"),
        _ => (store.retry_dead_letters(wanted, Timestamp::now()).await?, "due now; the next run takes them"),
    };
    Ok(match arguments.json {
        true => print_json(&json!({ "items": items })),
        false => print(&format!("{items} {what}\n")),
    })
}
