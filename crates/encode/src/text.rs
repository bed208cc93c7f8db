//! A text encoder from a Hugging Face folder: tokens, network, pooling.
//!
//! In: a folder. Out: vectors of texts. Threads take groups of texts of similar length; a text's vector does not depend
//! on its group, so the number of threads changes nothing but the time.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokenizers::{PostProcessor as _, Tokenizer, TruncationParams};

use crate::bert::{Bert, Scratch};
use crate::folder::Plan;
use crate::weights::WeightFile;
use crate::{EncodeError, Space};

/// Tokens that one pass takes: a layer's states then stay in the second-level cache, and its weights are read for many
/// tokens at once.
const TOKENS_AT_ONCE: usize = 192;
/// Bytes of a text for each token that the network reads. What is beyond cannot matter, as tokens are words or parts of
/// them, and dividing it into tokens would cost time.
const BYTES_PER_TOKEN: usize = 64;

/// An encoder of texts.
#[derive(Debug)]
pub struct TextEncoder {
    plan: Plan,
    tokenizer: Tokenizer,
    network: Bert,
    /// The token that stands for characters that the tokenizer does not know, if it has one.
    unknown: Option<u32>,
    files: [u128; 3],
}

impl TextEncoder {
    /// Reads a folder with `config.json`, `tokenizer.json` and `model.safetensors`, and the files of sentence-transformers
    /// where they are there (`modules.json`, `1_Pooling/config.json`, `sentence_bert_config.json`,
    /// `config_sentence_transformers.json`).
    ///
    /// # Errors
    /// If a file is missing, or holds what this build cannot use.
    pub fn open(folder: &Path) -> Result<Self, EncodeError> {
        let plan = Plan::read(folder)?;
        let (tokenizer, tokenizer_hash) = tokenizer(&folder.join("tokenizer.json"), &plan)?;
        let mut weights = WeightFile::open(&folder.join("model.safetensors"))?;
        let network = Bert::read(&plan, &mut weights)?;
        let config = hash_of(&folder.join("config.json"))?;
        let unknown = unknown_token(&tokenizer)?;
        Ok(Self { plan, tokenizer, network, unknown, files: [config, tokenizer_hash, weights.hash()?] })
    }

    /// Numbers in a vector.
    pub fn width(&self) -> usize {
        self.network.width()
    }

    /// Most tokens of a text, special tokens included; what is beyond is not read.
    pub fn max_tokens(&self) -> usize {
        self.plan.max_tokens
    }

    /// What the folder says is written before a query.
    pub fn query_prefix(&self) -> &str {
        &self.plan.query_prefix
    }

    /// What the folder says is written before a passage, which is what queries look for.
    pub fn passage_prefix(&self) -> &str {
        &self.plan.passage_prefix
    }

    /// The space of vectors of texts with `prefix` before them.
    pub fn space(&self, prefix: &str) -> Space {
        let Plan { pooling, max_tokens, lower_case, .. } = &self.plan;
        let how = format!("{pooling:?} {max_tokens} {lower_case}");
        let [config, tokenizer, weights] = self.files.map(u128::to_le_bytes);
        Space::of(&[&config, &tokenizer, &weights, how.as_bytes(), prefix.as_bytes()])
    }

    /// The token ids of a text, special tokens included, at most [`max_tokens`](Self::max_tokens).
    ///
    /// # Errors
    /// If the tokenizer fails.
    pub fn ids(&self, text: &str) -> Result<Vec<u32>, EncodeError> {
        token_ids(&self.tokenizer, &self.plan, text)
    }

    /// The share of a text's tokens that are not the one for unknown characters, 0 to 1.
    ///
    /// # Errors
    /// If the tokenizer fails.
    pub fn known_share(&self, text: &str) -> Result<f32, EncodeError> {
        let Some(unknown) = self.unknown else { return Ok(1.0) };
        let ids = plain_ids(&self.tokenizer, beginning(text, self.plan.max_tokens * BYTES_PER_TOKEN))?;
        let n_unknown = ids.iter().filter(|&&id| id == unknown).count();
        Ok(1.0 - n_unknown as f32 / ids.len().max(1) as f32)
    }

