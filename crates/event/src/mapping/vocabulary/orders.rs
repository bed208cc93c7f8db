//! Usual names of the columns of order exports and document lines, in the languages of shop and office programs: English,
//! German, French, Spanish, Italian, Dutch, Polish, Czech and Slovak, Portuguese, Russian, Chinese, Japanese, Korean, Turkish.
//!
//! Many of them mean something else in other files (`date`, `client`, `Bestellnummer`), so they count only in a table
//! that has an order in it: a buyer or the number of an order, and a time.

use super::super::words::plain;
use super::{RecordKind, usual_column};

/// What a column of an order says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderPart {
    /// Who bought: a number, an e-mail address, or the name of an account.
    Buyer,
    /// The number of the order or document.
    Number,
    /// When it was ordered.
    Time,
    /// The number of the product.
    Item,
    /// How many pieces.
    Quantity,
    /// The price of one piece.
    Price,
    /// The amount of the whole line.
    LineTotal,
    /// What became of the order.
    State,
}

/// The column of an order's part among these, by its usual names: the more certain ones first.
///
/// ```
/// use accrue_event::{OrderPart, order_column};
///
/// let columns = ["订单编号", "买家会员名", "下单时间", "商品编号", "实付金额(元)"];
/// assert_eq!(order_column(OrderPart::Buyer, &columns), Some("买家会员名"));
/// assert_eq!(order_column(OrderPart::LineTotal, &columns), Some("实付金额(元)"));
/// ```
pub fn order_column<'c>(part: OrderPart, columns: &[&'c str]) -> Option<&'c str> {
    let of_events = |field: &str| usual_column(RecordKind::Events, field, columns);
    let usual = match part {
        OrderPart::Buyer => of_events("user"),
        OrderPart::Time => of_events("at"),
        OrderPart::Item => of_events("item"),
        OrderPart::Quantity => of_events("quantity"),
        OrderPart::Price => of_events("price"),
        OrderPart::Number | OrderPart::LineTotal | OrderPart::State => None,
    };
    let forms_of = |column: &&str| [plain(column), plain(without_unit(column)), plain(last_part(column))];
    let forms: Vec<[String; 3]> = columns.iter().map(forms_of).collect();
    let find = |names: &[&str]| {
        names.iter().find_map(|name| {
            let name = plain(name);
            forms.iter().position(|forms| forms.contains(&name)).map(|place| columns[place])
        })
    };
    // A name that says that it is of an order wins over a general one.
    match part {
        OrderPart::Time => find(ORDER_TIMES).or(usual).or_else(|| find(TIMES)),
        OrderPart::Number => {
            let others: Vec<&str> = columns.iter().copied().filter(|column| !is_unclear_number(column)).collect();
            let certain = if others.len() < columns.len() { order_column(part, &others) } else { None };
            certain.or_else(|| find(NUMBERS))
        }
        OrderPart::Buyer => usual.or_else(|| find(BUYERS)),
        // Beside a number of the article, `Item #` is the number of a line in its order.
        OrderPart::Item => {
            let others: Vec<&str> =
                columns.iter().copied().filter(|column| !column.trim_end().ends_with('#')).collect();
            let certain = if others.len() < columns.len() { order_column(part, &others) } else { None };
            certain.or(usual).or_else(|| find(ITEMS))
        }
        OrderPart::Quantity => usual.or_else(|| find(QUANTITIES)),
        OrderPart::Price => usual.or_else(|| find(PRICES)),
        OrderPart::LineTotal => find(LINE_TOTALS),
        OrderPart::State => find(STATES),
    }
}

/// Whether a column has the time of an order, a sale or a document, and not of anything.
pub fn is_time_of_order(column: &str) -> bool {
    is_one_of(ORDER_TIMES, column)
}

/// Whether a name that may be that of an order's number is often another thing's: the place of a product in a list (`order`), or the
/// number under which an article is ordered (`Bestellnummer`). It counts only beside what only orders have.
pub fn is_unclear_number(column: &str) -> bool {
    is_one_of(UNCLEAR_NUMBERS, column)
}

