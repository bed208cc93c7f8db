//! What a column of an order's state says by its name: that of a flag or a time (`Storniert`, `is_cancelled`, `cancelled_at`,
//! `is_test`) says what its cells mean where they are `J`, `1` or a time; that of a number of pieces (`returned_qty`) counts
//! them; that of a refund or a return (`refund_status`) says what became of it, and not of the order; all others are read by
//! their words.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use super::super::words::{plain, words};
use super::order_state::OrderState;
use super::state_words::is_bought;
use super::states::order_state;
use crate::Timestamp;
use crate::check::{FALSE, TRUE};

/// How the cells of a column of states are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateColumn {
    /// By the words that they have.
    Words,
    /// A cell that says yes, or has a time, means this.
    Flag(OrderState),
    /// A number of pieces: all of the line have become this if there are as many.
    Pieces(OrderState),
    /// What became of a refund or a return. One that failed, was closed or was cancelled leaves the purchase.
    Refund,
}

/// What a cell of a column of states says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StateCell {
    /// Nothing that undoes a purchase.
    Purchase,
    /// The whole line became this.
    Undone(OrderState),
    /// So many pieces became this.
    Pieces(f64, OrderState),
    /// It is not known what the text means, so the line counts as a purchase.
    Unknown,
}

impl StateColumn {
    /// How the cells of a column of this name are read.
    pub fn named(column: &str) -> Self {
        Self::marked(column).unwrap_or(Self::Words)
    }

    /// As [`StateColumn::named`], for columns whose names alone say what their cells mean.
    ///
    /// ```
    /// use accrue_event::{OrderState, StateColumn};
    ///
    /// assert_eq!(StateColumn::marked("cancelled_at"), Some(StateColumn::Flag(OrderState::NeverBought)));
    /// assert_eq!(StateColumn::marked("Order Status"), None);
    /// ```
    pub fn marked(column: &str) -> Option<Self> {
        let (path, last) = match column.rsplit_once(['/', '.']).filter(|(_, last)| last.len() > 3) {
            Some((path, last)) => (plain(path), last),
            None => (String::new(), column),
        };
        // What became of a product, a customer or a coupon says nothing of the order.
        let is_of_other = OF_OTHERS.iter().any(|other| path.contains(other));
        KNOWN.columns.get(&plain(last)).copied().filter(|_| !is_of_other)
    }

    /// What a cell of the column says.
    pub fn read(self, text: &str) -> StateCell {
        let text = text.trim();
        let word = plain(text);
        let number = text.replace(',', ".").parse::<f64>().ok();
        let is_no = word.is_empty() || number == Some(0.0) || KNOWN.no.contains(&word) || is_no_time(text);
        let by_word = || match order_state(text) {
            Some(state) => StateCell::Undone(state),
            None if is_bought(text) => StateCell::Purchase,
            None => StateCell::Unknown,
        };
        match self {
            Self::Words | Self::Refund if word.is_empty() || KNOWN.none.contains(&word) => StateCell::Purchase,
            Self::Words => by_word(),
            Self::Refund if is_no => StateCell::Purchase,
            Self::Refund if KNOWN.refunded.contains(&word) => StateCell::Undone(OrderState::GivenBack),
            Self::Refund => match by_word() {
                // A refund that was cancelled.
                StateCell::Undone(OrderState::NeverBought) => StateCell::Purchase,
                // A word of orders, such as `delivered`, says of a return that something is under way.
                StateCell::Purchase if !is_of_no_refund(text) => StateCell::Unknown,
                cell => cell,
            },
            Self::Flag(_) | Self::Pieces(_) if is_no => StateCell::Purchase,
            // Of a line of three pieces, one came back.
            Self::Flag(OrderState::GivenBack) if number == Some(1.0) => StateCell::Pieces(1.0, OrderState::GivenBack),
            Self::Flag(state) if KNOWN.yes.contains(&word) || is_time(text) => StateCell::Undone(state),
            Self::Flag(_) => by_word(),
            Self::Pieces(state) => number.map_or(StateCell::Unknown, |n| StateCell::Pieces(n.abs(), state)),
        }
    }
}

/// The names and words in plain letters. Looked up only.
struct Known {
    columns: HashMap<String, StateColumn>,
    yes: HashSet<String>,
    no: HashSet<String>,
    none: HashSet<String>,
    refunded: HashSet<String>,
}

