//! Vectors out of hashes. Pure.

/// The vector of a text: of length 1, the same in every process, and unlike that of any other text.
#[must_use]
pub fn vector(text: &str, dimension: usize) -> Vec<f32> {
    // FNV-1a
    let mut state = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let mut numbers = Vec::with_capacity(dimension);
    for _ in 0..dimension {
        // splitmix64
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = state;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let bits = u16::try_from((x ^ (x >> 31)) & 0xffff).unwrap_or(0);
        numbers.push(f32::from(bits) / f32::from(u16::MAX) - 0.5 + f32::EPSILON);
    }
    let length = numbers.iter().map(|number| number * number).sum::<f32>().sqrt();
    numbers.iter().map(|number| number / length).collect()
}

#[cfg(test)]
mod tests {
    use super::vector;

    #[test]
    fn vectors_are_of_length_1_and_differ() {
        let (first, second) = (vector("a", 64), vector("b", 64));
        assert_eq!(first, vector("a", 64));
        assert!((first.iter().map(|number| number * number).sum::<f32>() - 1.0).abs() < 1e-5);
        assert!(first.iter().zip(&second).map(|(a, b)| a * b).sum::<f32>() < 0.7);
    }
}
