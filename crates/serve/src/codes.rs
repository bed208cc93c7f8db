//! The words of answers that programs read: why an item is on a page, and what could not be done as requested.
//!
//! They never change their meaning. `docs/requests.md` has a table of each, which a test of `accrue-http` compares with
//! these lists.

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident => $code:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)*
                }
            }

            /// Whether an answer may have this word.
            pub fn is_known(name: &str) -> bool {
                Self::ALL.iter().any(|code| code.name() == name)
            }
        }
    };
}

codes! {
    /// The kind of a reason.
    ReasonCode {
        /// What the shopper did with another item.
        BecauseOfEvent => "because_of_event",
        /// What the shopper did with the item itself.
        ChosenBefore => "chosen_before",
        /// What other shoppers did lately.
        Popular => "popular",
        /// How long the item has been in the shop.
        NewItem => "new_item",
        /// The kind of page, the device, and how the shop describes the shopper.
        Circumstances => "circumstances",
        /// The part of the score that the history has and no cited event.
        RestOfHistory => "rest_of_history",
        /// The same of a shopper without a history.
        NoHistory => "no_history",
        /// The page's items are unlike each other.
        Diversity => "diversity",
        /// The place was drawn at random.
        Exploration => "exploration",
        /// No model proposed the item.
        Catalogue => "catalogue",
        /// The place was kept for what the shopper has not bought.
        NewToYou => "new_to_you",
        /// A similar item: other shoppers chose both.
        ChosenTogether => "chosen_together",
        /// A similar item: its description is alike.
        DescribedAlike => "described_alike",
        /// Words of a search.
        Lexical => "lexical",
        /// The meaning of a search.
        SimilarMeaning => "similar_meaning",
        /// The shopper's taste in a search.
        Taste => "taste",
        /// What several shoppers chose after the same search.
        ChosenAfterSearch => "chosen_after_search",
        /// The shopper was shown the item often and did not choose it.
        ShownOften => "shown_often",
        /// What choices after searches taught about the order.
        LearnedOrder => "learned_order",
        /// A rule of the shop.
        Rule => "rule",
        /// A campaign put the item into a slot.
        Sponsored => "sponsored",
        /// What the item's probable clicks, carts and purchases are worth.
        Value => "value",
    }
}

codes! {
    /// What an answer could not do as requested; the request still succeeds.
    Degraded {
        /// Nothing is known of the shopper.
        ColdUser => "cold_user",
        /// The shop has no item.
        EmptyCatalogue => "empty_catalogue",
        /// Fewer items than requested may be shown.
        FewCandidates => "few_candidates",
        /// No impression was learned from.
        NoImpressions => "no_impressions",
        /// Few impressions or clicks were learned from.
        FewImpressions => "few_impressions",
        /// The shop does not know any item that the page is about, or one that a prediction is asked for.
        UnknownItems => "unknown_items",
        /// The page reaches beyond the end of the list.
        TooDeep => "too_deep",
        /// No shopper chose anything together with the item.
        NoNeighbours => "no_neighbours",
        /// The shop has no scene of this name, and one of a similar name.
        UnknownScene => "unknown_scene",
        /// The scene allows nothing else about items that were chosen before.
        SeenPinned => "seen_pinned",
        /// The model of a source does not learn.
        SourceUnavailable => "source_unavailable",
        /// The sources found more than the scene takes.
        CandidatesCut => "candidates_cut",
        /// The conditions of the filter read more texts than one page may.
        FilterCut => "filter_cut",
        /// The page reaches beyond the places that the scene diversifies.
        DiversityCut => "diversity_cut",
        /// No candidate has the price, or the attribute, by which the scene weighs purchases.
        NoPrices => "no_prices",
        /// One address asked for so many pages that this one has no sponsored items.
        SponsoredWithheld => "sponsored_withheld",
        /// No item that the scene's caps allow was left for a place.
        CapsUnmet => "caps_unmet",
        /// The search index could not be brought up to date.
        StaleIndex => "stale_index",
        /// What choices taught about the order of hits made it worse, so it is not used.
        LearnedOrderOff => "learned_order_off",
        /// The encoder of queries cannot be used, or is not read yet.
        NoEncoder => "no_encoder",
        /// The items have no vectors of the encoder yet.
        NoVectors => "no_vectors",
        /// The vector of the query was not there in time.
        LateEncoder => "late_encoder",
        /// The query was not encoded, because of an error.
        FailedEncoder => "failed_encoder",
        /// The encoder does not know the words of the query.
        UnknownLanguage => "unknown_language",
    }
}
