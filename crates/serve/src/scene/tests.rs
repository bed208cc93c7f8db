use std::collections::BTreeMap;

use super::{Rest, SceneSettings, Scenes};
use crate::Seen;
use crate::page::sources;

fn read(toml: &str) -> Result<Scenes, String> {
    let written: BTreeMap<Box<str>, SceneSettings> = toml::from_str(toml).map_err(|error| error.to_string())?;
    Scenes::read(&written).map_err(|fault| fault.to_string())
}

#[test]
fn what_a_scene_leaves_out_is_as_in_the_scene_that_it_is_like() {
    let scenes = read("[front]\nlike = 'home'\nseen = 'drop:purchase'\n[home]\nroom_for_new = 0.3").unwrap();
    let front = scenes.of(Some("front"));
    assert_eq!((front.room_for_new, front.rest), (0.3, Rest::Compete));
    assert!(matches!(&front.seen, Seen::DropTypes(types) if types.len() == 1), "{:?}", front.seen);
    assert_eq!(read("[home]\nseen = 'drop'").unwrap().of(Some("home")).room_for_new, 0.5);
    assert_eq!(scenes.of(Some("front2")).room_for_new, 0.0);
    assert!(scenes.has_only_bought("again") && !scenes.has_only_bought("front"));
}

#[test]
fn a_scene_with_sources_of_its_own_has_the_rest_of_the_shop_behind_them() {
    let scenes = read("[basket]\nsources = ['neighbours', 'trending']\nlimit = { trending = 9 }").unwrap();
    let basket = scenes.of(Some("basket"));
    let sources: Vec<_> = basket.sources.iter().map(|(source, limit)| (*source, *limit)).collect();
    assert_eq!(sources, [("neighbours", None), ("trending", Some(9))]);
    assert_eq!(basket.rest, Rest::Behind);
}

#[test]
fn faults_name_the_setting_and_what_was_probably_meant() {
    for (toml, parts) in [
        ("[home]\nsources = ['neigbours']", &["home.sources[0]", "did you mean `neighbours`"][..]),
        ("[home]\nsources = ['x']", &["home.sources[0]", "trending"]),
        ("[home]\nsources = []", &["home.sources"]),
        ("[home]\nsources = ['new', 'new']", &["home.sources[1]", "different"]),
        ("[home]\nlimit = { trending = 5 }", &["home.limit.trending", "does not ask"]),
        ("[home]\nlimit = { new = 0 }", &["home.limit.new", "1 to"]),
        ("[home]\nlimit = { trendig = 5 }", &["home.limit.trendig", "did you mean `trending`"]),
        ("[home]\nfirst = ['trending']", &["home.first[0]", "one of the scene's sources"]),
        ("[product]\nfirst = ['simlar']", &["product.first[0]", "did you mean `similar`"]),
        ("[home]\nroom_for_new = 1.5", &["home.room_for_new", "0 to 1"]),
        ("[home]\nroom_for_new = nan", &["home.room_for_new"]),
        ("[home]\nmax_candidates = 0", &["home.max_candidates"]),
        ("[home]\nseen = 'hide'", &["home.seen", "drop:purchase"]),
        ("[again]\nseen = 'drop'", &["again.seen", "keep"]),
        ("[a]\nlike = 'b'\n[b]\nlike = 'a'", &["like", "itself"]),
        ("[a]\nlike = 'hom'", &["a.like", "did you mean `home`"]),
        ("[Home]\nseen = 'drop'", &["Home", "lower case"]),
        ("['']\nseen = 'drop'", &["1 to 64"]),
        ("[home]\nrest = 'no'", &["never"]),
        ("[home]\ndiversty = {}", &["diversty"]),
        ("[home.diversity]\nstrength = -1.0", &["home.diversity.strength", "0 to 1"]),
        ("[home.diversity]\nkind = 'xquad'", &["mmr", "dpp"]),
        ("[home.diversity]\nby = []", &["home.diversity.by", "descriptions"]),
        ("[home.diversity]\nby = ['brands', 'brands']", &["home.diversity.by", "at most once"]),
        ("[home.diversity]\nplaces = 0", &["home.diversity.places"]),
        ("[home.caps]\nbrand = 0", &["home.caps.brand", "1 to 10"]),
        ("[home.caps]\ncategory = 11", &["home.caps.category", "1 to 10"]),
        ("[home.caps]\nper = 1", &["home.caps.per"]),
        ("[home.fatigue]\nafter = 0", &["home.fatigue.after"]),
        ("[home.fatigue]\nafter = 3\nstrength = inf", &["home.fatigue.strength"]),
    ] {
        let fault = read(toml).expect_err(toml);
        assert!(parts.iter().all(|part| fault.contains(part)), "{toml}: {fault}");
    }
    let many: String = (0..65).map(|n| format!("[s{n}]\n")).collect();
    assert!(read(&many).unwrap_err().contains("at most 64"));
}

#[test]
fn scenes_are_written_as_they_are_read() {
    let scenes =
        read("[a]\nsources = ['bought', 'trending']\nlimit = { trending = 7 }\nseen = 'drop:cart,view'").unwrap();
    let again = Scenes::read(&scenes.written()).unwrap();
    assert_eq!(again.written(), scenes.written());
}

#[test]
fn sources_of_a_shop_replace_those_that_stand_first() {
    let scenes =
        read("[product]\nlimit = { similar = 5 }\n[basket]\nsources = ['neighbours']\n[front]\nlike = 'product'")
            .unwrap();
    let first = |name: &str| scenes.of(Some(name)).first.clone();
    assert_eq!((first("product"), first("basket"), first("front")), (vec!["similar"], vec![], vec!["similar"]));
    assert_eq!(scenes.of(Some("product")).sources[0].1, Some(5));
    let own = read("[front]\nsources = ['models', 'trending']\nfirst = ['trending']").unwrap();
    assert_eq!(own.of(Some("front")).first, ["trending"]);
}

#[test]
fn a_source_needs_its_model() {
    let scenes = read("[basket]\nsources = ['bought_together']").unwrap();
    let mut models = accrue_model::Settings::default();
    let fault = scenes.check_models(&models).unwrap_err().to_string();
    assert!(fault.contains("basket.sources[0]") && fault.contains("model.bought_together.enabled"), "{fault}");
    models.bought_together.enabled = true;
    assert_eq!(scenes.check_models(&models), Ok(()));
    assert_eq!(Scenes::built_in().check_models(&accrue_model::Settings::default()), Ok(()));
}

#[test]
fn every_source_has_a_name_of_its_own_and_a_sentence() {
    let mut names: Vec<&str> = sources::all().iter().map(|source| source.name).collect();
    assert!(sources::all().iter().all(|source| source.what.ends_with('.')));
    names.sort_unstable();
    let n = names.len();
    names.dedup();
    assert_eq!(names.len(), n);
}
