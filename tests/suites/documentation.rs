//! What the documentation and the examples tell readers to apply is accepted, strictly and without effect. See
//! docs/CONTRIBUTING.md for what the words after a code block's backticks mean.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

use lexigram_tests::{Release, Sandbox, bare, kubectl_with, texts};

/// A code block of a page.
struct Block<'a> {
    /// What stands after its backticks.
    info: &'a str,
    /// What stands in it.
    text: String,
}

fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(info) = line.strip_prefix("```") {
            let text = lines.by_ref().take_while(|line| *line != "```").flat_map(|line| [line, "\n"]).collect();
            blocks.push(Block { info, text });
        }
    }
    blocks
}

/// The smallest job around a part of its spec.
fn job(part: &str) -> String {
    let inner: String = part.lines().flat_map(|line| ["  ", line, "\n"]).collect();
    let spec = part.strip_prefix("spec:\n").unwrap_or(&inner);
    let source = "  source: {inline: [{name: a.md, text: Hello.}]}\n";
    let source = if spec.lines().any(|line| line.starts_with("  source:")) { "" } else { source };
    format!(
        "apiVersion: workers.lexigram.dev/v1alpha1\nkind: IngestionJob\nmetadata: {{name: part}}\nspec:\n{source}{spec}"
    )
}

fn applied(it: &Sandbox, manifests: &str) -> Result<(), String> {
    let apply = [
        "--namespace",
        &it.namespace,
        "apply",
        "--server-side",
        "--dry-run=server",
        "--validate=strict",
        "--filename",
        "-",
    ];
    kubectl_with(&apply, manifests).map(drop).map_err(|error| error.to_string())
}

fn judged(it: &Sandbox, block: &Block<'_>) -> Result<(), String> {
    match block.info {
        "yaml" => applied(it, &block.text),
        "yaml spec" => applied(it, &job(&block.text)),
        "yaml values" => {
            Release::within(&it.namespace).render(&block.text).map(drop).map_err(|error| error.to_string())
        }
        // what a cluster has said
        "yaml status" => Ok(()),
        other if other.starts_with("yaml") => Err(format!("`{other}` is no sort of block that there is")),
        _ => Ok(()),
    }
}

#[test]
fn every_manifest_of_the_documentation_is_accepted() {
    bare(async |it| {
        let pages = [texts("README.md", ".md"), texts("docs", ".md")].concat();
        let mut manifests = 0;
        let mut complaints = Vec::new();
        for (page, text) in &pages {
            for block in blocks(text) {
                manifests += usize::from(block.info == "yaml");
                if let Err(complaint) = judged(it, &block) {
                    complaints.push(format!("{page}: {complaint}\n{}", block.text));
                }
            }
        }
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
        assert!(manifests > 20, "{manifests} manifests in {} pages", pages.len());
    });
}

#[test]
fn every_example_is_accepted() {
    bare(async |it| {
        let examples = texts("examples", ".yaml");
        assert!(!examples.is_empty(), "there are no examples");
        let complaints: Vec<_> =
            examples.iter().filter_map(|(name, text)| Some(format!("{name}: {}", applied(it, text).err()?))).collect();
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    });
}

#[test]
fn what_does_not_fit_the_schema_is_noticed() {
    bare(async |it| {
        for (info, text) in [
            ("yaml", "apiVersion: workers.lexigram.dev/v1alpha1\nkind: IngestionJob\nmetadata: {name: a}\nspec: {}\n"),
            ("yaml spec", "chunking: {maxToken: 100}\n"),
            ("yaml spec", "spec:\n  parsing: {documentTimeoutSeconds: 0}\n"),
            ("yaml values", "ai_workers: {concurrency: 3}\n"),
            ("yaml part", "parallelism: 1\n"),
        ] {
            let block = Block { info, text: text.to_owned() };
            assert!(judged(it, &block).is_err(), "accepted: {text}");
        }
    });
}
