//! The model `judged` of the protocol `search`: files are read and texts encoded, then the `lab` crate learns from the judgments.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use accrue_encode::{Encoder, Kind, text_hash};
use accrue_event::Item;
use accrue_lab::boosting::BoostingSettings;
use accrue_lab::judged::{Judged, JudgedSettings, Pair, Text, Word, evaluate_judged};
use accrue_lab::search::{Ratings, read_judgments};
use accrue_serve::search::{Language, ReadWord, read_words};
use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

use super::request::Run;
use super::search_files::{SEARCH, read_items, text_of};
use super::settings::{ENCODER, number};
use super::vectors::vectors_of_texts;

/// The name of the model.
pub(super) const JUDGED: &str = "judged";

/// Settings out of `key=value` pairs.
struct Asked {
    encoder: String,
    vectors: Option<PathBuf>,
    settings: JudgedSettings,
}

/// Learns from the judgments of the test file about items of the items' file, by cross-validation over queries.
pub(super) fn judged(run: &Run<'_>, progress: &(dyn Fn(f64, &str) + Sync)) -> anyhow::Result<Value> {
    let request = run.request;
    let (Some(items), Some(test)) = (&request.items, &request.test) else {
        bail!("{SEARCH} needs --items, the catalogue, and --test, judgments with rows query,docid,rating");
    };
    ensure!(request.against.is_none(), "--against compares lists of items, which {JUDGED} does not make");
    let asked = asked(run)?;
    let judgments = read_judgments(&text_of(test)?).with_context(|| test.display().to_string())?;
    let (items, refused) = read_items(run, items)?;
    let titles: BTreeMap<&str, &Item> = items.iter().map(|item| (item.id.as_str(), item)).collect();
    let (pairs, queries, ids) = pairs(&judgments, &titles);
    ensure!(
        !pairs.is_empty(),
        "none of the judged items is among the {} of the catalogue: {} has ids of other items",
        items.len(),
        test.display()
    );
    let title = |id: &&str| titles[*id].title.as_deref().unwrap_or_default();
    let titles: Vec<&str> = ids.iter().map(title).collect();
    let vectors = vectors(run, &asked, &queries, &titles, progress)?;
    let language = run.config.search.language;
    let data =
        Judged { queries: texts(&queries, language, true), titles: texts(&titles, language, false), pairs, vectors };
    let evaluated = evaluate_judged(&data, &asked.settings, &|done| progress(done, "the folds"))?;
    if let Some(path) = &request.predictions {
        let line = |(pair, predicted): (&Pair, &f32)| json!({"query": queries[pair.query], "docid": ids[pair.title], "rating": pair.rating, "predicted": predicted});
        let lines: String =
            data.pairs.iter().zip(&evaluated.predictions).map(|pair| format!("{}\n", line(pair))).collect();
        std::fs::write(path, lines).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    let mut report = serde_json::to_value(&evaluated)?;
    let settings: BTreeMap<_, _> = run.settings.iter().cloned().collect();
    let more = json!({
        "protocol": SEARCH, "model": JUDGED, "settings": settings, "seed": asked.settings.seed, "n_items": ids.len(),
        "n_queries": queries.len(), "refused": refused,
    });
    if let (Some(report), Value::Object(more)) = (report.as_object_mut(), more) {
        report.extend(more);
    }
    Ok(report)
}

/// The rated pairs of items that the catalogue has, their queries and their ids.
fn pairs<'a>(
    judgments: &'a BTreeMap<String, Ratings>,
    items: &BTreeMap<&'a str, &'a Item>,
) -> (Vec<Pair>, Vec<&'a str>, Vec<&'a str>) {
    let (mut pairs, mut queries, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for (query, ratings) in judgments {
        let rated = ratings.iter().filter(|(id, _)| items.contains_key(&***id));
        for (id, &rating) in rated {
            let title = *places.entry(id).or_insert_with(|| {
                ids.push(&**id);
                ids.len() - 1
            });
            pairs.push(Pair { query: queries.len(), title, rating: rating as f32 });
        }
        if pairs.last().is_some_and(|last| last.query == queries.len()) {
            queries.push(&**query);
        }
    }
    (pairs, queries, ids)
}

/// Texts as the search reads them; of queries without words that say little, if there are others.
fn texts(texts: &[&str], language: Language, are_queries: bool) -> Vec<Text> {
    let text = |mut words: Vec<ReadWord>| {
        if are_queries && words.iter().any(|word| !word.is_stop) {
            words.retain(|word| !word.is_stop);
        }
        let word = |ReadWord { term, plain, has_digits, .. }| Word { term, plain, has_digits };
        Text::new(words.into_iter().map(word).collect())
    };
    read_words(texts.iter().copied(), language).into_iter().map(text).collect()
}

/// The vectors of some texts.
type Vectors = Vec<Vec<f32>>;

/// The vectors of queries and titles, if there is an encoder; those of queries are kept in a file beside that of titles.
fn vectors(
    run: &Run<'_>,
    asked: &Asked,
    queries: &[&str],
    titles: &[&str],
    progress: &(dyn Fn(f64, &str) + Sync),
) -> anyhow::Result<Option<(Vectors, Vectors)>> {
    if asked.encoder.is_empty() {
        return Ok(None);
    }
    let encoder = Encoder::open(&asked.encoder, &run.config.content.prefixes())?;
    let of = |kind: Kind, texts: &[&str], file: Option<&Path>| -> anyhow::Result<Vectors> {
        let distinct: BTreeSet<&str> = texts.iter().copied().collect();
        let known = vectors_of_texts(&encoder, kind, distinct, file, &|done| progress(done, "the vectors"))?;
        let vector = |text: &&str| {
            let (scale, codes) = &known[&text_hash(text)];
            let mut vector: Vec<f32> = codes.iter().map(|&code| scale * f32::from(code)).collect();
            let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
            vector.iter_mut().for_each(|number| *number /= length);
            vector
        };
        Ok(texts.iter().map(vector).collect())
    };
    let of_queries = asked.vectors.as_ref().map(|file| {
        let mut name = file.clone().into_os_string();
        name.push(".queries");
        PathBuf::from(name)
    });
    let queries = of(Kind::Query, queries, of_queries.as_deref())?;
    Ok(Some((queries, of(Kind::Passage, titles, asked.vectors.as_deref())?)))
}

fn asked(run: &Run<'_>) -> anyhow::Result<Asked> {
    let seed = run.config.learn.seed;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut settings = JudgedSettings { folds: 5, models: 3, boosting: BoostingSettings::default(), seed, threads };
    let (mut encoder, mut vectors) = (run.config.content.encoder.clone(), None);
    for (key, value) in run.settings {
        let (boosting, value) = (&mut settings.boosting, Some(&**value));
        match key.as_str() {
            "encoder" | ENCODER => encoder = value.unwrap_or_default().to_owned(),
            "vectors" => vectors = value.map(PathBuf::from),
            "folds" => settings.folds = number(value, key, 0)?,
            "models" => settings.models = number(value, key, 0)?,
            "threads" => settings.threads = number(value, key, 0)?,
            "trees" => boosting.trees = number(value, key, 0)?,
            "leaves" => boosting.leaves = number(value, key, 0)?,
            "least" => boosting.least = number(value, key, 0)?,
            "step" => boosting.step = number(value, key, 0.0)?,
            "rows" => boosting.rows = number(value, key, 0.0)?,
            "features" => boosting.features = number(value, key, 0.0)?,
            _ => bail!(
                "there is no setting `{key}`; there is folds=N, models=N, threads=N, trees=N, leaves=N, least=ROWS, step=SHARE, rows=SHARE, \
                 features=SHARE, encoder=DIR, vectors=FILE"
            ),
        }
    }
    Ok(Asked { encoder, vectors, settings })
}

#[cfg(test)]
mod tests {
    use accrue_engine::Config;

    use super::super::{Request, evaluate};
    use super::*;

    const COLOURS: [&str; 5] = ["red", "blue", "green", "white", "black"];
    const THINGS: [&str; 5] = ["mug", "lamp", "shelf", "chair", "hose"];

    /// The report of queries for a thing in a colour: a title of both is rated 3, of the thing 2, of neither 1.
    fn report(settings: &[(&str, &str)]) -> anyhow::Result<Value> {
        let folder = tempfile::tempdir()?;
        let (items, test) = (folder.path().join("items.jsonl"), folder.path().join("judgments.csv"));
        let all = || COLOURS.into_iter().flat_map(|colour| THINGS.map(|thing| (colour, thing)));
        let item = |(colour, thing): (&str, &str)| {
            json!({"id": format!("{colour}-{thing}"), "title": format!("Large {thing} in {colour}, 1 pc")}).to_string()
                + "\n"
        };
        std::fs::write(&items, all().map(item).collect::<String>())?;
        let rating = |(colour, thing): (&str, &str), (other, of): (&str, &str)| match (thing == of, colour == other) {
            (true, true) => 3,
            (true, false) => 2,
            _ => 1,
        };
        let rows = all().flat_map(|asked| all().map(move |title| (asked, title)));
        let row = |(asked, title): ((&str, &str), (&str, &str))| {
            format!("{} {},{}-{},{}\n", asked.0, asked.1, title.0, title.1, rating(asked, title))
        };
        std::fs::write(&test, rows.map(row).collect::<String>())?;
        let request = Request {
            protocol: SEARCH.to_owned(),
            models: vec![JUDGED.to_owned()],
            items: Some(items),
            test: Some(test),
            predictions: Some(folder.path().join("predictions.jsonl")),
            settings: settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            ..Request::default()
        };
        let report = evaluate(&Config::default(), &request, &|_, _| {})?.remove(0);
        let lines = std::fs::read_to_string(folder.path().join("predictions.jsonl"))?;
        assert_eq!(lines.lines().count(), 625);
        assert!(lines.lines().all(|line| line.contains("predicted")));
        Ok(report)
    }

    #[test]
    fn judgments_are_learned_with_and_without_an_encoder_and_come_again() {
        let small = [("trees", "80"), ("step", "0.1"), ("least", "5"), ("models", "1"), ("folds", "5")];
        let words = report(&small).unwrap();
        let metric = |report: &Value, name: &str| report["metrics"][name].as_f64().unwrap();
        assert_eq!((&words["model"], words["folds"].as_array().unwrap().len()), (&json!("judged"), 5));
        assert!(metric(&words, "rmse") < 0.5 * metric(&words, "rmse_of_mean"), "{words:#}");
        assert!(metric(&words, "ndcg@10") > metric(&words, "ndcg@10_by_chance"), "{words:#}");
        let with = |threads| report(&[&small[..], &[("encoder", "hashed"), ("threads", threads)]].concat()).unwrap();
        let (one, mut two) = (with("1"), with("2"));
        assert_ne!(one["metrics"], words["metrics"]);
        two["settings"]["threads"] = json!("1");
        assert_eq!(one, two);
        assert!(report(&[("tree", "3")]).unwrap_err().to_string().contains("trees=N"));
        for (key, value) in [("features", "0"), ("rows", "-1"), ("rows", "NaN"), ("features", "2")] {
            let error = format!("{:#}", report(&[(key, value)]).unwrap_err());
            assert!(error.contains(key), "{key}={value}: {error}");
        }
    }
}
