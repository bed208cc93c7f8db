//! Which encoding of the time before Unicode a text is in: GB18030, Big5, Shift JIS, EUC, or one of a single byte a letter.
//!
//! The header of a table decides: read in the right encoding, its names are ones that are known for our fields. Without such a
//! name, texts of China, Japan and Korea are told by the shares of their usual characters. Everything else stays unknown,
//! because a wrong guess would take in a catalogue that is never found.

use accrue_event::{RecordKind, fields_named};
use encoding_rs::{
    BIG5, EUC_JP, EUC_KR, Encoding, GB18030, ISO_8859_2, KOI8_R, SHIFT_JIS, WINDOWS_1250, WINDOWS_1251, WINDOWS_1253,
    WINDOWS_1254, WINDOWS_1255, WINDOWS_1256,
};

/// Encodings that are tried, the more usual ones first.
fn candidates() -> [&'static Encoding; 13] {
    [
        GB18030,
        SHIFT_JIS,
        BIG5,
        EUC_KR,
        EUC_JP,
        WINDOWS_1251,
        WINDOWS_1250,
        ISO_8859_2,
        WINDOWS_1253,
        WINDOWS_1254,
        WINDOWS_1255,
        WINDOWS_1256,
        KOI8_R,
    ]
}

/// Lines among which the header is looked for.
const MAX_LINES: usize = 20;

/// Characters above ASCII from which on their shares tell an encoding.
const MIN_CHARS: usize = 20;

/// The encoding of a text of which these bytes are the beginning, if it is one of the older ones and can be told.
pub(super) fn recognised(start: &[u8]) -> Option<&'static Encoding> {
    // The last line may end in the middle of a character.
    let end = start.iter().rposition(|byte| *byte == b'\n').map_or(start.len(), |end| end + 1);
    let bytes = &start[..end];
    let decoded = candidates().into_iter().filter_map(|encoding| {
        let text = encoding.decode_without_bom_handling_and_without_replacement(bytes)?;
        Some((encoding, n_known_names(&text)))
    });
    let mut best: Option<(&'static Encoding, usize)> = None;
    for (encoding, n) in decoded.filter(|(_, n)| *n > 0) {
        if best.is_none_or(|(_, most)| n > most) {
            best = Some((encoding, n));
        }
    }
    best.map(|(encoding, _)| encoding).or_else(|| by_characters(bytes))
}

/// How many names above ASCII in one of the first lines are names of our fields: in the line that has most of them.
fn n_known_names(text: &str) -> usize {
    let is_known = |name: &&str| {
        let kinds = [RecordKind::Items, RecordKind::Events, RecordKind::Users];
        !name.is_ascii() && kinds.iter().any(|kind| fields_named(*kind, name).next().is_some())
    };
    let names = |line: &str| {
        let names = line.split([',', ';', '\t', '|', '~', '^', '\u{1}']).map(|name| name.trim().trim_matches('"'));
        names.filter(is_known).count()
    };
    text.lines().take(MAX_LINES).map(names).max().unwrap_or(0)
}

/// The encoding of a text of China, Japan or Korea by its usual characters.
fn by_characters(bytes: &[u8]) -> Option<&'static Encoding> {
    let share = |encoding: &'static Encoding, is_usual: fn(char) -> bool| {
        let text = encoding.decode_without_bom_handling_and_without_replacement(bytes)?;
        let (mut n, mut n_usual) = (0_usize, 0_usize);
        for c in text.chars().filter(|c| !c.is_ascii()) {
            n += 1;
            n_usual += usize::from(is_usual(c));
        }
        (n >= MIN_CHARS).then(|| n_usual as f64 / n as f64)
    };
    let is_kana = |c: char| ('\u{3041}'..='\u{30ff}').contains(&c);
    let is_hangul = |c: char| ('\u{ac00}'..='\u{d7a3}').contains(&c);
    // Half-width kana are what other encodings look like when they are read as Shift JIS.
    for encoding in [EUC_JP, SHIFT_JIS] {
        if share(encoding, is_kana).is_some_and(|share| share > 0.25) {
            return Some(encoding);
        }
    }
    if share(EUC_KR, is_hangul).is_some_and(|share| share > 0.9) {
        return Some(EUC_KR);
    }
    // The first bytes of the characters that are used most: those of GB2312 and Big5 are in the order of use.
    let usual = |first: std::ops::RangeInclusive<u8>| {
        let (mut n, mut n_usual, mut n_low, mut place) = (0_usize, 0_usize, 0_usize, 0);
        while place + 1 < bytes.len() {
            if bytes[place] < 0x80 {
                place += 1;
                continue;
            }
            n += 1;
            n_usual += usize::from(first.contains(&bytes[place]));
            n_low += usize::from(bytes[place + 1] < 0x80);
            place += 2;
        }
        (n >= MIN_CHARS).then(|| (n_usual as f64 / n as f64, n_low as f64 / n as f64))
    };
    let is_whole =
        |encoding: &'static Encoding| encoding.decode_without_bom_handling_and_without_replacement(bytes).is_some();
    if is_whole(GB18030) && usual(0xB0..=0xD7).is_some_and(|(usual, low)| usual > 0.7 && low < 0.05) {
        return Some(GB18030);
    }
    let is_big5 = is_whole(BIG5) && usual(0xA4..=0xC6).is_some_and(|(usual, low)| usual > 0.85 && low > 0.1);
    is_big5.then_some(BIG5)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, encoding: &'static Encoding) {
        let (bytes, _, is_lossy) = encoding.encode(text);
        assert!(!is_lossy, "{text}");
        assert_eq!(recognised(&bytes), Some(encoding), "{text}");
    }

    #[test]
    fn a_header_with_known_names_tells_the_encoding() {
        check("артикул;название;цена\n1;Кружка;5\n", WINDOWS_1251);
        check("артикул;название;цена\n1;Кружка;5\n", KOI8_R);
        check("商品コード,商品名,価格\n1,急須,5\n", SHIFT_JIS);
        check("商品コード,商品名,価格\n1,急須,5\n", EUC_JP);
        check("상품코드,상품명,가격\n1,머그,5\n", EUC_KR);
        check("id;název;výrobce\n1;Hrnek;A\n", WINDOWS_1250);
    }

    #[test]
    fn texts_without_known_names_are_told_by_their_characters() {
        let chinese = "甲,乙\n1,亚麻衬衫的优质面料，适合夏天穿着，颜色有红色和蓝色两种可以选择\n";
        check(chinese, GB18030);
        check("甲,乙\n1,亞麻襯衫的優質面料，適合夏天穿著，顏色有紅色和藍色兩種可以選擇\n", BIG5);
        check("あ,い\n1,リネンのシャツは夏にぴったりです。色は赤と青があります\n", SHIFT_JIS);
        check("가,나\n1,여름에 입기 좋은 린넨 셔츠입니다 색상은 빨강과 파랑이 있습니다\n", EUC_KR);
    }

    #[test]
    fn what_cannot_be_told_stays_unknown() {
        let (bytes, ..) = WINDOWS_1251.encode("а;б\n1;Кружка с цветами\n");
        assert_eq!(recognised(&bytes), None);
        assert_eq!(recognised(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x04\xff\xfe\x80\x80"), None);
        assert_eq!(recognised(b""), None);
    }
}