/// The column that has the numbers of products beside one that is called `Item` and has their names.
pub fn number_beside_name<'c>(columns: &[&'c str]) -> Option<&'c str> {
    let is = |name: &str, column: &str| plain(column) == plain(name);
    BESIDE_NAMES.iter().find_map(|name| columns.iter().copied().find(|column| is(name, column)))
}

/// Whether the name of an amount is rather that of a whole order than that of one of its lines.
pub fn is_total_of_order(column: &str) -> bool {
    is_one_of(TOTALS_OF_ORDERS, column)
}

fn is_one_of(names: &[&str], column: &str) -> bool {
    let forms = [plain(column), plain(without_unit(column)), plain(last_part(column))];
    names.iter().any(|name| forms.contains(&plain(name)))
}

/// The last part of a name with slashes, as Odoo writes `Order Lines/Quantity`.
fn last_part(name: &str) -> &str {
    name.rsplit('/').next().filter(|part| part.len() > 3).unwrap_or(name)
}

/// A name without the unit behind it: `实付金额(元)`, `Preis [EUR]`, `Price in EUR`.
fn without_unit(name: &str) -> &str {
    let name = name.trim();
    let opened =
        name.rfind(['(', '（', '[', '【']).filter(|place| *place > 0 && name.ends_with([')', '）', ']', '】']));
    let end = opened.unwrap_or_else(|| name.find(" in ").unwrap_or(name.len()));
    &name[..end]
}

#[rustfmt::skip]
const BUYERS: &[&str] = &[
    "customer number", "customer no", "cust no", "customer code", "buyer id", "purchaser id", "client number", "client no",
    "customer", "buyer", "buyer user id", "purchaser", "client", "buyer email", "buyer username", "username buyer", "order customer customer number",
    "order customer email", "email", "e-mail", "email address", "mail",
    "Kundennummer", "Kunden-Nr", "Kd-Nr", "Kundencode", "Debitorennummer", "Debitornummer", "Debitoren-Nr", "Debitor",
    "Kunde", "Käufer", "Besteller", "Auftraggeber", "Kunden-E-Mail", "E-Mail des Kunden",
    "numéro de client", "n° client", "no client", "num client", "réf client", "référence client", "id client", "code client",
    "client", "acheteur", "e-mail client", "courriel", "adresse e-mail",
    "número de cliente", "nº cliente", "n.º cliente", "código de cliente", "id cliente", "cliente", "comprador", "correo electrónico",
    "correo", "numero cliente", "cod cliente", "codice cliente", "acquirente", "e-mail cliente",
    "klant-id", "klantnr", "klantcode", "klant", "debiteurnummer", "debiteur", "relatienummer", "koper", "e-mailadres",
    "nr klienta", "id klienta", "kod klienta", "klient", "kupujący", "login kupującego", "nabywca", "kontrahent",
    "adres e-mail", "číslo zákazníka", "ID zákazníka", "kód zákazníka", "zákazník", "kupující", "odběratel", "zákazník e-mail",
    "código do cliente", "id do cliente", "número do cliente", "e-mail do cliente",
    "ID клиента", "номер клиента", "ID покупателя", "покупатель", "заказчик", "контрагент", "эл. почта", "электронная почта",
    "买家会员名", "买家昵称", "买家账号", "买家帐号", "买家旺旺", "会员名", "会员名称", "会员昵称", "会员卡号", "会员账号", "用户名", "用户账号",
    "下单账号", "下单帐号", "客户代码", "客户账号", "顾客id", "顾客编号", "买家", "会员", "客户", "客户名称", "顾客", "旺旺", "买家邮箱", "邮箱",
    "買家帳號", "買家", "會員編號", "會員帳號", "會員名稱", "會員", "客戶編號", "客戶代號", "客戶", "顧客編號", "顧客", "電子郵件",
    "顧客コード", "会員コード", "会員ID", "購入者ID", "購入者", "注文者ID", "注文者", "お客様番号", "得意先コード", "得意先", "顧客",
    "注文者メールアドレス", "メールアドレス",
    "고객ID", "고객아이디", "회원번호", "회원아이디", "구매자ID", "구매자아이디", "주문자ID", "주문자아이디", "거래처코드", "구매자", "주문자",
    "고객", "이메일", "müşteri no", "müşteri numarası", "müşteri ID", "müşteri kodu", "cari kodu", "üye no", "üye ID", "müşteri",
    "alıcı", "e-posta",
];

