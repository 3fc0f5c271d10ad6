//! What begins with two dots: directives, targets, comments. No I/O.

use super::{Converter, dedented, inline, is_adornment};

/// Directives whose content is code or data, to be kept as it stands.
const LITERAL: [&str; 7] =
    ["code", "code-block", "sourcecode", "parsed-literal", "math", "highlight", "productionlist"];

/// Directives that say nothing themselves.
const SILENT: [&str; 12] = [
    "contents",
    "toctree",
    "include",
    "literalinclude",
    "index",
    "raw",
    "default-role",
    "role",
    "currentmodule",
    "module",
    "tabularcolumns",
    "sectnum",
];

impl Converter {
    /// A construct of that first line, without its dots, and these lines below it.
    pub(super) fn directive(&mut self, first: &str, body: &[&str]) {
        // a target, a footnote or a citation is written `_…` or `[…]`
        if let Some((label, text)) = first.strip_prefix('[').and_then(|note| note.split_once(']')) {
            self.block(&format!("[{label}] {} {}", inline::markdown(text.trim()), inline::markdown(&words(body))));
            return;
        }
        let Some((name, argument)) = first.split_once("::").filter(|(name, _)| is_name(name)) else { return };
        let name = name.rsplit('|').next().unwrap_or(name).trim().to_ascii_lowercase();
        let argument = argument.trim();
        let options = body.iter().take_while(|line| line.trim_start().starts_with(':')).count();
        let (options, content) = body.split_at(options);
        if LITERAL.contains(&name.as_str()) {
            let language = if name.contains("code") { argument } else { "" };
            self.literal(language, content, 0);
        } else if name == "image" || name == "figure" {
            let alternative = options.iter().find_map(|option| option.trim_start().strip_prefix(":alt:"));
            if let Some(alternative) = alternative {
                self.block(&format!("![{}]({argument})", alternative.trim()));
            }
            self.nested(content);
        } else if is_admonition(&name) {
            let mut label = name;
            label[..1].make_ascii_uppercase();
            let text = [inline::markdown(argument), inline::markdown(&lead(content))].join(" ");
            self.block(&format!("**{label}:** {}", text.trim()));
            self.nested(&content[lead_lines(content)..]);
        } else if !SILENT.contains(&name.as_str()) {
            // of documentation generators, for instance `.. function:: f(x)`
            if !argument.is_empty() {
                self.block(&inline::markdown(argument));
            }
            self.nested(content);
        }
    }

    fn nested(&mut self, lines: &[&str]) {
        let text = dedented(lines);
        let lines: Vec<&str> = text.lines().collect();
        if lines.iter().any(|line| !line.is_empty()) {
            self.line("");
            self.convert(&lines);
            self.line("");
        }
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('_') && is_adornment(name).is_none()
}

fn is_admonition(name: &str) -> bool {
    const ADMONITIONS: [&str; 12] = [
        "attention",
        "caution",
        "danger",
        "error",
        "hint",
        "important",
        "note",
        "tip",
        "warning",
        "seealso",
        "deprecated",
        "versionadded",
    ];
    ADMONITIONS.contains(&name)
}

/// The lines of the first paragraph.
fn lead_lines(lines: &[&str]) -> usize {
    lines.iter().take_while(|line| !line.is_empty()).count()
}

fn lead(lines: &[&str]) -> String {
    words(&lines[..lead_lines(lines)])
}

fn words(lines: &[&str]) -> String {
    lines.iter().flat_map(|line| line.split_whitespace()).collect::<Vec<_>>().join(" ")
}
