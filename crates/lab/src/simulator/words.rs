//! The vocabulary of the simulated shop: families of products, styles, brands. All names are invented.

/// A family of products: the narrow category.
pub(super) struct Family {
    /// The broad category.
    pub(super) department: &'static str,
    /// The narrow category.
    pub(super) name: &'static str,
    /// Nouns of titles.
    pub(super) nouns: &'static [&'static str],
    /// Materials of titles.
    pub(super) materials: &'static [&'static str],
    /// An alternative name, which shoppers may use; it is in the tags and in no title.
    pub(super) also: &'static str,
    /// The style words of titles.
    pub(super) styles: &'static [&'static str],
    /// The options in which variants differ.
    pub(super) options: &'static [&'static str],
    /// The purpose in descriptions.
    pub(super) purpose: &'static str,
    /// Median price in euros.
    pub(super) price: f64,
    /// Standard deviation of the logarithm of the price.
    pub(super) spread: f64,
    /// Day of the year with the highest interest.
    pub(super) peak_day: f64,
    /// Amplitude of the interest around its mean, below 1.
    pub(super) amplitude: f64,
    /// Days until a piece is used up; 0 for lasting goods.
    pub(super) cycle_days: f64,
}

const MADE: &[&str] = &[
    "Rustic", "Modern", "Classic", "Nordic", "Minimal", "Vintage", "Bold", "Playful", "Elegant", "Compact", "Handmade",
    "Everyday", "Slender", "Sturdy",
];
const WORN: &[&str] = &[
    "Cosy",
    "Relaxed",
    "Classic",
    "Nordic",
    "Minimal",
    "Vintage",
    "Bold",
    "Striped",
    "Elegant",
    "Featherlight",
    "Rugged",
    "Everyday",
    "Ribbed",
    "Heritage",
];
const USED_UP: &[&str] = &[
    "Bright", "Mellow", "Smoky", "Floral", "Classic", "Wild", "Golden", "Velvet", "Gentle", "Spiced", "Rich", "Fresh",
    "Morning", "Midnight",
];
const COLOURS: &[&str] =
    &["Forest Green", "Sand", "Midnight Blue", "Terracotta", "Chalk White", "Charcoal", "Ochre", "Plum"];
const SIZES: &[&str] = &["Small", "Medium", "Large"];
const EDITIONS: &[&str] = &["Travel Edition", "Family Edition", "Collector's Edition"];
const PACKS: &[&str] = &["Single", "Pack of 3", "Pack of 6"];

macro_rules! family {
    ($department:literal, $name:literal, $nouns:expr, $materials:expr, $also:literal, $styles:expr, $options:expr,
     $purpose:literal, $price:literal ~ $spread:literal, $peak:literal ~ $amplitude:literal, $cycle:literal) => {
        Family {
            department: $department,
            name: $name,
            nouns: &$nouns,
            materials: &$materials,
            also: $also,
            styles: $styles,
            options: $options,
            purpose: $purpose,
            price: $price,
            spread: $spread,
            peak_day: $peak,
            amplitude: $amplitude,
            cycle_days: $cycle,
        }
    };
}

