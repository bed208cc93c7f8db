//! Who bought, in a table of orders: the number, the address or the account of a customer, and not the person at the till.
//!
//! In: the columns and the first rows. Out: the column of the shopper, the one with names of persons, which are not kept, and the
//! one of the addresses of guests.

use std::collections::BTreeSet;

use accrue_event::{OrderPart, RecordKind, folded, may_name_person, names_person, order_column, usual_column};
use accrue_ingest::Sample;

/// Names of columns that are those of the staff where others are of customers.
#[rustfmt::skip]
const STAFF: &[&str] = &[
    "user", "username", "userlogin", "usuario", "utente", "utilisateur", "benutzer", "gebruiker", "useremail",
];
/// The same, where another column has the number of a customer.
const STAFF_BESIDE_NUMBERS: &[&str] = &["userid", "useruuid"];
/// Parts of the names of columns of customers.
#[rustfmt::skip]
const CUSTOMERS: &[&str] = &[
    "customer", "buyer", "purchaser", "client", "kunde", "käufer", "besteller", "acheteur", "comprador", "acquirente", "klant", "koper",
    "klient", "kupując", "nabywc", "zákazn", "kupující", "müşteri", "alıcı", "клиент", "покупател", "заказчик", "买家", "顾客", "客户",
    "会员", "買家", "顧客", "客戶", "會員", "購入者", "注文者", "会員", "고객", "구매자", "주문자",
];
/// Parts of names of columns that have one of those parts and are of the staff: a seller is a `Verkäufer`.
const SELLERS: &[&str] = &["verkäufer"];

/// The columns of those who bought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shopper<'c> {
    /// The column that tells one shopper from another.
    pub buyer: Option<&'c str>,
    /// The column that has names of persons, which do not tell one shopper from another and are not kept.
    pub named: Option<&'c str>,
    /// The e-mail address of a buyer who may have no number: a guest.
    pub mail: Option<&'c str>,
}

impl<'c> Shopper<'c> {
    /// The shopper by the column that was found for the buyer.
    pub fn of(sample: &Sample, columns: &[&'c str], buyer: Option<&'c str>, is_of_staff: bool) -> Self {
        let is_name = |buyer: &&str| has_names(sample, buyer) || (is_of_staff && is_name_of_customer(buyer));
        let named = buyer.filter(is_name);
        let of_guests = |column: &&str| is_mail_of_buyer(column) && has_addresses(sample, column);
        let of_customers = |column: &&str| of_guests(column) && is_of_customer(column);
        let mail = columns.iter().copied().find(of_customers).or_else(|| columns.iter().copied().find(of_guests));
        let buyer = if named.is_some() { mail } else { buyer };
        let mail = mail.filter(|mail| buyer.is_some_and(|buyer| buyer != *mail && has_guests(sample, buyer, mail)));
        Self { buyer, named, mail }
    }
}

/// The column of the buyer under a name that events have for it, in place of that of the staff. The number of a customer is preferred
/// to an e-mail address. `true` beside it if the column of the staff was passed over.
pub(super) fn usual<'c>(sample: &Sample, columns: &[&'c str]) -> (Option<&'c str>, bool) {
    let unmailed: Vec<&str> = columns.iter().copied().filter(|column| !is_of_mail(column)).collect();
    let Some(found) = usual_column(RecordKind::Events, "user", &unmailed) else { return (None, false) };
    let buyer = beside_staff(sample, found, columns);
    (Some(buyer), buyer != found)
}

