//! Words and names in any language, in the form in which they are compared.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The letters and digits of a text in lower case, without marks and in their usual width: `Nº Pedido`, `no pedido` and
/// `ＮＯ_ＰＥＤＩＤＯ` are one name.
pub(super) fn plain(text: &str) -> String {
    letters(text).filter(|c| c.is_alphanumeric()).collect()
}

/// As [`plain`], of each word of a text.
pub(super) fn words(text: &str) -> Vec<String> {
    let text: String = letters(text).collect();
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn letters(text: &str) -> impl Iterator<Item = char> {
    let lower = text.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase);
    // A Turkish capital `İ` has a mark in lower case too.
    lower.filter(|c| !is_combining_mark(*c)).map(|c| match c {
        'ı' => 'i',
        'ł' => 'l',
        'ø' => 'o',
        'đ' => 'd',
        c => c,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_marks_width_and_separators_make_no_other_name() {
        for name in ["Nº Pedido", "nº pedido", "ＮＯ_ＰＥＤＩＤＯ", "N° Pedido".replace('°', "o").as_str()]
        {
            assert_eq!(plain(name), "nopedido", "{name}");
        }
        assert_eq!(plain("SİPARİŞ NUMARASI"), plain("Sipariş Numarası"));
        assert_eq!(plain("Číslo objednávky"), "cisloobjednavky");
        assert_eq!(plain("주문번호"), plain("주문 번호"));
        assert_eq!(words("Versand (DHL) – 4,90 €"), ["versand", "dhl", "4", "90"]);
    }
}