#[rustfmt::skip]
const NUMBERS: &[&str] = &[
    "order id", "order number", "order no", "order nr", "order code", "order ref", "order reference", "sales order number",
    "sales order", "order", "purchase id", "transaction id", "invoice number", "invoice no", "invoice id", "document number",
    "document no", "id order", "amazon order id", "receipt number", "receipt no", "ticket number",
    "Bestellnummer", "Bestell-Nr", "Bestell-ID", "Auftragsnummer", "Auftrags-Nr", "Auftrags-ID", "Belegnummer", "Beleg-Nr",
    "Rechnungsnummer", "Rechnungs-Nr", "Vorgangsnummer", "Lieferscheinnummer", "Bestellung", "Auftrag", "Beleg",
    "numéro de commande", "numéro commande", "n° commande", "n° de commande", "no commande", "num commande", "id commande",
    "référence commande", "réf commande", "numéro de facture", "n° facture", "commande",
    "número de pedido", "número pedido", "nº pedido", "nº de pedido", "n.º pedido", "id pedido", "código pedido",
    "referencia pedido", "número de factura", "nº factura", "pedido",
    "numero ordine", "numero d'ordine", "n. ordine", "n° ordine", "id ordine", "codice ordine", "numero fattura",
    "numero documento", "n. documento", "ordine",
    "ordernummer", "ordernr", "bestelnummer", "bestelnr", "bestelling", "factuurnummer", "bonnummer",
    "numer zamówienia", "nr zamówienia", "id zamówienia", "numer faktury", "nr faktury", "numer dokumentu", "nr dokumentu",
    "zamówienie", "číslo objednávky", "kód objednávky", "ID objednávky", "číslo faktury", "číslo dokladu", "objednávka",
    "número do pedido", "código do pedido", "id do pedido", "nº do pedido", "número da encomenda",
    "nº encomenda", "encomenda", "número da fatura",
    "номер заказа", "№ заказа", "ID заказа", "код заказа", "номер документа", "номер накладной", "заказ",
    "订单编号", "订单号", "订单ID", "主订单编号", "子订单编号", "平台单号", "交易编号", "交易号", "单据编号", "单号", "订单",
    "訂單編號", "訂單號碼", "訂單號", "訂單ID", "訂單序號", "訂單", "單號",
    "注文番号", "注文ID", "注文コード", "受注番号", "受注ID", "受注コード", "伝票番号", "オーダー番号", "注文No", "受注No",
    "주문번호", "주문ID", "주문코드", "상품주문번호", "주문서번호",
    "sipariş no", "sipariş numarası", "sipariş ID", "sipariş kodu", "fatura no", "belge no", "sipariş",
];

/// Those of them that catalogues have too.
#[rustfmt::skip]
const UNCLEAR_NUMBERS: &[&str] = &[
    "order", "order code", "Bestellnummer", "Bestell-Nr", "Beleg", "ordine", "bestelnummer", "bestelnr", "注文コード",
];

/// Names of the numbers of products that are nothing else beside their names.
#[rustfmt::skip]
const BESIDE_NAMES: &[&str] = &[
    "sku", "item sku", "product sku", "variant sku", "product id", "item id", "variant id", "article number", "article id",
    "item number", "item code", "product code", "product number", "Artikelnummer", "Artikel-Nr", "Art-Nr",
];

