//! Any encoder, as settings name it.

use std::path::Path;

use crate::{EncodeError, HashedEncoder, Space, TextEncoder};

/// The name that stands for the encoder without weights, instead of a folder.
pub const HASHED: &str = "hashed";

/// What a text is: some networks were trained with a word before texts that says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What a shopper writes to find something.
    Query,
    /// What is found.
    Passage,
}

/// What is written before texts. `None` is what the folder says, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncoderSettings {
    /// Before a query.
    pub query_prefix: Option<String>,
    /// Before a passage.
    pub passage_prefix: Option<String>,
}

/// An encoder of texts.
#[derive(Debug)]
pub struct Encoder {
    network: Network,
    query_prefix: String,
    passage_prefix: String,
}

#[derive(Debug)]
enum Network {
    Hashed(HashedEncoder),
    Text(Box<TextEncoder>),
}

impl Encoder {
    /// The encoder that `name` stands for: [`HASHED`], or a folder.
    ///
    /// # Errors
    /// If the folder cannot be used.
    pub fn open(name: &str, settings: &EncoderSettings) -> Result<Self, EncodeError> {
        let network = match name {
            HASHED => Network::Hashed(HashedEncoder),
            folder => Network::Text(Box::new(TextEncoder::open(Path::new(folder))?)),
        };
        let own = match &network {
            Network::Hashed(_) => ["", ""],
            Network::Text(text) => [text.query_prefix(), text.passage_prefix()],
        };
        let [query_prefix, passage_prefix] = [&settings.query_prefix, &settings.passage_prefix];
        Ok(Self {
            query_prefix: query_prefix.as_deref().unwrap_or(own[0]).to_owned(),
            passage_prefix: passage_prefix.as_deref().unwrap_or(own[1]).to_owned(),
            network,
        })
    }

    /// Numbers in a vector.
    pub fn width(&self) -> usize {
        match &self.network {
            Network::Hashed(hashed) => hashed.width(),
            Network::Text(text) => text.width(),
        }
    }

    /// The space of its vectors of passages. Queries are compared with those, so their prefix makes no other space.
    pub fn space(&self) -> Space {
        match &self.network {
            Network::Hashed(hashed) => hashed.space(),
            Network::Text(text) => text.space(&self.passage_prefix),
        }
    }

    /// The share of a text that the encoder knows, 0 to 1: a text in a script that it never read is 0, and its vector says
    /// nothing.
    ///
    /// # Errors
    /// If the tokenizer fails.
    pub fn known_share(&self, text: &str) -> Result<f32, EncodeError> {
        match &self.network {
            Network::Hashed(_) => Ok(1.0),
            Network::Text(encoder) => encoder.known_share(text),
        }
    }

    /// The vectors of texts, each with norm 1, on at most `threads` threads; the same bits on any number of them. Without a
    /// kind nothing is written before the texts.
    ///
    /// # Errors
    /// If the weights give no vector; the folder is damaged then.
    pub fn encode<T: AsRef<str>>(
        &self,
        kind: Option<Kind>,
        texts: &[T],
        threads: usize,
    ) -> Result<Vec<Vec<f32>>, EncodeError> {
        let prefix = match kind {
            None => "",
            Some(Kind::Query) => &self.query_prefix,
            Some(Kind::Passage) => &self.passage_prefix,
        };
        match &self.network {
            Network::Hashed(hashed) => Ok(texts.iter().map(|text| hashed.encode(text.as_ref())).collect()),
            Network::Text(encoder) if prefix.is_empty() => encoder.encode(texts, threads),
            Network::Text(encoder) => {
                let texts: Vec<String> = texts.iter().map(|text| format!("{prefix}{}", text.as_ref())).collect();
                encoder.encode(&texts, threads)
            }
        }
    }
}
