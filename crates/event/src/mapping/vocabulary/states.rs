//! What became of an order, in the words of shop systems.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::super::words::plain;
use super::order_state::OrderState;
use super::state_words::{contained, without_system};

#[rustfmt::skip]
const NEVER: &[&str] = &[
    "cancelled", "canceled", "cancelled by customer", "void", "voided", "expired", "failed", "declined", "rejected", "abandoned",
    "deleted", "trash", "draft", "quote", "pending payment", "payment pending", "awaiting payment", "unpaid", "payment failed",
    "payment error", "closed unpaid", "checkout draft", "wc-pending",
    "storniert", "Storno", "abgebrochen", "abgelehnt", "fehlgeschlagen", "Zahlung fehlgeschlagen", "unbezahlt", "nicht bezahlt",
    "Zahlung ausstehend", "wartet auf Zahlung", "Zahlung erwartet", "Entwurf", "Angebot", "gelöscht", "Zahlungsfehler",
    "annulé", "annulée", "échoué", "échouée", "refusé", "refusée", "erreur de paiement", "en attente de paiement", "impayé", "brouillon",
    "devis", "cancelado", "cancelada", "anulado", "anulada", "fallido", "fallida", "rechazado", "pendiente de pago", "error en pago",
    "error de pago", "impagado", "borrador", "presupuesto",
    "annullato", "annullata", "fallito", "rifiutato", "in attesa di pagamento", "errore di pagamento", "non pagato", "bozza", "preventivo",
    "geannuleerd", "mislukt", "geweigerd", "wacht op betaling", "in afwachting van betaling", "betaalfout", "onbetaald", "concept",
    "anulowane", "anulowany", "anulowana", "anulowano", "odrzucone", "nieopłacone", "oczekuje na płatność", "oczekiwanie na płatność",
    "błąd płatności", "nieudane", "zrušeno", "zrušená", "zrušena", "stornováno", "storno", "nezaplaceno", "čeká na platbu",
    "neuhrazeno", "chyba platby", "zrušená objednávka", "stornovaná", "čaká na platbu",
    "falhado", "falhou", "recusado", "aguardando pagamento", "a aguardar pagamento", "pagamento pendente", "não pago", "rascunho",
    "отменен", "отменён", "отменено", "отмена", "отклонен", "отклонён", "не оплачен", "не оплачено", "ожидает оплаты", "ожидание оплаты",
    "аннулирован", "ошибка оплаты", "черновик",
    "已取消", "取消", "交易取消", "交易关闭", "已关闭", "关闭", "订单关闭", "待付款", "等待买家付款", "未付款", "未支付", "付款失败", "支付失败", "已作废", "作废",
    "交易關閉", "已關閉", "訂單取消", "付款失敗", "已作廢", "不成立", "キャンセル", "キャンセル済み", "取消済み", "未入金", "入金待ち", "支払い待ち", "決済エラー",
    "취소", "취소완료", "주문취소", "결제대기", "입금대기", "미결제", "결제실패", "취소됨", "미입금",
    "ungültig", "Testbestellung", "échec du paiement", "échec de paiement", "en erreur de paiement", "pago fallido", "error en el pago",
    "pagamento fallito", "betaling mislukt", "niet betaald", "vervallen", "platba selhala", "pagamento não aprovado", "無効",
    "購入処理中", "決済処理中", "待支付", "quotation", "abandonné", "échec", "error", "test",
    "iptal", "iptal edildi", "iptal edilen", "ödeme bekleniyor", "ödenmedi", "başarısız", "ödeme başarısız", "reddedildi", "taslak",
];

#[rustfmt::skip]
const GIVEN_BACK: &[&str] = &[
    "refunded", "returned", "fully refunded", "chargeback", "reversed", "credited", "return", "refund",
    "erstattet", "rückerstattet", "zurückerstattet", "retourniert", "zurückgesendet", "zurückgegeben", "Retoure", "Gutschrift",
    "remboursé", "remboursée", "retourné", "retournée", "retour", "reembolsado", "reembolsada", "devuelto", "devuelta", "devolución",
    "rimborsato", "rimborsata", "reso", "restituito", "terugbetaald", "geretourneerd", "retour ontvangen",
    "zwrócone", "zwrócono", "zwrot", "zwrócony", "refundacja", "vráceno", "vrácena", "refundováno", "vrátené", "refundované",
    "devolvido", "devolvida", "возврат", "возвращен", "возвращён", "возвращено", "деньги возвращены",
    "已退款", "退款成功", "退款完成", "已退货", "退货完成", "退货退款", "全额退款", "退貨完成", "已退貨", "返金済み", "返金", "返品", "返品済み", "返品完了",
    "reso completato", "estornado", "rückabgewickelt", "charged back", "拒收", "환불", "환불완료", "반품", "반품완료", "iade", "iade edildi", "iade edilen", "geri ödendi",
];

/// What the state of an order says: the whole text, or a word in it. `None` for a purchase, and for words that are not known.
///
/// ```
/// use accrue_event::{OrderState, order_state};
///
/// assert_eq!(order_state("交易关闭"), Some(OrderState::NeverBought));
/// assert_eq!(order_state("Rückerstattet"), Some(OrderState::GivenBack));
/// assert_eq!(order_state("交易成功"), None);
/// ```
pub fn order_state(text: &str) -> Option<OrderState> {
    let known = |text: &str| KNOWN.get(&plain(text)).copied();
    known(text).or_else(|| known(without_system(text))).or_else(|| contained(text))
}

/// The words in plain letters. Looked up only.
static KNOWN: LazyLock<HashMap<String, OrderState>> = LazyLock::new(|| {
    let never = NEVER.iter().map(|word| (plain(word), OrderState::NeverBought));
    never.chain(GIVEN_BACK.iter().map(|word| (plain(word), OrderState::GivenBack))).collect()
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_of_orders_are_known_in_any_usual_language() {
        for never in
            ["Cancelled", "storniert", "Annulée", "Cancelado", "Annullato", "Geannuleerd", "Anulowane", "Zrušeno"]
        {
            assert_eq!(order_state(never), Some(OrderState::NeverBought), "{never}");
        }
        for never in ["wc-cancelled", "wc-failed", "wc-pending", "wc-trash", "wc-checkout-draft"] {
            assert_eq!(order_state(never), Some(OrderState::NeverBought), "{never}");
        }
        assert_eq!(order_state("wc-refunded"), Some(OrderState::GivenBack));
        for never in
            ["Отменён", "交易关闭", "等待买家付款", "キャンセル", "주문 취소", "İptal Edildi", "ödeme bekleniyor"]
        {
            assert_eq!(order_state(never), Some(OrderState::NeverBought), "{never}");
        }
        for back in
            ["Refunded", "Erstattet", "Remboursé", "Devuelto", "Rimborsato", "Terugbetaald", "Zwrócono", "Vráceno"]
        {
            assert_eq!(order_state(back), Some(OrderState::GivenBack), "{back}");
        }
        for back in ["Возврат", "已退款", "返品済み", "환불 완료", "iade edildi"] {
            assert_eq!(order_state(back), Some(OrderState::GivenBack), "{back}");
        }
        for bought in [
            "",
            "paid",
            "versendet",
            "买家已付款，等待卖家发货",
            "交易成功",
            "partially refunded",
            "発送済み",
            "배송중",
            "new",
        ] {
            assert_eq!(order_state(bought), None, "{bought}");
        }
    }
}
