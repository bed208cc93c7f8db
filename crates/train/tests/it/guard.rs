//! The guard undoes harm within the fold and does not disturb a clean stream. Whatever it decides, a learner that is saved and resumed
//! reaches the same bytes as one that never stopped.

use accrue_kernel::Draws;
use accrue_model::{Context, Ensemble, Part, Prepared};
use accrue_store::{Body, CheckedEvent as Checked, Fact, Facts, Offset, Record};
use accrue_train::{
    Challenge, Challenger, EarlierRecords, GateSettings, LearnSettings, Learner, Take, TrainError, Verdict,
    VersionStatus, look_back,
};

use crate::shop::{N_ITEMS, facts, records, settings};

/// Settings of a guard for a shop of a few thousand events.
fn guarded(part: Part) -> LearnSettings {
    let mut settings = settings(part);
    settings.guard.anchor_one_in = 12;
    settings.guard.anchors = 1_000;
    settings.guard.version_every = 1_500;
    settings.guard.confirm_after = 700;
    settings
}

/// The same with longer versions, so that a slow poison shows within one.
fn with_long_versions(part: Part) -> LearnSettings {
    let mut settings = guarded(part);
    // A sound model of a shop of 60 items deviates more in this many events.
    settings.guard.tolerance = 0.2;
    settings.guard.version_every = 4_000;
    settings.guard.confirm_after = 3_000;
    settings
}

/// Lets the learner take the remaining records, of any kind.
fn follow(learner: &mut Learner, facts: &Facts, records: &[Record]) {
    for record in &records[learner.end().0 as usize..] {
        match facts.resolve(record) {
            Fact::Promoted { .. } | Fact::WindowReleased { .. } => {
                look_back(learner, record, &mut Records { records, facts }).unwrap();
            }
            fact => learner.step(record.offset, record.received_at.0, fact).unwrap(),
        }
    }
}

/// Earlier records in memory.
struct Records<'a> {
    records: &'a [Record],
    facts: &'a Facts,
}

impl EarlierRecords for Records<'_> {
    fn read(&mut self, from: Offset, to: Offset, take: &mut Take<'_>) -> Result<(), TrainError> {
        for record in &self.records[from.0 as usize..to.0 as usize] {
            take(record.offset, record.received_at.0, self.facts.resolve(record))?;
        }
        Ok(())
    }
}

fn bytes(learner: &Learner) -> Vec<u8> {
    postcard::to_stdvec(learner).unwrap()
}

/// A clean stream in which the records of `poison` name other items than were chosen.
fn poisoned(n: usize, poison: std::ops::Range<usize>) -> Vec<Record> {
    let mut records = records(n, 11);
    for (place, record) in records.iter_mut().enumerate() {
        if let Body::Event(checked) = &mut record.body
            && poison.contains(&place)
        {
            let item = Draws::new(5, 5, place as u64).below(N_ITEMS);
            checked.event.item = Some(format!("item-{item}").as_str().into());
        }
    }
    records
}

#[test]
fn a_clean_stream_is_left_alone() {
    let records = records(9_000, 11);
    let facts = facts(&records);
    let mut learner = Learner::new(guarded(Part::Blend));
    follow(&mut learner, &facts, &records);
    let good = learner.lineage().entries().iter().filter(|entry| entry.status == VersionStatus::Superseded).count();
    assert_eq!((learner.n_alarms(), learner.is_on_probation()), (0, false));
    assert!(good >= 3, "versions became good and were followed by others: {good}");
    assert!(learner.tallies()[1].n > 0, "holdout choices were examined");
}

#[test]
fn poison_is_undone_and_clean_events_end_the_probation() {
    let records = poisoned(28_000, 10_000..15_000);
    let facts = facts(&records);
    let mut learner = Learner::new(with_long_versions(Part::Blend));
    follow(&mut learner, &facts, &records[..10_000]);
    let (before, n_holdout) = learner.holdout_ndcg(learner.serving());
    assert!(n_holdout >= 128, "{n_holdout} holdout choices");
    let mut rolled_back_at = None;
    for end in 10_001..=15_000 {
        follow(&mut learner, &facts, &records[..end]);
        if learner.n_alarms() > 0 && rolled_back_at.is_none() {
            rolled_back_at = Some(end);
            let (after, _) = learner.holdout_ndcg(learner.serving());
            assert!(after >= 0.9 * before, "{after} after the rollback, {before} before the poison");
        }
    }
    let rolled_back_at = rolled_back_at.expect("the poison was found");
    let window = learner.lineage().windows().last().unwrap().clone();
    assert!(window.from.0 <= 10_000 && window.to.0 >= rolled_back_at as u64, "{window:?}");
    assert!(learner.lineage().entries().iter().any(|entry| entry.status == VersionStatus::RolledBack));
    // The poison goes on for a while. What is learned from it does not serve.
    let (ndcg, _) = learner.holdout_ndcg(learner.serving());
    assert!(learner.is_on_probation() && ndcg >= 0.8 * before, "{ndcg} while the poison goes on, {before} before");
    follow(&mut learner, &facts, &records);
    assert!(!learner.is_on_probation(), "the current model was cleared");
}

