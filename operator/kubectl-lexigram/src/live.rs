//! Objects as they change, until somebody interrupts, or until one has ended. Watches the cluster, writes standard output.

use std::pin::pin;

use console::{Term, truncate_str};
use futures::StreamExt;
use jiff::Timestamp;
use kube::runtime::watcher;
use tokio::signal::ctrl_c;

use crate::{
    cluster::Cluster,
    error::PluginError,
    objects::{Object, Scope, Seen, changes, not_found},
    outcome::{Outcome, outcome},
    output::{Format, print, show},
    row::{Row, rows},
};

/// Shows the objects of a scope as they change. Ends, with none, where somebody interrupts; for one object also when it
/// has ended, as [`outcome`] has it.
pub async fn follow(
    cluster: &Cluster,
    scope: &Scope,
    format: Format,
    asked: Option<Timestamp>,
) -> Result<Option<Outcome>, PluginError> {
    let mut changes = changes(cluster, scope);
    let mut seen = Seen::nothing(scope);
    let mut screen = Screen::new(format, *scope == Scope::Everywhere);
    let mut interrupted = pin!(ctrl_c());
    loop {
        let change = tokio::select! {
            change = changes.next() => change,
            interrupted = &mut interrupted => return Ok(interrupted.map(|()| None)?),
        };
        let Some((kind, event)) = change else { return Ok(None) };
        match event {
            Ok(event) => seen.take(kind, event),
            Err(watcher::Error::InitialListFailed(error @ kube::Error::Api(_))) => {
                return Err(PluginError::of_list(error));
            }
            // the watch begins anew by itself
            Err(_) => continue,
        }
        let Some(objects) = seen.objects() else { continue };
        screen.show(&objects)?;
        if let Scope::One(target) = scope {
            let object = objects.first().ok_or_else(|| not_found(cluster, target))?;
            if let Some(outcome) = outcome(object, asked)? {
                return Ok(Some(outcome));
            }
        }
    }
}

/// What is shown: on a terminal a table that changes, elsewhere a line, or document, a change.
struct Screen {
    format: Format,
    namespaces: bool,
    terminal: Term,
    painted: usize,
    rows: Vec<Row>,
    objects: Vec<Object>,
}

impl Screen {
    fn new(format: Format, namespaces: bool) -> Self {
        Self { format, namespaces, terminal: Term::stdout(), painted: 0, rows: Vec::new(), objects: Vec::new() }
    }

    fn show(&mut self, objects: &[&Object]) -> Result<(), PluginError> {
        if self.format != Format::Table {
            for object in objects.iter().filter(|object| !self.objects.contains(object)) {
                show(self.format, &object.content, String::new)?;
            }
            self.objects = objects.iter().map(|object| (*object).clone()).collect();
            return Ok(());
        }
        let new: Vec<Row> = objects.iter().map(|object| Row::of(object)).collect::<Result<_, _>>()?;
        if self.terminal.is_term() {
            self.repaint(&rows(&new, self.namespaces, Timestamp::now()))?;
        } else if let Some(text) = added(&self.rows, &new, self.namespaces, Timestamp::now()) {
            print(&text)?;
        }
        self.rows = new;
        Ok(())
    }

    fn repaint(&mut self, table: &str) -> Result<(), PluginError> {
        let (height, width) = self.terminal.size();
        let lines = fit(table, usize::from(height), usize::from(width));
        self.terminal.clear_last_lines(self.painted)?;
        for line in &lines {
            self.terminal.write_line(line)?;
        }
        self.painted = lines.len();
        Ok(())
    }
}

/// Rows that are new, or not as they were; below the header where nothing was.
fn added(before: &[Row], after: &[Row], namespaces: bool, now: Timestamp) -> Option<String> {
    let changed: Vec<Row> = after.iter().filter(|row| !before.contains(row)).cloned().collect();
    let table = rows(&changed, namespaces, now);
    let header = usize::from(!before.is_empty());
    (!changed.is_empty()).then(|| table.lines().skip(header).map(|line| format!("{line}\n")).collect())
}

/// The lines that a terminal has room for, each cut where it ends.
fn fit(table: &str, height: usize, width: usize) -> Vec<String> {
    // the last line is the cursor's
    let room = height.saturating_sub(1).max(2);
    let all: Vec<&str> = table.lines().collect();
    let shown = if all.len() > room { room - 1 } else { all.len() };
    let mut lines: Vec<String> =
        all.iter().take(shown).map(|line| truncate_str(line, width, "…").into_owned()).collect();
    if shown < all.len() {
        lines.push(format!("… and {} more", all.len() - shown));
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kind::Kind;

    fn row(name: &str, progress: &str) -> Row {
        let object = json!({"metadata": {"name": name}, "status": {"state": "Running", "progress": progress}});
        Row::of(&Object { kind: Kind::Ingestion, content: serde_json::from_value(object).unwrap() }).unwrap()
    }

    #[test]
    fn a_table_is_cut_to_the_terminal() {
        let table = "NAME   STATE\na      Running\nb      Running\nc      Running\n";
        assert_eq!(fit(table, 5, 80).len(), 4);
        assert_eq!(fit(table, 4, 10), ["NAME   ST…", "a      Ru…", "… and 2 more"]);
    }

    #[test]
    fn elsewhere_only_changes_are_lines() {
        let first = [row("a", "1/4"), row("b", "0/4")];
        let all = added(&[], &first, false, Timestamp::UNIX_EPOCH).unwrap();
        assert!(all.starts_with("NAME") && all.contains("ij/a") && all.contains("ij/b"), "{all}");
        let second = [row("a", "2/4"), row("b", "0/4")];
        let changed = added(&first, &second, false, Timestamp::UNIX_EPOCH).unwrap();
        assert!(changed.starts_with("ij/a") && changed.lines().count() == 1, "{changed}");
        assert_eq!(added(&second, &second, false, Timestamp::UNIX_EPOCH), None);
    }
}
