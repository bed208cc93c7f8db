//! The log, and the facts that are folded from it.
//!
//! In: checked events, catalogue and user edits, served answers. Out: records by offset, durable and in order, and the
//! facts derived from them (vocabulary, catalogue, histories, quarantine). This crate checks no record and
//! learns no model; what shoppers chose after searches is weighed here, because the next search must know it.

mod backup;
mod catalogue_entry;
mod checked_event;
mod checkpoint;
mod circumstances;
mod columns;
mod draw_account;
mod erasure;
mod error;
mod facts;
mod history;
mod ledger;
mod log;
mod new_products;
mod offset;
mod overview;
mod paged;
mod products;
mod published;
mod record;
mod reformulations;
mod rule_texts;
mod sale;
mod satisfaction;
mod search_proposal;
mod search_ranking;
mod searches;
mod served;
mod shared_descriptors;
mod shown;
mod split;
mod store_url;
mod vector;
mod vocabulary;

pub use backup::{Backup, PARTS, backup, is_inside, restore, restore_into};
pub use catalogue_entry::{CatalogueEntry, CataloguePlace};
pub use checked_event::CheckedEvent;
pub use checkpoint::{
    Checkpoint, CheckpointHeader, CheckpointWriter, Checkpoints, Found, PAGES, PageMarks, SectionReader, SectionSource,
    SectionWriter, SequenceMarks, Unread, UnreadReason, Written, serialize_pages,
};
pub use circumstances::{Circumstances, Descriptor, MAX_DESCRIPTORS, item_descriptors, shopper_descriptors};
pub use columns::{Column, ColumnField, MAX_COLUMNS};
pub use draw_account::{Clicked, DrawAccount, DrawDay, MAX_CLICKS};
pub use erasure::{Noted, PendingErasure};
pub use error::StoreError;
pub use facts::{Fact, Facts, Names, OlderParts, session_hash, shopper_name};
pub use history::{Histories, History, Interaction, ItemIdx, PastEvent, ShopperIdx, VISIT_GAP_MS};
pub use ledger::{Account, CLICK_WINDOW_MS, Chargeable, DroppedOfLedger, Ledger, Spend, day_of};
pub use log::{Detached, FullSegment, Log, LogPlace, LogReader, LogSettings};
pub use new_products::{NewProduct, NewProducts, ShownClicked};
pub use offset::Offset;
pub use overview::Overview;
pub use paged::{PageKey, PagedMap, PagedVec};
pub use products::{Described, ProductIdx, Products};
pub use published::{Hourly, InertReason, PLACE_DAYS, PublishedCounts, PublishedRecord};
pub use record::{Body, Record, SourcePosition};
pub use reformulations::{ChosenItem, QueryOutcome, Reformulations, SearchTotals, Searcher, Then};
pub use rule_texts::RuleTexts;
pub use sale::OnSale;
pub use satisfaction::{STAYS_S, Satisfaction, SatisfactionCounts};
pub use search_proposal::{MAX_DECISIONS, ProposalKind, SearchProposal};
pub use search_ranking::{
    HitFeature, MAX_FEATURE, MAX_HITS, N_FEATURES, RankedRow, RankingReport, RankingState, SearchChoice, SearchRanking,
    feature_row, is_search_choice,
};
pub use searches::{Chosen, Searches};
pub use served::{Assignment, NewSlot, Page, Served, SponsoredSlot, Trial};
pub use shared_descriptors::SharedDescriptors;
pub use shown::Shown;
pub use split::{Share, Split, shopper_hash};
pub use store_url::{StoreUrl, StoreUrlError};
pub use vector::{Encoded, ItemVector};
pub use vocabulary::Vocabulary;