#[rustfmt::skip]
const ORDER_TIMES: &[&str] = &[
    "order date", "order time", "order date time", "order creation date", "order creation time", "order created time", "ordered at", "sale date", "sold at", "date of sale", "order created at", "purchase date", "date of order", "date of purchase",
    "Bestelldatum", "Bestellzeitpunkt", "bestellt am", "Auftragsdatum", "Belegdatum", "Rechnungsdatum", "Kaufdatum",
    "date de commande", "date commande", "date de la commande", "date d'achat", "date de facture", "date facture",
    "fecha de pedido", "fecha del pedido", "fecha pedido", "fecha de compra", "fecha compra", "fecha factura",
    "data ordine", "data dell'ordine", "data d'ordine", "data acquisto", "data fattura", "data documento",
    "besteldatum", "orderdatum", "aankoopdatum", "factuurdatum",
    "data zamówienia", "data złożenia", "data złożenia zamówienia", "data zakupu", "data sprzedaży", "data faktury",
    "datum objednávky", "datum vytvoření", "dátum objednávky", "datum prodeje", "datum nákupu",
    "data do pedido", "data pedido", "data da compra", "data da encomenda", "data de compra",
    "дата заказа", "время заказа", "дата оформления", "дата покупки", "дата документа",
    "下单时间", "下单日期", "订单时间", "订单日期", "订单创建时间", "拍下时间", "订单付款时间", "付款时间", "支付时间", "成交时间", "交易时间",
    "购买时间", "下單時間", "下單日期", "訂單時間", "訂單日期", "訂購日期", "訂購時間", "訂單成立時間", "訂單成立日期", "付款時間",
    "注文日", "注文日時", "注文時間", "受注日", "受注日時", "購入日", "購入日時", "売上日",
    "주문일", "주문일시", "주문일자", "주문날짜", "주문시간", "결제일", "결제일시", "구매일", "구매일시",
    "sipariş tarihi", "satış tarihi", "alışveriş tarihi", "fatura tarihi", "belge tarihi",
];

#[rustfmt::skip]
const TIMES: &[&str] = &[
    "date", "date time", "created time", "date created", "date add", "created date", "creation date", "Datum", "erstellt am", "Erstelldatum",
    "date de création", "créé le", "fecha", "fecha de creación", "fecha y hora", "data", "data creazione", "data e ora",
    "aangemaakt op", "data i godzina", "data utworzenia", "datum a čas", "vytvořeno", "data e hora", "data de criação",
    "дата", "дата и время", "дата создания", "创建时间", "时间", "日期", "建立時間", "時間", "日時", "日付", "일시", "날짜", "등록일", "생성일",
    "tarih", "oluşturulma tarihi",
];

#[rustfmt::skip]
const ITEMS: &[&str] = &[
    "seller sku", "sku reference no", "internal reference", "product reference", "item no", "item number", "item code", "product code", "product number", "product no", "part number", "article no",
    "Artikel-Nr", "Art-Nr", "Artikelcode", "Produktnummer", "Materialnummer", "Sachnummer",
    "référence article", "réf article", "réf produit", "code produit", "référence", "réf",
    "código de producto", "código producto", "código de artículo", "código", "referencia", "ref",
    "codice articolo", "cod articolo", "codice prodotto", "cod prodotto", "codice", "riferimento",
    "artikelcode", "productcode", "productnummer",
    "kod produktu", "kod towaru", "id produktu", "numer katalogowy", "symbol", "indeks", "sygnatura",
    "kód produktu", "kód zboží", "číslo zboží", "katalogové číslo", "ID produktu", "kód tovaru", "kód položky", "kód",
    "código do produto", "código produto", "cód produto", "id do produto", "referência",
    "артикул товара", "код товара", "ID товара", "номер товара", "код",
    "商家编码", "规格编码", "SKU编码", "宝贝ID", "产品编号", "产品编码", "物料编码", "商品代码", "商品代碼", "商品貨號", "貨號", "料號", "商品ID",
    "品號", "商品管理番号", "商品ID", "システム連携用SKU番号", "型番", "品目コード",
    "상품ID", "판매자상품코드", "자체상품코드", "품번", "품목코드", "옵션코드",
    "ürün kodu", "ürün ID", "ürün no", "stok kodu", "malzeme kodu", "referentie", "ean",
];

