//! The facts come back from a checkpoint, with what follows from them and is not saved.

use accrue_event::{Attribute, Item, Price, Timestamp};
use accrue_store::{Body, Checkpoints, Facts, Offset, Record, SectionSource};

use crate::fixture::{Folder, header};

#[test]
fn what_follows_from_the_catalogue_is_computed_again() {
    let mut facts = Facts::new(10);
    let described = |id: &str, edit: fn(&mut Item)| {
        let mut item = Item::bare(id.into());
        edit(&mut item);
        Body::Item(Box::new(item))
    };
    let bodies = [
        described("mug", |mug| {
            mug.title = Some("Red mug".into());
            mug.attributes.insert("weight".into(), Attribute::Number(300.0));
        }),
        described("cup", |cup| cup.published_at = Some(Timestamp(7))),
        described("old", |old| old.price = Price::new(2.0)),
        Body::ItemRetired("old".into()),
        Body::ItemPatched { id: "cup".into(), patch: Box::default() },
    ];
    for (place, body) in bodies.into_iter().enumerate() {
        facts.apply(&Record { offset: Offset(place as u64), received_at: Timestamp(0), body });
    }
    let folder = Folder::new();
    let checkpoints = Checkpoints::new(folder.path());
    let mut writer = checkpoints.writer(&header(5)).unwrap();
    facts.save(&mut writer).unwrap();
    writer.finish().unwrap();
    let checkpoint = checkpoints.newest().unwrap().unwrap().checkpoint;
    let loaded = Facts::load(&mut SectionSource::new(&checkpoint)).unwrap().unwrap();
    assert_eq!(loaded.overview(), facts.overview());
    assert!(loaded == facts);
    assert_eq!((loaded.overview().n_described(), loaded.overview().n_titled()), (3, 1));
    assert!(loaded.overview().has_numbers("weight"));
}
