//! The faults that are planted into a simulated shop's vocabulary, and the replacements that would do harm.

use accrue_event::Item;

/// A fault of the vocabulary: what shoppers type, and what the shop writes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fault {
    pub kind: FaultKind,
    /// The word of the shop, in lower case, as titles would have it without the fault.
    pub word: &'static str,
    /// Of a misspelt title what stands there instead; of the others what shoppers type instead.
    pub wrong: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FaultKind {
    /// Shoppers have another word.
    Synonym,
    /// Shoppers write the word apart, with a slip.
    Split,
    /// Some titles have the word misspelt.
    Title,
}

impl FaultKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Synonym => "synonym",
            Self::Split => "split",
            Self::Title => "title",
        }
    }
}

const SYNONYMS: [(&str, &str); 20] = [
    ("mug", "beaker"),
    ("skillet", "frypan"),
    ("throw", "coverlet"),
    ("sweater", "jersey"),
    ("shawl", "pashmina"),
    ("tunic", "smock"),
    ("socks", "stockings"),
    ("bivvy", "swag"),
    ("flask", "thermos"),
    ("anorak", "cagoule"),
    ("trowel", "spade"),
    ("pruner", "secateurs"),
    ("rollerball", "biro"),
    ("pendant", "chandelier"),
    ("truffles", "pralines"),
    ("infusion", "tisane"),
    ("bulbs", "tubers"),
    ("bowl", "basin"),
    ("quilt", "duvet"),
    ("scarf", "muffler"),
];

const SPLITS: [(&str, &str); 20] = [
    ("tumbler", "tumb lar"),
    ("saucepan", "sauss pan"),
    ("casserole", "cassa roll"),
    ("tealights", "tee lites"),
    ("cardigan", "cardy gan"),
    ("pullover", "pul ovver"),
    ("overshirt", "ova shurt"),
    ("backpack", "bak pak"),
    ("daypack", "dae pak"),
    ("rucksack", "ruk sac"),
    ("canteen", "can tine"),
    ("notebook", "note buk"),
    ("sketchbook", "scetch buk"),
    ("planter", "plan tar"),
    ("espresso", "ex presso"),
    ("porcelain", "porce lane"),
    ("cashmere", "cash mear"),
    ("terracotta", "terra koter"),
    ("lambswool", "lams wull"),
    ("stoneware", "stone wear"),
];

const TITLES: [(&str, &str); 20] = [
    ("candle", "candel"),
    ("shirt", "shrit"),
    ("blanket", "blankit"),
    ("board", "borad"),
    ("bottle", "botel"),
    ("jacket", "jackit"),
    ("flower", "folwer"),
    ("window", "widnow"),
    ("fountain", "fountian"),
    ("pencil", "pensil"),
    ("letter", "leter"),
    ("cream", "craem"),
    ("puzzle", "puzle"),
    ("teaser", "teazer"),
    ("coffee", "cofee"),
    ("roast", "raost"),
    ("chocolate", "choclate"),
    ("shampoo", "shampo"),
    ("warmer", "wormer"),
    ("planner", "planer"),
];

/// The sixty faults, twenty of each kind.
pub(super) fn all() -> Vec<Fault> {
    let of = |kind, pairs: [(&'static str, &'static str); 20]| pairs.map(|(word, wrong)| Fault { kind, word, wrong });
    [of(FaultKind::Synonym, SYNONYMS), of(FaultKind::Split, SPLITS), of(FaultKind::Title, TITLES)].concat()
}

/// Writes the misspelt titles: of the items with the word, every third product. Suppliers misspell a word in all texts.
pub(super) fn misspell(items: &mut [Item], faults: &[Fault]) -> Vec<(usize, usize)> {
    let mut changed = Vec::new();
    for (nth, fault) in faults.iter().enumerate().filter(|(_, fault)| fault.kind == FaultKind::Title) {
        let mut products: Vec<Box<str>> = Vec::new();
        for (place, item) in items.iter_mut().enumerate() {
            let title = item.title.as_deref().unwrap_or_default().to_lowercase();
            if !words(&title).any(|word| word == fault.word) {
                continue;
            }
            let product = item.parent.clone().unwrap_or_else(|| item.id.as_str().into());
            if !products.contains(&product) {
                products.push(product.clone());
            }
            let number = products.iter().position(|known| *known == product).unwrap_or_default();
            if number % 3 == 1 {
                item.title = Some(replaced(&title, fault).into());
                item.description = item.description.take().map(|text| replaced(&text.to_lowercase(), fault).into());
                changed.push((nth, place));
            }
        }
    }
    changed
}