#[rustfmt::skip]
const QUANTITIES: &[&str] = &[
    "quantity", "qty", "product quantity", "number of items", "quantity ordered", "quantity purchased", "ordered quantity", "pieces", "pcs", "Stück", "Stückzahl", "Bestellmenge",
    "quantité", "quantité commandée", "qté", "cantidad", "cant", "unidades", "uds", "quantità", "q.tà", "qta", "pezzi",
    "aantal", "hoeveelheid", "ilość", "liczba sztuk", "sztuk", "szt", "množství", "počet", "počet kusů", "kusů", "ks",
    "quantidade", "qtd", "qtde", "количество", "кол-во", "кол", "шт",
    "件数", "购买件数", "宝贝数量", "宝贝总数量", "订购数量", "購買數量", "訂購數量", "件數", "注文数", "注文数量", "購入数", "個数",
    "수량", "주문수량", "구매수량", "adet", "miktar",
];

#[rustfmt::skip]
const PRICES: &[&str] = &[
    "price", "price each", "unit price", "unit price tax incl", "unit price incl tax", "unit cost", "item cost", "item price", "Stückpreis", "Preis je Einheit", "E-Preis", "VK-Preis",
    "prix unitaire", "prix unitaire TTC", "prix unitaire HT", "PU", "PU TTC", "prix", "precio unitario", "precio",
    "prezzo unitario", "prezzo", "stukprijs", "eenheidsprijs", "prijs", "cena jednostkowa", "cena za sztukę", "cena",
    "jednotková cena", "cena za kus", "cena/ks", "preço unitário", "preço", "valor unitário",
    "цена", "цена за единицу", "цена за шт", "商品价格", "商品单价", "成交单价", "价格", "商品單價", "單價", "價格", "售價",
    "単価", "商品単価", "販売価格", "価格", "단가", "상품단가", "상품가격", "판매가", "판매단가", "birim fiyat", "birim fiyatı", "satış fiyatı",
    "fiyat",
];

#[rustfmt::skip]
const LINE_TOTALS: &[&str] = &[
    "line total", "line amount", "row total", "line price", "item total", "subtotal", "amount paid", "amount", "total price",
    "total", "Positionssumme", "Positionsbetrag", "Zeilensumme", "Zeilenbetrag", "Gesamtpreis", "G-Preis", "Betrag", "Gesamt",
    "Summe", "total ligne", "montant ligne", "montant TTC", "montant HT", "montant", "total TTC",
    "total línea", "importe línea", "importe", "total riga", "importo riga", "importo", "totale",
    "regelbedrag", "regeltotaal", "bedrag", "totaal", "wartość brutto", "wartość", "kwota", "suma", "razem",
    "cena celkem", "celkem", "částka", "spolu", "valor total", "valor", "сумма", "стоимость", "итого",
    "实付金额", "买家实付金额", "买家实际支付金额", "实际支付金额", "支付金额", "成交金额", "商品金额", "商品总价", "买家应付货款", "应付金额", "小计", "金额",
    "总价", "實付金額", "小計", "金額", "總價", "合計", "支払金額", "결제금액", "실결제금액", "상품금액", "금액", "합계",
    "satır tutarı", "toplam tutar", "tutar", "toplam",
];

/// Those of them that are rather of the whole order.
#[rustfmt::skip]
const TOTALS_OF_ORDERS: &[&str] = &[
    "subtotal", "amount paid", "total", "Gesamt", "Summe", "total TTC", "totale", "totaal", "suma", "razem", "celkem", "spolu",
    "valor total", "итого", "总价", "總價", "合計", "합계", "toplam", "toplam tutar",
];

