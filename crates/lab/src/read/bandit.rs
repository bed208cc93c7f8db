//! Logged bandit feedback: a table with a header and the columns `item_id`, `position`, `click`, `propensity_score`, as
//! in the Open Bandit Dataset (Saito et al. 2020). The columns whose names begin with `user_feature` together identify
//! users; other columns are ignored.

use std::path::PathBuf;

use super::Vocabulary;
use super::lines::{LineFault, ReadError, for_each_line, id, number, shown};

const EXPECTED: &str =
    "a header with item_id, position, click, propensity_score and user_feature columns, then their values";

/// One item shown at one position, and whether it was clicked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BanditLine {
    /// The index of the item.
    pub item: u32,
    /// The position, as numbered in the file.
    pub position: u32,
    /// Whether it was clicked.
    pub clicked: bool,
    /// The probability of showing the item at this position, 0 to 1.
    pub propensity: f64,
    /// The index of the user; lines with equal features have the same user.
    pub user: u32,
}

/// The texts of one line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BanditCells {
    /// The item.
    pub item: String,
    /// The position.
    pub position: String,
    /// 1 if it was clicked, otherwise 0.
    pub click: String,
    /// The probability of showing the item at this position.
    pub propensity: String,
    /// What identifies the user.
    pub user: String,
}

/// Where the lines come from.
#[derive(Clone, Debug)]
pub enum BanditData {
    /// A file with commas between its cells.
    File(PathBuf),
    /// A table that the caller has read, and its file for messages.
    Cells(PathBuf, Vec<BanditCells>),
}

impl From<PathBuf> for BanditData {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

impl BanditData {
    /// The file.
    pub fn path(&self) -> &PathBuf {
        match self {
            Self::File(path) | Self::Cells(path, _) => path,
        }
    }
}

impl BanditLine {
    fn of(cells: &BanditCells, items: &mut Vocabulary, users: &mut Vocabulary) -> Result<Self, LineFault> {
        let whole = |word: &str| word.parse::<u32>().map_err(|_| LineFault::NotAWholeNumber(shown(word)));
        let propensity = f64::from(number(&cells.propensity)?);
        if !(propensity > 0.0 && propensity <= 1.0) {
            return Err(LineFault::Propensity(propensity));
        }
        Ok(Self {
            item: items.number(id(&cells.item)?),
            position: whole(&cells.position)?,
            clicked: match whole(&cells.click)? {
                clicked @ (0 | 1) => clicked == 1,
                other => return Err(LineFault::Click(other)),
            },
            propensity,
            user: users.number(&cells.user),
        })
    }
}

/// Reads the lines in file order.
///
/// # Errors
/// [`ReadError`] with file, line and what was expected.
pub fn read_bandit(
    data: &BanditData,
    items: &mut Vocabulary,
    users: &mut Vocabulary,
) -> Result<Vec<BanditLine>, ReadError> {
    let path = match data {
        BanditData::File(path) => path,
        BanditData::Cells(path, rows) => {
            let line = |(row, cells): (usize, &BanditCells)| {
                let wrong = |found| ReadError::Row { path: path.clone(), row: row + 1, found, expected: EXPECTED };
                BanditLine::of(cells, items, users).map_err(wrong)
            };
            return rows.iter().enumerate().map(line).collect();
        }
    };
    let mut columns: Option<Columns> = None;
    let mut lines = Vec::new();
    for_each_line(path, EXPECTED, |_, text| {
        let words: Vec<&str> = text.split(',').collect();
        let Some(columns) = &columns else {
            columns = Some(Columns::find(&words)?);
            return Ok(());
        };
        let word =
            |column: usize| words.get(column).map(|word| word.to_string()).ok_or(LineFault::Columns(words.len()));
        let features = columns.users.iter().map(|&column| word(column)).collect::<Result<Vec<_>, _>>()?;
        let cells = BanditCells {
            item: word(columns.item)?,
            position: word(columns.position)?,
            click: word(columns.click)?,
            propensity: word(columns.propensity)?,
            user: features.join(":"),
        };
        lines.push(BanditLine::of(&cells, items, users)?);
        Ok(())
    })?;
    Ok(lines)
}

/// The indices of the columns.
struct Columns {
    item: usize,
    position: usize,
    click: usize,
    propensity: usize,
    users: Vec<usize>,
}

impl Columns {
    fn find(header: &[&str]) -> Result<Self, LineFault> {
        let column = |name| header.iter().position(|found| *found == name).ok_or(LineFault::NoColumn(name));
        let users: Vec<usize> =
            (0..header.len()).filter(|&column| header[column].starts_with("user_feature")).collect();
        if users.is_empty() {
            return Err(LineFault::NoColumn("user_feature"));
        }
        Ok(Self {
            item: column("item_id")?,
            position: column("position")?,
            click: column("click")?,
            propensity: column("propensity_score")?,
            users,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<BanditLine>, ReadError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.csv");
        std::fs::write(&path, text).unwrap();
        let (mut items, mut users) = Default::default();
        read_bandit(&path.into(), &mut items, &mut users)
    }

    #[test]
    fn columns_are_found_by_name_and_users_by_their_features() {
        let head = "item_id,click,position,propensity_score,user_feature_0,user_feature_1\n";
        let lines = read(&format!("{head}7,0,1,0.25,a,b\n9,1,3,0.5,a,c\n7,1,2,0.25,a,b\n")).unwrap();
        assert_eq!(lines.iter().map(|line| (line.item, line.user)).collect::<Vec<_>>(), [(0, 0), (1, 1), (0, 0)]);
        assert_eq!((lines[1].position, lines[1].clicked, lines[1].propensity), (3, true, 0.5));
        for (text, message) in [
            ("item_id,click\n", "without `user_feature`"),
            (&format!("{head}7,0,1,0,a,b\n"), "line 2: a propensity of 0"),
            (&format!("{head}7,2,1,0.5,a,b\n"), "a click of 2"),
            (&format!("{head}7,0\n"), "2 columns"),
            ("", "empty"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
