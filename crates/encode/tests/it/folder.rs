//! Small folders with random weights, in the layout of Hugging Face.

use std::collections::BTreeMap;
use std::path::Path;

use accrue_kernel::Draws;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};

/// A network's sizes and kind.
#[derive(Clone, Debug)]
pub struct Shape {
    pub model_type: &'static str,
    pub width: usize,
    pub layers: usize,
    pub heads: usize,
    pub inner: usize,
    pub positions: usize,
    pub activation: &'static str,
    pub pooling: &'static str,
    pub max_tokens: usize,
    /// What all tensors' names begin with.
    pub prefix: &'static str,
    pub dtype: Dtype,
}

impl Shape {
    pub const SMALL: Self = Self {
        model_type: "bert",
        width: 24,
        layers: 2,
        heads: 3,
        inner: 40,
        positions: 40,
        activation: "gelu",
        pooling: "mean",
        max_tokens: 32,
        prefix: "",
        dtype: Dtype::F32,
    };
}

/// Tensors by name, with their shapes.
pub type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// A folder in memory: its JSON files and its tensors.
#[derive(Clone, Debug)]
pub struct Folder {
    pub shape: Shape,
    pub files: BTreeMap<&'static str, Value>,
    pub tensors: Tensors,
}

const WORDS: [&str; 20] = [
    "red", "blue", "mug", "cup", "tea", "pot", "lamp", "light", "heart", "holder", "a", "b", "c", "d", "e", "s", "t",
    "r", "i", "n",
];

impl Folder {
    /// A folder with random weights; a tokenizer by words (`bert`) or by pieces (the others).
    pub fn random(shape: &Shape, seed: u64) -> Self {
        let (tokenizer, n_words) = if shape.model_type == "bert" { word_pieces() } else { pieces() };
        let (d, inner) = (shape.width, shape.inner);
        let mut tensors = Tensors::new();
        let mut draws = Draws::new(seed, 1, 2);
        let mut add = |name: String, dims: &[usize], mean: f32, deviation: f32| {
            let n = dims.iter().product();
            let values = (0..n).map(|_| as_stored(mean + deviation * draws.normal(), shape.dtype)).collect();
            tensors.insert(format!("{}{name}", shape.prefix), (dims.to_vec(), values));
        };
        add("embeddings.word_embeddings.weight".into(), &[n_words, d], 0.0, 0.4);
        add("embeddings.position_embeddings.weight".into(), &[shape.positions, d], 0.0, 0.3);
        add("embeddings.token_type_embeddings.weight".into(), &[2, d], 0.0, 0.2);
        let mut norms = vec!["embeddings.LayerNorm".to_owned()];
        for layer in 0..shape.layers {
            let name = format!("encoder.layer.{layer}");
            let square =
                ["self.query", "self.key", "self.value", "output.dense"].map(|part| format!("attention.{part}"));
            let square = square.into_iter().map(|part| (part, d, d));
            let wide = [("intermediate.dense".to_owned(), d, inner), ("output.dense".to_owned(), inner, d)];
            for (part, inputs, outputs) in square.chain(wide) {
                add(format!("{name}.{part}.weight"), &[outputs, inputs], 0.0, 0.25);
                add(format!("{name}.{part}.bias"), &[outputs], 0.0, 0.1);
            }
            norms.extend(["attention.output.LayerNorm", "output.LayerNorm"].map(|norm| format!("{name}.{norm}")));
        }
        for norm in norms {
            add(format!("{norm}.weight"), &[d], 1.0, 0.1);
            add(format!("{norm}.bias"), &[d], 0.0, 0.1);
        }
        let config = json!({
            "architectures": ["AnyModel"], "model_type": shape.model_type, "hidden_size": d,
            "num_hidden_layers": shape.layers, "num_attention_heads": shape.heads, "intermediate_size": inner,
            "vocab_size": n_words, "max_position_embeddings": shape.positions, "type_vocab_size": 2,
            "layer_norm_eps": 1e-12, "hidden_act": shape.activation, "position_embedding_type": "absolute",
            "pad_token_id": if shape.model_type == "bert" { 0 } else { 1 },
        });
        let files = BTreeMap::from([
            ("config.json", config),
            ("tokenizer.json", tokenizer),
            ("sentence_bert_config.json", json!({"max_seq_length": shape.max_tokens, "do_lower_case": false})),
            (
                "1_Pooling/config.json",
                json!({ format!("pooling_mode_{}_tokens", shape.pooling).replace("cls_tokens", "cls_token"): true }),
            ),
        ]);
        Self { shape: shape.clone(), files, tensors }
    }

