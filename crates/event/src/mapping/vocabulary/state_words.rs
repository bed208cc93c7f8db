//! States of orders of several words: `Shipped - Returned to Seller`, `キャンセル確定`, `Refund Completed`.
//!
//! A text that contains a word of cancelling or giving back says that, unless another word takes it back or says that it is only
//! asked for: `partially refunded`, `not cancelled`, `Return rejected`.

use std::sync::LazyLock;

use super::super::words::{plain, words};
use super::order_state::OrderState;

/// Beginnings of words of orders that were never bought.
#[rustfmt::skip]
const NEVER: &[&str] = &[
    "cancel", "storn", "annul", "anul", "geannul", "zrusen", "abandon", "fraud", "abgebrochen", "voided", "отмен", "аннулир", "iptal", "batal",
    "dibatalkan", "huy",
];
/// Beginnings of words of what was refused or failed: a payment, so that nothing was bought, or what would undo the purchase, which
/// stands then.
#[rustfmt::skip]
const REFUSED: &[&str] = &[
    "declin", "reject", "refus", "rechaz", "abgelehnt", "abgewiesen", "verweig", "fail", "fehlgeschl", "echou", "deneg", "negad", "recus",
    "rifiut", "geweig", "afgewez", "odrzuc", "odmitn", "zamitn", "отклон", "отказ", "redded", "denied", "ditolak",
];
/// Beginnings of words of what was given back.
#[rustfmt::skip]
const BACK: &[&str] = &[
    "refund", "return", "retour", "erstatt", "ruckerstatt", "zuruckerstatt", "zuruckges", "gutgeschrieben", "gutschrift", "rembours",
    "reembols", "devuel", "devol", "rimbors", "restitui", "terugbet", "geretour", "zwroc", "zwrot", "vracen", "vraten", "возвра", "iade",
    "chargeback", "ruckabgewick", "vratk", "estornad",
];
/// Words that take it back: not, in part, only asked for, refused, closed without it.
#[rustfmt::skip]
const SOFT: &[&str] = &[
    "not", "no", "non", "never", "without", "un", "nicht", "kein", "keine", "ohne", "sans", "pas", "aucun", "sin", "senza", "zonder",
    "geen", "niet", "bez", "без", "не", "nie", "ne", "nao", "sem", "edilmedi", "partial", "partially", "partly", "part", "request", "requested", "pending",
    "denied", "label", "window", "period", "policy", "eligible", "possible", "awaiting", "open", "closed", "withdrawn", "revoked",
    "beantragt", "angefragt", "angefordert", "demande", "demandee", "solicitado", "solicitada", "richiesto", "aangevraagd", "progress",
    "initiated", "authorized", "authorised", "aangemeld", "запрошен",
];
/// Beginnings of words of what is only asked for.
#[rustfmt::skip]
const ASKED: &[&str] = &[
    "request", "anfrag", "stornoanfrag", "antrag", "angemeld", "anmeld", "label", "retourlabel", "retourenlabel", "retourenschein", "talep", "talebi",
    "заявк", "запрос", "zglosz", "richiest", "solicit", "aanvra", "zadost",
];
/// Beginnings of words that say of what would undo a purchase that it is under way.
#[rustfmt::skip]
const UNDER_WAY: &[&str] = &[
    "progress", "processing", "transit", "cancelling", "canceling", "returning", "refunding", "angekund", "unterwegs", "bearbeitung", "ausstehend",
    "erwartet", "cours", "attente", "attendu", "curso", "camino", "pendient", "pendent", "espera", "tramite", "corso", "attesa",
    "lavorazione", "andamento", "aguard", "processo", "aangekond", "onderweg", "behandeling", "afwachting", "trakcie", "oczek", "drodze",
    "обработке", "процессе", "ожида", "пути", "surec", "bekle", "bekli", "yolda", "rieseni", "vyrizuje", "zpracovava", "zpracovani", "ceka",
];
/// Words that may stand between these.
#[rustfmt::skip]
const BESIDE: &[&str] = &[
    "in", "im", "en", "em", "w", "v", "в", "во", "de", "du", "di", "da", "do", "na", "is", "ist", "est", "being", "noch", "still", "wird", "on", "the", "a", "se",
];
/// Words before one of cancelling or giving back that make it one of what is under way: `In Stornierung`.
const AMID: &[&str] = &["in", "im", "en", "em", "w", "v", "во"];
/// Beginnings of those that say that it is a part.
const IN_PART: &[&str] = &[
    "partial",
    "partly",
    "teil",
    "partiel",
    "parcial",
    "parzial",
    "gedeelte",
    "deels",
    "czesc",
    "castec",
    "частич",
    "kism",
];

