//! Documents that keep a worker busy: real work instead of artificial delays. No I/O.

/// Words of the texts.
const WORDS: [&str; 40] = [
    "harbour", "lantern", "granite", "meadow", "captain", "copper", "thunder", "orchard", "violin", "marble", "falcon",
    "bridge", "saffron", "glacier", "canvas", "ember", "willow", "anchor", "ribbon", "summit", "velvet", "kettle",
    "prairie", "compass", "juniper", "beacon", "cobalt", "drift", "quarry", "sparrow", "timber", "walnut", "cavern",
    "ferry", "hollow", "island", "jasmine", "mirror", "nectar", "opal",
];

/// Documents of about `words` words each, all different, the same ones each time.
#[must_use]
pub fn documents(count: usize, words: usize) -> Vec<(String, Vec<u8>)> {
    (0..count).map(|number| (name(number), text(number, words).into_bytes())).collect()
}

/// Name of a document.
#[must_use]
pub fn name(number: usize) -> String {
    format!("log-{number:03}.txt")
}

fn text(number: usize, words: usize) -> String {
    // a small linear congruential generator: variety is all that matters
    let mut state = u64::try_from(number).unwrap_or_default().wrapping_mul(0x9e37_79b9).wrapping_add(12_345);
    let mut text = format!("Log number {number}.");
    for position in 0..words {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let word = WORDS[usize::try_from(state >> 33).unwrap_or_default() % WORDS.len()];
        text.push(' ');
        text.push_str(word);
        if position % 12 == 11 {
            text.push('.');
        }
    }
    text
}