#[test]
fn an_alarm_names_the_source_that_it_is_about() {
    let mut records = records(20_000, 11);
    for (place, record) in records.iter_mut().enumerate() {
        let Body::Event(Checked { event, .. }) = &mut record.body else { continue };
        let user: u64 = event.user.as_ref().unwrap().as_str()[5..].parse().unwrap();
        // The buyers of three families come by the app, which at some point begins to name other items than they chose.
        let by_app = user % 10 < 3;
        event.source = Some(if by_app { "app" } else { "web" }.into());
        if by_app && place >= 10_000 {
            let item = Draws::new(5, 5, place as u64).below(N_ITEMS);
            event.item = Some(format!("item-{item}").as_str().into());
        }
    }
    let facts = facts(&records);
    let mut learner = Learner::new(with_long_versions(Part::Blend));
    follow(&mut learner, &facts, &records);
    let windows = learner.lineage().windows();
    let why: Vec<&str> = windows.iter().map(|window| &*window.why).collect();
    assert!(windows.iter().all(|window| window.to.0 > 10_000), "{why:?}");
    assert!(why.iter().any(|why| why.contains("test, source app: ")), "{why:?}");
}

#[test]
fn resuming_around_a_rollback_gives_the_same_bytes() {
    let records = poisoned(17_000, 10_000..14_000);
    let facts = facts(&records);
    let part = Part::Blend;
    let mut straight = Learner::new(with_long_versions(part));
    follow(&mut straight, &facts, &records);
    assert!(straight.n_alarms() > 0, "there is a rollback to resume around");
    for stop in [9_999, 12_500, 14_000, 16_000] {
        let mut learner = Learner::new(with_long_versions(part));
        follow(&mut learner, &facts, &records[..stop]);
        let mut resumed: Learner = postcard::from_bytes(&bytes(&learner)).unwrap();
        follow(&mut resumed, &facts, &records);
        assert!(bytes(&resumed) == bytes(&straight), "stopped at {stop}");
    }
}

#[test]
fn an_operator_chooses_an_earlier_version_and_returns_to_a_later_one() {
    let mut records = records(7_000, 11);
    let chosen = |version| Body::Chosen { version, why: "a test".into() };
    let mut learner = Learner::new(guarded(Part::Neighbours));
    let base = facts(&records);
    follow(&mut learner, &base, &records[..6_000]);
    let (good, state) = learner.lineage().good().map(|(number, state)| (number, state.shared.clone())).unwrap();
    let current = learner.ensemble().clone();
    let undone = learner.lineage().learning();
    records[6_000].body = chosen(good);
    records[6_001].body = chosen(999);
    records[6_002].body = chosen(undone);
    let facts = facts(&records);
    follow(&mut learner, &facts, &records[..6_001]);
    assert!(learner.ensemble().neighbours() == state.neighbours(), "the current model goes on from the chosen version");
    assert_eq!(learner.lineage().windows().last().unwrap().to, Offset(6_001));
    let before = learner.lineage().learning();
    follow(&mut learner, &facts, &records[..6_002]);
    assert_eq!(learner.lineage().learning(), before, "a version whose state is not kept changes nothing");
    follow(&mut learner, &facts, &records[..6_003]);
    assert!(learner.ensemble().neighbours() == current.neighbours(), "what was undone is restored");
    assert!(learner.lineage().windows().iter().all(|window| window.released || window.from.0 >= 6_001));
    follow(&mut learner, &facts, &records);
}