/// First words of what was not cancelled or not given back: `not cancelled`, `No refund`.
const NONE: &[&str] =
    &["no", "not", "non", "nicht", "kein", "keine", "sans", "sin", "senza", "geen", "niet", "bez", "без", "не", "sem"];

const WIDE_NEVER: &[&str] = &["取消", "キャンセル", "취소", "作废", "作廢"];
const WIDE_BACK: &[&str] = &["退款", "退货", "退貨", "返金", "返品", "환불", "반품"];
#[rustfmt::skip]
const WIDE_SOFT: &[&str] = &[
    "未", "没有", "沒有", "无", "無", "なし", "없음", "不", "关闭", "關閉", "拒绝", "拒絕", "申请", "申請", "依頼", "却下", "待", "中", "可", "철회", "거부", "요청",
    "신청", "불가",
];
/// Behind a word of cancelling or giving back, as the rest of its word or as the next one: taken in, under way, planned, not done.
#[rustfmt::skip]
const WIDE_SOFT_BEHIND: &[&str] = &[
    "접수", "처리중", "처리대기", "진행중", "회수중", "중", "대기", "보류", "예정", "진행", "회수", "안", "안함", "안됨", "아님", "受付", "処理前", "前", "予定",
];
/// Before such a word, at the beginning of its word or as a word: not.
const WIDE_SOFT_BEFORE: &[&str] = &["미", "안"];
const WIDE_NONE: &[&str] = &["没有", "沒有", "未", "无", "無", "なし", "없음"];
/// Those of them that stand behind what is not.
const WIDE_NONE_BEHIND: &[&str] = &["なし", "없음"];
const WIDE_ASKED: &[&str] = &["申请", "申請", "신청", "요청"];
const WIDE_IN_PART: &[&str] = &["部分", "一部", "부분", "일부"];

/// A state without what WooCommerce writes before it in its tables: `wc-completed`. Its `wc-pending` is one that was not paid.
pub(super) fn without_system(text: &str) -> &str {
    text.trim().strip_prefix("wc-").unwrap_or(text)
}

/// What a text of several words says by one of them.
pub(super) fn contained(text: &str) -> Option<OrderState> {
    let (never, back) = match is_wide(text) {
        true => {
            let known = &*WIDE;
            if known.is_not_done(&words(text)) {
                return None;
            }
            let text = plain(text);
            if has(&text, &known.soft) || has(&text, &known.in_part) {
                return None;
            }
            let place = |of: &[String]| of.iter().filter_map(|part| text.find(&**part)).min();
            (place(&known.never), place(&known.back))
        }
        false => {
            let words = words_of_what_is_done(text);
            let place = |of: &[&str]| {
                words.iter().position(|word| begins(word, of) && !word.contains("able") && !word.contains("frist"))
            };
            let is_soft = |word: &String| SOFT.contains(&&**word) || begins(word, IN_PART) || begins(word, ASKED);
            let is_request = |pair: &[String]| pair[0] == "pedido" && ["de", "do", "da"].contains(&&*pair[1]);
            if words.iter().any(is_soft) || words.windows(2).any(is_request) {
                return None;
            }
            let (never, back, refused) = (place(NEVER), place(BACK), place(REFUSED));
            match refused {
                // A refund or a cancellation that was refused leaves the purchase.
                Some(_) if never.is_some() || back.is_some() => return None,
                Some(_) => return Some(OrderState::NeverBought),
                None => (never, back),
            }
        }
    };
    match (never, back) {
        // Two states, as in `Cancelled, refunded`; a refund that was cancelled, or a cancelled return, leaves the purchase.
        (Some(never), Some(back)) => (never < back && is_list(text)).then_some(OrderState::NeverBought),
        (Some(_), None) => Some(OrderState::NeverBought),
        (None, Some(_)) => Some(OrderState::GivenBack),
        (None, None) => None,
    }
}