static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    use OrderState::{GivenBack, NeverBought};
    use StateColumn::{Flag, Pieces, Refund};
    let named = |(names, column): (&[&str], StateColumn)| -> Vec<(String, StateColumn)> {
        names.iter().map(|name| (plain(name), column)).collect()
    };
    let columns = [
        (NEVER_FLAGS, Flag(NeverBought)),
        (BACK_FLAGS, Flag(GivenBack)),
        (NEVER_PIECES, Pieces(NeverBought)),
        (BACK_PIECES, Pieces(GivenBack)),
        (REFUNDS, Refund),
    ];
    let set = |words: &[&str]| words.iter().map(|word| plain(word)).collect();
    Known {
        columns: columns.into_iter().flat_map(named).collect(),
        yes: set(&[TRUE, YES].concat()),
        no: set(&[FALSE, NO].concat()),
        none: set(NONE),
        refunded: set(REFUNDED),
    }
});

/// Whether a text about a refund says that there is none yet, or a part of one.
fn is_of_no_refund(text: &str) -> bool {
    let words = words(text);
    let says_so =
        |word: &String| ["no", "not", "non", "nicht", "kein", "keine", "pending", "open", "offen"].contains(&&**word);
    let is_of_part = |word: &String| {
        ["partial", "teil", "parcial", "parzial", "部分", "一部"].iter().any(|part| word.starts_with(part))
    };
    words.iter().any(|word| says_so(word) || is_of_part(word)) || text.contains(['没', '沒', '未', '无', '無', '部'])
}

/// Whether a text is a time, in any usual notation.
fn is_time(text: &str) -> bool {
    let n_digits = text.bytes().filter(u8::is_ascii_digit).count();
    let has_sign = text.contains(['-', '.', '/', ':', ',', '年']);
    let lower = text.to_lowercase();
    let has_month =
        || MONTHS.iter().any(|month| lower.split(|c: char| !c.is_alphabetic()).any(|it| it.starts_with(month)));
    let starts = text.starts_with(|c: char| c.is_ascii_digit()) || has_month();
    // A price has fewer digits in a row, and no second sign.
    let is_amount = text.replace(',', ".").parse::<f64>().is_ok() && n_digits < 8;
    let is_of_day = || has_hour(text) || has_month() || text.contains('年') || is_date(text);
    // Seconds, milliseconds, microseconds or nanoseconds since 1970.
    let is_count = matches!(n_digits, 10 | 13 | 16 | 19) && n_digits == text.len();
    is_count
        || Timestamp::parse(text).is_some_and(|_| !is_amount)
        || (starts && n_digits >= 5 && has_sign && !is_amount && is_of_day())
}

/// Whether a text has an hour, such as `10:22`.
fn has_hour(text: &str) -> bool {
    text.as_bytes().windows(3).any(|three| three[0].is_ascii_digit() && three[1] == b':' && three[2].is_ascii_digit())
}

/// Whether a text begins with a date in digits: `02.11.2026`, `2026/11/2`. An amount (`1.000,00 €`) has other groups.
fn is_date(text: &str) -> bool {
    let date = text.split_whitespace().next().unwrap_or_default();
    ['.', '/', '-'].into_iter().any(|sign| {
        let groups: Vec<usize> = date.split(sign).map(str::len).collect();
        let is_number = date.split(sign).all(|group| group.bytes().all(|byte| byte.is_ascii_digit()));
        is_number && matches!(groups[..], [1 | 2, 1 | 2, 2 | 4] | [4, 1 | 2, 1 | 2])
    })
}

/// Whether a text is what databases write in place of a time that is not there.
fn is_no_time(text: &str) -> bool {
    let starts = [
        "0000-00-00",
        "0001-01-01",
        "1900-01-01",
        "1970-01-01",
        "01.01.0001",
        "00.00.0000",
        "01.01.1900",
        "1/1/1900",
        "1/1/0001",
    ];
    starts.iter().any(|start| text.starts_with(start))
}

const MONTHS: &[&str] =
    &["jan", "feb", "mar", "mär", "apr", "may", "mai", "jun", "jul", "aug", "sep", "oct", "okt", "nov", "dec", "dez"];

/// What flags say for yes and for no, beside the truth values of all languages.
const YES: &[&str] = &["1", "x", "o", "s", "有", "有り", "あり", "test", "checked"];
const NO: &[&str] = &["none", "null", "nil", "nan", "nat", "无", "無", "なし", "없음", "unchecked", "live"];
/// Words of no state.
const NONE: &[&str] = &["none", "null", "nan", "n/a", "keine", "keiner", "无", "無", "なし", "없음"];

/// Parts of the paths of columns that are of something else than an order or its lines.
const OF_OTHERS: &[&str] =
    &["product", "variant", "customer", "user", "address", "coupon", "shop", "store", "produkt", "kunde", "artikel"];

