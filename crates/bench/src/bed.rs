//! What the benches of one run share: settings, and shops that several of them use, each created once.

use std::path::PathBuf;

use accrue_engine::Config;
use accrue_model::Version;
use accrue_store::Facts;

use super::corpus::{Corpus, batches};
use super::folder::Folder;
use super::measure::Size;
use super::shop::{Big, Server, fill, learn, retail_corpus};

/// The shared state of the benches of one run. Shops that several of them use are created once.
pub(crate) struct Bed<'a> {
    pub size: Size,
    pub here: bool,
    pub datasets: Option<PathBuf>,
    pub config: Config,
    pub note: &'a dyn Fn(&str),
    pub big: Option<Big>,
    pub retail: Option<Server>,
    pub trained: Option<Trained>,
}

/// Facts and models of a corpus, without a log or a server.
pub(crate) struct Trained {
    pub facts: Facts,
    pub version: Version,
    pub corpus: Corpus,
}

impl Bed<'_> {
    pub fn note(&self, text: impl AsRef<str>) {
        (self.note)(text.as_ref());
    }

    /// The shop with 10⁷ events (full size), fully learned and idle. 50 events a customer, 200 an item.
    pub fn big(&mut self) -> anyhow::Result<&mut Big> {
        if self.big.is_none() {
            let n_events = self.size.pick(2_000, 1_000_000, 10_000_000);
            let corpus = Corpus::new(n_events / 50, n_events / 200, n_events);
            self.note(format!("  making the shop with {n_events} events before"));
            let folder = Folder::new()?;
            let config = self.all_live();
            fill(folder.path(), &config, corpus, self.note)?;
            let server = Server::open(folder, &config)?;
            self.big = Some(Big { server, corpus, stretch: 0 });
        }
        let big = self.big.as_mut().expect("made above");
        big.server.engine.wait_until_learned();
        Ok(big)
    }

    /// The settings, with every choice learned and every page made by the current version. Otherwise a choice in the
    /// holdout (one in 64) would not change a row, and a shopper who is answered by the good version (one in 100) would
    /// not see the change, so their freshness could not be measured.
    pub fn all_live(&self) -> Config {
        let mut config = self.config.clone();
        config.learn.guard.anchor_one_in = i64::MAX as u64;
        config.serve.good_share = 0.0;
        config
    }

    /// The retail-like shop: 4,000 items, 4,000 customers, 350,000 events, all sent through the engine's queue; fully
    /// learned and idle.
    pub fn retail(&mut self) -> anyhow::Result<&Server> {
        if self.retail.is_none() {
            // The other shop is dropped first, so that its memory and threads do not affect the figures.
            self.big = None;
            let corpus = retail_corpus(self.size.pick(2_000, 350_000, 350_000));
            let server = Server::open(Folder::new()?, &self.config)?;
            for batch in batches(corpus, 1_000) {
                server.engine.ingest(batch)?;
            }
            self.retail = Some(server);
        }
        let server = self.retail.as_ref().expect("made above");
        server.engine.wait_until_learned();
        Ok(server)
    }

    /// Models trained on 100,000 items and 1,000,000 events (full size).
    pub fn trained(&mut self) -> anyhow::Result<&Trained> {
        if self.trained.is_none() {
            (self.big, self.retail) = (None, None);
            let (n_users, n_items, n_events) =
                self.size.pick((100, 1_000, 2_000), (20_000, 100_000, 1_000_000), (20_000, 100_000, 1_000_000));
            let corpus = Corpus::new(n_users, n_items, n_events);
            self.note(format!("  training {n_items} items on {n_events} events"));
            let (facts, mut learner) = learn(corpus, &self.config)?;
            self.trained = Some(Trained { facts, version: learner.publish(), corpus });
        }
        Ok(self.trained.as_ref().expect("made above"))
    }
}