/// Whether a text names several things, and not one thing in several words.
fn is_list(text: &str) -> bool {
    text.contains([',', ';', '/', '-', '–', '(', '&', '+', '，', '、', '（', '・'])
        || words(text).iter().any(|word| ["and", "und", "et", "y", "e", "en", "i"].contains(&&**word))
}

/// The words of a text without the parts that say of a cancellation or a return that it is under way: `Retour en cours`, `In
/// Stornierung`. In `Annulé en cours de livraison` something else was under way, and in `Cancelado (pago pendiente)` the payment.
fn words_of_what_is_done(text: &str) -> Vec<String> {
    let parts = text.split([',', ';', '/', '(', ')', '–']).flat_map(|part| part.split(" - ")).map(words);
    parts.filter(|words| !is_under_way(words)).flatten().collect()
}

fn is_under_way(words: &[String]) -> bool {
    let undoes = |word: &String| begins(word, NEVER) || begins(word, BACK);
    let is_amid = matches!(words, [amid, what] if AMID.contains(&&**amid) && undoes(what));
    let says_so = words.iter().any(|word| begins(word, UNDER_WAY)) && words.iter().any(undoes);
    let is_all = || words.iter().all(|word| undoes(word) || begins(word, UNDER_WAY) || BESIDE.contains(&&**word));
    is_amid || (says_so && is_all())
}

/// Whether a text is of a script without blanks. Some programs write the syllables of Korean as single letters.
fn is_wide(text: &str) -> bool {
    let is_korean = |c: char| matches!(c, '\u{1100}'..='\u{11ff}' | '\u{ac00}'..='\u{d7a3}');
    text.chars().any(|c| matches!(c, '\u{3040}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}') || is_korean(c))
}

fn begins(word: &str, with: &[&str]) -> bool {
    with.iter().any(|start| word.starts_with(start))
}

fn has(text: &str, parts: &[String]) -> bool {
    parts.iter().any(|part| text.contains(&**part))
}

/// The words of scripts without blanks, in plain letters.
struct Wide {
    never: Vec<String>,
    back: Vec<String>,
    soft: Vec<String>,
    soft_behind: Vec<String>,
    soft_before: Vec<String>,
    none: Vec<String>,
    none_behind: Vec<String>,
    asked: Vec<String>,
    in_part: Vec<String>,
    bought: Vec<String>,
}

impl Wide {
    /// The words of cancelling and giving back.
    fn undoing(&self) -> impl Iterator<Item = &String> {
        self.never.iter().chain(&self.back)
    }

    /// Whether words say, right beside one of these, that it is not done: `취소접수`, `취소 안함`, `미취소`. In `취소(중복주문)` a
    /// reason stands behind it.
    fn is_not_done(&self, words: &[String]) -> bool {
        let is_soft = |(place, word): (usize, &String)| {
            let next = words.get(place + 1).map_or("", |next| next);
            let mut rests = self.undoing().filter_map(|undoing| Some(word.split_once(&**undoing)?.1));
            rests.any(|rest| {
                let beside = if rest.is_empty() { next } else { rest };
                self.soft_behind.iter().any(|soft| soft == beside)
            })
        };
        self.is_negated(words) || words.iter().enumerate().any(is_soft)
    }

    /// Whether words have a negation of one of these: `미취소`.
    fn is_negated(&self, words: &[String]) -> bool {
        words.iter().enumerate().any(|(place, word)| {
            let before = place.checked_sub(1).map_or("", |before| &words[before]);
            self.soft_before.iter().any(|not| {
                let rest = if before == not { Some(&**word) } else { word.strip_prefix(&**not) };
                rest.is_some_and(|rest| self.undoing().any(|undoing| rest.starts_with(&**undoing)))
            })
        })
    }

