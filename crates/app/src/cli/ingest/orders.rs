//! Whether a table holds orders, in any usual language, and the columns that say so.
//!
//! An export of orders has numbers and titles of products too. Taken for a catalogue it would fill the shop with old prices and
//! teach nothing, so a table that has a buyer or the number of an order, and a time, is never a catalogue without being told.

use std::collections::{HashMap, HashSet};

use accrue_event::{
    OrderPart, RecordKind, StateCell, StateColumn, folded, is_time_of_order, is_total_of_order, is_unclear_number,
    listed, may_name_person, names_person, number_beside_name, order_column, usual_column,
};
use accrue_ingest::Sample;

use super::shopper::Shopper;
use super::{item_columns, order_times, shopper};

/// Tables with more columns than that are no exports of orders.
pub(super) const MAX_COLUMNS: usize = 300;

/// The columns of an order export or of the lines of documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OrderColumns<'c> {
    pub buyer: Option<&'c str>,
    /// The column of a buyer that has names of persons, which do not tell one shopper from another and are not kept.
    pub named_buyer: Option<&'c str>,
    /// The e-mail address of a buyer who may have no number: a guest.
    pub mail: Option<&'c str>,
    pub number: Option<&'c str>,
    pub time: &'c str,
    /// The time of day, where the time has only the day.
    pub clock: Option<&'c str>,
    pub item: Option<&'c str>,
    pub quantity: Option<&'c str>,
    pub price: Option<&'c str>,
    /// The amount of the line, where no column has the price of one piece.
    pub line_total: Option<&'c str>,
    /// The states of the order, of its payment and the like, and flags, times and numbers of pieces that say what became of it.
    pub states: [Option<&'c str>; MAX_STATES],
}

/// Columns of states that an order has at most.
const MAX_STATES: usize = 8;

impl<'c> OrderColumns<'c> {
    /// `None` if the columns name no buyer and no order, or no time.
    pub fn of(sample: &'c Sample) -> Option<Self> {
        let columns: Vec<&str> = sample.columns.iter().map(String::as_str).filter(|it| !it.is_empty()).collect();
        if columns.len() > MAX_COLUMNS {
            return None;
        }
        let mut free = columns.clone();
        let mut take = |part: OrderPart| {
            let found = order_column(part, &free)?;
            free.retain(|column| *column != found);
            Some(found)
        };
        let number = take(OrderPart::Number);
        let (buyer, is_of_staff) = shopper::usual(sample, &columns);
        let unusual = || take(OrderPart::Buyer).map(|buyer| shopper::beside_staff(sample, buyer, &columns));
        let buyer = buyer.filter(|buyer| Some(*buyer) != number).or_else(unusual);
        let mut take = |part: OrderPart| {
            let mut left: Vec<&str> = free.iter().copied().filter(|column| Some(*column) != buyer).collect();
            // Beside the column of the day, one of times of day says nothing.
            left.retain(|column| part != OrderPart::Time || !order_times::is_time_of_day(sample, column));
            let found = order_column(part, &left)?;
            free.retain(|column| *column != found);
            Some(found)
        };
        let time = take(OrderPart::Time)?;
        // The place of a product in a catalogue is called `order` too, and stands beside `created_at`.
        let is_place = |number: &str| folded(number) == "order" && !is_clear_number(number, buyer, time, &columns);
        let number = number.filter(|number| !is_place(number));
        if number.is_none() && buyer.is_none() {
            return None;
        }
        let item = take(OrderPart::Item).map(|item| number_of(sample, item, &columns));
        let quantity = take(OrderPart::Quantity);
        let mut price = take(OrderPart::Price);
        // Amazon's reports have the price of all pieces of a line under the name of that of one.
        let is_of_line =
            |column: &&str| number.is_some_and(|it| folded(it) == "amazonorderid") && folded(column) == "itemprice";
        let of_line = price.take_if(|column| is_of_line(&&**column));
        let line_total =
            of_line.or_else(|| take(OrderPart::LineTotal)).filter(|total| !is_of_order(sample, number, total));
        let line_total = line_total.filter(|_| price.is_none());
        let words: Vec<&str> = std::iter::from_fn(|| take(OrderPart::State)).take(MAX_STATES / 2).collect();
        let states = with_marks(&words, sample, &columns);
        let others: Vec<&str> = columns.iter().copied().filter(|column| *column != time).collect();
        let (time, clock) = with_hour(sample, time, &others, number.is_some());
        let Shopper { buyer, named: named_buyer, mail } = Shopper::of(sample, &columns, buyer, is_of_staff);
        Some(Self { buyer, named_buyer, mail, number, time, clock, item, quantity, price, line_total, states })
    }

