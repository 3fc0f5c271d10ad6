//! Names of documents: which ones are wanted, by globs, and how paths become names. No I/O.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::SourceError;

/// `include` and `exclude` of a source.
#[derive(Debug)]
pub(super) struct NameFilter {
    include: Option<GlobSet>,
    exclude: GlobSet,
}

impl NameFilter {
    /// Compiles the globs; no include takes everything.
    pub(super) fn new(include: &[String], exclude: &[String]) -> Result<Self, SourceError> {
        Ok(Self {
            include: if include.is_empty() { None } else { Some(compile("include", include)?) },
            exclude: compile("exclude", exclude)?,
        })
    }

    /// Whether the document is left out, whatever `include` says.
    pub(super) fn excludes(&self, name: &str) -> bool {
        self.exclude.is_match(name)
    }

    /// Whether the document is wanted.
    pub(super) fn accepts(&self, name: &str) -> bool {
        self.include.as_ref().is_none_or(|globs| globs.is_match(name)) && !self.excludes(name)
    }
}

/// The name of a path: bytes that are not UTF-8, and `%`, as `%XX`, so that every path has a name of its own.
pub(super) fn escaped(path: &[u8]) -> String {
    let mut name = String::new();
    for part in path.utf8_chunks() {
        for character in part.valid().chars() {
            match character {
                '%' => name.push_str("%25"),
                other => name.push(other),
            }
        }
        for byte in part.invalid() {
            name.push_str(&format!("%{byte:02X}"));
        }
    }
    name
}

/// The path of a name.
pub(super) fn unescaped(name: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = tail
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (first, escaped) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    bytes
}

fn compile(field: &str, globs: &[String]) -> Result<GlobSet, SourceError> {
    let invalid = |index: usize, glob: &str, error: globset::Error| SourceError::Glob {
        field: format!("{field}[{index}]"),
        glob: glob.to_owned(),
        problem: error.kind().to_string(),
    };
    let mut set = GlobSetBuilder::new();
    for (index, glob) in globs.iter().enumerate() {
        let compiled = GlobBuilder::new(glob).literal_separator(true).build();
        set.add(compiled.map_err(|error| invalid(index, glob, error))?);
    }
    set.build().map_err(|error| invalid(0, "", error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn owned(globs: &[&str]) -> Vec<String> {
        globs.iter().map(ToString::to_string).collect()
    }

    #[rstest]
    #[case::no_glob_takes_everything(&[], &[], "a/b.txt", true)]
    #[case::a_star_stays_in_its_folder(&["*.md"], &[], "a/b.md", false)]
    #[case::two_stars_do_not(&["**/*.md"], &[], "a/b.md", true)]
    #[case::two_stars_match_no_folder_too(&["**/*.md"], &[], "b.md", true)]
    #[case::exclude_wins(&["**/*.md"], &["drafts/**"], "drafts/b.md", false)]
    #[case::alternatives(&["*.{md,txt}"], &[], "b.txt", true)]
    fn filters(#[case] include: &[&str], #[case] exclude: &[&str], #[case] name: &str, #[case] accepted: bool) {
        let filter = NameFilter::new(&owned(include), &owned(exclude)).unwrap();
        assert_eq!(filter.accepts(name), accepted);
    }

    #[test]
    fn a_bad_glob_is_named() {
        let error = NameFilter::new(&owned(&["*.md", "[a"]), &[]).unwrap_err();
        assert!(error.to_string().starts_with("spec.source.include[1]: '[a' is not a glob"), "{error}");
    }
}
