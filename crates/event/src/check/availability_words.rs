//! The words with which shop systems say whether a product is sold, in the languages of shops: English, German, French,
//! Spanish, Italian, Dutch, Polish, Czech and Slovak, Portuguese, Russian, Chinese, Japanese, Korean, Turkish, and those of
//! Scandinavia.
//!
//! In lower case and without separators. What stands for true and false is in `words_of_exports.rs`. A word may stand in several
//! lists of one meaning, and in none of another one.

/// The product can be bought, or will be: items that can be ordered before they are in stock are shown.
#[rustfmt::skip]
pub(super) const SOLD: &[&str] = &[
    // schema.org; Google, Meta and other feeds; Shopify, WooCommerce, Magento and PrestaShop; a cross in a column.
    "x", "instock", "available", "isavailable", "availablenow", "inventory", "instoreonly",
    "onlineonly", "limitedavailability", "limited", "limitedstock", "lowstock", "preorder", "presale", "backorder", "backordered",
    "onbackorder", "onorder", "madetoorder", "availablefororder", "availabletoorder", "orderable", "purchasable", "buyable",
    "saleable", "active", "enabled", "publish", "published", "visible", "live", "online", "continue", "listed", "onsale", "forsale",
    "auflager", "lieferbar", "sofortlieferbar", "sofortverfügbar", "verfügbar", "vorrätig", "vorbestellbar", "bestellbar",
    "kaufbar", "aktiv", "aktiviert", "veröffentlicht", "sichtbar", "imverkauf", "wenigevorrätig", "nurnochwenige",
    "enstock", "disponible", "actif", "active", "activé", "publié", "publiée", "visible", "envente", "surcommande", "précommande",
    "stocklimité", "activo", "activa", "activado", "publicado", "publicada", "enventa", "enexistencia", "hayexistencias",
    "bajopedido", "reserva", "disponibile", "attivo", "attiva", "attivato", "pubblicato", "invendita", "preordine", "suordinazione",
    "opvoorraad", "beschikbaar", "leverbaar", "actief", "gepubliceerd", "zichtbaar", "tekoop", "voorbestelling",
    "dostępny", "dostępna", "dostępne", "aktywny", "aktywna", "aktywne", "opublikowany", "opublikowane", "widoczny", "widoczne",
    "wsprzedaży", "wmagazynie", "nastanie", "nazamówienie", "przedsprzedaż",
    "skladem", "naskladě", "naskladu", "skladom", "dostupné", "dostupný", "aktivní", "aktívny", "publikováno", "viditelné",
    "zobrazeno", "vprodeji", "naobjednávku", "předobjednávka",
    "disponível", "emestoque", "emstock", "ativo", "ativa", "ativado", "visível", "àvenda", "sobencomenda", "prévenda",
    "вналичии", "есть", "доступен", "доступно", "доступна", "активен", "активный", "активно", "опубликован", "опубликовано",
    "впродаже", "подзаказ", "предзаказ", "мало",
    "var", "stokta", "stoktavar", "mevcut", "aktif", "yayında", "yayınlandı", "satışta", "önsipariş",
    "ilager", "ilagret", "pålager", "finnsilager", "finnspålager", "lagervara", "lagervare", "påfjernlager", "tillgänglig", "tillgängligt",
    "tilgængelig", "tilgjengelig", "aktivt", "publicerad", "publiceret", "publisert", "offentliggjort", "synlig", "synligt",
    "beställningsvara", "bestillingsvare", "kanbestilles", "kanbeställas", "förhandsbokning", "forudbestilling", "forhåndsbestilling",
    "varastossa", "saatavilla", "saatavissa", "tilattavissa", "ennakkotilaus", "aktiivinen", "julkaistu", "näkyvissä",
    "有货", "现货", "在售", "上架", "上架中", "已上架", "出售中", "销售中", "在销", "正常", "启用", "已启用", "已发布", "有库存", "预售", "充足", "库存紧张",
    "有貨", "現貨", "販售中", "銷售中", "出售中", "啟用", "預購", "預售", "有庫存",
    "在庫あり", "在庫有り", "在庫有", "販売中", "公開", "公開中", "表示", "予約受付中", "受注生産", "取り寄せ", "お取り寄せ", "残りわずか", "有効",
    "있음", "재고있음", "판매중", "판매", "진열", "진열함", "진열중", "판매함", "전시", "전시중", "예약판매", "공개",
    // Stocks that are not counted.
    "unlimited", "infinite", "infinity", "unbegrenzt", "unendlich", "illimité", "ilimitado", "illimitato", "onbeperkt", "nieograniczony",
    "obegränsat", "neomezeně", "neomezené", "неограниченно", "sınırsız", "untracked", "nottracked", "不限", "无限", "無限", "不限量", "무제한",
];