    /// Whether a text says of such a word that there is none: `没有退款`, `返品なし`. The negation is of the word beside it; of
    /// another one (`未发货，退款成功`) it leaves the state open.
    fn says_none(&self, text: &str) -> bool {
        let is_before = |none: &String, word: &String| {
            let is_after = |asked: &str| text.contains(&format!("{none}{asked}{word}"));
            is_after("") || self.asked.iter().any(|asked| is_after(asked))
        };
        self.undoing().any(|word| {
            let is_behind = self.none_behind.iter().any(|none| text.contains(&format!("{word}{none}")));
            is_behind || self.none.iter().any(|none| is_before(none, word))
        })
    }
}

static WIDE: LazyLock<Wide> = LazyLock::new(|| {
    let plain = |words: &[&str]| words.iter().map(|word| plain(word)).collect();
    Wide {
        never: plain(WIDE_NEVER),
        back: plain(WIDE_BACK),
        soft: plain(WIDE_SOFT),
        soft_behind: plain(WIDE_SOFT_BEHIND),
        soft_before: plain(WIDE_SOFT_BEFORE),
        none: plain(WIDE_NONE),
        none_behind: plain(WIDE_NONE_BEHIND),
        asked: plain(WIDE_ASKED),
        in_part: plain(WIDE_IN_PART),
        bought: plain(WIDE_BOUGHT),
    }
});

/// Whether a text that undoes no purchase is known to be a state of one. Others are told, because they may mean anything.
pub(super) fn is_bought(text: &str) -> bool {
    if is_wide(text) {
        let is_negated = WIDE.is_negated(&words(text));
        let (text, known) = (plain(text), &*WIDE);
        let undoes = has(&text, &known.never) || has(&text, &known.back);
        let is_none = is_negated || known.says_none(&text);
        let is_open = has(&text, &known.none) || text.contains('待');
        return is_none || (has(&text, &known.in_part) && undoes) || (!undoes && !is_open && has(&text, &known.bought));
    }
    let words = words(without_system(text));
    let undoes = |word: &String| begins(word, NEVER) || begins(word, BACK);
    let is_none = words.first().is_some_and(|first| NONE.contains(&&**first)) && words.get(1).is_some_and(undoes);
    if is_none || words.iter().any(|word| begins(word, IN_PART)) {
        return true;
    }
    !words.is_empty() && words.iter().all(|word| begins(word, BOUGHT) || BETWEEN.contains(&&**word))
}

/// Words between those that say something.
#[rustfmt::skip]
const BETWEEN: &[&str] = &[
    "in", "on", "for", "to", "the", "by", "and", "fully", "und", "wird", "im", "zur", "et", "en", "cours", "de", "a", "w", "do", "k", "v", "is", "order",
    "buyer", "customer", "store", "progress", "of", "at", "waiting",
];

