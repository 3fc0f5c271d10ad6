//! Documents that change from round to round, and moments that nobody has chosen.

use std::{fs, os::unix::process::ExitStatusExt, process::Stdio, time::Duration};

use lexigram_fault_provider::FaultProvider;
use serde_json::{Value, json};

use super::{Workspace, run};

/// How many documents there are.
pub const DOCUMENTS: u64 = 200;

/// A number from the environment.
pub fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |number| number.parse().unwrap())
}

/// splitmix64: the same seed gives the same moments.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % bound.max(1)
    }

    /// A moment before `bound`.
    pub fn moment(&mut self, bound: Duration) -> Duration {
        Duration::from_millis(self.below(u64::try_from(bound.as_millis()).unwrap()))
    }
}

/// What the documents hold in that round: all that change in each, most, and some that come and go.
pub fn write(workspace: &Workspace, round: u64) {
    for document in 0..DOCUMENTS {
        let name = format!("{document:03}.md");
        if (document + round).is_multiple_of(17) {
            let _absent = fs::remove_file(workspace.docs().join(&name));
            continue;
        }
        let version = if document.is_multiple_of(5) { 0 } else { round };
        let section =
            |section| format!("## Section {section}\n\nDocument {document} in version {version}, part {section}.\n\n");
        workspace.write(&name, (0..1 + document % 4).map(section).collect::<String>());
    }
}

/// A full run over the documents, which mirrors them.
pub fn spec(workspace: &Workspace, provider: &FaultProvider, round: u64) -> Value {
    let mut spec = workspace.spec(&format!("docs-r{round}"));
    spec["task"]["sync"] = "Mirror".into();
    spec["task"]["embedding"] = json!({
        "provider": { "type": "OpenAI", "url": provider.url(), "model": "test-model", "dimensions": 8 },
    });
    // a document may be in hand each time
    spec["task"]["failurePolicy"] = json!({ "maxAttempts": 100 });
    spec
}

/// Runs a round to its end without a hitch.
pub fn complete(workspace: &Workspace, spec: &Value) {
    let (code, _, log) = run(&mut workspace.pod(spec));
    assert_eq!(code, 0, "{log}");
}

/// Kills pods of a run at a few moments before `bound`; each goes on where the one before was killed. Returns how many
/// had not ended by themselves.
pub async fn kill_some(workspace: &Workspace, spec: &Value, random: &mut Random, bound: Duration) -> u64 {
    let mut killed = 0;
    for _ in 0..4 {
        let mut child = workspace.pod(spec).stderr(Stdio::null()).spawn().unwrap();
        tokio::time::sleep(random.moment(bound)).await;
        child.kill().unwrap();
        match child.wait().unwrap().signal() {
            Some(9) => killed += 1,
            other => assert_eq!(other, None),
        }
    }
    killed
}
