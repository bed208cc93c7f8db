//! The simulated catalogue: products as a shop would describe them, and the hidden traits that the click model uses.
//!
//! In: a seed and a number of items. Out: [`Item`]s, their hidden [`Traits`], and the words that find them. Product `n`
//! is a function of (seed, n, time of publication), so existing items do not change when the catalogue grows.

use std::collections::HashMap;

use accrue_event::{Attribute, Attributes, DAY_MS, Item, ItemId, Price, Timestamp};
use accrue_kernel::exp;

use super::place::{Place, direction, family_centres, noise, one_minus_square, shifted};
use super::random::{Random, Stream, hash_text};
use super::words::{BRANDS, FAMILIES, Family};

/// Number of pieces of an item in stock.
pub(super) const FULL_STOCK: u32 = 120;

/// The hidden traits of an item.
pub(super) struct Traits {
    pub(super) place: Place,
    pub(super) one_minus_square: f32,
    pub(super) family: u8,
    pub(super) brand: u8,
    pub(super) in_stock: bool,
    /// Index of the product; its variants are adjacent.
    pub(super) product: u32,
    /// Index of noun, material and style in the family's lists.
    title: [u8; 3],
    /// Quality, in 0.25..=1; few items have a high one.
    pub(super) quality: f32,
    pub(super) price: f32,
    /// The price without a sale.
    pub(super) list_price: f32,
    /// The usual price of such an item in this size.
    pub(super) usual_price: f32,
    pub(super) published_at: Timestamp,
}

/// All products so far.
pub(super) struct Catalogue {
    seed: u64,
    pub(super) centres: Vec<Place>,
    /// The demand for each family, independent of tastes.
    pub(super) demand: Vec<f64>,
    pub(super) items: Vec<Item>,
    pub(super) traits: Vec<Traits>,
    words: Vec<Vec<u64>>,
    index: HashMap<ItemId, u32>,
    pub(super) by_family: Vec<Vec<u32>>,
    products_of_family: Vec<u64>,
    n_products: u32,
    /// The time of each family's last launch after the start.
    pub(super) launched_at: Vec<Option<Timestamp>>,
}

impl Catalogue {
    /// Exactly `n_items` items, published in the two years before `start`.
    pub(super) fn new(seed: u64, n_items: usize, start: Timestamp) -> Self {
        let mut catalogue = Self {
            seed,
            centres: family_centres(seed),
            demand: (0..FAMILIES.len() as u64)
                .map(|family| f64::from(exp(1.0 * Random::new(seed, Stream::Demand, family).normal())))
                .collect(),
            items: Vec::with_capacity(n_items),
            traits: Vec::with_capacity(n_items),
            words: Vec::with_capacity(n_items),
            index: HashMap::with_capacity(n_items),
            by_family: vec![Vec::new(); FAMILIES.len()],
            products_of_family: vec![0; FAMILIES.len()],
            n_products: 0,
            launched_at: vec![None; FAMILIES.len()],
        };
        while catalogue.items.len() < n_items {
            let mut random = Random::new(seed, Stream::ProductOrigin, u64::from(catalogue.n_products));
            let published_at = Timestamp(start.0 - (random.between(20.0, 720.0) * DAY_MS as f64) as i64);
            let family = random.below(FAMILIES.len());
            catalogue.add_product(family, published_at, n_items);
        }
        catalogue
    }

    /// The index of an item.
    pub(super) fn find(&self, item: &ItemId) -> Option<usize> {
        self.index.get(item).map(|&idx| idx as usize)
    }

    /// The indices of the variants of `idx`'s product, including `idx`.
    pub(super) fn variants(&self, idx: usize) -> std::ops::Range<usize> {
        let product = self.traits[idx].product;
        let same = |other: &usize| self.traits[*other].product == product;
        let first = (0..idx).rev().take_while(same).last().unwrap_or(idx);
        let last = (idx + 1..self.traits.len()).take_while(same).last().unwrap_or(idx);
        first..last + 1
    }

    /// Whether every word of `query` (hashed, see [`query_words`]) is in the title, the brand or the family's
    /// alternative name.
    pub(super) fn matches(&self, query: &[u64], idx: usize) -> bool {
        !query.is_empty() && query.iter().all(|word| self.words[idx].contains(word))
    }

    /// A query of a shopper who wants this item: the noun or the family's alternative name, and possibly more words.
    pub(super) fn query_for(&self, idx: usize, random: &mut Random) -> Box<str> {
        let traits = &self.traits[idx];
        let family = &FAMILIES[traits.family as usize];
        let [noun, material, style] = traits.title.map(usize::from);
        let mut words = Vec::new();
        if random.chance(0.12) {
            words.push(BRANDS[traits.brand as usize]);
        }
        if random.chance(0.25) {
            words.push(family.styles[style]);
        }
        if random.chance(0.5) {
            words.push(family.materials[material]);
        }
        words.push(if random.chance(0.12) { family.also } else { family.nouns[noun] });
        words.join(" ").to_lowercase().into()
    }