    /// What is to be said of a table of orders whose rows do not name their products.
    pub fn without_lines(&self, sample: &Sample) -> Option<String> {
        let columns: Vec<&str> = sample.columns.iter().map(String::as_str).collect();
        let has = |kind, field| usual_column(kind, field, &columns).is_some();
        let names_products = self.item.is_some() || has(RecordKind::Items, "title");
        let is_other = names_products || has(RecordKind::Events, "type") || has(RecordKind::Events, "query");
        let (Some(number), Some(_), false) = (self.number, self.buyer, is_other) else { return None };
        let mut orders = HashSet::new();
        let is_repeated = sample.texts(number).any(|text| !text.trim().is_empty() && !orders.insert(text.trim()));
        // Lines have a quantity, and several of them one number.
        Some(match self.quantity.filter(|_| is_repeated) {
            Some(quantity) => format!(
                "no column that is known to have the number of a product, though the rows look like lines of orders (`{quantity}`); name it \
                 as `item` in the mapping"
            ),
            None => "no column of a product, so that each row is a whole order; export its lines".to_owned(),
        })
    }

    /// Whether every row is a line of an order or of a document.
    pub(super) fn are_lines(&self, sample: &Sample) -> bool {
        let columns: Vec<&str> = sample.columns.iter().map(String::as_str).collect();
        let has = |kind, field| usual_column(kind, field, &columns);
        let has_stock = has(RecordKind::Items, "stock").is_some_and(|stock| Some(stock) != self.quantity);
        let buyer = self.buyer.or(self.named_buyer);
        let is_clear = |number| is_clear_number(number, buyer, self.time, &columns);
        let has_number = self.number.is_some_and(is_clear) && self.quantity.is_some() && !has_stock;
        let has_buyer = buyer.is_some();
        let is_line = has_buyer && (self.number.is_some() || self.quantity.is_some() || self.line_total.is_some());
        let is_flat = !columns.iter().any(|column| column.contains("[]"));
        self.item.is_some() && (has_number || is_line) && has(RecordKind::Events, "type").is_none() && is_flat
    }

    /// The fields of an event that the columns have.
    pub fn fields(&self) -> Vec<(&'static str, &'c str)> {
        let fields = [
            ("user", self.buyer),
            ("session", self.number),
            ("item", self.item),
            ("at", Some(self.time)),
            ("quantity", self.quantity),
            ("price", self.price),
        ];
        fields.into_iter().filter_map(|(field, column)| Some((field, column?))).collect()
    }

    /// Whether a column says something of an order that is no field of an event.
    pub fn is_taken(&self, column: &str) -> bool {
        [self.line_total, self.clock].contains(&Some(column)) || self.states.contains(&Some(column))
    }

    /// What the columns say, for messages: "`Kunde` as user, …".
    pub fn told(&self) -> String {
        let total = self.line_total.map(|column| format!("`{column}` as the amount of a line"));
        let states = self.states.iter().flatten().map(|column| format!("`{column}` as the state of an order"));
        let names = self.named_buyer.map(|column| format!("`{column}` as names, which are not kept"));
        let fields = self.fields().into_iter().map(|(field, column)| format!("`{column}` as {field}"));
        let mail =
            self.mail.zip(self.buyer).map(|(mail, buyer)| format!("`{mail}` as user where `{buyer}` is 0 or empty"));
        let clock = self.clock.map(|clock| format!("`{clock}` as the time of day"));
        let order = self.without_number().map(|(buyer, time)| {
            format!("no number of an order, so what one `{buyer}` bought at one `{time}` is an order")
        });
        let fields = fields.chain(clock).chain(mail).chain(order);
        fields.chain(total).chain(states).chain(names).collect::<Vec<_>>().join(", ")
    }

    /// What speaks for orders, for a message that refuses to take them for products.
    pub fn evidence(&self) -> String {
        let columns: Vec<String> = [self.buyer, self.named_buyer, self.number, Some(self.time)]
            .into_iter()
            .flatten()
            .map(Into::into)
            .collect();
        listed(&columns)
    }