#[test]
fn an_earlier_version_that_is_chosen_retrieves_as_it_did_when_it_was_good() {
    let mut records = records(8_000, 11);
    let facts = facts(&records);
    let mut learner = Learner::new(guarded(Part::Blend));
    let weights = learner.weights().clone();
    let history = facts.histories.get(3);
    let context = Context::new(&history, None, 0, &weights);
    let nearest = |models: &Ensemble| {
        let (mut prepared, mut found) = (Prepared::default(), Vec::new());
        models.prepare(&context, &mut prepared);
        models.candidates_of(Part::Factorization, &context, &prepared, Some(10), &mut found);
        found
    };
    follow(&mut learner, &facts, &records[..5_000]);
    let (good, state) = learner.lineage().good().unwrap();
    let when_good = nearest(&state.shared);
    assert_eq!(when_good.len(), 10);
    records[7_500].body = Body::Chosen { version: good, why: "a test".into() };
    follow(&mut learner, &facts, &records[..7_500]);
    let older = learner.lineage().state(good).expect("it is kept");
    assert_ne!(learner.lineage().good().unwrap().0, good, "a later version is good");
    assert_eq!(nearest(&older.shared), [0; 0], "a version that is only kept has nothing to scan");
    follow(&mut learner, &facts, &records[..7_501]);
    assert_eq!(nearest(&learner.lineage().good().unwrap().1.shared), when_good);
    assert_eq!(nearest(&learner.publish_good().unwrap().ensemble), when_good);
    assert_eq!(nearest(&learner.publish().ensemble), when_good);
}

#[test]
fn a_released_window_is_learned() {
    let mut records = records(7_000, 11);
    let mut learner = Learner::new(guarded(Part::Neighbours));
    follow(&mut learner, &facts(&records), &records[..6_000]);
    let good = learner.lineage().good().unwrap().0;
    records[6_000].body = Body::Chosen { version: good, why: "a test".into() };
    let (from, to) = (learner.lineage().good_end(), Offset(6_001));
    records[6_001].body = Body::WindowReleased { from, to };
    let facts = facts(&records);
    let current = learner.ensemble().n_params();
    follow(&mut learner, &facts, &records[..6_001]);
    let undone = learner.ensemble().n_params();
    follow(&mut learner, &facts, &records[..6_002]);
    assert!(learner.lineage().windows()[0].released);
    let released = learner.ensemble().n_params();
    assert!(undone < released && released + released / 20 > current, "{undone}, then {released} of {current}");
    let mut resumed: Learner = postcard::from_bytes(&bytes(&learner)).unwrap();
    follow(&mut resumed, &facts, &records);
    follow(&mut learner, &facts, &records);
    assert!(bytes(&resumed) == bytes(&learner));
}

#[test]
fn a_replay_builds_the_challenger_that_was_shadowed() {
    let mut records = records(8_000, 11);
    let mut settings = guarded(Part::Blend);
    settings.models.factorization.rate *= 0.7;
    let challenge = Challenge {
        settings,
        from: Offset(300),
        passes: 2,
        until: Offset(4_000),
        windows_digest: None,
        requested: false,
    };
    records[7_000].body = Body::Promoted { challenge: challenge.to_record().into(), why: "a test".into() };
    let facts = facts(&records);
    let mut learner = Learner::new(guarded(Part::Blend));
    follow(&mut learner, &facts, &records[..4_000]);
    let mut alone = learner.clone();
    let mut challenger = Challenger::new(&challenge, learner.lineage().windows());
    challenger.learn(&mut Records { records: &records, facts: &facts }, Offset(4_000)).unwrap();
    learner.shadow(challenger, GateSettings::default());
    follow(&mut learner, &facts, &records[..7_000]);
    let result = learner.shadow_result().unwrap();
    assert!(result.n > 500 && result.verdict == Verdict::NotWorse, "{result:?}");
    follow(&mut learner, &facts, &records);
    follow(&mut alone, &facts, &records);
    assert!(bytes(&learner) == bytes(&alone));
    assert_eq!(learner.settings().models.factorization.rate, challenge.settings.models.factorization.rate);
    let promoted = learner.lineage().entries().iter().any(|entry| &*entry.why == "a test");
    assert!(promoted);
}