    /// The vectors of texts, each with norm 1, on at most `threads` threads.
    ///
    /// # Errors
    /// If the tokenizer fails, or the weights give no vector.
    pub fn encode<T: AsRef<str>>(&self, texts: &[T], threads: usize) -> Result<Vec<Vec<f32>>, EncodeError> {
        let ids = texts.iter().map(|text| self.ids(text.as_ref())).collect::<Result<Vec<_>, _>>()?;
        let groups = groups(&ids);
        let mut vectors = vec![Vec::new(); texts.len()];
        if threads <= 1 || groups.len() <= 1 {
            let mut scratch = Scratch::default();
            for group in &groups {
                self.encode_group(&ids, group, &mut scratch, &mut |place, vector| vectors[place] = vector)?;
            }
            return Ok(vectors);
        }
        let (next, outcome) = (AtomicUsize::new(0), Mutex::new(Ok(())));
        let places: Vec<Mutex<Vec<f32>>> = vectors.iter().map(|_| Mutex::default()).collect();
        let work = || {
            let mut scratch = Scratch::default();
            while let Some(group) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
                let mut put = |place: usize, vector| *lock(&places[place]) = vector;
                if let Err(error) = self.encode_group(&ids, group, &mut scratch, &mut put) {
                    *lock(&outcome) = Err(error);
                    return;
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads.min(groups.len()) {
                scope.spawn(work);
            }
            work();
        });
        outcome.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)?;
        Ok(places.into_iter().map(|place| place.into_inner().unwrap_or_default()).collect())
    }

    fn encode_group(
        &self,
        ids: &[Vec<u32>],
        group: &[usize],
        scratch: &mut Scratch,
        put: &mut impl FnMut(usize, Vec<f32>),
    ) -> Result<(), EncodeError> {
        let texts: Vec<&[u32]> = group.iter().map(|&place| &*ids[place]).collect();
        let vectors = self.network.vectors(&texts, scratch)?;
        group.iter().zip(vectors).for_each(|(&place, vector)| put(place, vector));
        Ok(())
    }
}

/// The token ids of a text, special tokens included, at most as many as the plan says.
pub(crate) fn token_ids(tokenizer: &Tokenizer, plan: &Plan, text: &str) -> Result<Vec<u32>, EncodeError> {
    let text = beginning(text, plan.max_tokens * BYTES_PER_TOKEN);
    let lower = plan.lower_case.then(|| text.to_lowercase());
    let encoding = tokenizer.encode_fast(lower.as_deref().unwrap_or(text), true);
    let ids = encoding.map_err(|error| EncodeError::Text(error.to_string()))?.get_ids().to_vec();
    // A tokenizer without special tokens has none for an empty text.
    Ok(if ids.is_empty() { vec![plan.padding] } else { ids })
}

/// The token ids of a text without special tokens.
fn plain_ids(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>, EncodeError> {
    let encoding = tokenizer.encode_fast(text, false).map_err(|error| EncodeError::Text(error.to_string()))?;
    Ok(encoding.get_ids().to_vec())
}

/// The token of unknown characters, for which no field of `tokenizer.json` stands in every kind of tokenizer: that which two
/// characters of dead scripts have in common.
fn unknown_token(tokenizer: &Tokenizer) -> Result<Option<u32>, EncodeError> {
    let last = |text| plain_ids(tokenizer, text).map(|ids| ids.last().copied());
    let (hieroglyph, cuneiform) = (last("\u{13000}")?, last("\u{1039E}")?);
    Ok(hieroglyph.filter(|_| hieroglyph == cuneiform))
}

/// The lock, also of a thread that panicked: what it guards is whole at any time.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Texts of similar length together, the longest first, so that no thread is left with a long one at the end.
fn groups(ids: &[Vec<u32>]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..ids.len()).collect();
    order.sort_by_key(|&place| std::cmp::Reverse(ids[place].len()));
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut n_tokens = 0;
    for place in order {
        n_tokens += ids[place].len();
        match groups.last_mut() {
            Some(group) if n_tokens <= TOKENS_AT_ONCE => group.push(place),
            _ => {
                groups.push(vec![place]);
                n_tokens = ids[place].len();
            }
        }
    }
    groups
}