    /// The columns of a buyer and a time that stand for an order, where no column has its number and the time may be that of
    /// anything.
    fn without_number(&self) -> Option<(&'c str, &'c str)> {
        let buyer = self.buyer.filter(|_| self.number.is_none() && !is_time_of_order(self.time))?;
        Some((buyer, self.time))
    }

    /// The rest of a mapping for these columns: which lines are no products, what becomes of the state and the amount.
    pub fn rules(&self, title: Option<&str>) -> String {
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let named: Vec<String> = self.item.into_iter().chain(title).map(quoted).collect();
        let mut text =
            format!("\n[orders]\ncharges = [{}]    # postage, discounts and the like are skipped\n", named.join(", "));
        let states: Vec<String> = self.states.into_iter().flatten().map(quoted).collect();
        if !states.is_empty() {
            let states = states.join(", ");
            text.push_str(&format!("state = [{states}]    # what was cancelled or given back is taken back\n"));
        }
        if let Some(total) = self.line_total {
            text.push_str(&format!("line_total = {}    # of the line, not of a piece\n", quoted(total)));
        }
        if let Some((buyer, time)) = self.without_number() {
            text.push_str(&format!(
                "\n[[rule]]    # no column has the number of an order: it is what a customer bought at one time\ncopy = {{ session = {} }}\n",
                quoted(&format!("{{{buyer}}} {{{time}}}"))
            ));
        }
        // Behind the rule of the session, so that guests do not share one.
        if let Some(buyer) = self.buyer {
            let session = self.without_number().map(|(_, time)| time);
            let change = match (self.mail, session) {
                (Some(mail), Some(time)) => {
                    let session = quoted(&format!("{{{mail}}} {{{time}}}"));
                    format!("copy = {{ user = {}, session = {session} }}", quoted(mail))
                }
                (Some(mail), None) => format!("copy = {{ user = {} }}", quoted(mail)),
                (None, Some(_)) => "clear = [\"user\", \"session\"]".to_owned(),
                (None, None) => "clear = [\"user\"]".to_owned(),
            };
            let buyer = quoted(buyer);
            text.push_str(&format!(
                "\n[[rule]]    # guests\nwhen = {{ column = {buyer}, matches = \"^0?$\" }}\n{change}\n"
            ));
        }
        if let Some(quantity) = self.quantity {
            text.push_str(&format!(
                "\n[[rule]]    # what comes back\nwhen = {{ column = {}, below = 0 }}\nset = {{ type = \"return\" }}\nabsolute = [\"quantity\"]\n",
                quoted(quantity)
            ));
        }
        text
    }
}

/// The columns of what became of an order: those of its states, then flags, times and numbers of pieces that say that it was
/// cancelled or given back. A flag that has numbers counts something of which it is not known what.
fn with_marks<'c>(words: &[&'c str], sample: &Sample, columns: &[&'c str]) -> [Option<&'c str>; MAX_STATES] {
    let counts = |column: &str| {
        let mut numbers = sample.texts(column).filter_map(|text| text.trim().replace(',', ".").parse::<f64>().ok());
        numbers.any(|number| number != 0.0 && number != 1.0 && number < FIRST_EPOCH)
    };
    // What undoes most lines says something else: until when a buyer takes the goods, when a rental comes back, an arm of a test.
    let undoes_most = |column: &str, marked: StateColumn| {
        let cells: Vec<StateCell> = sample.pairs(column, column).map(|(text, _)| marked.read(text)).collect();
        let n_undone = cells.iter().filter(|cell| matches!(cell, StateCell::Undone(_) | StateCell::Pieces(..))).count();
        cells.len() >= ENOUGH_LINES && 2 * n_undone > cells.len()
    };
    let is_bare_test =
        |column: &str| folded(column) == "test" && sample.texts(column).any(|text| matches!(text.trim(), "0" | "1"));
    let is_mark = |column: &&&str| match StateColumn::marked(column) {
        Some(marked @ (StateColumn::Flag(_) | StateColumn::Refund)) => {
            !counts(column) && !is_bare_test(column) && !undoes_most(column, marked)
        }
        Some(marked) => !undoes_most(column, marked),
        None => false,
    };
    let marks = columns.iter().filter(|column| !words.contains(*column)).filter(is_mark);
    let mut found = words.iter().chain(marks).copied();
    std::array::from_fn(|_| found.next())
}

