//! Readers of public benchmark files, plain or compressed with zstd.
//!
//! In: paths. Out: users and items as indices. Ids are texts of letters, digits and `_ - . :`, numbered in the order of
//! their first occurrence. Anything else is an error with file, line and what was expected; readers neither panic nor
//! guess.

mod bandit;
mod click_table;
mod clicks;
mod histories;
mod lines;
mod ratings;
mod sampled;
mod sessions;
mod table;
mod timed;
mod vocabulary;

pub use bandit::{BanditCells, BanditData, BanditLine, read_bandit};
pub use clicks::{ClickReader, FieldsBy, ReadFor};
pub use histories::{HistoryFile, read_histories};
pub use lines::{LineFault, ReadError, open};
pub use ratings::{RatingFile, read_ratings};
pub use sampled::{SampledTest, read_sampled_test};
pub use sessions::{SessionQuery, read_session_queries, read_sessions};
pub use table::{Data, Row, Table};
pub use timed::{Timed, read_timed, split_by_time};
pub use vocabulary::Vocabulary;
