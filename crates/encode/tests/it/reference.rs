//! The forward pass in plain loops over f64, to compare with.

use super::folder::Folder;

/// `x·wᵀ + b`. `x: [n][inputs] → [n][outputs]`
fn linear(folder: &Folder, name: &str, x: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let (shape, weight) = tensor(folder, &format!("{name}.weight"));
    let (_, bias) = tensor(folder, &format!("{name}.bias"));
    let product = |x: &[f64], output: usize| {
        let row = &weight[output * shape[1]..][..shape[1]];
        x.iter().zip(row).map(|(x, &w)| x * f64::from(w)).sum::<f64>() + f64::from(bias[output])
    };
    x.iter().map(|x| (0..shape[0]).map(|output| product(x, output)).collect()).collect()
}

fn tensor<'a>(folder: &'a Folder, name: &str) -> (&'a [usize], &'a [f32]) {
    let (shape, values) = &folder.tensors[&format!("{}{name}", folder.shape.prefix)];
    (shape, values)
}

fn norm(folder: &Folder, name: &str, x: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let (gain, shift) = (tensor(folder, &format!("{name}.weight")).1, tensor(folder, &format!("{name}.bias")).1);
    let normal = |x: Vec<f64>| {
        let n = x.len() as f64;
        let mean = x.iter().sum::<f64>() / n;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        let scaled = x.iter().map(|x| (x - mean) / (variance + 1e-12).sqrt());
        scaled.zip(gain.iter().zip(shift)).map(|(x, (&g, &s))| x * f64::from(g) + f64::from(s)).collect()
    };
    x.into_iter().map(normal).collect()
}

fn plus(a: Vec<Vec<f64>>, b: &[Vec<f64>]) -> Vec<Vec<f64>> {
    a.into_iter().zip(b).map(|(a, b)| a.iter().zip(b).map(|(a, b)| a + b).collect()).collect()
}

/// `Φ(x)`, by the series of the error function.
fn distribution(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= x * x / f64::from(2 * n + 1);
        sum += term;
    }
    (0.5 + sum * (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()).clamp(0.0, 1.0)
}

fn activated(folder: &Folder, x: f64) -> f64 {
    if folder.shape.activation == "relu" { x.max(0.0) } else { x * distribution(x) }
}

fn attention(folder: &Folder, name: &str, x: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let [q, k, v] = ["query", "key", "value"].map(|part| linear(folder, &format!("{name}.self.{part}"), x));
    let width = folder.shape.width / folder.shape.heads;
    let mut mixed = vec![vec![0.0; folder.shape.width]; x.len()];
    for head in 0..folder.shape.heads {
        let columns = head * width..(head + 1) * width;
        for (row, out) in mixed.iter_mut().enumerate() {
            let score = |other: &Vec<f64>| {
                let product: f64 =
                    q[row][columns.clone()].iter().zip(&other[columns.clone()]).map(|(a, b)| a * b).sum();
                (product / (width as f64).sqrt()).exp()
            };
            let weights: Vec<f64> = k.iter().map(score).collect();
            let sum: f64 = weights.iter().sum();
            for column in columns.clone() {
                out[column] = weights.iter().zip(&v).map(|(weight, v)| weight / sum * v[column]).sum();
            }
        }
    }
    linear(folder, &format!("{name}.output.dense"), &mixed)
}

/// The vector of norm 1 of a text's tokens.
pub fn vector(folder: &Folder, ids: &[u32]) -> Vec<f64> {
    let row = |name: &str, row: usize| -> Vec<f64> {
        let (shape, values) = tensor(folder, &format!("embeddings.{name}_embeddings.weight"));
        values[row * shape[1]..][..shape[1]].iter().map(|&x| f64::from(x)).collect()
    };
    let first = if folder.shape.model_type == "bert" { 0 } else { 2 };
    let words: Vec<Vec<f64>> = ids.iter().map(|&id| row("word", id as usize)).collect();
    let positions: Vec<Vec<f64>> = (0..ids.len()).map(|place| row("position", first + place)).collect();
    let types = vec![row("token_type", 0); ids.len()];
    let mut x = norm(folder, "embeddings.LayerNorm", plus(plus(words, &positions), &types));
    for layer in 0..folder.shape.layers {
        let name = format!("encoder.layer.{layer}");
        let mixed = attention(folder, &format!("{name}.attention"), &x);
        x = norm(folder, &format!("{name}.attention.output.LayerNorm"), plus(x, &mixed));
        let wide = linear(folder, &format!("{name}.intermediate.dense"), &x);
        let wide: Vec<Vec<f64>> = wide.iter().map(|row| row.iter().map(|&x| activated(folder, x)).collect()).collect();
        let narrow = linear(folder, &format!("{name}.output.dense"), &wide);
        x = norm(folder, &format!("{name}.output.LayerNorm"), plus(x, &narrow));
    }
    let pooled: Vec<f64> = match folder.shape.pooling {
        "cls" => x[0].clone(),
        _ => (0..folder.shape.width).map(|column| x.iter().map(|x| x[column]).sum::<f64>()).collect(),
    };
    let norm = pooled.iter().map(|x| x * x).sum::<f64>().sqrt();
    pooled.into_iter().map(|x| x / norm).collect()
}
