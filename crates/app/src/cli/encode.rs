//! `accrue encode`: texts or files of pictures, one per line, as vectors. It needs no data folder.

use std::io::{self, BufRead, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use accrue_encode::{EncodeError, Encoder, ImageEncoder, Kind};

use super::problem::{Hint as _, Problem};
use super::{Context, Exit, Output};
use crate::evaluation::{Fitted, PictureFit, fit_pictures};

const EXAMPLES: &str = "\
Examples:
  examples/encoders/minilm.sh minilm                      an English encoder, by package name (needs Python with pip)
  echo 'red mug' | accrue encode --encoder minilm         a JSON array of numbers, of norm 1
  accrue encode --encoder hashed < titles.txt             without weights: by letters and words
  accrue encode --kind query < searches.txt               the encoder and the prefixes of the section [content]
  examples/encoders/efficientnet_lite0.py lite0           an encoder of pictures, by package name
  ls pictures/*.jpg | accrue encode --encoder lite0 --kind image
  accrue encode --kind image --encoder lite0 --fit items.csv --images pictures --out lite0-shop

An encoder of texts is a folder of the BERT family as Hugging Face lays it out: config.json, tokenizer.json,
model.safetensors. Lines longer than it reads are cut. An encoder of pictures is a folder with config.json and
model.safetensors; each line is the path of a JPEG, PNG or WebP file. A picture that cannot be used gets the line `null`,
the fault goes to stderr, and the command ends with 1. --fit learns from a shop's own titles which pictures show the same
kind of thing. docs/encoders.md has more.";

/// Lines encoded at once.
const LINES: usize = 256;
/// Bytes of a line that are read; no encoder reads as many.
const LINE_BYTES: usize = 1 << 20;

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// A folder of an encoder, `hashed`, or for pictures `pixels` [default: content.encoder of the settings, for
    /// pictures content.image_encoder]
    #[arg(long, value_name = "DIR")]
    encoder: Option<String>,
    /// What the lines are: texts, with a prefix of its own for encoders that were trained with one, or files of
    /// pictures
    #[arg(long)]
    kind: Option<KindArgument>,
    /// Threads; the vectors do not depend on it
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,
    /// Instead of encoding pictures, fit a projection of them on the titles of these items, which name their pictures
    /// in `image`
    #[arg(long, value_name = "FILE", requires_all = ["out", "kind"])]
    fit: Option<PathBuf>,
    /// The folder of the pictures for a fit [default: content.images of the settings]
    #[arg(long, value_name = "DIR", requires = "fit")]
    images: Option<PathBuf>,
    /// The folder that a fit writes: the encoder with its projection, for content.image_encoder
    #[arg(long, value_name = "DIR", requires = "fit")]
    out: Option<PathBuf>,
    /// Numbers in a fitted vector
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u16).range(8..=1024))]
    width: u16,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum KindArgument {
    /// What a shopper writes to find something
    Query,
    /// What is found: titles and descriptions
    Passage,
    /// Files of pictures, by their paths
    Image,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<Exit> {
    let settings = &context.config.engine.content;
    let kind = match arguments.kind {
        Some(KindArgument::Image) => {
            let name = arguments.encoder.as_deref().unwrap_or(&settings.image_encoder);
            if let Some(items) = &arguments.fit {
                return fit(context, arguments, items, named(name)?);
            }
            return pictures(name, arguments.threads.into(), context.output);
        }
        Some(KindArgument::Query) => Some(Kind::Query),
        Some(KindArgument::Passage) => Some(Kind::Passage),
        None => None,
    };
    if arguments.fit.is_some() {
        return Err(Problem::new("--fit is for pictures", "say --kind image").into());
    }
    let name = named(arguments.encoder.as_deref().unwrap_or(&settings.encoder))?;
    let hint =
        "a folder of an encoder has config.json, tokenizer.json and model.safetensors; docs/encoders.md has more";
    let encoder = Encoder::open(name, &settings.prefixes()).hint(hint)?;
    let mut input = BufReader::with_capacity(1 << 16, io::stdin().lock());
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    loop {
        let lines = lines(&mut input)?;
        if lines.is_empty() {
            return Ok(Exit::Success);
        }
        for vector in encoder.encode(kind, &lines, arguments.threads.into())? {
            serde_json::to_writer(&mut out, &vector)?;
            out.write_all(b"\n")?;
        }
        out.flush()?;
    }
}

/// The name of an encoder, if there is one.
fn named(name: &str) -> anyhow::Result<&str> {
    if name.is_empty() {
        let hint = "name one with --encoder DIR, or under [content] in the settings; examples/encoders has scripts";
        return Err(Problem::new("no encoder", hint).into());
    }
    Ok(name)
}

/// Fits a projection of pictures, and writes the folder of the encoder with it.
fn fit(context: &Context, arguments: &Arguments, items: &Path, encoder: &str) -> anyhow::Result<Exit> {
    let settings = &context.config.engine.content;
    let fit = PictureFit {
        items: items.into(),
        images: arguments.images.clone().unwrap_or_else(|| settings.images.clone()),
        images_at: settings.images_at.clone(),
        encoder: encoder.into(),
        out: arguments.out.clone().unwrap_or_default(),
        width: arguments.width.into(),
    };
    let fitted = fit_pictures(&context.config.engine, &fit, &|_| {}).hint("docs/encoders.md shows a fit")?;
    context.output.result(&fitted, |Fitted { pairs, incomplete, unusable }| {
        format!(
            "Fitted on {pairs} items; {incomplete} without a title or a picture in the folder, {unusable} whose picture \
             cannot be used.\nThe encoder is in {}: set content.image_encoder to it.\n",
            fit.out.display()
        )
    })?;
    Ok(Exit::Success)
}

/// Encodes files of pictures. One that cannot be used has the line `null`, so that lines stay beside those of the
/// input.
fn pictures(name: &str, threads: usize, output: Output) -> anyhow::Result<Exit> {
    let hint = "a folder of an encoder of pictures has config.json and model.safetensors; docs/encoders.md has more";
    let encoder = ImageEncoder::open(named(name)?).hint(hint)?;
    let mut input = BufReader::with_capacity(1 << 16, io::stdin().lock());
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let mut exit = Exit::Success;
    loop {
        let lines = lines(&mut input)?;
        if lines.is_empty() {
            return Ok(exit);
        }
        for vector in encoder.encode(&lines, threads) {
            let fault = vector.as_ref().err().map(EncodeError::to_string);
            serde_json::to_writer(&mut out, &vector.ok())?;
            out.write_all(b"\n")?;
            if let Some(fault) = fault {
                output.note(&fault);
                exit = Exit::Refused;
            }
        }
        out.flush()?;
    }
}

/// The next lines: one at least, unless the input has ended, and then those that have come already.
fn lines(input: &mut BufReader<impl io::Read>) -> io::Result<Vec<String>> {
    let mut lines = Vec::new();
    while lines.len() < LINES && (lines.is_empty() || input.buffer().contains(&b'\n')) {
        match line(input)? {
            Some(line) => lines.push(line),
            None => break,
        }
    }
    Ok(lines)
}

/// The next line without its end, as far as it is read; what is not UTF-8 is replaced.
fn line(input: &mut impl BufRead) -> io::Result<Option<String>> {
    let (mut line, mut is_ended, mut is_empty) = (Vec::new(), false, true);
    while !is_ended {
        let bytes = input.fill_buf()?;
        if bytes.is_empty() {
            break;
        }
        is_empty = false;
        let end = bytes.iter().position(|&byte| byte == b'\n');
        is_ended = end.is_some();
        let part = &bytes[..end.unwrap_or(bytes.len())];
        line.extend_from_slice(&part[..part.len().min(LINE_BYTES.saturating_sub(line.len()))]);
        let n_bytes = part.len() + usize::from(is_ended);
        input.consume(n_bytes);
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok((!is_empty).then(|| String::from_utf8_lossy(&line).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_they_come_and_cut() {
        let long = "x".repeat(LINE_BYTES + 70_000);
        let text = format!("red mug\r\n\n{long}\nl\u{e9}\nend");
        let mut input = BufReader::new(text.as_bytes());
        let mut all = Vec::new();
        loop {
            let some = lines(&mut input).unwrap();
            if some.is_empty() {
                break;
            }
            all.extend(some);
        }
        let lengths: Vec<usize> = all.iter().map(String::len).collect();
        assert_eq!(lengths, [7, 0, LINE_BYTES, 3, 3]);
        assert_eq!((&*all[0], &*all[4]), ("red mug", "end"));
    }
}