/// The product is a draft, or was taken out of the shop with all its variants.
#[rustfmt::skip]
pub(super) const WITHDRAWN: &[&str] = &[
    "archived", "deleted", "disabled", "draft", "hidden", "inactive", "private", "trash", "unpublished", "notpublished", "notactive",
    "deactivated", "removed", "delisted", "unlisted", "suspended", "notvisible", "notvisibleindividually", "invisible",
    "inaktiv", "nichtaktiv", "deaktiviert", "gesperrt", "gelöscht", "archiviert", "entwurf", "versteckt", "verborgen", "unsichtbar",
    "nichtsichtbar", "unveröffentlicht", "nichtveröffentlicht", "papierkorb", "ausgeblendet", "privat",
    "inactif", "inactive", "désactivé", "désactivée", "supprimé", "supprimée", "archivé", "archivée", "brouillon", "masqué", "masquée",
    "caché", "cachée", "nonpublié", "nonpubliée", "dépublié", "nonvisible", "corbeille", "retiré", "retirée", "privé", "bloqué",
    "inactivo", "inactiva", "desactivado", "desactivada", "eliminado", "eliminada", "archivado", "archivada", "borrador", "oculto",
    "oculta", "nopublicado", "despublicado", "papelera", "retirado", "retirada", "bloqueado", "suspendido", "privado",
    "inattivo", "nonattivo", "disattivato", "disattivata", "disattivo", "eliminato", "cancellato", "archiviato", "bozza", "nascosto",
    "nascosta", "nonpubblicato", "cestino", "ritirato", "bloccato", "sospeso", "nonvisibile", "privato",
    "inactief", "nietactief", "gedeactiveerd", "verwijderd", "gearchiveerd", "concept", "verborgen", "nietgepubliceerd", "geblokkeerd",
    "vervallen", "nietzichtbaar", "prullenbak", "uitgeschakeld",
    "nieaktywny", "nieaktywna", "nieaktywne", "wyłączony", "wyłączona", "wyłączone", "usunięty", "usunięte", "zarchiwizowany",
    "zarchiwizowane", "szkic", "ukryty", "ukryta", "ukryte", "nieopublikowany", "nieopublikowane", "zablokowany", "wycofany", "wycofana",
    "wycofane", "wycofanyzesprzedaży", "niewidoczny", "niewidoczne",
    "neaktivní", "neaktivny", "neaktívny", "vypnuto", "vypnutý", "smazáno", "smazaný", "archivováno", "archivovaný", "koncept", "skryto",
    "skryté", "skrytý", "nepublikováno", "zablokováno", "staženo", "vyřazeno", "vyřazený", "nezobrazeno", "skryť", "vymazané",
    "inativo", "inativa", "desativado", "desativada", "desactivado", "excluído", "excluída", "arquivado", "arquivada", "rascunho",
    "nãopublicado", "nãovisível", "lixeira", "suspenso",
    "неактивен", "неактивный", "неактивно", "неактивна", "отключен", "отключён", "отключено", "удален", "удалён", "удалено", "архив",
    "вархиве", "архивный", "черновик", "скрыт", "скрыто", "скрытый", "неопубликован", "неопубликовано", "снятспродажи", "заблокирован",
    "выключен", "выключено",
    "pasif", "aktifdeğil", "silindi", "arşivlendi", "taslak", "gizli", "yayındadeğil", "yayındankaldırıldı", "satıştankaldırıldı",
    "satışakapalı", "satışadışı", "durduruldu", "kapalı",
    "skjult", "kladde", "kladd", "udkast", "utkast", "slettet", "arkiveret", "arkivert", "arkiverad", "deaktiveret", "deaktivert",
    "inaktiverad", "avaktiverad", "inaktivt", "ikkeaktiv", "inteaktiv", "ejaktiv", "ikkepubliceret", "ikkepublisert", "upublisert",
    "upubliceret", "afpubliceret", "avpublisert", "opublicerad", "avpublicerad", "ejpublicerad", "intepublicerad", "ikkesynlig", "ejsynlig",
    "intesynlig", "osynlig", "usynlig", "spærret", "sperret", "spärrad", "dold", "dolt", "raderad", "borttagen",
    "piilotettu", "piilossa", "luonnos", "poistettu", "arkistoitu", "julkaisematon", "eijulkaistu", "passiivinen", "eiaktiivinen",
    "eikäytössä", "einäkyvissä",
    "下架", "已下架", "下架中", "仓库中", "已删除", "删除", "草稿", "隐藏", "已隐藏", "禁用", "已禁用", "停用", "已停用", "未上架", "待上架", "未发布", "违规下架",
    "系统下架", "强制下架", "自动下架", "回收站", "审核中", "待审核", "审核不通过", "审核失败", "不可见", "冻结", "已冻结", "屏蔽", "已屏蔽",
    "倉庫中", "已刪除", "刪除", "隱藏", "已隱藏", "未發佈", "未發布", "停用中", "審核中", "待審核", "不可見",
    "非公開", "下書き", "削除", "削除済み", "非表示", "販売停止", "販売停止中", "無効", "公開停止", "アーカイブ",
    "판매중지", "판매중단", "판매안함", "판매대기", "판매금지", "숨김", "미진열", "진열안함", "진열중지", "전시중지", "전시안함", "비공개", "삭제", "삭제됨", "임시저장",
    "승인대기", "미승인",
];

