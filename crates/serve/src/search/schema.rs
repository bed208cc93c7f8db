//! The fields of the index, and what their terms and positions mean.

use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, NumericOptions, Schema, TextFieldIndexing, TextOptions,
};

use super::SearchField;

/// Incremented when the schema or the analysis of texts changes; an index of another format is built again.
pub(super) const FORMAT: &str = "accrue-search-7";

/// Prefixes of the terms in the code field: the id as written, the id folded, a code, a language.
pub(super) const RAW_ID: char = '=';
pub(super) const FOLDED_ID: char = '~';
pub(super) const CODE: char = '#';
pub(super) const LANGUAGE: char = '@';
/// The term of items whose titles are in Han characters.
pub(super) const HAN: &str = "@@han";

/// What stands between a word that is read backwards and its stem.
pub(super) const END: char = '\u{1}';

/// A position has the number of its field above these bits and the word's place in the field below; later places share
/// the last number.
pub(super) const PLACE_BITS: u32 = 12;
pub(super) const PLACE_MAX: usize = (1 << PLACE_BITS) - 1;

/// The fields of the schema.
#[derive(Clone, Copy)]
pub(super) struct Fields {
    pub item: Field,
    /// The stems of title, brand, categories and description. Its length is that of the item's text.
    pub text: Field,
    /// What the same words are also found by: neighbours written as one, numbers inside sizes, stems without marks, Han
    /// words in Latin letters.
    pub form: Field,
    /// The stems of attributes.
    pub attribute: Field,
    pub code: Field,
    /// Words as written, folded: the vocabulary that typing errors and beginnings of words are looked up in.
    pub word: Field,
    /// Stems, and words with their stems, read backwards, of languages that write compounds as one word.
    pub end: Field,
}

/// Which field of the index a term is looked up in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum In {
    Text,
    Form,
    Attribute,
    Code,
    Word,
    End,
}

impl Fields {
    pub(super) fn of(&self, place: In) -> Field {
        match place {
            In::Text => self.text,
            In::Form => self.form,
            In::Attribute => self.attribute,
            In::Code => self.code,
            In::Word => self.word,
            In::End => self.end,
        }
    }
}

/// The field of an item that a position of the text or of another form belongs to.
pub(super) fn field_at(position: u32) -> SearchField {
    match position >> PLACE_BITS {
        0 => SearchField::Title,
        1 => SearchField::Brand,
        2 => SearchField::Categories,
        3 => SearchField::Description,
        _ => SearchField::Attributes,
    }
}

pub(super) fn schema() -> (Schema, Fields) {
    let mut builder = Schema::builder();
    let item = builder.add_u64_field("item", NumericOptions::from(INDEXED | FAST));
    // Terms are tokenised already; "raw" is only a name that tantivy knows.
    let indexing = |option| TextFieldIndexing::default().set_tokenizer("raw").set_index_option(option);
    let text = TextOptions::default().set_indexing_options(indexing(IndexRecordOption::WithFreqsAndPositions));
    let text = builder.add_text_field("text", text);
    let mut add = |name: &str, option| {
        let indexing = indexing(option).set_fieldnorms(false);
        builder.add_text_field(name, TextOptions::default().set_indexing_options(indexing))
    };
    let form = add("form", IndexRecordOption::WithFreqsAndPositions);
    let attribute = add("attribute", IndexRecordOption::WithFreqsAndPositions);
    let code = add("code", IndexRecordOption::Basic);
    let word = add("word", IndexRecordOption::Basic);
    let end = add("end", IndexRecordOption::Basic);
    (builder.build(), Fields { item, text, form, attribute, code, word, end })
}