#[rustfmt::skip]
const NEVER_FLAGS: &[&str] = &[
    "cancelled", "canceled", "is cancelled", "is canceled", "cancelled at", "canceled at", "cancelled on", "canceled on", "cancelled date",
    "canceled date", "cancelled time", "canceled time", "date cancelled", "date canceled", "cancellation date", "cancel time",
    "cancel flag", "cancelled flag", "order cancelled", "order canceled", "voided", "is voided", "voided at", "is void", "deleted",
    "is deleted", "deleted at", "test", "is test", "test order", "is test order", "test mode",
    "storniert", "ist storniert", "storniert am", "storniert um", "storno", "ist storno", "Stornodatum", "Storno am", "Stornokennzeichen",
    "Storno-Kz", "Testbestellung", "gelöscht", "gelöscht am",
    "annulé", "annulée", "est annulée", "annulé le", "annulée le", "date d'annulation", "date annulation", "commande test",
    "cancelado", "cancelada", "anulado", "anulada", "fecha de cancelación", "fecha cancelación", "fecha de anulación", "cancelado em",
    "data de cancelamento", "annullato", "annullata", "data annullamento", "geannuleerd", "geannuleerd op", "annuleringsdatum",
    "anulowane", "anulowano", "data anulowania", "zrušeno", "stornováno", "datum storna", "отменен", "отменён", "отменено", "дата отмены",
    "已取消", "是否取消", "取消时间", "取消時間", "取消日期", "测试订单", "測試訂單", "キャンセルフラグ", "キャンセル日", "キャンセル日時", "キャンセル区分", "取消フラグ", "取消日", "取消日時",
    "テスト注文", "취소여부", "취소일", "취소일시", "iptal", "iptal edildi", "iptal tarihi",
];
#[rustfmt::skip]
const BACK_FLAGS: &[&str] = &[
    "refunded", "is refunded", "fully refunded", "refunded at", "refunded on", "refund date", "date refunded", "returned", "is returned",
    "returned at", "returned on", "date returned", "chargeback", "erstattet", "erstattet am", "Erstattungsdatum", "zurückgegeben",
    "retourniert", "retourniert am", "remboursé", "remboursé le", "date de remboursement", "reembolsado", "devuelto", "fecha de devolución",
    "rimborsato", "data rimborso", "terugbetaald", "zwrócono", "data zwrotu", "возвращено", "дата возврата", "退款时间", "退款時間", "是否退款", "是否退货",
    "返金日", "返金フラグ", "返品日", "返品フラグ", "환불여부", "환불일", "반품여부", "iade edildi", "iade tarihi",
];
/// Columns of the state of a refund or a return.
#[rustfmt::skip]
const REFUNDS: &[&str] = &[
    "refund status", "refund state", "return status", "return state", "return refund status", "refund return status", "Erstattungsstatus",
    "Rückerstattungsstatus", "Retourenstatus", "Rückgabestatus", "statut du remboursement", "statut remboursement", "statut du retour",
    "estado del reembolso", "estado reembolso", "estado de la devolución", "estado devolución", "stato rimborso", "stato del rimborso", "stato reso",
    "retourstatus", "status zwrotu", "stav vrácení", "status do reembolso", "status da devolução", "статус возврата", "退款状态", "商品退款状态",
    "售后状态", "退款狀態", "退貨狀態", "返金ステータス", "返品ステータス", "返金状況", "返品状況", "환불상태", "반품상태", "iade durumu",
];
/// What is said there of a refund that was made, beside the words of giving back.
#[rustfmt::skip]
const REFUNDED: &[&str] = &[
    "yes", "true", "1", "x", "full", "fully", "complete", "completed", "success", "succeeded", "successful", "done", "paid", "processed",
    "ja", "j", "abgeschlossen", "erfolgreich", "vollständig", "oui", "terminé", "effectué", "sí", "completado", "hecho", "completato", "voltooid",
    "received", "eingegangen", "erhalten", "reçu", "recibido", "ricevuto", "ontvangen", "zakończony", "dokončeno", "concluído", "да", "завершён", "завершен", "是", "成功", "完成", "已完成", "はい", "完了", "완료", "evet", "tamamlandı",
];
#[rustfmt::skip]
const BACK_PIECES: &[&str] = &[
    "returned qty", "returned quantity", "qty returned", "quantity returned", "return quantity", "return qty", "refunded qty",
    "refunded quantity", "qty refunded", "quantity refunded", "quantity of return", "sku quantity of return", "retournierte Menge", "Retourenmenge", "Rückgabemenge", "erstattete Menge",
    "quantité retournée", "quantité remboursée", "cantidad devuelta", "quantità resa", "aantal geretourneerd", "退货数量", "退貨數量", "返品数", "返品数量",
    "반품수량", "iade adedi",
];
#[rustfmt::skip]
const NEVER_PIECES: &[&str] = &[
    "cancelled qty", "canceled qty", "cancelled quantity", "canceled quantity", "qty cancelled", "qty canceled", "quantity cancelled",
    "quantity canceled", "stornierte Menge", "Stornomenge", "quantité annulée", "取消数量", "キャンセル数", "취소수량",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_times_of_cancelled_and_test_orders_are_read_by_the_names_of_their_columns() {
        for (column, yes, no) in [
            ("Storniert", "J", "N"),
            ("Storno", "ja", "nein"),
            ("Cancelled", "Yes", "No"),
            ("is_cancelled", "1", "0"),
            ("cancelled_at", "2026-11-02 10:00:00", "0000-00-00 00:00:00"),
            ("canceled_at", "Nov 2, 2026", ""),
            ("Storniert am", "02.11.2026 10:00", ""),
            ("is_test", "true", "false"),
            ("Order/Cancelled", "x", "NULL"),
            ("キャンセル日", "2026年11月2日", ""),
        ] {
            let read = |text| StateColumn::named(column).read(text);
            assert_eq!(read(yes), StateCell::Undone(OrderState::NeverBought), "{column} {yes}");
            assert_eq!(read(no), StateCell::Purchase, "{column} {no}");
        }
        let back = StateColumn::named("refunded");
        assert_eq!(back.read("true"), StateCell::Undone(OrderState::GivenBack));
        assert_eq!(back.read("0.00"), StateCell::Purchase);
        assert_eq!(back.read("9.90"), StateCell::Unknown, "an amount may be a part");
        for amount in ["1009,90", "150,00 €", "1,000.00", "1.000,00 EUR", "EUR 1.250,00", "$12,500.00"] {
            assert_eq!(back.read(amount), StateCell::Unknown, "an amount may be a part: {amount}");
        }
        assert_eq!(StateColumn::marked("product.deleted_at"), None);
        assert_eq!(StateColumn::marked("order.cancelled_at"), Some(StateColumn::Flag(OrderState::NeverBought)));
        assert_eq!(StateColumn::marked("Cancel Date"), None, "until when a buyer takes the goods");
        assert_eq!(StateColumn::named("returned_qty").read("2"), StateCell::Pieces(2.0, OrderState::GivenBack));
        assert_eq!(StateColumn::named("Cancelled").read("B-7"), StateCell::Unknown);
        for (column, yes, no) in [
            ("Cancelled", "kyllä", "ei"),
            ("Storno", "igen", "nem"),
            ("Storno", "jo", "nej"),
            ("취소여부", "네", "아니요"),
            ("iptal", "DOGRU", "YANLIS"),
            ("Cancelado", "SIM", "NAO"),
            ("Cancelled", "ＹＥＳ", "ＮＯ"),
        ] {
            let read = |text| StateColumn::named(column).read(text);
            assert_eq!(read(yes), StateCell::Undone(OrderState::NeverBought), "{yes}");
            assert_eq!(read(no), StateCell::Purchase, "{no}");
        }
        for words in ["Order Status", "Test group", "Returns", "Refund"] {
            assert_eq!(StateColumn::marked(words), None, "{words}");
        }
        for epoch in ["1772355600", "1772355600000"] {
            let read = StateColumn::named("cancelled_at").read(epoch);
            assert_eq!(read, StateCell::Undone(OrderState::NeverBought), "{epoch}");
        }
        assert_eq!(StateColumn::named("cancelled_at").read("1009,90"), StateCell::Unknown);
    }

    #[test]
    fn the_state_of_a_refund_is_none_of_the_order() {
        let read = |text| StateColumn::named("refund_status").read(text);
        for back in ["refunded", "Completed", "退款成功", "yes", "Fully refunded"] {
            assert_eq!(read(back), StateCell::Undone(OrderState::GivenBack), "{back}");
        }
        for bought in
            ["", "none", "no", "0", "Failed", "Cancelled", "Rejected", "pending", "没有申请退款", "Partially refunded"]
        {
            assert_eq!(read(bought), StateCell::Purchase, "{bought}");
        }
        for unknown in ["Return requested", "Delivered", "In transit"] {
            assert_eq!(read(unknown), StateCell::Unknown, "{unknown}");
        }
        assert_eq!(read("received"), StateCell::Undone(OrderState::GivenBack));
    }
}
