//! Results on stdout, as a table or as JSON; notes on stderr. It is no failure if the reader of stdout closes it.

use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;

/// Where results and notes go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    is_json: bool,
    is_quiet: bool,
}

impl Output {
    pub fn new(is_json: bool, is_quiet: bool) -> Self {
        Self { is_json, is_quiet }
    }

    /// Whether results are for machines.
    pub fn is_json(&self) -> bool {
        self.is_json
    }

    /// Whether a progress bar may be drawn.
    pub fn draws_progress(&self) -> bool {
        !self.is_json && !self.is_quiet && io::stderr().is_terminal()
    }

    /// Prints a result: JSON for machines, else what `table` makes of it.
    pub fn result<T: Serialize>(&self, value: &T, table: impl FnOnce(&T) -> String) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        if self.is_json {
            out.write_all(json_line(value)?.as_bytes())?;
        } else {
            let text = table(value);
            let text = text.replace(steers_terminal, " ");
            out.write_all(text.as_bytes())?;
            if !text.ends_with('\n') {
                out.write_all(b"\n")?;
            }
        }
        Ok(out.flush()?)
    }

    /// Prints a note that is not a result.
    pub fn note(&self, text: &str) {
        if !self.is_quiet {
            note(text);
        }
    }
}

/// Writes a line to stderr; if stderr is closed, the line is dropped.
pub(super) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{}", text.replace(steers_terminal, " "));
}

/// A value as one line of JSON. What could steer a terminal is escaped, which means the same to a program.
pub(super) fn json_line(value: &impl Serialize) -> serde_json::Result<String> {
    let json = serde_json::to_string(value)?;
    let mut line = String::with_capacity(json.len() + 1);
    for c in json.chars() {
        match steers_terminal(c) {
            // All of them are within the first plane.
            true => line.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => line.push(c),
        }
    }
    line.push('\n');
    Ok(line)
}

/// Whether a terminal that is shown the character does something else than to draw it, or draws others in another order.
/// Texts of shoppers and catalogues may have any.
fn steers_terminal(c: char) -> bool {
    let is_layout = c == '\n' || c == '\t';
    let turns_text =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    (c.is_control() && !is_layout) || turns_text
}

/// Rows under a header, in columns; a column of numbers is aligned to the right.
pub(super) fn columns(rows: &[Vec<String>]) -> String {
    let n_columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let is_number = |cell: &String| !cell.is_empty() && cell.chars().all(|c| c.is_ascii_digit() || ",.-+%".contains(c));
    let layout: Vec<(usize, bool)> = (0..n_columns)
        .map(|column| {
            let numbers = rows.iter().skip(1).filter_map(|row| row.get(column)).all(is_number);
            (width(column).unwrap_or(0), numbers && rows.len() > 1)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, (width, is_right)) in row.iter().zip(&layout) {
            let padding = " ".repeat(width - cell.chars().count());
            let (before, after) = if *is_right { (&*padding, "") } else { ("", &*padding) };
            line.extend([before, cell, after, "  "]);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A count with separators of thousands.
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_steer_a_terminal_is_escaped_and_means_the_same() {
        let text = "a\u{9b}2Jb\u{202e}c\u{7f}\u{1b}[2J\nd é 😀";
        let line = json_line(&text).unwrap();
        assert_eq!(line, "\"a\\u009b2Jb\\u202ec\\u007f\\u001b[2J\\nd é 😀\"\n");
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
    }

    #[test]
    fn counts_and_columns_are_easy_to_read() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        let rows = [["name", "n"], ["a", "1,000"], ["größe", "7"]];
        let rows = rows.map(|row| row.map(String::from).to_vec());
        assert_eq!(columns(&rows), "name       n\na      1,000\ngröße      7\n");
    }
}
