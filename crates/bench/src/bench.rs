//! A bench: a question, the rows that answer it, and the function that measures.

use super::bed::Bed;
use super::measure::{Figure, Row};

/// A bench: a question, and the rows that answer it.
pub struct Bench {
    /// Its name.
    pub name: &'static str,
    /// Its question, and the corpus.
    pub question: &'static str,
    pub(crate) rows: &'static [Row],
    /// Whether it takes too long to be part of a run of all.
    pub(crate) only_when_named: bool,
    pub(crate) run: fn(&mut Bed<'_>) -> anyhow::Result<Vec<Figure>>,
}

impl Bench {
    /// Names of its rows.
    pub fn rows(&self) -> impl Iterator<Item = &'static str> {
        self.rows.iter().map(|row| row.name)
    }
}

pub(crate) const fn bench(
    name: &'static str,
    question: &'static str,
    rows: &'static [Row],
    run: fn(&mut Bed<'_>) -> anyhow::Result<Vec<Figure>>,
) -> Bench {
    Bench { name, question, rows, only_when_named: false, run }
}