    /// Writes the folder.
    pub fn write(&self, to: &Path) {
        for (name, value) in &self.files {
            let path = to.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, value.to_string()).unwrap();
        }
        write_tensors(&self.tensors, self.shape.dtype, &to.join("model.safetensors"));
    }
}

/// Writes a file of weights.
pub fn write_tensors(tensors: &Tensors, dtype: Dtype, to: &Path) {
    let bytes: Vec<Vec<u8>> =
        tensors.values().map(|(_, values)| values.iter().flat_map(|&x| stored(x, dtype)).collect()).collect();
    let views = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, (shape, _)), bytes)| (name.clone(), TensorView::new(dtype, shape.clone(), bytes).unwrap()));
    safetensors::serialize_to_file(views.collect::<Vec<_>>(), None, to).unwrap();
}

/// The bytes of a number, which are exact for those that [`as_stored`] returns.
fn stored(x: f32, dtype: Dtype) -> Vec<u8> {
    match dtype {
        Dtype::BF16 => ((x.to_bits() >> 16) as u16).to_le_bytes().into(),
        _ => x.to_le_bytes().into(),
    }
}

/// The number that is left after storing it.
fn as_stored(x: f32, dtype: Dtype) -> f32 {
    if dtype == Dtype::BF16 { f32::from_bits(x.to_bits() & 0xFFFF_0000) } else { x }
}

fn special(id: usize, content: &str) -> Value {
    json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
           "special": true})
}

/// `first text last`.
fn template(first: (&str, usize), last: (&str, usize)) -> Value {
    let token = |name: &str| json!({"SpecialToken": {"id": name, "type_id": 0}});
    let entry = |(name, id): (&str, usize)| json!({"id": name, "ids": [id], "tokens": [name]});
    let text = json!({"Sequence": {"id": "A", "type_id": 0}});
    json!({"type": "TemplateProcessing", "single": [token(first.0), text, token(last.0)],
           "pair": [token(first.0), text, token(last.0), {"Sequence": {"id": "B", "type_id": 0}}],
           "special_tokens": {first.0: entry(first), last.0: entry(last)}})
}

fn tokenizer(added: Vec<Value>, parts: Value) -> Value {
    let mut whole =
        json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "decoder": null});
    whole.as_object_mut().unwrap().extend(parts.as_object().unwrap().clone());
    whole
}

/// A tokenizer by words and their parts, as BERT's, and its number of tokens.
fn word_pieces() -> (Value, usize) {
    let specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"];
    let parts = WORDS.iter().map(|word| (*word).to_owned()).chain(WORDS.iter().map(|word| format!("##{word}")));
    let words: Vec<String> = specials.map(String::from).into_iter().chain(parts).collect();
    let vocabulary: serde_json::Map<String, Value> = words.iter().cloned().zip((0..).map(Value::from)).collect();
    let added = specials.iter().enumerate().map(|(id, content)| special(id, content)).collect();
    let parts = json!({
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null,
                       "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": template(("[CLS]", 2), ("[SEP]", 3)),
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": vocabulary},
    });
    (tokenizer(added, parts), words.len())
}

/// A tokenizer by pieces with probabilities, as XLM-R's, and its number of tokens.
fn pieces() -> (Value, usize) {
    let specials = ["<s>", "<pad>", "</s>", "<unk>"];
    let mut vocabulary: Vec<Value> = specials.iter().map(|name| json!([name, 0.0])).collect();
    for (place, word) in WORDS.iter().enumerate() {
        vocabulary.push(json!([format!("▁{word}"), -3.0 - place as f64 / 10.0]));
        vocabulary.push(json!([word, -4.0 - place as f64 / 10.0]));
    }
    vocabulary.push(json!(["▁", -5.0]));
    let n = vocabulary.len();
    let added = specials.iter().enumerate().map(|(id, content)| special(id, content)).collect();
    let parts = json!({
        "normalizer": null,
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true},
        "post_processor": template(("<s>", 0), ("</s>", 2)),
        "model": {"type": "Unigram", "unk_id": 3, "vocab": vocabulary, "byte_fallback": false},
    });
    (tokenizer(added, parts), n)
}
