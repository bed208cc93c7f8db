//! Which script a character belongs to, as far as it decides how a text is split into words.

use std::borrow::Cow;

/// What a run of characters is split by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    /// Written without blanks; split by a dictionary.
    Han,
    /// Written without blanks (kana, Thai, Lao, Khmer, Burmese), or with blanks that titles leave out (Hangul); every pair of
    /// neighbouring characters is a term.
    Pairs,
    /// Emoji, arrows, stars and other pictures, and signs of currencies. Signs of the Latin-1 block (`©`, `°`) and
    /// punctuation are no terms.
    Symbol,
    /// What changes the look of a symbol: the tone of skin, the choice between text and picture, and joiners. Without
    /// them, all looks of a symbol are one term.
    Mark,
    /// Words between blanks and signs.
    Words,
}

impl Script {
    pub(super) fn of(c: char) -> Self {
        match c {
            '\u{200d}' | '\u{20e3}' | '\u{fe00}'..='\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}' => Script::Mark,
            '\u{e0020}'..='\u{e007f}' => Script::Mark,
            '\u{20a0}'..='\u{20cf}' | '\u{2190}'..='\u{21ff}' | '\u{2300}'..='\u{23ff}' => Script::Symbol,
            '\u{25a0}'..='\u{27bf}' | '\u{2900}'..='\u{297f}' | '\u{2b00}'..='\u{2bff}' => Script::Symbol,
            '\u{1f000}'..='\u{1faff}' => Script::Symbol,
            '\u{0e01}'..='\u{0e3a}' | '\u{0e40}'..='\u{0e4e}' | '\u{0e80}'..='\u{0ecf}' => Script::Pairs,
            '\u{1000}'..='\u{103f}' | '\u{1780}'..='\u{17d3}' => Script::Pairs,
            '\u{0}'..='\u{2fff}' => Script::Words,
            '々' | '〇' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' => Script::Han,
            '\u{20000}'..='\u{323af}' => Script::Han,
            '\u{3041}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{ac00}'..='\u{d7a3}' => Script::Pairs,
            _ => Script::Words,
        }
    }

    /// The first run of one script.
    pub(super) fn first_run(text: &str) -> Option<(Self, &str)> {
        let script = Script::of(text.chars().next()?);
        let len = text.find(|c| Script::of(c) != script).unwrap_or(text.len());
        Some((script, &text[..len]))
    }
}

/// Whether a character belongs to the one before it and is no unit of its own: vowel signs and tones of Thai, Lao, Khmer and
/// Burmese, and the voice marks of kana.
fn follows(c: char) -> bool {
    matches!(c, '\u{0e31}' | '\u{0e34}'..='\u{0e3a}' | '\u{0e47}'..='\u{0e4e}')
        || matches!(c, '\u{0eb1}' | '\u{0eb4}'..='\u{0ebc}' | '\u{0ec8}'..='\u{0ecd}')
        || matches!(c, '\u{102b}'..='\u{103e}' | '\u{17b4}'..='\u{17d3}' | '\u{3099}' | '\u{309a}')
}

/// Whether a small vowel of kana makes one syllable with the `v` before it: `ヴァ`.
fn is_vowel_of_v(run: &str, at: usize, c: char) -> bool {
    matches!(c, 'ァ' | 'ィ' | 'ェ' | 'ォ' | 'ぁ' | 'ぃ' | 'ぇ' | 'ぉ') && run[..at].ends_with(['ヴ', 'ゔ'])
}

/// Kana in one spelling: hiragana as katakana, and `ヴァイオリン` as `バイオリン`.
pub(super) fn usual_kana(term: &str) -> Cow<'_, str> {
    if !term.chars().any(|c| matches!(c, '\u{3041}'..='\u{3096}' | 'ヴ')) {
        return Cow::Borrowed(term);
    }
    let katakana = |c: char| match c {
        '\u{3041}'..='\u{3096}' => char::from_u32(c as u32 + 0x60).unwrap_or(c),
        c => c,
    };
    let mut usual: String = term.chars().map(katakana).collect();
    for (v, b) in [("ヴァ", "バ"), ("ヴィ", "ビ"), ("ヴェ", "ベ"), ("ヴォ", "ボ"), ("ヴ", "ブ")] {
        usual = usual.replace(v, b);
    }
    Cow::Owned(usual)
}

/// There is no dictionary for these scripts here: every pair of neighbours is a term, and so is a single character.
pub(super) fn pairs(run: &str, mut push: impl FnMut(&str, usize, usize)) {
    let run = without_last_long_vowel(run);
    let is_start = |&(at, c): &(usize, char)| at == 0 || !(follows(c) || is_vowel_of_v(run, at, c));
    let starts = run.char_indices().filter(is_start).map(|(at, _)| at);
    let starts: Vec<usize> = starts.chain([run.len()]).collect();
    if let [from, to] = starts[..] {
        push(run, from, to);
    }
    for window in starts.windows(3) {
        push(&run[window[0]..window[2]], window[0], window[2]);
    }
}

/// Whether a character is a syllable of Korean.
pub(super) fn is_hangul(c: char) -> bool {
    matches!(c, '\u{ac00}'..='\u{d7a3}')
}

/// A Japanese word from another language without the sign of a long vowel at its end, which is often left out: `コンピューター`.
fn without_last_long_vowel(run: &str) -> &str {
    let is_katakana = |c: char| matches!(c, '\u{30a1}'..='\u{30fc}');
    match run.strip_suffix('ー') {
        Some(start) if start.chars().rev().take_while(|&c| is_katakana(c)).nth(2).is_some() => start,
        _ => run,
    }
}

/// Each symbol is a term; a flag, which is written as two letters, is one term.
pub(super) fn symbols(run: &str, mut push: impl FnMut(&str, usize, usize)) {
    let is_flag_letter = |c: char| ('\u{1f1e6}'..='\u{1f1ff}').contains(&c);
    let mut rest = run.char_indices().peekable();
    while let Some((from, c)) = rest.next() {
        let second = if is_flag_letter(c) { rest.next_if(|&(_, c)| is_flag_letter(c)) } else { None };
        let to = second.map_or(from + c.len_utf8(), |(at, c)| at + c.len_utf8());
        push(&run[from..to], from, to);
    }
}