/// Price ~ spread of its logarithm, peak day ~ amplitude, days until used up.
#[rustfmt::skip]
pub(super) const FAMILIES: &[Family] = &[
    family!("Kitchen", "Mugs & Cups", ["Mug", "Cup", "Tumbler"], ["Stoneware", "Porcelain", "Enamel", "Glass"],
        "drinkware", MADE, COLOURS, "for slow mornings and long talks", 16.0 ~ 0.35, 340.0 ~ 0.3, 0.0),
    family!("Kitchen", "Cookware", ["Skillet", "Saucepan", "Casserole"], ["Cast-Iron", "Copper", "Steel", "Ceramic"],
        "pan", MADE, SIZES, "for stews, sauces and Sunday lunches", 64.0 ~ 0.5, 330.0 ~ 0.35, 0.0),
    family!("Kitchen", "Knives & Boards", ["Chef's Knife", "Paring Knife", "Chopping Board"], ["Walnut", "Olive-Wood", "Carbon-Steel", "Beech"],
        "cutting", MADE, SIZES, "for clean cuts and quick suppers", 42.0 ~ 0.5, 335.0 ~ 0.2, 0.0),
    family!("Pantry", "Coffee", ["Coffee Beans", "Filter Coffee", "Espresso Roast"], ["Highland", "Island", "Valley", "Forest"],
        "caffeine", USED_UP, PACKS, "roasted in small batches for the morning pot", 13.0 ~ 0.3, 350.0 ~ 0.15, 18.0),
    family!("Pantry", "Tea", ["Green Tea", "Black Tea", "Herbal Infusion"], ["Mountain", "Garden", "Orchard", "Meadow"],
        "brew", USED_UP, PACKS, "blended for quiet afternoons", 9.5 ~ 0.3, 345.0 ~ 0.35, 25.0),
    family!("Pantry", "Chocolate", ["Chocolate Bar", "Truffles", "Drinking Chocolate"], ["Dark", "Milk", "Hazelnut", "Sea-Salt"],
        "sweets", USED_UP, PACKS, "made to be shared, or not", 7.5 ~ 0.4, 352.0 ~ 0.5, 14.0),
    family!("Home", "Lamps", ["Table Lamp", "Floor Lamp", "Pendant"], ["Brass", "Linen", "Opal-Glass", "Oak"],
        "lighting", MADE, COLOURS, "that gives a corner of the room its evening", 88.0 ~ 0.5, 310.0 ~ 0.35, 0.0),
    family!("Home", "Blankets", ["Blanket", "Throw", "Quilt"], ["Merino", "Cotton", "Alpaca", "Linen"],
        "bedding", WORN, COLOURS, "for the sofa, the porch and the train", 72.0 ~ 0.45, 335.0 ~ 0.6, 0.0),
    family!("Home", "Candles", ["Candle", "Pillar Candle", "Tealights"], ["Beeswax", "Soy", "Cedar", "Fig"],
        "fragrance", USED_UP, PACKS, "with a clean, even burn", 14.0 ~ 0.4, 345.0 ~ 0.6, 30.0),
    family!("Home", "Vases", ["Vase", "Bud Vase", "Bowl"], ["Stoneware", "Glass", "Terracotta", "Brass"],
        "pottery", MADE, COLOURS, "that looks finished even when empty", 34.0 ~ 0.5, 100.0 ~ 0.3, 0.0),
    family!("Clothing", "Sweaters", ["Sweater", "Cardigan", "Pullover"], ["Merino", "Lambswool", "Cotton", "Cashmere"],
        "knitwear", WORN, SIZES, "that keeps its shape winter after winter", 92.0 ~ 0.45, 320.0 ~ 0.7, 0.0),
    family!("Clothing", "Scarves", ["Scarf", "Shawl", "Neck Warmer"], ["Wool", "Silk", "Cashmere", "Linen"],
        "accessory", WORN, COLOURS, "to finish a plain coat", 38.0 ~ 0.5, 325.0 ~ 0.6, 0.0),
    family!("Clothing", "Shirts", ["Shirt", "Overshirt", "Tunic"], ["Linen", "Cotton", "Flannel", "Hemp"],
        "top", WORN, SIZES, "cut for an easy fit", 58.0 ~ 0.4, 150.0 ~ 0.5, 0.0),
    family!("Clothing", "Socks", ["Socks", "Ankle Socks", "Knee Socks"], ["Merino", "Cotton", "Bamboo", "Alpaca"],
        "hosiery", WORN, PACKS, "with reinforced heels and flat seams", 13.0 ~ 0.3, 330.0 ~ 0.3, 90.0),
    family!("Outdoors", "Backpacks", ["Backpack", "Daypack", "Rucksack"], ["Canvas", "Waxed-Cotton", "Ripstop", "Leather"],
        "bag", WORN, COLOURS, "with room for a jacket and a good lunch", 96.0 ~ 0.45, 200.0 ~ 0.5, 0.0),
    family!("Outdoors", "Sleeping Bags", ["Sleeping Bag", "Bivvy", "Camp Quilt"], ["Down", "Ripstop", "Fleece", "Wool"],
        "camping", WORN, SIZES, "for clear nights above the tree line", 140.0 ~ 0.45, 185.0 ~ 0.75, 0.0),
    family!("Outdoors", "Bottles & Flasks", ["Water Bottle", "Flask", "Canteen"], ["Steel", "Titanium", "Glass", "Aluminium"],
        "hydration", MADE, COLOURS, "that never leaks into the map", 27.0 ~ 0.35, 190.0 ~ 0.5, 0.0),
    family!("Outdoors", "Rain Jackets", ["Rain Jacket", "Poncho", "Anorak"], ["Waxed-Cotton", "Ripstop", "Hemp", "Nylon"],
        "waterproof", WORN, SIZES, "made for sideways weather", 125.0 ~ 0.4, 280.0 ~ 0.5, 0.0),
    family!("Garden", "Planters", ["Planter", "Flower Pot", "Window Box"], ["Terracotta", "Zinc", "Cedar", "Fibre-Clay"],
        "pots", MADE, SIZES, "with drainage where it belongs", 32.0 ~ 0.5, 115.0 ~ 0.7, 0.0),
    family!("Garden", "Seeds & Bulbs", ["Flower Seeds", "Herb Seeds", "Bulbs"], ["Meadow", "Cottage", "Woodland", "Alpine"],
        "sowing", USED_UP, PACKS, "tested for the season ahead", 5.5 ~ 0.35, 85.0 ~ 0.8, 45.0),
    family!("Garden", "Hand Tools", ["Trowel", "Pruner", "Hand Fork"], ["Ash", "Carbon-Steel", "Bronze", "Beech"],
        "gardening", MADE, SIZES, "that outlives the gardener's knees", 29.0 ~ 0.4, 105.0 ~ 0.6, 0.0),
    family!("Desk", "Notebooks", ["Notebook", "Sketchbook", "Planner"], ["Linen", "Kraft", "Leather", "Recycled"],
        "stationery", MADE, COLOURS, "with paper that welcomes ink", 15.0 ~ 0.4, 245.0 ~ 0.45, 60.0),
    family!("Desk", "Pens", ["Fountain Pen", "Rollerball", "Mechanical Pencil"], ["Brass", "Resin", "Aluminium", "Walnut"],
        "writing", MADE, COLOURS, "balanced for long letters", 36.0 ~ 0.6, 250.0 ~ 0.35, 0.0),
    family!("Desk", "Organisers", ["Desk Tray", "Pen Stand", "Letter Rack"], ["Oak", "Steel", "Felt", "Cork"],
        "storage", MADE, COLOURS, "so that the scissors are found again", 31.0 ~ 0.45, 248.0 ~ 0.25, 0.0),
    family!("Care", "Soap", ["Soap Bar", "Hand Wash", "Shampoo Bar"], ["Olive", "Lavender", "Oat", "Charcoal"],
        "cleansing", USED_UP, PACKS, "that rinses clean and lasts", 8.0 ~ 0.35, 180.0 ~ 0.1, 35.0),
    family!("Care", "Creams & Balms", ["Hand Cream", "Body Balm", "Lip Balm"], ["Shea", "Calendula", "Honey", "Almond"],
        "skincare", USED_UP, PACKS, "for skin that works outdoors", 12.5 ~ 0.4, 15.0 ~ 0.4, 40.0),
    family!("Play", "Puzzles", ["Jigsaw", "Brain Teaser", "Puzzle Box"], ["Wooden", "Cardboard", "Walnut", "Brass"],
        "rainy-day", MADE, EDITIONS, "for a table that stays occupied all weekend", 24.0 ~ 0.4, 350.0 ~ 0.6, 0.0),
    family!("Play", "Board Games", ["Board Game", "Card Game", "Dice Set"], ["Wooden", "Illustrated", "Pocket", "Linen-Bound"],
        "family-night", MADE, EDITIONS, "that is explained in five minutes", 33.0 ~ 0.4, 348.0 ~ 0.65, 0.0),
];

/// Brands.
pub(super) const BRANDS: &[&str] = &[
    "Brindlewake",
    "Okomarra",
    "Velthune",
    "Fenwhistle",
    "Dunmarrow",
    "Orrinfold",
    "Palomere",
    "Saltmarrow",
    "Yarrowick",
    "Tarn & Thistle",
    "Norrabeck",
    "Ulmarine",
    "Castorelle",
    "Quillandry",
    "Mossgarth",
    "Pellowick",
    "Hazelmond",
    "Wrenhallow",
    "Aldervane",
    "Ebbstone",
    "Lumenwick",
    "Thornaby Row",
    "Ivorund",
    "Kettlemoor",
];
