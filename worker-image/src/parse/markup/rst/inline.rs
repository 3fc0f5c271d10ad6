//! What stands within a line: literals, links and roles. No I/O.

use std::sync::LazyLock;

use regex::Regex;

/// Each construct and what Markdown has for it; in the order in which they are looked for.
static CONSTRUCTS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let constructs = [
        // ``literal``
        (r"``(.+?)``", "`$1`"),
        // `text <address>`_
        (r"`([^`<>]+?)\s*<([^`<>]+)>`__?", "[$1]($2)"),
        // :role:`text <target>` and :role:`text`
        (r":[A-Za-z][\w:.+-]*:`([^`<>]+?)\s*<[^`<>]*>`", "$1"),
        (r":[A-Za-z][\w:.+-]*:`~?([^`]+)`", "`$1`"),
        // `text`_
        (r"`([^`]+)`__?", "$1"),
        // word_
        (r"\b([A-Za-z0-9]+(?:[-_.][A-Za-z0-9]+)*)__?(\W|$)", "$1$2"),
        // |substitution|
        (r"\|([A-Za-z][\w -]*)\|", "$1"),
    ];
    constructs.into_iter().filter_map(|(pattern, markdown)| Some((Regex::new(pattern).ok()?, markdown))).collect()
});

/// A line as Markdown.
pub(super) fn markdown(line: &str) -> String {
    CONSTRUCTS.iter().fold(line.to_owned(), |line, (pattern, markdown)| match pattern.is_match(&line) {
        true => pattern.replace_all(&line, *markdown).into_owned(),
        false => line,
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("a ``literal`` and **bold**", "a `literal` and **bold**")]
    #[case("see `the site <https://x.org>`_.", "see [the site](https://x.org).")]
    #[case("call :py:func:`open` or :ref:`that <label>`", "call `open` or that")]
    #[case("as Python_ has it", "as Python has it")]
    #[case("snake_case and __init__", "snake_case and __init__")]
    fn lines(#[case] rst: &str, #[case] expected: &str) {
        assert_eq!(markdown(rst), expected);
    }
}