    /// Adds one product with its variants, as long as there are fewer than `n_max` items.
    pub(super) fn add_product(&mut self, family_idx: usize, published_at: Timestamp, n_max: usize) {
        let mut random = Random::new(self.seed, Stream::Product, u64::from(self.n_products));
        let family = &FAMILIES[family_idx];
        let draft = self.draft(family_idx, family, &mut random);
        let n_variants = if random.chance(0.35) { 2 + random.below(family.options.len().min(4) - 1) } else { 1 };
        let first_option = if family.options.len() > 3 { random.below(family.options.len()) } else { 0 };
        for variant in 0..n_variants {
            if self.items.len() >= n_max {
                break;
            }
            let option = (first_option + variant) % family.options.len();
            let size = if family.options.len() > 3 || n_variants == 1 { 1.0 } else { size_factor(family, option) };
            let named_option = (n_variants > 1).then(|| family.options[option]);
            let traits = Traits {
                place: draft.place,
                one_minus_square: one_minus_square(&draft.place),
                family: family_idx as u8,
                brand: draft.brand as u8,
                in_stock: true,
                product: self.n_products,
                title: draft.title,
                quality: draft.quality * (1.0 - 0.1 * variant as f32),
                price: shelf_price(draft.price * size),
                list_price: shelf_price(draft.price * size),
                usual_price: (family.price * size) as f32,
                published_at,
            };
            let item = describe(self.items.len(), &draft, family, &traits, named_option);
            self.push(item, traits, family.also);
        }
        self.n_products += 1;
        self.products_of_family[family_idx] += 1;
    }

    fn draft(&self, family_idx: usize, family: &Family, random: &mut Random) -> Draft {
        let n_titles = (family.nouns.len() * family.materials.len() * family.styles.len()) as u64;
        let ordinal = self.products_of_family[family_idx];
        // 55 has no common factor with 3·4·14, so a family uses all its titles before one is repeated.
        let title_idx = ((hash_text(family.name) % n_titles + ordinal * 55) % n_titles) as usize;
        let noun = title_idx % family.nouns.len();
        let material = title_idx / family.nouns.len() % family.materials.len();
        let style = title_idx / family.nouns.len() / family.materials.len();
        let brand = (hash_text(family.department) as usize % BRANDS.len() + 5 * random.below(6)) % BRANDS.len();
        let mut place = shifted(&[0.0; 4], &self.centres[family_idx], 0.5);
        let pulls = [(family.styles[style], 0.28), (family.materials[material], 0.2), (BRANDS[brand], 0.16)];
        for (word, pull) in pulls {
            place = shifted(&place, &direction(self.seed, word), pull);
        }
        let place = shifted(&place, &noise(random), 0.05);
        let brand_level = Random::new(self.seed, Stream::Brand, brand as u64).between(0.8, 1.3);
        Draft {
            place,
            brand,
            title: [noun as u8, material as u8, style as u8],
            series: ordinal / n_titles,
            price: family.price * f64::from(exp(family.spread as f32 * random.normal())) * brand_level,
            quality: 0.25 + 0.75 * (random.uniform() * random.uniform()) as f32,
            phrase: random.below(PHRASES.len()),
        }
    }

    fn push(&mut self, item: Item, traits: Traits, also: &str) {
        let idx = self.items.len() as u32;
        let brand = BRANDS[traits.brand as usize];
        self.words.push(query_words(&format!("{} {brand} {also}", item.title.as_deref().unwrap_or_default())));
        self.by_family[traits.family as usize].push(idx);
        self.index.insert(item.id.clone(), idx);
        self.items.push(item);
        self.traits.push(traits);
    }
}

/// The properties that the variants of a product share.
struct Draft {
    place: Place,
    brand: usize,
    title: [u8; 3],
    series: u64,
    price: f64,
    quality: f32,
    phrase: usize,
}

const PHRASES: [&str; 5] = [
    "Made in small series.",
    "A favourite gift.",
    "Ships in paper, never in plastic.",
    "Often bought twice.",
    "Our buyers keep one for themselves.",
];

