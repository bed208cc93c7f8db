//! Exports of reviews, as those of Judge.me, Yotpo, Trustpilot and Bazaarvoice: each row is a rating of a product by a
//! shopper. Their titles and texts are those of reviews, and no products.

use std::fmt::Display;
use std::path::Path;

use accrue_event::{Mapping, RecordKind, folded, listed, usual_column};
use accrue_ingest::Sample;

use crate::cli::problem::Problem;

/// Names of the rating, in lower case and without separators.
const RATINGS: &[&str] =
    &["rating", "stars", "score", "reviewrating", "reviewscore", "reviewstars", "starrating", "bewertung", "sterne"];
/// Names of columns that only a review has.
const OF_REVIEWS: &[&str] = &[
    "reviewername",
    "revieweremail",
    "reviewerdisplayname",
    "reviewerid",
    "reviewdate",
    "reviewtitle",
    "reviewcontent",
    "reviewbody",
    "reviewtext",
    "reviewid",
    "reviewcreatedat",
    "reviewcreatedutc",
    "reviewcreationdate",
    "submissiontime",
    "usernickname",
];
const USERS: &[&str] = &[
    "revieweremail",
    "reviewerid",
    "customerid",
    "customeremail",
    "consumeremail",
    "consumerid",
    "userid",
    "useremail",
    "authorid",
    "authoremail",
    "email",
];
const ITEMS: &[&str] = &["productsku", "sku", "productid", "externalproductid", "itemid", "producthandle", "handle"];
const TIMES: &[&str] = &[
    "reviewdate",
    "reviewcreatedat",
    "reviewcreatedutc",
    "reviewcreationdate",
    "submissiontime",
    "createdat",
    "datecreated",
    "submittedat",
    "date",
];

/// What the columns of a file of reviews do not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("reviews without a column for {}", listed(.0))]
pub(super) struct MissingColumns(Vec<&'static str>);

/// As [`mapping_text`], for the reading of the file.
pub(super) fn mapping(path: &Path, sample: &Sample) -> Option<Result<Mapping, Problem>> {
    let hint = "--guess prints a mapping to start from; --items says that these are products";
    let problem = |why: &dyn Display| Problem::new(format!("{}: {why}", path.display()), hint);
    let text = mapping_text(sample)?.map_err(|missing| problem(&missing));
    Some(text.and_then(|text| toml::from_str(&text).map_err(|error| problem(&error))))
}

/// A mapping for a file of reviews; `None` for another file.
///
/// # Errors
/// What the file lacks to be one of ratings.
pub(super) fn mapping_text(sample: &Sample) -> Option<Result<String, MissingColumns>> {
    let columns: Vec<&str> = sample.columns.iter().map(String::as_str).collect();
    let named =
        |names: &[&str]| names.iter().find_map(|name| columns.iter().copied().find(|column| folded(column) == *name));
    let rating = named(RATINGS)?;
    let is_review = named(OF_REVIEWS).is_some() && usual_column(RecordKind::Items, "price", &columns).is_none();
    if !is_review {
        return None;
    }
    let wanted = [("user", named(USERS)), ("item", named(ITEMS)), ("at", named(TIMES)), ("value", Some(rating))];
    let what = |field: &str| match field {
        "user" => "the e-mail address or id of the reviewer",
        "item" => "the id of the product",
        _ => "the time of the review",
    };
    let missing: Vec<&'static str> =
        wanted.iter().filter(|(_, column)| column.is_none()).map(|(field, _)| what(field)).collect();
    if !missing.is_empty() {
        return Some(Err(MissingColumns(missing)));
    }
    let mut text = String::from(
        "# Reviews: each row is a rating. Texts, names and addresses are left out.\n\nkind = \"events\"\ndrop_columns = [\"*\"]\n\n[fields]\n",
    );
    for (field, column) in wanted {
        let column = toml::Value::String(column.unwrap_or_default().to_owned());
        text.push_str(&format!("{field} = {column}\n"));
    }
    text.push_str("\n[constants]\ntype = \"rating\"\n");
    Some(Ok(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(columns: &str) -> Option<Result<String, MissingColumns>> {
        mapping_text(&Sample {
            columns: columns.split(',').map(str::to_owned).collect(),
            is_table: true,
            ..Sample::default()
        })
    }

    #[test]
    fn exports_of_reviews_are_ratings_or_refused_with_what_they_lack() {
        for (columns, fields) in [
            (
                "title,body,rating,review_date,reviewer_name,reviewer_email,product_id,product_handle,ip_address",
                ["reviewer_email", "product_id", "review_date", "rating"],
            ),
            (
                "Review ID,Review Title,Review Content,Review Score,Review Creation Date,Reviewer Name,Reviewer Email,Product ID",
                ["Reviewer Email", "Product ID", "Review Creation Date", "Review Score"],
            ),
            (
                "Id,ProductId,Rating,ReviewText,Title,UserNickname,SubmissionTime,AuthorId",
                ["AuthorId", "ProductId", "SubmissionTime", "Rating"],
            ),
            (
                "Review Id,Review Created (UTC),Review Title,Review Stars,Consumer Email,Sku",
                ["Consumer Email", "Sku", "Review Created (UTC)", "Review Stars"],
            ),
        ] {
            let text = of(columns).unwrap().unwrap();
            for (field, column) in ["user", "item", "at", "value"].into_iter().zip(fields) {
                assert!(text.contains(&format!("{field} = \"{column}\"")), "{columns}: {text}");
            }
            let mapping: accrue_event::Mapping = toml::from_str(&text).unwrap();
            mapping.validate().unwrap();
        }
        let refused = of("review_title,rating,review_date,reviewer_name,product_id").unwrap().unwrap_err().to_string();
        assert!(refused.contains("the e-mail address or id of the reviewer"), "{refused}");
        assert_eq!(of("id,title,price,rating,review_id"), None);
        assert_eq!(of("id,title,rating,review_count"), None);
    }
}
