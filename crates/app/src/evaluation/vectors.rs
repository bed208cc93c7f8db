//! Vectors of a catalogue for an evaluation, kept in a file between runs.
//!
//! In: an encoder, items, and the file. Out: the vector of each item, in 8 bits a number as in the log. A text that the file
//! has is not encoded again. The file begins with [`MAGIC`], the space (8 bytes) and the number of dimensions (4 bytes, all
//! numbers little-endian); for each text follow its hash (8 bytes), the scale (4 bytes, a float) and the codes (a byte for
//! each dimension). A file of another encoder is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use accrue_encode::{Encoder, Kind, eight_bits, item_text, text_hash};
use accrue_event::Item;
use accrue_store::ItemVector;
use anyhow::{Context as _, ensure};

/// The first bytes of a file of vectors.
const MAGIC: &[u8; 8] = b"accruev1";
/// Texts that are encoded between two reports of progress.
const BATCH: usize = 1_024;

/// Vectors by the hash of their text.
pub(super) type ByText = BTreeMap<u64, (f32, Box<[i8]>)>;

/// The vector of each item that has a text, by its place. `file` is read if it is there, and written again if texts were
/// missing in it.
pub(super) fn vectors_of<'a>(
    encoder: &Encoder,
    items: impl Iterator<Item = (usize, &'a Item)>,
    file: Option<&Path>,
    progress: &dyn Fn(f64),
) -> anyhow::Result<Vec<(usize, ItemVector)>> {
    let items: Vec<(usize, &Item, String)> =
        items.filter_map(|(place, item)| Some((place, item, item_text(item)?))).collect();
    let texts: BTreeSet<&str> = items.iter().map(|(.., text)| &**text).collect();
    let known = vectors_of_texts(encoder, Kind::Passage, texts, file, progress)?;
    let space = encoder.space().0;
    let of_item = |(place, item, text): (usize, &Item, String)| {
        let text = text_hash(&text);
        let (scale, codes) = known.get(&text)?.clone();
        Some((place, ItemVector { item: item.id.clone(), space, text, scale, codes }))
    };
    Ok(items.into_iter().filter_map(of_item).collect())
}

/// The vector of each text, by its hash. `file` is as in [`vectors_of`].
pub(super) fn vectors_of_texts(
    encoder: &Encoder,
    kind: Kind,
    texts: BTreeSet<&str>,
    file: Option<&Path>,
    progress: &dyn Fn(f64),
) -> anyhow::Result<ByText> {
    let mut known = match file.filter(|file| file.exists()) {
        Some(file) => read(file, encoder)?,
        None => ByText::new(),
    };
    let missing: Vec<&str> = texts.into_iter().filter(|text| !known.contains_key(&text_hash(text))).collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    for (nth, batch) in missing.chunks(BATCH).enumerate() {
        progress((nth * BATCH) as f64 / missing.len() as f64);
        let vectors = encoder.encode(Some(kind), batch, threads)?;
        known.extend(batch.iter().zip(vectors).map(|(text, vector)| (text_hash(text), eight_bits(&vector))));
    }
    if let Some(file) = file.filter(|_| !missing.is_empty()) {
        write(file, encoder, &known)?;
    }
    Ok(known)
}

fn write(file: &Path, encoder: &Encoder, vectors: &ByText) -> anyhow::Result<()> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(encoder.space().0.to_le_bytes());
    bytes.extend((encoder.width() as u32).to_le_bytes());
    for (text, (scale, codes)) in vectors {
        bytes.extend(text.to_le_bytes());
        bytes.extend(scale.to_le_bytes());
        bytes.extend(codes.iter().map(|code| code.cast_unsigned()));
    }
    std::fs::write(file, bytes).with_context(|| format!("{} cannot be written", file.display()))
}

fn read(file: &Path, encoder: &Encoder) -> anyhow::Result<ByText> {
    let name = file.display();
    let bytes = std::fs::read(file).with_context(|| format!("{name} cannot be read"))?;
    let mut rest = bytes.strip_prefix(MAGIC).with_context(|| format!("{name} is no file of vectors"))?;
    let space = taken(&mut rest).map(u64::from_le_bytes);
    let width = taken(&mut rest).map(u32::from_le_bytes);
    ensure!(
        space == Some(encoder.space().0) && width == Some(encoder.width() as u32),
        "{name} has the vectors of another encoder, or of other prefixes; name another file"
    );
    let width = encoder.width();
    let row = 12 + width;
    ensure!(rest.len().is_multiple_of(row), "{name} ends within a vector; delete it to encode again");
    let vector = |row: &[u8]| {
        let mut row = row;
        let (text, scale) = (taken(&mut row).map(u64::from_le_bytes)?, taken(&mut row).map(f32::from_le_bytes)?);
        Some((text, (scale, row.iter().map(|code| code.cast_signed()).collect())))
    };
    Ok(rest.chunks_exact(row).filter_map(vector).collect())
}

/// The next bytes.
fn taken<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, others) = rest.split_first_chunk()?;
    *rest = others;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use accrue_encode::{EncoderSettings, HASHED};

    use super::*;

    #[test]
    fn vectors_of_a_file_are_those_that_were_encoded() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("vectors");
        let encoder = Encoder::open(HASHED, &EncoderSettings::default()).unwrap();
        let item = |id: &str, title: &str| {
            let mut item = Item::bare(id.into());
            item.title = Some(title.into());
            item
        };
        let mut items = vec![item("a", "red mug"), Item::bare("b".into()), item("c", "blue mug")];
        let all = |items: &[Item], file| vectors_of(&encoder, items.iter().enumerate(), file, &|_| {}).unwrap();
        let fresh = all(&items, None);
        assert_eq!(fresh.iter().map(|(place, _)| *place).collect::<Vec<_>>(), [0, 2]);
        assert_eq!(all(&items, Some(&file)), fresh);
        items.push(item("d", "green mug"));
        assert_eq!(all(&items, Some(&file)), all(&items, None), "one text more than the file has");
        let whole = std::fs::read(&file).unwrap();
        std::fs::write(&file, &whole[..whole.len() - 1]).unwrap();
        assert!(read(&file, &encoder).unwrap_err().to_string().contains("ends within"));
        std::fs::write(&file, b"something else").unwrap();
        assert!(read(&file, &encoder).is_err());
    }
}