fn describe(idx: usize, draft: &Draft, family: &Family, traits: &Traits, option: Option<&str>) -> Item {
    let [noun, material, style] = draft.title.map(usize::from);
    let (noun, material, style) = (family.nouns[noun], family.materials[material], family.styles[style]);
    let mut title = format!("{style} {material} {noun}");
    if draft.series > 0 {
        title.push_str(&format!(" No. {}", draft.series + 1));
    }
    if let Some(option) = option {
        title.push_str(&format!(", {option}"));
    }
    let article = if style.starts_with(['A', 'E', 'I', 'O', 'U']) { "An" } else { "A" };
    let brand = BRANDS[draft.brand];
    let description = format!(
        "{article} {} take on the {} {} {}. By {brand}. {}",
        style.to_lowercase(),
        material.to_lowercase(),
        noun.to_lowercase(),
        family.purpose,
        PHRASES[draft.phrase],
    );
    let mut attributes = Attributes::from([("material".into(), Attribute::Text(material.into()))]);
    if let Some(option) = option {
        attributes.insert("option".into(), Attribute::Text(option.into()));
    }
    Item {
        parent: option.map(|_| format!("product-{:04}", traits.product).into()),
        title: Some(title.into()),
        description: Some(description.into()),
        brand: Some(brand.into()),
        categories: vec![family.department.into(), family.name.into()],
        tags: vec![style.to_lowercase().into(), material.to_lowercase().into(), family.also.into()],
        price: Price::from_f32(traits.price),
        currency: Some("EUR".into()),
        locale: Some("en".into()),
        stock: Some(FULL_STOCK),
        published_at: Some(traits.published_at),
        attributes,
        ..Item::bare(ItemId::new(format!("sku-{idx:05}")))
    }
}

fn size_factor(family: &Family, option: usize) -> f64 {
    if family.options[0] == "Single" { [1.0, 2.7, 5.0][option] } else { [0.85, 1.0, 1.2][option] }
}

/// A price as shops write it: whole euros and 90 cents from ten euros on, multiples of five cents below.
pub(super) fn shelf_price(price: f64) -> f32 {
    let cents = if price >= 10.0 { price.floor() * 100.0 + 90.0 } else { (price * 20.0).round().max(10.0) * 5.0 };
    (cents / 100.0) as f32
}

/// The hashed words of a text, in lower case; single letters are left out.
pub(super) fn query_words(text: &str) -> Vec<u64> {
    let lower = text.to_lowercase();
    lower.split(|c: char| !c.is_alphanumeric()).filter(|word| word.chars().count() > 1).map(hash_text).collect()
}

/// The interest in a family at a time of the year, 1 on average: a triangle wave, smoothed by `1.5w − 0.5w³`.
pub(super) fn season(family: &Family, at: Timestamp) -> f32 {
    let day_of_year = (at.0 as f64 / DAY_MS as f64).rem_euclid(365.25);
    let apart = (day_of_year - family.peak_day).rem_euclid(365.25) / 365.25;
    let wave = 4.0 * (apart - 0.5).abs() - 1.0;
    (1.0 + family.amplitude * wave * (1.5 - 0.5 * wave * wave)) as f32
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const START: Timestamp = Timestamp(1_767_571_200_000);

    #[test]
    fn a_growing_catalogue_does_not_change_existing_items() {
        let small = Catalogue::new(5, 300, START);
        let mut grown = Catalogue::new(5, 300, START);
        grown.add_product(3, START, usize::MAX);
        assert!(grown.items.len() > 300);
        assert_eq!(small.items, grown.items[..300]);
    }

    #[test]
    fn items_are_complete_and_their_titles_are_distinct() {
        let catalogue = Catalogue::new(1, 2_000, START);
        assert_eq!(catalogue.items.len(), 2_000);
        let mut titles = HashSet::new();
        for item in &catalogue.items {
            let price = item.price.expect("priced");
            assert!((0.5..5_000.0).contains(&price.to_f32()), "{price}");
            assert_eq!(item.categories.len(), 2);
            assert!(item.published_at.expect("dated") < START);
            assert!(titles.insert(item.title.clone()), "{:?} is repeated", item.title);
        }
        let grouped = catalogue.items.iter().filter(|item| item.parent.is_some()).count();
        assert!((800..1_600).contains(&grouped), "{grouped} items have variants");
    }

    #[test]
    fn a_query_finds_the_item_that_it_was_made_for() {
        let catalogue = Catalogue::new(2, 500, START);
        for idx in 0..500 {
            let query = catalogue.query_for(idx, &mut Random::new(9, Stream::Request, idx as u64));
            assert!(catalogue.matches(&query_words(&query), idx), "{query:?} misses {:?}", catalogue.items[idx].title);
        }
        assert!(!catalogue.matches(&query_words(""), 0));
        assert!(!catalogue.matches(&query_words("submarine"), 0));
    }

    #[test]
    fn interest_peaks_in_season_and_averages_one() {
        for family in FAMILIES {
            let at = |day: f64| season(family, Timestamp((day * DAY_MS as f64) as i64));
            assert!((at(family.peak_day) - (1.0 + family.amplitude as f32)).abs() < 1e-3, "{}", family.name);
            let mean = (0..365).map(|day| at(f64::from(day))).sum::<f32>() / 365.0;
            assert!((mean - 1.0).abs() < 0.01, "{}: mean {mean}", family.name);
        }
    }
}