/// The product cannot be bought, now or ever again.
#[rustfmt::skip]
pub(super) const NOT_SOLD: &[&str] = &[
    "outofstock", "oos", "nostock", "notinstock", "notstocked", "nonstock", "soldout", "discontinued", "endoflife",
    "eol", "reserved", "retired", "unavailable", "notavailable", "temporarilyoutofstock", "temporarilyunavailable",
    "currentlyunavailable", "outofseason", "pending", "offline", "blocked", "deny", "never", "notforsale", "obsolete", "phasedout",
    "ausverkauft", "vergriffen", "nichtlieferbar", "nichtverfügbar", "nichtvorrätig", "nichtauflager", "nichtbestellbar",
    "ausgelistet", "eingestellt", "ausgelaufen", "nichtimverkauf", "fehlbestand",
    "épuisé", "épuisée", "enrupture", "rupture", "rupturedestock", "horsstock", "indisponible", "nondisponible", "arrêté",
    "discontinué", "findesérie", "finsérie", "findevie", "plusdisponible",
    "agotado", "agotada", "nodisponible", "sinexistencias", "sinstock", "descatalogado", "descatalogada", "descontinuado", "fueradestock",
    "esaurito", "esaurita", "nondisponibile", "fuoriproduzione", "fuoricatalogo", "terminato", "nonincatalogo",
    "uitverkocht", "nietopvoorraad", "nietleverbaar", "nietbeschikbaar", "uitgefaseerd", "uithetassortiment",
    "wyprzedany", "wyprzedana", "wyprzedane", "niedostępny", "niedostępna", "niedostępne", "brak", "brakwmagazynie", "braktowaru",
    "chwilowoniedostępny", "niedosprzedaży",
    "vyprodáno", "vyprodané", "nedostupné", "nedostupný", "nenískladem", "nenínaskladě", "prodejukončen", "ukončeno", "nieje",
    "niejenasklade", "vypredané", "momentálněnedostupné",
    "esgotado", "esgotada", "indisponível", "semestoque", "semstock", "foradelinha", "foradestock", "descontinuada",
    "распродан", "распродано", "нетвналичии", "отсутствует", "недоступен", "недоступно", "недоступна", "снятспроизводства",
    "закончился", "закончилось", "нетнаскладе", "ожидается",
    "yok", "tükendi", "stoktayok", "stokyok", "mevcutdeğil", "satışdışı", "üretimdenkalktı",
    "slutsåld", "slutsålt", "slut", "slutilager", "ejilager", "inteilager", "ejtillgänglig", "intetillgänglig", "otillgänglig", "utgått",
    "utgången", "udsolgt", "ikkepålager", "ikketilgængelig", "utilgængelig", "udgået", "utsolgt", "ikketilgjengelig", "utilgjengelig",
    "loppu", "loppuunmyyty", "tilapäisestiloppu", "eivarastossa", "eisaatavilla", "eisaatavissa", "eitilattavissa", "poistunut",
    "无货", "缺货", "售罄", "已售罄", "售完", "已售完", "卖完", "断货", "暂时缺货", "无库存", "暂无库存", "库存不足", "停售", "已停售", "停产", "已停产",
    "不可售", "禁售", "到货通知", "停止销售", "淘汰", "補貨中", "缺貨", "無貨", "已售罄", "賣完", "斷貨", "無庫存", "完售", "已完售", "暫停販售", "停止販售", "停產", "已停產",
    "在庫なし", "在庫無し", "在庫無", "在庫切れ", "売り切れ", "売切れ", "売切", "完売", "品切れ", "欠品", "欠品中", "販売終了", "廃盤", "廃番", "生産終了",
    "取扱終了", "取り扱い終了", "予約終了", "入荷待ち", "販売期間外",
    "없음", "품절", "일시품절", "재고없음", "단종", "판매종료", "재입고예정", "미판매",
];

/// Parts of texts that say that an item cannot be bought, whatever stands around them.
#[rustfmt::skip]
pub(super) const NEGATIONS: &[&str] = &[
    "agotado", "ausverkauft", "cannotbebought", "discontinued", "esaurito", "indisponible", "indisponível", "nichtlieferbar",
    "nichtmehr", "nichtverfügbar", "nichtvorrätig", "nolonger", "notavailable", "notforsale", "notinstock", "outofstock",
    "rupturedestock", "soldout", "unavailable", "uitverkocht", "vergriffen", "épuisé", "niedostępn", "vyprodán", "нетвналичии",
    "tükendi", "slutsåld", "udsolgt", "utsolgt", "loppuunmyyty", "缺货", "缺貨", "售罄", "断货", "下架", "停售", "停产", "停產", "売り切れ", "在庫切れ", "品切れ", "품절", "판매중지", "판매종료", "단종",
];
