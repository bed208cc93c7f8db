//! The results of the check: repairs, reasons of rejections, and counts of both.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Event, RecordKind, RefusalId};

/// The verdict on one raw event.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A fact as it was sent.
    Accepted(Event),
    /// A fact that differs from what was sent, with the repairs in order, each once.
    Repaired(Event, Vec<Repair>),
    /// A refused record, to be stored whole with the reason.
    Quarantined(Rejection),
}

/// Why a record was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The stable reason.
    pub reason: Reason,
    /// What exactly is wrong, for a person to read; bounded in length.
    pub detail: Box<str>,
}

impl Rejection {
    /// A rejection with its reason and what exactly is wrong.
    pub fn new(reason: Reason, detail: impl Into<Box<str>>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

/// A refused record as the quarantine stores it.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// Its id, derived from the content.
    pub id: RefusalId,
    /// The kind of record that it was sent as.
    pub kind: RecordKind,
    /// Why it was refused.
    pub rejection: Rejection,
    /// The record as it was sent: JSON, or the part that is stored of a text that is not JSON.
    pub raw: Box<str>,
}

impl Refusal {
    /// A readable record that the check refused. Its id is derived from its JSON: an event has an id of its own or one
    /// from content and ordinal, so equal events stay apart; an item or user that is sent twice is stored once.
    pub fn of(kind: RecordKind, rejection: Rejection, json: String) -> Self {
        Self { id: RefusalId::of(kind, json.as_bytes()), kind, rejection, raw: json.into() }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason.code(), self.detail)
    }
}

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident => $code:literal,)* }
        $(named { $(#[$named_doc:meta])* $named:ident })?) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
            $($(#[$named_doc])* $named(Box<str>),)?
        }

        impl $name {
            /// All variants with a fixed code, in order.
            pub const ALL: &[$name] = &[$($name::$variant),*];

            /// The stable code in files, answers and reports.
            pub fn code(&self) -> &str {
                match self {
                    $($name::$variant => $code,)*
                    $($name::$named(code) => code,)?
                }
            }

            /// The variant with this fixed code.
            pub fn from_code(code: &str) -> Option<Self> {
                match code {
                    $($code => Some($name::$variant),)*
                    _ => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.code())
            }
        }
    };
}

codes! {
    /// A change that the check made to an event, item or user.
    Repair {
        /// White space around a text was removed.
        Trimmed => "trimmed",
        /// A text was converted to Unicode normalization form C.
        Nfc => "nfc",
        /// Control characters were removed or replaced by spaces.
        ControlRemoved => "control_removed",
        /// A free text was cut to its maximum length.
        Truncated => "truncated",
        /// The type was sent under another name or spelling.
        TypeAlias => "type_alias",
        /// An id or text was sent as a number.
        TextFromNumber => "text_from_number",
        /// A number was sent as a text.
        NumberFromText => "number_from_text",
        /// No time was sent; the time of arrival was used.
        AtFilled => "at_filled",
        /// The time was slightly in the future; the time of arrival was used.
        AtClamped => "at_clamped",
        /// No price was sent; the item's was used.
        PriceFromItem => "price_from_item",
        /// No price was sent; the median of the item's category was used.
        PriceFromCategory => "price_from_category",
        /// No price was sent; the median of all prices was used.
        PriceFromCatalogue => "price_from_catalogue",
        /// A purchase with a negative quantity became a return.
        ReturnFromNegativeQuantity => "return_from_negative_quantity",
        /// The minus sign of a return's quantity was removed.
        QuantitySign => "quantity_sign",
        /// A quantity by weight was rounded to pieces; the property `exact_quantity` has it as it was sent.
        QuantityRounded => "quantity_rounded",
        /// A quantity or price far outside those seen before was reduced.
        OutlierClamped => "outlier_clamped",
        /// An optional field was unreadable and was left out.
        FieldDropped => "field_dropped",
        /// A property or attribute could not be kept.
        PropertyDropped => "property_dropped",
        /// A list was cut to its maximum length.
        ListCut => "list_cut",
        /// A negative stock became 0.
        StockFloored => "stock_floored",
        /// The word of an item's availability is not known; the item is hidden. In older records only: such a record is
        /// refused now.
        AvailabilityUnknown => "availability_unknown",
        /// The time was found in a field of another name.
        TimeAlias => "time_alias",
        /// A field of an item was found under the name that another system has for it.
        FieldAlias => "field_alias",
        /// A placeholder in place of an id, such as `undefined` or `null`, was left out.
        PlaceholderId => "placeholder_id",
        /// The `.0` that spreadsheets and data frames append to an id was removed.
        IdRepaired => "id_repaired",
        /// Markup was taken out of a text, or its entities were decoded.
        MarkupRemoved => "markup_removed",
        /// Of a text in several languages one was chosen.
        LanguageChosen => "language_chosen",
        /// A text was read from the name of a nested object.
        TextFromObject => "text_from_object",
        /// The clock had jumped ahead of the log; the time of the latest event was used.
        AtHeld => "at_held",
        /// An event with a published key that says again what its address has said within the hour: it is kept and has
        /// its effects, but is no evidence of how often what is shown is clicked.
        NoEvidence => "no_evidence",
        /// A code was converted to upper case.
        Uppercased => "uppercased",
        /// An attribute of an item was of a person, such as an e-mail address, and was left out.
        PersonDropped => "person_dropped",
        /// The price is not told, or a range of prices was sent; the item has none.
        PriceDropped => "price_dropped",
        /// The stock is the sum of the stocks of places, which were sent one by one.
        StockAdded => "stock_added",
        /// An event with a published key whose session said the same within the hour, or that happened long before it
        /// arrived: it has its effect on the pages of its own visitor, and none on what others see.
        OwnPages => "own_pages",
        /// An event with a published key beyond those of its address by which campaigns are paced: it has its other
        /// effects.
        NoTraffic => "no_traffic",
    }
}

codes! {
    /// Why a record was refused.
    Reason {
        /// The record is not a readable object; the reader of a file or request finds this, not the check.
        Malformed => "malformed",
        /// No type was sent.
        NoType => "no_type",
        /// The type is not a text.
        BadType => "bad_type",
        /// The type is neither built in nor named in the settings.
        UnknownType => "unknown_type",
        /// Neither a user nor a session.
        NoShopper => "no_shopper",
        /// No item, although the type needs one.
        NoItem => "no_item",
        /// A search without a text.
        NoQuery => "no_query",
        /// An item or user without an id.
        NoId => "no_id",
        /// An id is neither a text nor a whole number.
        BadId => "bad_id",
        /// An id is longer than allowed.
        IdTooLong => "id_too_long",
        /// The time of an event, or an item's date of publication, is not readable.
        BadTime => "bad_time",
        /// The time is before the oldest one that is accepted.
        FarPast => "far_past",
        /// The time is too far after the arrival.
        FarFuture => "far_future",
        /// The price is not readable, not finite or negative.
        BadPrice => "bad_price",
        /// The price is far outside those seen before.
        PriceOutlier => "price_outlier",
        /// A title was sent, and no text was found in it.
        BadTitle => "bad_title",
        /// The stock of an item is neither a number nor a word that says whether there are pieces.
        BadStock => "bad_stock",
        /// The word of an item's availability is not known.
        BadAvailability => "bad_availability",
        /// The value is not readable or not finite.
        BadValue => "bad_value",
        /// A rating without a value.
        NoValue => "no_value",
        /// The quantity is not readable, zero, or negative although the type has no negative quantities.
        BadQuantity => "bad_quantity",
        /// The quantity is above the fixed bound.
        AbsurdQuantity => "absurd_quantity",
        /// The quantity is far outside those seen before.
        QuantityOutlier => "quantity_outlier",
        /// More events of one shopper in a minute than a person can cause.
        BotRate => "bot_rate",
        /// Many fresh accounts on one item, far more than their share for the shop's other items.
        Coordinated => "coordinated",
        /// A partial description of an item that the catalogue does not have.
        NotInCatalogue => "not_in_catalogue",
        /// The item's id does not have the form that the settings require.
        NotAProduct => "not_a_product",
        /// The id of an event of the shop's own is one that only events of published keys have.
        ReservedId => "reserved_id",
        /// The catalogue does not have the item, and events name as many such items as the settings permit.
        TooManyUnknownItems => "too_many_unknown_items",
        /// The published key has left as many bytes in the log within the day as it may.
        TooManyBytes => "too_many_bytes",
    }
    named {
        /// A reason that a rule of a mapping defines.
        Rule
    }
}

impl Copy for Repair {}

/// Counts of verdicts. The counts do not depend on the order of the verdicts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RuleCounters {
    /// Number of facts accepted as sent.
    pub accepted: u64,
    /// Number of facts with at least one repair.
    pub repaired: u64,
    /// Repairs by code; one event may have several.
    pub repairs: BTreeMap<Box<str>, u64>,
    /// Rejections by reason.
    pub quarantined: BTreeMap<Box<str>, u64>,
}

impl RuleCounters {
    /// Counts a verdict.
    pub fn count(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Accepted(_) => self.accepted += 1,
            Outcome::Repaired(_, repairs) => self.count_repaired(repairs.iter().map(Repair::code)),
            Outcome::Quarantined(rejection) => self.count_quarantined(rejection.reason.code()),
        }
    }

    /// Counts a repaired record by the codes of its repairs, as the log stores them.
    pub fn count_repaired<'a>(&mut self, codes: impl IntoIterator<Item = &'a str>) {
        self.repaired += 1;
        codes.into_iter().for_each(|code| add(&mut self.repairs, code, 1));
    }

    /// Counts a rejection by its reason code, as the log stores it.
    pub fn count_quarantined(&mut self, code: &str) {
        self.add_quarantined(code, 1);
    }

    /// Counts several rejections of one reason.
    pub fn add_quarantined(&mut self, code: &str, n: u64) {
        add(&mut self.quarantined, code, n);
    }

    /// Number of all rejections.
    pub fn n_quarantined(&self) -> u64 {
        self.quarantined.values().sum()
    }
}

fn add(counts: &mut BTreeMap<Box<str>, u64>, code: &str, n: u64) {
    match counts.get_mut(code) {
        Some(count) => *count += n,
        None => {
            counts.insert(code.into(), n);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_read_back() {
        for repair in Repair::ALL {
            assert_eq!(Repair::from_code(repair.code()), Some(*repair));
        }
        for reason in Reason::ALL {
            assert_eq!(Reason::from_code(reason.code()).as_ref(), Some(reason));
        }
    }

    #[test]
    fn counters_add_up() {
        let mut counters = RuleCounters::default();
        counters.count_repaired(["trimmed", "nfc"]);
        counters.count_repaired(["trimmed"]);
        counters.count(&Outcome::Quarantined(Rejection::new(Reason::Rule("no_gift".into()), "gift_0001")));
        assert_eq!((counters.repaired, counters.repairs["trimmed"], counters.repairs["nfc"]), (2, 2, 1));
        assert_eq!((counters.n_quarantined(), counters.quarantined["no_gift"]), (1, 1));
    }
}
