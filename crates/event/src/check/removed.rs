//! Attributes under which some shop systems say that a product is not in the online shop: the time at which it was deleted, flags
//! and states of their own.

use super::time::read_time;
use crate::{DAY_MS, RawValue};

/// Names of the time at which a product was taken out of the shop, in lower case and without separators.
const TIMES: &[&str] = &[
    "deletedat",
    "deletedon",
    "deletedtime",
    "datedeleted",
    "deletiondate",
    "archivedat",
    "archivedon",
    "trashedat",
    "gelöschtam",
    "archiviertam",
    "删除时间",
    "刪除時間",
    "削除日時",
    "삭제일",
    "삭제일시",
];

/// Flags of products that are not in the shop: Rakuten keeps them in its warehouse, EC-CUBE deletes them.
const FLAGS: &[&str] = &["倉庫指定", "商品削除フラグ", "削除フラグ", "非公開フラグ"];

/// Flags that products in the shop have: Salesforce Commerce Cloud.
const FLAGS_OF_SHOWN: &[&str] = &["onlineflag", "公開フラグ"];

/// The state of a product in EC-CUBE, by its name and by the name of its words.
const STATE: &str = "公開ステータス";
const STATES_OF_REMOVED: &[&str] = &["非公開", "廃止", "非表示"];

/// The first moment that is a time of something, and not a placeholder for none: the second day of 1970.
const FIRST_MS: i64 = DAY_MS;

/// Whether a text is a time at which something happened. Programs write many things for none: `-`, `NaT`, `1900-01-01`.
fn is_time(text: &str) -> bool {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    (!is_number || matches!(text.len(), 8 | 10 | 13))
        && read_time(&RawValue::text(text)).is_some_and(|at| at.0 >= FIRST_MS)
}

/// Whether an attribute says that a product was taken out of the shop. The name is in lower case and without separators.
pub(super) fn is_removed(name: &str, text: &str) -> bool {
    let text = text.trim();
    let is_false = || matches!(&*text.to_lowercase(), "" | "0" | "false" | "no" | "n" | "null" | "none" | "f");
    let is_true = || matches!(&*text.to_lowercase(), "1" | "true" | "yes" | "y" | "t");
    (TIMES.contains(&name) && (is_true() || is_time(text)))
        || (FLAGS.contains(&name) && is_true())
        || (FLAGS_OF_SHOWN.contains(&name) && !text.is_empty() && is_false())
        || (name.starts_with(STATE) && STATES_OF_REMOVED.contains(&text))
}

/// Whether an attribute of this name can say so.
pub(super) fn may_say_so(name: &str) -> bool {
    [TIMES, FLAGS, FLAGS_OF_SHOWN].iter().any(|names| names.contains(&name)) || name.starts_with(STATE)
}

#[cfg(test)]
mod tests {
    use super::super::availability::{is_hidden_by, may_hide};
    use crate::RawValue;

    #[test]
    fn a_product_that_was_deleted_or_taken_offline_is_not_shown() {
        for (name, hidden, shown) in [
            ("deleted_at", "2026-10-01 00:00:00", ""),
            ("Deleted at", "1759276800", "0000-00-00 00:00:00"),
            ("archivedAt", "2026-10-01T00:00:00Z", "null"),
            ("online-flag", "false", "true"),
            ("倉庫指定", "1", "0"),
            ("商品削除フラグ", "1", "0"),
            ("公開ステータス(名称)", "廃止", "公開"),
            ("公開ステータス(名称)", "非公開", "公開"),
            ("公開ステータス", "廃止", "公開"),
        ] {
            assert!(may_hide(name), "{name}");
            assert!(is_hidden_by(name, &RawValue::text(hidden)), "{name} {hidden}");
            assert!(!is_hidden_by(name, &RawValue::text(shown)), "{name} {shown}");
        }
        for none in [
            "-",
            "N/A",
            "NaN",
            "NaT",
            "[NULL]",
            "never",
            "0",
            "0.0",
            "1970-01-01 00:00:00",
            "1900-01-01",
            "-0001-11-30 00:00:00",
        ] {
            assert!(!is_hidden_by("deleted_at", &RawValue::text(none)), "{none}");
        }
        assert!(!is_hidden_by("deleted_at", &RawValue::Null) && is_hidden_by("deleted_at", &RawValue::text("true")));
        assert!(is_hidden_by("onlineFlag", &RawValue::Bool(false)));
    }
}