/// Lines from which on it is told from them what a column is.
const ENOUGH_LINES: usize = 4;
/// Numbers from here on are times in seconds since 1970.
const FIRST_EPOCH: f64 = 1e8;

/// The time of orders with its hour: the column that has the day and the hour in place of that of the day, or the column of the
/// time of day beside it. Where no column has the number of an order, the time has to be that of one.
fn with_hour<'c>(sample: &Sample, time: &'c str, others: &[&'c str], has_number: bool) -> (&'c str, Option<&'c str>) {
    let is_time = |column: &&str| match has_number {
        true => order_column(OrderPart::Time, &[*column]).is_some(),
        false => is_time_of_order(column),
    };
    let time = order_times::finer(sample, time, others).filter(is_time).unwrap_or(time);
    (time, order_times::clock(sample, time, others))
}

/// Whether a number is that of an order: no catalogue has one of its name, or a buyer or the time of an order stands beside it.
pub(super) fn is_clear_number(number: &str, buyer: Option<&str>, time: &str, columns: &[&str]) -> bool {
    !is_unclear_number(number) || buyer.is_some() || (is_time_of_order(time) && !says_more_of_products(columns))
}

/// Whether columns say more of products than lines of orders do.
pub(super) fn says_more_of_products(columns: &[&str]) -> bool {
    let says = |field: &&str| usual_column(RecordKind::Items, field, columns).is_some();
    ["description", "image", "brand", "categories"].iter().any(says)
}