#[test]
fn a_requested_challenger_learns_in_pieces_and_its_refusal_is_not_an_attempt_of_a_reset() {
    let mut records = records(8_000, 11);
    let known = facts(&records);
    let mut learner = Learner::new(guarded(Part::Blend));
    follow(&mut learner, &known, &records[..5_000]);
    let mut models = learner.settings().models.clone();
    models.factorization.rate *= 0.7;
    let challenger = learner.trial(models.clone(), Offset(300), 3).unwrap();
    assert_eq!(challenger.left(Offset(5_100)), 15_100, "records that arrive meanwhile belong to the last pass");
    let challenge = shadowed(challenger, &mut learner, &known, &records);
    records[6_000].body = refused(&challenge);
    records[7_000].body = promoted(&challenge);
    let facts = facts(&records);
    follow(&mut learner, &facts, &records[..7_000]);
    assert_eq!((learner.resets().n_refused(), learner.resets().refused_in_a_row()), (1, 0));
    assert!(learner.shadow_model().is_some());
    follow(&mut learner, &facts, &records);
    assert_eq!(learner.settings().models, models);
    let mut alone = Learner::new(guarded(Part::Blend));
    follow(&mut alone, &facts, &records);
    assert!(bytes(&learner) == bytes(&alone));
}

#[test]
fn a_challenger_that_learned_nothing_is_refused() {
    let records = records(8_000, 11);
    let facts = facts(&records);
    let mut learner = Learner::new(guarded(Part::Blend));
    follow(&mut learner, &facts, &records[..5_000]);
    // It begins where the log ends, so it learns only from the events on which it is judged.
    let challenge = Challenge {
        settings: guarded(Part::Popularity),
        from: Offset(5_000),
        passes: 1,
        until: Offset(0),
        windows_digest: None,
        requested: false,
    };
    let mut challenger = Challenger::new(&challenge, &[]);
    challenger.learn(&mut Records { records: &records, facts: &facts }, Offset(5_000)).unwrap();
    learner.shadow(challenger, GateSettings::default());
    follow(&mut learner, &facts, &records);
    assert_eq!(learner.shadow_result().unwrap().verdict, Verdict::Worse);
    let mut untouched = Learner::new(guarded(Part::Blend));
    follow(&mut untouched, &facts, &records);
    assert!(bytes(&learner) == bytes(&untouched), "a shadowed challenger changes nothing");
}

#[test]
fn a_diverged_challenger_is_refused_and_its_page_has_all_places() {
    let records = records(8_000, 11);
    let facts = facts(&records);
    let mut learner = Learner::new(guarded(Part::Blend));
    follow(&mut learner, &facts, &records[..5_000]);
    let mut settings = guarded(Part::Factorization);
    settings.models.factorization.rate = 1e30;
    let (from, until) = (Offset(0), Offset(0));
    let challenge = Challenge { settings, from, passes: 1, until, windows_digest: None, requested: false };
    let mut challenger = Challenger::new(&challenge, &[]);
    challenger.learn(&mut Records { records: &records, facts: &facts }, Offset(5_000)).unwrap();
    learner.shadow(challenger, GateSettings::default());
    follow(&mut learner, &facts, &records);
    assert_eq!(learner.shadow_result().unwrap().verdict, Verdict::Worse);
    let diverged = learner.shadow_model().unwrap();
    assert!(!diverged.members.is_finite(), "this test needs a diverged model");
    let history = learner.histories().get(3);
    let context = Context::new(&history, None, 0, learner.weights());
    let page = diverged.rank(&context, &mut Prepared::default(), 10, |_| true);
    assert!(page.len() == 10 && page.iter().all(|scored| scored.score.is_finite()), "{page:?}");
}

/// Trains a reset in pieces, and shadows it from there on.
fn shadowed_reset(learner: &mut Learner, facts: &Facts, records: &[Record]) -> Challenge {
    let challenger = learner.reset().unwrap();
    shadowed(challenger, learner, facts, records)
}

fn shadowed(mut challenger: Challenger, learner: &mut Learner, facts: &Facts, records: &[Record]) -> Challenge {
    let mut earlier = Records { records, facts };
    while challenger.left(learner.end()) > 0 {
        challenger.go_on(&mut earlier, learner.end(), 777).unwrap();
    }
    let challenge = challenger.challenge().clone();
    learner.shadow(challenger, GateSettings::default());
    challenge
}

fn promoted(challenge: &Challenge) -> Body {
    Body::Promoted { challenge: challenge.to_record().into(), why: "a reset".into() }
}

fn refused(challenge: &Challenge) -> Body {
    Body::ChallengeRefused { challenge: challenge.to_record().into(), why: "a trial".into() }
}