/// Beginnings of words of purchases.
#[rustfmt::skip]
const BOUGHT: &[&str] = &[
    "paid", "payment", "complet", "ship", "deliver", "process", "fulfil", "unfulfil", "unshipped", "confirm", "approv", "accept", "author",
    "captur", "new", "open", "pending", "hold", "ready", "pick", "pack", "dispatch", "sent", "transit", "receiv", "invoic", "clos", "succe",
    "active", "normal", "ok", "done", "finish", "settled", "placed", "created", "await", "backorder", "sold", "sale", "prepar", "collect",
    "handed", "arriv", "out", "checked", "verified", "archived", "released", "scheduled", "printed", "allocated",
    "bezahl", "versand", "versend", "verschick", "liefer", "geliefert", "ausgelief", "abgeschl", "bearbeit", "offen", "neu", "bestatig",
    "angenommen", "vollstand", "erledigt", "fertig", "kommission", "verpackt", "abhol", "abgeholt", "faktur", "berechn", "rechnung",
    "gestellt", "zugestellt", "unterwegs", "eingegang", "erhalten", "freigegeb", "bestellt", "nein",
    "paye", "expedi", "livr", "termine", "traite", "valide", "nouvel", "nouveau", "paiement", "pagad", "enviad", "entreg", "complet",
    "proces", "aceptad", "nuev", "pagat", "spedi", "consegn", "elabora", "evas", "conferm", "nuov", "lavoraz", "betaald", "verzond",
    "geleverd", "afgerond", "behandeling", "verwerk", "bevestig", "nieuw", "voltooid", "oplacon", "zaplac", "wyslan", "dostarcz",
    "zrealiz", "realiz", "nowe", "potwierdz", "zakoncz", "przyjet", "odeslan", "doruc", "vyriz", "nova", "potvrz", "dokonc", "expedov",
    "uhrazen", "pago", "conclu", "aprovad", "confirmad", "novo", "оплач", "отправ", "достав", "выполн", "нов", "обраб", "подтверж", "заверш",
    "принят", "готов", "odendi", "kargo", "teslim", "tamamlan", "hazir", "onaylan", "yeni", "gonderil",
];
#[rustfmt::skip]
const WIDE_BOUGHT: &[&str] = &[
    "成功", "付款", "支付", "发货", "發貨", "出貨", "完成", "签收", "簽收", "收货", "收貨", "评价", "确认", "確認", "処理", "発送", "入金済", "完了", "出荷", "新規", "対応中",
    "受付", "配送", "注文", "결제완료", "완료", "확정", "준비", "발송", "접수", "확인", "배송", "신규",
];

#[cfg(test)]
mod tests {
    use super::super::states::order_state;
    use super::*;

    #[test]
    fn states_of_several_words_are_known_by_one_of_them() {
        for never in [
            "Cancelled-Seller",
            "キャンセル確定",
            "注文取消し",
            "Paiement refusé",
            "Payment declined",
            "Đã hủy",
            "Dibatalkan",
            "Fraud",
            "Cancelled, refunded",
            "Order cancelled by customer",
            "購入処理中",
            "決済処理中",
            "Quotation",
            "Abandonné",
            "Échec",
            "Error",
            "Test",
        ] {
            assert_eq!(order_state(never), Some(OrderState::NeverBought), "{never}");
        }
        for back in [
            "Shipped - Returned to Seller",
            "Refund Completed",
            "Return received",
            "Return/Refund",
            "returned to sender",
            "Gutgeschrieben",
            "返品確定",
            "退款已完成",
        ] {
            assert_eq!(order_state(back), Some(OrderState::GivenBack), "{back}");
        }
        assert!(order_state("Shipped - Rejected by Buyer").is_some());
    }

    #[test]
    fn what_is_refused_asked_for_or_of_a_part_leaves_the_purchase() {
        for bought in [
            "Partially refunded",
            "teilweise erstattet",
            "not cancelled",
            "Return rejected",
            "Refund cancelled",
            "Return requested",
            "No refund",
            "部分退款",
            "未取消",
            "退款关闭",
            "没有申请退款",
            "Non-returnable",
            "Pas de retour",
            "部分取消",
            "Cancellation rejected",
            "Stornierung abgelehnt",
            "Anulación rechazada",
            "Declined refund",
            "Cancelled return",
            "Refund failed",
            "RETURN_FAILED",
            "Rückerstattung verweigert",
            "Zwrot odrzucony",
            "Возврат отклонён",
            "İade talebi",
            "Заявка на возврат",
            "Retourenlabel erstellt",
            "Refund in progress",
            "Not shipped - refunded",
            "未发货，退款成功",
            "Retour en cours",
            "Remboursement en attente",
            "Annulation en cours",
            "Devolución en curso",
            "Devolución en camino",
            "Anulación pendiente",
            "Zwrot w trakcie",
            "Возврат в обработке",
            "İade sürecinde",
            "Retoure angekündigt",
            "Retoure unterwegs",
            "Storno in Bearbeitung",
            "In Stornierung",
            "Retour aangekondigd",
            "Cancelling",
            "Refund processing",
            "Return initiated",
            "Return in transit",
            "return_authorized",
            "Retourenfrist abgelaufen",
            "Retour aangemeld",
            "Возврат запрошен",
            "Žádost o vrácení",
            "Vratka zamítnuta",
            "취소접수",
            "취소 처리중",
            "취소 안함",
            "미취소",
            "일부취소",
            "취소 아님",
            "환불중",
            "반품접수",
            "반품대기",
            "환불보류",
            "반품회수중",
            "返品受付",
            "返金処理前",
            "キャンセル受付",
        ] {
            assert_eq!(order_state(bought), None, "{bought}");
        }
    }

