//! What is told of the states of orders that are not known, because their lines count as purchases.

use accrue_event::UnknownStates;

use crate::cli::output::count;

/// Texts of a column that are told.
const MAX_TOLD: usize = 12;

/// The note of a file; nothing if all of its states are known.
pub(super) fn note_on_states(file: &str, states: &[UnknownStates]) -> Option<String> {
    if states.is_empty() {
        return None;
    }
    let of_column = |UnknownStates { column, texts }: &UnknownStates| {
        let listed: Vec<String> =
            texts.iter().take(MAX_TOLD).map(|(text, n)| format!("{text:?} ({})", count(*n))).collect();
        let more = texts.len().saturating_sub(MAX_TOLD);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("`{column}` {}{more}", listed.join(", "))
    };
    let columns: Vec<String> = states.iter().map(of_column).collect();
    Some(format!(
        "{file}: states that are not known count as purchases: {}; for those that are none, add to the mapping a rule with `undo`",
        columns.join("; ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_texts_are_told_with_their_lines() {
        assert_eq!(note_on_states("a.csv", &[]), None);
        let texts = (0..14).map(|n| (format!("s{n}").into(), 20 - n)).collect();
        let told = note_on_states("a.csv", &[UnknownStates { column: "Status".into(), texts }]).unwrap();
        assert!(told.contains("`Status` \"s0\" (20), \"s1\" (19)") && told.contains(" and 2 more;"), "{told}");
    }
}
