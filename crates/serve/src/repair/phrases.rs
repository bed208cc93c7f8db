//! Runs of words in a query, which a proposal may replace.

/// Words of one side of a pair.
pub(super) const MAX_WORDS: usize = 3;

/// All runs of at most [`MAX_WORDS`] words.
pub(super) fn phrases_of(query: &str) -> impl Iterator<Item = &str> {
    let bounds: Vec<(usize, usize)> = query
        .split(' ')
        .map(|word| {
            let start = word.as_ptr() as usize - query.as_ptr() as usize;
            (start, start + word.len())
        })
        .collect();
    let n = bounds.len();
    let runs = (0..n).flat_map(move |first| (first..n.min(first + MAX_WORDS)).map(move |last| (first, last)));
    runs.map(move |(first, last)| &query[bounds[first].0..bounds[last].1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_up_to_three_words_are_phrases() {
        let phrases: Vec<&str> = phrases_of("a b c d").collect();
        assert_eq!(phrases, ["a", "a b", "a b c", "b", "b c", "b c d", "c", "c d", "d"]);
    }
}