/// The column of the numbers of products in place of one that is called `Item` and has their names.
fn number_of<'c>(sample: &Sample, item: &'c str, columns: &[&'c str]) -> &'c str {
    let number = number_beside_name(columns).filter(|_| folded(item) == "item");
    let n_filled = |column: &str| sample.texts(column).filter(|text| !text.trim().is_empty()).count();
    number.filter(|number| has_titles(sample, item) && 2 * n_filled(number) > sample.rows.len()).unwrap_or(item)
}

/// Whether most texts of a column are names of products: of several words, or one word that begins with a capital letter.
fn has_titles(sample: &Sample, column: &str) -> bool {
    let texts: Vec<&str> = sample.texts(column).map(str::trim).filter(|text| !text.is_empty()).collect();
    let is_word = |text: &str| {
        let mut letters = text.chars();
        letters.next().is_some_and(char::is_uppercase) && text.chars().count() > 2 && letters.all(char::is_lowercase)
    };
    let is_name = |text: &&&str| text.contains(char::is_whitespace) || is_word(text);
    2 * texts.iter().filter(is_name).count() > texts.len()
}

/// The columns that name or describe the customer beside the one that identifies them.
pub(super) fn of_customers<'c>(unused: &[&'c str]) -> Vec<&'c str> {
    let mut left = unused.to_vec();
    let mut found = item_columns::personal(unused);
    found.extend(unused.iter().filter(|column| names_person(column) || may_name_person(column)));
    while let Some(buyer) = order_column(OrderPart::Buyer, &left) {
        left.retain(|column| *column != buyer);
        found.push(buyer);
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Whether an amount is that of the order, and not of each line: all lines of an order repeat it, or only the first has it.
/// Where no order of the first rows has several lines, the name of the column decides.
fn is_of_order(sample: &Sample, number: Option<&str>, total: &str) -> bool {
    let Some(number) = number else { return false };
    // The amounts of the lines of each order. Looked up only.
    let mut amounts: HashMap<&str, Vec<&str>> = HashMap::new();
    for (order, amount) in sample.texts(number).zip(sample.texts(total)) {
        amounts.entry(order.trim()).or_default().push(amount.trim());
    }
    let mut several = amounts.values().filter(|lines| lines.len() > 1).peekable();
    if several.peek().is_none() {
        return !sample.rows.is_empty() && is_total_of_order(total);
    }
    let is_in_first_line_alone =
        |lines: &&Vec<&str>| !lines[0].is_empty() && lines[1..].iter().all(|amount| amount.is_empty());
    let mut is_repeated = true;
    for lines in several {
        if is_in_first_line_alone(&lines) {
            return true;
        }
        let mut given = lines.iter().filter(|amount| !amount.is_empty());
        let first = given.next();
        is_repeated &= given.all(|amount| Some(amount) == first);
    }
    is_repeated
}

#[cfg(test)]
mod tests {
    use accrue_event::Mapping;

    use super::super::order_tables::mapping_for;
    use super::*;

    fn table(columns: &str, rows: &[&str]) -> Sample {
        let cells = |row: &str| row.split(';').map(str::to_owned).collect::<Vec<_>>();
        Sample {
            columns: cells(columns),
            rows: rows.iter().map(|row| cells(row)).collect(),
            is_table: true,
            ..Sample::default()
        }
    }

    #[test]
    fn orders_are_told_from_catalogues_and_histories() {
        let are_purchases = |columns: &str| {
            let sample = table(columns, &[]);
            OrderColumns::of(&sample).map(|orders| orders.are_purchases(&sample))
        };
        for orders in [
            "订单编号;买家会员名;下单时间;商品编号;商品名称;实付金额",
            "Belegnummer;Datum;Kunde;Artikelnummer;Bezeichnung;Menge;Einzelpreis",
            "N° commande;Date;Client;Référence;Désignation;Qté;Montant",
            "주문번호;주문일시;구매자ID;상품코드;상품명;수량;결제금액",
            "order_id;created_at;sku;quantity;price",
            "Order Number;Order Status;Order Date;Email (Billing);Phone (Billing);SKU;Item Name;Quantity (- Refund);Item Cost",
            "Sale Date;Item Name;Buyer;Quantity;Price;Ship Name;SKU",
            "amazon-order-id;purchase-date;order-status;product-name;sku;asin;quantity;currency;item-price",
            "id_order;reference;date_add;id_customer;email;order_state;product_id;product_reference;product_quantity;unit_price_tax_incl",
        ] {
            assert_eq!(are_purchases(orders), Some(true), "{orders}");
        }
        for unclear in
            ["订单编号;下单时间;商品名称;商品编号", "user_id;item_id;rating;timestamp", "user;item;type;at;quantity"]
        {
            assert_eq!(are_purchases(unclear), Some(false), "{unclear}");
        }
        for other in [
            "Artikelnummer;Bezeichnung;Preis;Bestand",
            "id;sku;title;description;image;price;quantity;order;created_at",
            "id;title;price;order;created_at",
            "sku;name;price;qty;order",
            "Artikelnummer;Bestellnummer;Bezeichnung;Preis;Menge",
            "id;title;price;created_at",
            "Kundennummer;Name;Ort",
        ] {
            assert_eq!(are_purchases(other), None, "{other}");
        }
    }

    #[test]
    fn a_buyer_by_name_is_none_and_every_state_counts() {
        let columns = "Order Number;Order Date;Kunde;SKU;Quantity;Order Status;Payment Status";
        let names = table(columns, &["1;2026-01-01;Ada Lovelace;A;1;completed;refunded"]);
        let orders = OrderColumns::of(&names).unwrap();
        assert_eq!((orders.buyer, orders.named_buyer), (None, Some("Kunde")));
        assert!(orders.are_purchases(&names) && orders.told().contains("`Kunde` as names, which are not kept"));
        assert!(orders.rules(None).contains("state = [\"Order Status\", \"Payment Status\"]"));
        let numbers =
            table(columns, &["1;2026-01-01;K 10017;A;1;completed;paid", "2;2026-01-01;ada;A;1;completed;paid"]);
        assert_eq!(OrderColumns::of(&numbers).unwrap().buyer, Some("Kunde"));
    }

    #[test]
    fn guests_are_known_by_their_address_and_orders_without_a_number_by_customer_and_time() {
        let guests = table(
            "order_id;date;customer_id;billing_email;seller_email;sku;quantity",
            &["1;2026-01-01;0;ada@a.example;shop@s.example;A;1", "2;2026-01-01;;bea@b.example;shop@s.example;A;1"],
        );
        let orders = OrderColumns::of(&guests).unwrap();
        assert_eq!((orders.buyer, orders.mail), (Some("customer_id"), Some("billing_email")));
        assert!(
            orders.told().contains("`billing_email` as user where `customer_id` is 0 or empty"),
            "{}",
            orders.told()
        );
        assert!(orders.rules(None).contains("copy = { user = \"billing_email\" }"), "{}", orders.rules(None));
        let alone = table("order_id;date;email;sku;quantity", &["1;2026-01-01;ada@a.example;A;1"]);
        assert_eq!(OrderColumns::of(&alone).unwrap().mail, None);
        let unnumbered = table("customer_id;sku;quantity;date", &["7;A;1;2026-01-01"]);
        let orders = OrderColumns::of(&unnumbered).unwrap();
        assert!(orders.are_purchases(&unnumbered));
        assert!(orders.told().contains("what one `customer_id` bought at one `date` is an order"), "{}", orders.told());
        assert!(orders.rules(None).contains("copy = { session = \"{customer_id} {date}\" }"), "{}", orders.rules(None));
    }

    #[test]
    fn a_time_of_day_is_no_time_of_an_order_and_a_price_of_amazon_is_that_of_a_line() {
        let square = table("Date;Time;Item;Qty;SKU;Transaction ID", &["2026-03-01;10:11:12 AM;Beans;1;B1;T0"]);
        let orders = OrderColumns::of(&square).unwrap();
        assert_eq!((orders.time, orders.item), ("Date", Some("SKU")));
        let amazon =
            table("amazon-order-id;purchase-date;sku;quantity;item-price", &["3;2026-03-01T09:00:00Z;A;2;40.00"]);
        let orders = OrderColumns::of(&amazon).unwrap();
        assert_eq!(
            (orders.number, orders.price, orders.line_total),
            (Some("amazon-order-id"), None, Some("item-price"))
        );
    }

    #[test]
    fn a_sign_of_money_puts_no_day_before_the_month() {
        let of = |columns: &str| {
            let sample = table(columns, &["1;03/04/2026;7;A;1;9.90"]);
            mapping_for(&sample, &Mapping::default()).unwrap()
        };
        let (mapping, chosen) = of("Order Number;Order Date;Customer Number;SKU;Quantity;Price (€)");
        assert_eq!((mapping.time_format, chosen), (None, None));
        let (mapping, chosen) = of("N° commande;Date de commande;N° client;Référence;Qté;Prix unitaire TTC");
        assert_eq!((mapping.time_format.as_deref(), chosen.as_deref()), (Some("%d/%m/%Y"), Some("%d/%m/%Y")));
    }

    #[test]
    fn columns_of_customers_are_none_of_the_order() {
        let unused = [
            "Phone (Billing)",
            "ship-address-1",
            "Buyer Name",
            "Ship Name",
            "Kunde",
            "Name",
            "Item Name",
            "colour",
            "买家昵称",
        ];
        let found = of_customers(&unused);
        for column in unused {
            let is_of_order = matches!(column, "Item Name" | "colour");
            assert_eq!(found.contains(&column), !is_of_order, "{column}");
        }
    }

    #[test]
    fn the_amount_of_an_order_is_not_that_of_its_lines() {
        let columns = "订单号;会员名;下单时间;货号;金额";
        let of_order = table(columns, &["1;a;2026-01-01;A;30", "1;a;2026-01-01;B;30", "2;b;2026-01-01;A;5"]);
        assert_eq!(OrderColumns::of(&of_order).unwrap().line_total, None);
        let in_first_line = table(columns, &["1;a;2026-01-01;A;60", "1;a;2026-01-01;B;", "1;a;2026-01-01;C;"]);
        assert_eq!(OrderColumns::of(&in_first_line).unwrap().line_total, None);
        let with_gaps = table(columns, &["1;a;2026-01-01;A;30", "1;a;2026-01-01;B;30", "1;a;2026-01-01;C;"]);
        assert_eq!(OrderColumns::of(&with_gaps).unwrap().line_total, None);
        let alone = table(columns, &["1;a;2026-01-01;A;30", "2;b;2026-01-01;A;5"]);
        assert_eq!(OrderColumns::of(&alone).unwrap().line_total, Some("金额"));
        let totals =
            table("Order Number;Order Date;Customer ID;SKU;Total", &["1;2026-01-01;a;A;30", "2;2026-01-01;b;A;5"]);
        assert_eq!(OrderColumns::of(&totals).unwrap().line_total, None);
        let of_lines = table(columns, &["1;a;2026-01-01;A;20", "1;a;2026-01-01;B;10", "2;b;2026-01-01;A;5"]);
        assert_eq!(OrderColumns::of(&of_lines).unwrap().line_total, Some("金额"));
    }
}