/// At most `n_bytes` of a text, cut before a character.
fn beginning(text: &str, n_bytes: usize) -> &str {
    let end = (0..=n_bytes.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    &text[..end.unwrap_or(0)]
}

fn hash_of(path: &Path) -> Result<u128, EncodeError> {
    Ok(xxhash_rust::xxh3::xxh3_128(&read(path)?))
}

fn read(path: &Path) -> Result<Vec<u8>, EncodeError> {
    std::fs::read(path).map_err(|source| EncodeError::Io { path: path.into(), source })
}

/// The tokenizer of a file, which cuts texts and pads none, and the file's hash.
pub(crate) fn tokenizer(path: &Path, plan: &Plan) -> Result<(Tokenizer, u128), EncodeError> {
    let bytes = read(path)?;
    let fault = |fault: String| EncodeError::Tokenizer { path: path.into(), fault };
    let mut tokenizer = Tokenizer::from_bytes(&bytes).map_err(|error| fault(format!("not a tokenizer: {error}")))?;
    let largest = tokenizer.get_vocab(true).into_iter().max_by_key(|&(_, id)| id);
    let Some((token, id)) = largest else { return Err(fault("it has no tokens".into())) };
    if id as usize >= plan.n_words {
        return Err(EncodeError::Vocabulary { path: path.into(), token, id, rows: plan.n_words });
    }
    // A tokenizer that adds more tokens than the network reads would have none left for the text.
    let n_special = tokenizer.get_post_processor().map_or(0, |processor| processor.added_tokens(false));
    if n_special >= plan.max_tokens {
        return Err(fault(format!(
            "{n_special} special tokens around a text, and the network reads {}",
            plan.max_tokens
        )));
    }
    let cut = TruncationParams { max_length: plan.max_tokens, ..TruncationParams::default() };
    tokenizer.with_truncation(Some(cut)).map_err(|error| fault(error.to_string()))?;
    tokenizer.with_padding(None);
    // Special tokens have ids of their own, which need not be those of the vocabulary.
    let special = tokenizer.encode("", true).map_err(|error| fault(error.to_string()))?;
    let beyond = special.get_ids().iter().zip(special.get_tokens()).find(|&(&id, _)| id as usize >= plan.n_words);
    if let Some((&id, token)) = beyond {
        return Err(EncodeError::Vocabulary { path: path.into(), token: token.clone(), id, rows: plan.n_words });
    }
    Ok((tokenizer, xxhash_rust::xxh3::xxh3_128(&bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_hold_every_text_once_and_few_tokens() {
        let ids: Vec<Vec<u32>> = [3, 500, 64, 64, 64, 1, 190, 2].iter().map(|&n| vec![0; n]).collect();
        let groups = groups(&ids);
        let mut all = groups.concat();
        all.sort_unstable();
        assert_eq!(all, (0..ids.len()).collect::<Vec<_>>());
        for group in &groups {
            let n: usize = group.iter().map(|&place| ids[place].len()).sum();
            assert!(n <= TOKENS_AT_ONCE || group.len() == 1, "{n} tokens in {group:?}");
        }
    }

    #[test]
    fn texts_are_cut_before_a_character() {
        assert_eq!((beginning("Tässe", 2), beginning("abc", 9), beginning("", 3)), ("T", "abc", ""));
    }
}