#[test]
fn a_replay_builds_the_reset_that_was_refused_once_and_then_promoted() {
    let mut records = records(9_000, 11);
    // A custom type first occurs while the challenger is shadowed.
    for record in &mut records[5_500..9_000] {
        if let Body::Event(checked) = &mut record.body
            && record.offset.0.is_multiple_of(3)
        {
            checked.event.event_type = accrue_event::EventType::Custom("fitting".into());
        }
    }
    let mut settings = guarded(Part::Blend);
    settings.weights.insert("fitting".into(), 0.7);
    let mut learner = Learner::new(settings.clone());
    follow(&mut learner, &facts(&records), &records[..5_000]);
    let challenge = shadowed_reset(&mut learner, &facts(&records), &records);
    records[6_000].body = refused(&challenge);
    records[7_500].body = promoted(&challenge);
    let facts = facts(&records);
    follow(&mut learner, &facts, &records[..7_500]);
    assert_eq!(learner.resets().refused_in_a_row(), 1);
    let state = learner.shadow_model().expect("nothing was undone").clone();
    follow(&mut learner, &facts, &records[..7_501]);
    assert!(learner.ensemble().neighbours() == state.neighbours() && learner.ensemble().blend == state.blend);
    follow(&mut learner, &facts, &records);
    let mut replayed = Learner::new(settings);
    follow(&mut replayed, &facts, &records);
    assert!(bytes(&learner) == bytes(&replayed));
    let resets = learner.resets();
    assert_eq!((resets.n_promoted(), resets.n_refused(), resets.refused_in_a_row()), (1, 1, 0));
    assert_eq!(resets.last().map(|last| (last.offset, &*last.why)), Some((Offset(7_500), "a reset")));
}

#[test]
fn a_promotion_changes_nothing_if_records_were_undone_or_released_since_the_challenger_began() {
    let mut records = records(9_000, 11);
    let base = facts(&records);
    let mut learner = Learner::new(guarded(Part::Neighbours));
    follow(&mut learner, &base, &records[..5_000]);
    let good = learner.lineage().good().unwrap().0;
    let (from, to) = (learner.lineage().good_end(), Offset(5_501));
    let begun_before_both = shadowed_reset(&mut learner, &base, &records);
    records[5_500].body = Body::Chosen { version: good, why: "a test".into() };
    records[5_600].body = promoted(&begun_before_both);
    follow(&mut learner, &facts(&records), &records[..5_501]);
    assert!(learner.shadow_result().is_none(), "the shadowed challenger is dropped");
    let current = learner.lineage().learning();
    follow(&mut learner, &facts(&records), &records[..5_700]);
    assert_eq!(learner.lineage().learning(), current, "the current model goes on");
    let last = learner.resets().last().unwrap();
    assert!(!last.promoted && last.offset == Offset(5_600), "{last:?}");

    let begun_before_the_release = shadowed_reset(&mut learner, &facts(&records), &records);
    records[6_000].body = Body::WindowReleased { from, to };
    records[6_100].body = promoted(&begun_before_the_release);
    let facts = facts(&records);
    follow(&mut learner, &facts, &records[..6_001]);
    assert!(learner.lineage().windows()[0].released && learner.shadow_result().is_none());
    follow(&mut learner, &facts, &records);
    assert_eq!((learner.resets().n_promoted(), learner.resets().refused_in_a_row()), (0, 0));
    let mut replayed = Learner::new(guarded(Part::Neighbours));
    follow(&mut replayed, &facts, &records);
    assert!(bytes(&learner) == bytes(&replayed));
}

#[test]
fn an_alarm_drops_the_challenger_and_the_next_one_leaves_out_what_was_undone() {
    let mut records = poisoned(15_500, 10_000..15_000);
    let base = facts(&records);
    let mut learner = Learner::new(with_long_versions(Part::Blend));
    follow(&mut learner, &base, &records[..9_500]);
    let challenge = shadowed_reset(&mut learner, &base, &records);
    records[15_200].body = promoted(&challenge);
    let facts = facts(&records);
    for end in 9_501..=15_200 {
        follow(&mut learner, &facts, &records[..end]);
        let windows_digest = learner.lineage().windows_digest();
        assert_eq!(
            learner.shadow_result().is_some(),
            challenge.windows_digest.as_ref() == Some(&windows_digest),
            "after {end} records"
        );
    }
    assert!(learner.n_alarms() > 0 && learner.shadow_result().is_none());
    assert_ne!(learner.reset().unwrap().challenge().windows_digest, challenge.windows_digest);
    follow(&mut learner, &facts, &records);
    assert_eq!((learner.resets().n_promoted(), learner.resets().n_refused()), (0, 1));
    let mut replayed = Learner::new(with_long_versions(Part::Blend));
    follow(&mut replayed, &facts, &records);
    assert!(bytes(&learner) == bytes(&replayed));
}