    #[test]
    fn a_word_of_what_is_under_way_beside_another_thing_leaves_the_cancellation() {
        for never in [
            "発送前キャンセル",
            "배송중 취소",
            "고객 취소",
            "구매취소",
            "이미 취소됨",
            "이미 취소된 주문",
            "취소(중복주문)",
            "취소(중량초과)",
            "キャンセル（前払い期限切れ）",
            "Storniert vor Versand",
            "Storno bearbeitet",
            "Cancelled (expired)",
            "Cancelled - reservation expired",
            "Cancelled during processing",
            "Annulé en cours de livraison",
            "Cancelado por tiempo de espera",
            "Cancelado - aguardando pagamento",
            "Cancelado (pago pendiente)",
            "Annulé (en attente de paiement)",
            "Pedido cancelado",
        ] {
            assert_eq!(order_state(never), Some(OrderState::NeverBought), "{never}");
        }
        for back in [
            "이미 환불됨",
            "반품(회수완료)",
            "Retoure bearbeitet",
            "Возврат обработан",
            "Vrácení zpracováno",
            "Retourné en cours de livraison",
            "Pedido devuelto",
        ] {
            assert_eq!(order_state(back), Some(OrderState::GivenBack), "{back}");
        }
        assert_eq!(order_state("Pedido de devolución"), None);
    }

    #[test]
    fn korean_in_single_letters_is_read_like_korean_in_syllables() {
        use unicode_normalization::UnicodeNormalization as _;
        for (text, state) in [
            ("고객 취소", Some(OrderState::NeverBought)),
            ("환불 처리 완료", Some(OrderState::GivenBack)),
            ("배송완료", None),
        ] {
            let decomposed: String = text.nfd().collect();
            assert_eq!(order_state(&decomposed), state, "{text}");
            assert_eq!(is_bought(&decomposed), is_bought(text), "{text}");
        }
    }

    #[test]
    fn words_are_listed_in_plain_letters() {
        for word in [NEVER, REFUSED, BACK, SOFT, ASKED, UNDER_WAY, BESIDE, AMID, IN_PART, BOUGHT, BETWEEN].concat() {
            assert_eq!(plain(word), word);
        }
    }

    #[test]
    fn usual_states_of_purchases_are_known_and_others_are_not() {
        for bought in [
            "Shipped",
            "Shipped - Delivered to Buyer",
            "In Bearbeitung",
            "Pending",
            "on-hold",
            "Versandbereit",
            "Bezahlt",
            "Expédiée",
            "En cours de livraison",
            "交易成功",
            "発送済み",
            "배송완료",
            "partially refunded",
            "оплачен",
            "没有申请退款",
            "未取消",
            "No refund",
            "취소없음",
            "返品なし",
            "미취소",
            "결제완료(국민카드)",
            "배송완료(민원)",
            "Zrealizowane",
            "wc-on-hold",
            "wc-completed",
        ] {
            assert!(is_bought(bought), "{bought}");
        }
        for unknown in [
            "Lost",
            "3",
            "Return requested",
            "退款关闭",
            "x17",
            "Shipped - Lost in Transit",
            "Not shipped - refunded",
            "Nicht bezahlt - storniert",
            "未发货，退款成功",
            "未付款，已取消",
            "キャンセル（未入金）",
            "等待付款",
            "Cancellation rejected",
        ] {
            assert!(!is_bought(unknown), "{unknown}");
        }
    }
}