#[rustfmt::skip]
const STATES: &[&str] = &[
    "order status", "order state", "financial status", "payment status", "line status", "line state", "order line status",
    "order item status", "item status", "line item status", "status",
    "Positionsstatus", "Zahlungsstatus", "Zahlstatus", 
    "statut de paiement", "statut du paiement", "estado de pago", "estado del pago", "stato pagamento",
    "stato del pagamento", "betaalstatus", "status płatności", "stav platby", "status do pagamento", "статус оплаты",
    "支付状态", "付款状态", "付款狀態", "対応状況", "処理状況", "入金状況", "支払状況", "受注状態", "결제상태", "클레임상태", "클레임 상태",
    "처리상태", "주문처리상태", "ödeme durumu", 
    "Bestellstatus", "Auftragsstatus", "Belegstatus", "statut de la commande", "statut commande", "état de la commande",
    "statut", "estado del pedido", "estado pedido", "estado", "stato ordine", "stato dell'ordine", "stato",
    "bestelstatus", "status zamówienia", "stav objednávky", "stav", "status do pedido", "situação do pedido", "situação",
    "статус заказа", "статус", "订单状态", "交易状态", "状态", "訂單狀態", "交易狀態", "狀態",
    "注文ステータス", "受注ステータス", "注文状態", "ステータス", "주문상태", "상태", "sipariş durumu", "durum", "durumu",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_line_is_no_item_beside_that_of_an_article() {
        let item = |columns: &[&'static str]| order_column(OrderPart::Item, columns);
        assert_eq!(item(&["Order Number", "Item #", "SKU", "Item Name"]), Some("SKU"));
        assert_eq!(item(&["Order Number", "Item #", "Artikelnummer"]), Some("Artikelnummer"));
        assert_eq!(item(&["Order Number", "Item #", "Qty"]), Some("Item #"));
    }

    #[test]
    fn the_columns_of_orders_are_known_in_the_languages_of_shops() {
        use OrderPart::{Buyer, Item, LineTotal, Number, Price, Quantity, State, Time};
        let check = |header: &str, parts: &[OrderPart]| {
            let columns: Vec<&str> = header.split(';').collect();
            for (column, part) in columns.iter().zip(parts) {
                assert_eq!(order_column(*part, &columns), Some(*column), "{part:?} of {header}");
            }
        };
        let usual = &[Number, Time, Buyer, Item, Quantity, Price];
        for header in [
            "Order No.;Order date;Customer number;Item number;Qty;Unit price",
            "Order Number;Order Date;Email (Billing);SKU;Quantity (- Refund);Item Cost",
            "order-id;purchase-date;buyer-email;sku;quantity-purchased;item-price",
            "Bestell-Nr.;Bestelldatum;Kundennummer;Artikel-Nr.;Menge;Einzelpreis",
            "Belegnummer;Datum;Kunde;Artikelnummer;Menge;Einzelpreis",
            "N° commande;Date de commande;N° client;Réf. article;Qté;Prix unitaire TTC",
            "Nº pedido;Fecha del pedido;Nº cliente;Referencia;Cantidad;Precio unitario",
            "N. ordine;Data ordine;Codice cliente;Codice articolo;Q.tà;Prezzo unitario",
            "Ordernummer;Besteldatum;Klantnummer;Artikelcode;Aantal;Stukprijs",
            "Numer zamówienia;Data zamówienia;Nr klienta;Kod produktu;Ilość;Cena jednostkowa",
            "Číslo objednávky;Datum objednávky;Číslo zákazníka;Kód zboží;Počet kusů;Cena za kus",
            "Número do pedido;Data do pedido;Código do cliente;Código do produto;Quantidade;Preço unitário",
            "Номер заказа;Дата заказа;Код клиента;Артикул;Кол-во;Цена за единицу",
            "订单编号;下单时间;买家会员名;商品编号;数量;商品单价",
            "訂單編號;訂單成立時間;買家帳號;商品貨號;數量;商品單價",
            "注文番号;注文日時;会員番号;商品コード;個数;単価",
            "주문번호;주문일시;구매자ID;상품코드;수량;판매가",
            "SİPARİŞ NO;Sipariş Tarihi;Müşteri No;Ürün Kodu;Adet;Birim Fiyat",
        ] {
            check(header, usual);
        }
        check("订单号;实付金额（元）;订单状态", &[Number, LineTotal, State]);
        check("Beleg;Gesamtpreis [EUR];Belegstatus", &[Number, LineTotal, State]);
        check("주문번호;결제금액;주문상태", &[Number, LineTotal, State]);
    }

    #[test]
    fn the_columns_of_a_catalogue_are_those_of_no_order() {
        let columns = ["Artikelnummer", "Bezeichnung", "Preis", "Bestand", "Hersteller", "Bild", "erstellt am"];
        for part in [OrderPart::Buyer, OrderPart::Number, OrderPart::State] {
            assert_eq!(order_column(part, &columns), None, "{part:?}");
        }
    }
}