fn replaced(text: &str, fault: &Fault) -> String {
    text.replace(fault.word, fault.wrong)
}

/// The words of a text in lower case.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// Why a planted replacement would do harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum HarmKind {
    /// Both words work; shoppers who found nothing to their taste looked for something else.
    OtherInterest,
    /// One shopper repeats it five hundred times, and two hundred visitors send it with a published key.
    Flood,
    /// Nothing is sold under the word, and its shoppers go on to whatever is popular.
    Popular,
    /// Nothing is sold of one maker, and its shoppers go on to another one.
    Maker,
    /// Another number.
    Number,
}

impl HarmKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::OtherInterest => "other interest",
            Self::Flood => "flood",
            Self::Popular => "popular",
            Self::Maker => "maker",
            Self::Number => "number",
        }
    }
}

/// A harmful replacement: no proposal may begin with `from`, or of words that work, lead from `from` to one of `to`.
#[derive(Clone, Debug)]
pub(super) struct Harm {
    pub kind: HarmKind,
    pub from: String,
    pub to: Vec<String>,
}

const FOREIGN: [&str; 55] = [
    "voucher",
    "giftcard",
    "vinyl",
    "aquarium",
    "bicycle",
    "guitar",
    "carpet",
    "perfume",
    "necklace",
    "drone",
    "tripod",
    "sofa",
    "toaster",
    "kettlebell",
    "hammock",
    "parasol",
    "telescope",
    "ukulele",
    "sandals",
    "wallet",
    "fanzor",
    "gloomhaven",
    "zarqua",
    "brennik",
    "tolvane",
    "quorix",
    "maddox",
    "pelloria",
    "strandix",
    "vorlane",
    "hexbury",
    "jantzell",
    "kubrow",
    "lindora",
    "wexmoor",
    "radio",
    "printer",
    "curtain",
    "fridge",
    "mirror",
    "ladder",
    "hammer",
    "pillow",
    "umbrella",
    "laptop",
    "fishing",
    "violin",
    "tent",
    "stroller",
    "razor",
    "battery",
    "kayak",
    "trumpet",
    "easel",
    "oven",
];

/// The hundred harmful replacements: thirty of other interests, twenty floods, twenty of popular words, fifteen
/// makers, fifteen numbers. `working` are words of titles without a fault, `brands` the makers of the shop.
pub(super) fn harms(working: &[&str], brands: &[String]) -> Vec<Harm> {
    let word = |nth: usize| working[nth % working.len()].to_owned();
    let harm = |kind, from: &str, to: Vec<String>| Harm { kind, from: from.to_owned(), to };
    let mut harms = Vec::new();
    harms.extend((0..30).map(|n| {
        // Steps without a common factor with each other, so that no pair comes twice and no word goes on to itself.
        let (from, to) = (word(n), word(n + 1 + n % 7));
        harm(HarmKind::OtherInterest, &from, vec![to])
    }));
    harms.extend((0..20).map(|n| harm(HarmKind::Flood, FOREIGN[35 + n], vec![word(3 * n + 1)])));
    harms.extend((0..20).map(|n| harm(HarmKind::Popular, FOREIGN[n], (0..12).map(|k| word(n + 5 * k)).collect())));
    harms.extend((0..15).map(|n| harm(HarmKind::Maker, FOREIGN[20 + n], vec![brands[n % brands.len()].clone()])));
    harms.extend((0..15).map(|n| harm(HarmKind::Number, &format!("{}x", 40 + n), vec![format!("no {}", 2 + n % 3)])));
    harms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixty_faults_and_a_hundred_harms_are_planted_once_each() {
        let faults = all();
        assert_eq!(faults.len(), 60);
        let typed: std::collections::BTreeSet<_> = faults.iter().map(|fault| fault.wrong).collect();
        assert_eq!(typed.len(), 60);
        let working: Vec<&str> = "lamp vase tea soap jigsaw fork rack tray wash balm".split(' ').collect();
        let harms = harms(&working, &["Fenwhistle".into()]);
        assert_eq!(harms.len(), 100);
        assert!(harms.iter().all(|harm| !harm.to.contains(&harm.from)));
    }
}
