//! The headings of a Markdown text, and under which of them a place stands. No I/O.

use pulldown_cmark::{Event, HeadingLevel, Parser, Tag, TagEnd};

/// Longest heading that a chunk carries, in characters: a paragraph that was marked as one must not bloat every chunk.
const HEADING_CHARS: usize = 200;

struct Heading {
    level: HeadingLevel,
    offset: usize,
    text: String,
    /// The heading that this one stands under, by its index.
    parent: Option<usize>,
}

/// All headings of a text in order.
pub(super) struct Headings(Vec<Heading>);

impl Headings {
    /// Finds the headings of a Markdown text.
    pub(super) fn of_markdown(text: &str) -> Self {
        let mut headings: Vec<Heading> = Vec::new();
        let mut open: Option<Heading> = None;
        for (event, range) in Parser::new(text).into_offset_iter() {
            match event {
                Event::Start(Tag::Heading { level, .. }) => {
                    let mut parent = headings.len().checked_sub(1);
                    while let Some(outer) = parent.map(|index| &headings[index]).filter(|outer| outer.level >= level) {
                        parent = outer.parent;
                    }
                    open = Some(Heading { level, offset: range.start, text: String::new(), parent });
                }
                Event::End(TagEnd::Heading(_)) => headings.extend(open.take()),
                Event::Text(part) | Event::Code(part) => {
                    if let Some(heading) = &mut open {
                        let room = HEADING_CHARS.saturating_sub(heading.text.chars().count());
                        heading.text.extend(part.chars().take(room));
                    }
                }
                _ => {}
            }
        }
        Self(headings)
    }

    /// A text without headings.
    pub(super) const fn none() -> Self {
        Self(Vec::new())
    }

    /// The headings above the byte `offset`, outermost first; a heading that begins there is one of them.
    pub(super) fn above(&self, offset: usize) -> Vec<String> {
        let mut path = Vec::new();
        let mut nearest = self.0.partition_point(|heading| heading.offset <= offset).checked_sub(1);
        while let Some(heading) = nearest.map(|index| &self.0[index]) {
            let text = heading.text.trim();
            if !text.is_empty() {
                path.push(text.to_owned());
            }
            nearest = heading.parent;
        }
        path.reverse();
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_stands_under_the_nearest_heading_of_each_level() {
        let text = "intro\n\n# A\n\n## B `c`\n\nx\n\n```\n# no heading\n```\n\n## D\n\ny\n\n# E\n\nz";
        let headings = Headings::of_markdown(text);
        let above = |needle: &str| headings.above(text.find(needle).unwrap());
        assert_eq!(above("intro"), Vec::<String>::new());
        assert_eq!(above("# A"), ["A"]);
        assert_eq!(above("x\n"), ["A", "B c"]);
        assert_eq!(above("# no"), ["A", "B c"]);
        assert_eq!(above("y\n"), ["A", "D"]);
        assert_eq!(above("z"), ["E"]);
    }
}