/// The column of the shopper in place of one that may be of the staff. Where it has as many texts as that of customers, it is of
/// those who have an account: a shop has fewer people at the till.
pub(super) fn beside_staff<'c>(sample: &Sample, buyer: &'c str, columns: &[&'c str]) -> &'c str {
    let customer = in_place_of_staff(buyer, columns);
    let n_of = |column: &str| {
        let texts = sample.texts(column).map(str::trim).filter(|text| !text.is_empty());
        texts.collect::<BTreeSet<_>>().len()
    };
    if n_of(buyer) < n_of(customer) { customer } else { buyer }
}

/// The column of the shopper in place of one that has the names of the staff.
fn in_place_of_staff<'c>(buyer: &'c str, columns: &[&'c str]) -> &'c str {
    let name = folded(buyer);
    let is_staff = STAFF.contains(&&*name);
    if !is_staff && !STAFF_BESIDE_NUMBERS.contains(&&*name) {
        return buyer;
    }
    let of_customers: Vec<&str> =
        columns.iter().filter(|column| **column != buyer && is_of_customer(column)).copied().collect();
    let numbers: Vec<&str> = of_customers.iter().copied().filter(|column| !is_of_mail(column)).collect();
    let number = order_column(OrderPart::Buyer, &numbers).filter(|column| is_staff || folded(column) != "clientid");
    let mail = || of_customers.iter().copied().find(|column| is_of_mail(column));
    let named = || numbers.iter().copied().find(|column| names_person(column) || may_name_person(column));
    match is_staff {
        true => number.or_else(mail).or_else(named).unwrap_or(buyer),
        false => number.unwrap_or(buyer),
    }
}

/// Whether a column is of customers.
fn is_of_customer(column: &str) -> bool {
    let name = folded(column);
    CUSTOMERS.iter().any(|part| name.contains(part)) && !SELLERS.iter().any(|part| name.contains(part))
}

/// Whether a column that was taken in place of the staff has names of persons.
fn is_name_of_customer(column: &str) -> bool {
    is_of_customer(column) && names_person(column) && !is_of_mail(column)
}

fn is_of_mail(column: &str) -> bool {
    let column = column.to_lowercase();
    ["mail", "邮箱", "郵件", "メール", "메일", "почта", "posta"].iter().any(|part| column.contains(part))
}

/// Whether a column has the e-mail addresses of those who buy, and not of the shop or of a seller.
fn is_mail_of_buyer(column: &str) -> bool {
    let is_of_billing = || ["billingemail", "billingemailaddress", "orderemail"].contains(&&*folded(column));
    is_of_mail(column) && (order_column(OrderPart::Buyer, &[column]).is_some() || is_of_billing())
}

/// Whether several addresses stand in the rows without a customer. One alone may be that of the shop.
fn has_guests(sample: &Sample, buyer: &str, mail: &str) -> bool {
    let rows = sample.pairs(buyer, mail);
    let of_guests = rows.filter(|(buyer, mail)| matches!(buyer.trim(), "" | "0") && !mail.trim().is_empty());
    let mut addresses = of_guests.map(|(_, mail)| mail.trim().to_lowercase());
    addresses.next().is_some_and(|first| addresses.any(|other| other != first))
}

/// Whether most texts of a column are names as persons and companies have them: of several words, without digits.
fn has_names(sample: &Sample, column: &str) -> bool {
    let texts: Vec<&str> = sample.texts(column).map(str::trim).filter(|text| !text.is_empty()).collect();
    let is_name =
        |text: &&&str| text.contains(char::is_whitespace) && !text.contains(|c: char| c.is_numeric() || c == '@');
    2 * texts.iter().filter(is_name).count() > texts.len()
}

/// Whether the texts of a column are e-mail addresses.
fn has_addresses(sample: &Sample, column: &str) -> bool {
    let mut texts = sample.texts(column).filter(|text| !text.trim().is_empty()).peekable();
    texts.peek().is_some() && texts.all(|text| text.contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cashier_is_no_shopper_where_a_column_is_of_customers() {
        let of = |columns: &[&'static str]| in_place_of_staff(columns[0], columns);
        assert_eq!(of(&["User", "Customer Code", "Customer Email", "Customer Name"]), "Customer Code");
        assert_eq!(of(&["user", "customer_email"]), "customer_email");
        assert_eq!(of(&["User", "Customer Name"]), "Customer Name");
        assert_eq!(of(&["user_id", "customer_id"]), "customer_id");
        assert_eq!(of(&["User Email", "Customer"]), "Customer");
        assert_eq!(of(&["Benutzer", "Verkäufer", "Kundennummer"]), "Kundennummer");
        for columns in [
            &["user_id", "customer_email"][..],
            &["user_id", "client_id"],
            &["user", "customer_group"],
            &["user", "Verkäufer"],
            &["user"],
        ] {
            assert_eq!(of(columns), columns[0], "{columns:?}");
        }
    }
}
