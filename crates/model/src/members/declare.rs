//! The macro of the [`registry`](super::registry): it declares all that has one field, variant or call for each member.
//!
//! It is a macro and not a list of trait objects because each member has its own types of settings and situation, and
//! because scoring calls the members for every page.

/// Declares what has one field or variant for each member.
macro_rules! members {
    ($($name:ident $what:literal => $member:ident,)+) => {
        use super::{$($name::$member),+};

        /// Which model scores: the blend of all, or one of them alone. Only what is needed is learned.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub enum Part {
            /// All models, by learned curves.
            #[default]
            Blend,
            $(#[doc = $what] $member,)+
        }

        impl Part {
            /// All of them.
            pub const ALL: &'static [Part] = &[Part::Blend, $(Part::$member),+];

            /// The name in settings and reports.
            pub fn name(self) -> &'static str {
                match self {
                    Part::Blend => "blend",
                    $(Part::$member => stringify!($name),)+
                }
            }

            /// What it is, in one sentence.
            pub fn what(self) -> &'static str {
                match self {
                    Part::Blend => "All online models, blended by learned curves.",
                    $(Part::$member => $what,)+
                }
            }

            /// Whether it proposes candidates. What does not retrieve only scores.
            pub fn retrieves(self) -> bool {
                match self {
                    Part::Blend => false,
                    $(Part::$member => <$member as Member>::RETRIEVES,)+
                }
            }

            /// Whether the model alone gives many items equal scores, which popularity then orders.
            fn ties_by_popularity(self) -> bool {
                match self {
                    Part::Blend => false,
                    $(Part::$member => <$member as Member>::TIES_BY_POPULARITY,)+
                }
            }
        }

        /// Settings of every model.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Settings {
            /// Which model scores.
            pub part: Part,
            $(#[doc = concat!("Of ", stringify!($name), ".")] pub $name: <$member as Member>::Settings,)+
            /// Of the blend.
            pub blend: BlendSettings,
            /// What the models begin with.
            pub init: InitSettings,
            /// How many candidates the blend learns from, and how often.
            pub retrieval: RetrievalSettings,
        }

        impl Settings {
            /// Refuses values that cannot work, and those that take so long that nothing else is done.
            ///
            /// # Errors
            /// The first fault found; its key is in the table `model`, as in a configuration.
            pub fn validate(&self) -> Result<(), SettingFault> {
                self.first_fault().and_then(|()| self.first_over_limit()).map_err(|fault| fault.within("model"))
            }

            /// Whether models can learn under these settings, however slowly. Those of a settings record need no more.
            pub fn works(&self) -> bool {
                self.first_fault().is_ok()
            }

            /// Why a model does not learn under these settings, if it does not.
            pub fn switched_off(&self, part: Part) -> Option<SettingFault> {
                let fault = match part {
                    Part::Blend => None,
                    $(
                        Part::$member if !needs(self.part, part, <$member as Member>::ALWAYS_LEARNS) => {
                            let expected = format!("blend or {}", part.name());
                            Some(SettingFault::new("part", self.part.name(), expected))
                        }
                        Part::$member => self.$name.switched_off().map(|fault| fault.within(stringify!($name))),
                    )+
                };
                fault.map(|fault| fault.within("model"))
            }

            /// Whether a model that learns reads [`Catalogue::facets`]; otherwise the catalogue does not keep them.
            pub fn needs_facets(&self) -> bool {
                $((self.$name.needs_facets() && self.switched_off(Part::$member).is_none()))||+
            }

            /// Whether models with these settings can begin with the parts.
            ///
            /// # Errors
            /// If a size differs, or there is nothing to take.
            pub(crate) fn fit(&self, parts: &PartsOfMembers) -> Result<(), TransferError> {
                let mut begins_alone = false;
                $(
                    if self.switched_off(Part::$member).is_none() {
                        self.$name.fit(parts.get(stringify!($name)).map(Vec::as_slice))?;
                        begins_alone |= self.$name.begins_alone();
                    }
                )+
                if begins_alone || self.part == Part::Blend {
                    return Ok(());
                }
                Err(TransferError::Nothing("it is the blend and the two towers that begin with parts of another shop"))
            }

            fn first_fault(&self) -> Result<(), SettingFault> {
                $(
                    let name = stringify!($name);
                    if self.part == Part::$member && let Some(off) = self.$name.switched_off() {
                        return Err(off.within(name));
                    }
                    self.$name.validate().map_err(|fault| fault.within(name))?;
                )+
                self.blend.validate().map_err(|fault| fault.within("blend"))?;
                self.init.validate().map_err(|fault| fault.within("init"))?;
                self.retrieval.validate().map_err(|fault| fault.within("retrieval"))
            }

            fn first_over_limit(&self) -> Result<(), SettingFault> {
                $(
                    SettingFault::check("candidates", self.$name.candidates(), ..=super::MAX_CANDIDATES)
                        .and_then(|()| self.$name.limit())
                        .map_err(|fault| fault.within(stringify!($name)))?;
                )+
                self.init.limit().map_err(|fault| fault.within("init"))?;
                self.retrieval.limit().map_err(|fault| fault.within("retrieval"))
            }
        }

        /// The trained state of every model that the settings ask for.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub struct Members {
            $(#[doc = $what] pub $name: Option<$member>,)+
        }

        /// What each model derives from one shopper's context.
        #[derive(Clone, Debug, Default)]
        pub struct Situations {
            $(pub(crate) $name: <$member as Member>::Situation,)+
        }

        impl Members {
            /// Models that have learned nothing.
            pub fn new(settings: &Settings, seed: u64) -> Self {
                Self {
                    $($name: needs(settings.part, Part::$member, <$member as Member>::ALWAYS_LEARNS)
                        .then(|| <$member as Member>::new(&settings.$name, seed)).flatten(),)+
                }
            }

            /// Changes the settings. A model keeps what it learned if that fits its new settings. One that is no longer
            /// needed is dropped, and one that is new begins untrained.
            pub fn set_settings(&mut self, settings: &Settings, seed: u64) {
                $(
                    let is_needed = needs(settings.part, Part::$member, <$member as Member>::ALWAYS_LEARNS)
                        && settings.$name.switched_off().is_none();
                    let is_kept = is_needed
                        && self.$name.as_mut().is_some_and(|member| member.set_settings(&settings.$name, seed));
                    if !is_kept {
                        self.$name = is_needed.then(|| <$member as Member>::new(&settings.$name, seed)).flatten();
                    }
                )+
            }

            /// What another shop can begin with, by the names of the models.
            pub(crate) fn parts_for_others(&self) -> PartsOfMembers {
                let mut parts = PartsOfMembers::new();
                $(
                    if let Some(part) = self.$name.as_ref().and_then(Member::part_for_others) {
                        parts.insert(stringify!($name), part);
                    }
                )+
                parts
            }

            /// Lets models that have learned nothing begin with what another shop has learned.
            pub(crate) fn begin_with(&mut self, parts: &PartsOfMembers, settings: &InitSettings) {
                $(
                    if let (Some(member), Some(part)) = (&mut self.$name, parts.get(stringify!($name))) {
                        member.begin_with(part, settings);
                    }
                )+
            }

            /// The name of the model with this name, and how many of the bytes are a part of it.
            pub(crate) fn size_of_part(name: &str, bytes: &[u8]) -> Option<(&'static str, usize)> {
                match name {
                    $(stringify!($name) => <$member as Member>::size_of_part(bytes).map(|size| (stringify!($name), size)),)+
                    _ => None,
                }
            }

            /// Lets every model learn one event.
            pub fn learn(
                &mut self,
                step: &Step<'_>,
                catalogue: &Catalogue,
                reference: Option<&Self>,
                situations: &mut Situations,
            ) {
                $(
                    if let Some(member) = &mut self.$name {
                        let reference = reference.and_then(|reference| reference.$name.as_ref());
                        member.learn(step, catalogue, reference, &mut situations.$name);
                    }
                )+
            }

            /// Lets every model read what the catalogue now knows of an item.
            pub fn describe(&mut self, item: ItemIdx, catalogue: &Catalogue) {
                $(if let Some(member) = &mut self.$name { member.describe(item, catalogue); })+
            }

            /// Lets every model learn an impression without a choice.
            pub fn learn_unchosen(&mut self, step: &Step<'_>) {
                $(if let Some(member) = &mut self.$name { member.learn_unchosen(step); })+
            }

            /// Lets every model read a shopper's context.
            pub fn prepare(&self, catalogue: &Catalogue, context: &Context<'_>, situations: &mut Situations) {
                $(if let Some(member) = &self.$name { member.prepare(catalogue, context, &mut situations.$name); })+
            }

            /// The columns of all models that exist, in the order in which [`Members::fill`] writes them.
            pub fn columns(&self) -> Vec<Column> {
                let mut columns = Vec::new();
                $(if self.$name.is_some() { columns.extend_from_slice(<$member as Member>::COLUMNS); })+
                columns
            }

            /// Writes the columns of `items` to `out` `[columns, items]`. Where `part` is one model alone, only what its score needs is
            /// computed; all else stays 0.
            pub fn fill(
                &self,
                catalogue: &Catalogue,
                situations: &Situations,
                items: &[ItemIdx],
                part: Part,
                out: &mut [f32],
            ) {
                out.fill(0.0);
                let mut left = out;
                $(
                    if let Some(member) = &self.$name {
                        let columns;
                        (columns, left) = left.split_at_mut(<$member as Member>::COLUMNS.len() * items.len());
                        if part == Part::Blend || part == Part::$member
                            || (Part::$member == Part::Popularity && part.ties_by_popularity())
                        {
                            member.columns(catalogue, &situations.$name, items, columns);
                        }
                    }
                )+
                debug_assert!(left.is_empty(), "there is a place for each column of each item");
            }

            /// The factors of all columns in the score of one model alone.
            pub(crate) fn factors(&self, part: Part) -> Vec<f32> {
                let mut factors = Vec::new();
                $(
                    if self.$name.is_some() {
                        factors.extend(<$member as Member>::COLUMNS.iter().map(|column| {
                            match () {
                                _ if part == Part::$member => column.alone,
                                _ if Part::$member == Part::Popularity && part.ties_by_popularity() => TIE * column.alone,
                                _ => 0.0,
                            }
                        }));
                    }
                )+
                factors
            }

            /// Adds the candidates of every model, at most `cap` of each. `for_learning` leaves out those that are expensive to retrieve.
            pub fn retrieve(
                &self,
                settings: &Settings,
                catalogue: &Catalogue,
                context: &Context<'_>,
                situations: &Situations,
                (cap, for_learning): (usize, bool),
                out: &mut Vec<ItemIdx>,
            ) {
                $(
                    if let Some(member) = &self.$name
                        && (!for_learning || <$member as Member>::RETRIEVES_FOR_LEARNING)
                    {
                        let limit = settings.$name.candidates().min(cap);
                        member.retrieve(catalogue, context, &situations.$name, limit, out);
                    }
                )+
            }

            /// Adds the candidates of one model, at most `limit`, or as many as its settings say. `false` if the model does
            /// not learn, or if `part` is no single model.
            pub fn retrieve_by(
                &self,
                part: Part,
                (settings, catalogue): (&Settings, &Catalogue),
                (context, situations): (&Context<'_>, &Situations),
                limit: Option<usize>,
                out: &mut Vec<ItemIdx>,
            ) -> bool {
                match part {
                    Part::Blend => false,
                    $(Part::$member => match &self.$name {
                        Some(member) => {
                            let limit = limit.unwrap_or_else(|| settings.$name.candidates());
                            member.retrieve(catalogue, context, &situations.$name, limit, out);
                            true
                        }
                        None => false,
                    },)+
                }
            }

            /// For each model that does not know its first column exactly: the position of that column, and its
            /// standard deviation for each
            /// of `items`.
            pub fn deviations(
                &self,
                context: &Context<'_>,
                situations: &Situations,
                items: &[ItemIdx],
            ) -> Vec<(usize, Vec<f32>)> {
                let (mut first, mut known) = (0, Vec::new());
                $(
                    if let Some(member) = &self.$name {
                        let deviations = member.deviations(context, &situations.$name, items);
                        if !deviations.is_empty() {
                            known.push((first, deviations));
                        }
                        first += <$member as Member>::COLUMNS.len();
                    }
                )+
                let _ = first;
                known
            }

            /// Updates what scans read to what was learned; call before publishing.
            pub fn refresh(&mut self) {
                $(if let Some(member) = &mut self.$name { member.refresh(); })+
            }

            /// Drops what scans read, until it is updated again.
            pub fn drop_images(&mut self) {
                $(if let Some(member) = &mut self.$name { member.drop_images(); })+
            }

            /// Refers to the memory of `other` wherever both hold the same values.
            pub fn share_with(&mut self, other: &Self) {
                $(if let (Some(mine), Some(theirs)) = (&mut self.$name, &other.$name) { mine.share_with(theirs); })+
            }

            /// Calls `visitor` for every model that exists.
            pub fn visit(&self, visitor: &mut impl Visitor) {
                $(if let Some(member) = &self.$name { visitor.visit(stringify!($name), member); })+
            }

            /// Replaces each model by what a checkpoint keeps of it; one whose section this build cannot use stays as it is,
            /// and so does one with a number that is not finite, which learning would never mend.
            ///
            /// # Errors
            /// If a section is damaged.
            pub(crate) fn load(&mut self, source: &mut SectionSource<'_>, prefix: &str) -> Result<(), StoreError> {
                $(
                    if let Some(member) = &mut self.$name {
                        let section = format!(concat!("{}/", stringify!($name)), prefix);
                        // A model without a state has lost nothing if a checkpoint does not know it.
                        if size_of::<$member>() == 0 {
                            source.pass(&section);
                        } else if let Some(kept) = <$member as Member>::load(&section, source)? {
                            match kept.is_finite() {
                                true => *member = kept,
                                false => source.reject(&section, super::NOT_FINITE.into()),
                            }
                        }
                    }
                )+
                Ok(())
            }

            /// Numbers that were learned by the models that `part` needs.
            pub fn n_params(&self, part: Part) -> u64 {
                let mut n = 0;
                $(
                    if part == Part::Blend || part == Part::$member {
                        n += self.$name.as_ref().map_or(0, Member::n_params);
                    }
                )+
                n
            }

            /// Bytes copied by writes after publications.
            pub fn copied_bytes(&self) -> u64 {
                let mut n = 0;
                $(n += self.$name.as_ref().map_or(0, Member::copied_bytes);)+
                n
            }

            /// What the models report of their own work. Of one that does not learn only counters that are always shown are left.
            pub fn reports(&self) -> Vec<MemberReport> {
                let mut reports = Vec::new();
                $(
                    let counters = <$member as Member>::COUNTERS.iter().copied();
                    match &self.$name {
                        _ if <$member as Member>::COUNTERS.is_empty() => {}
                        Some(member) => reports.push(MemberReport {
                            name: <$member as Member>::REPORT,
                            counts: counters.zip(member.counts()).collect(),
                            fault: member.fault().map(str::to_owned),
                        }),
                        None => reports.push(MemberReport {
                            name: None,
                            counts: counters.filter(|counter| counter.always).map(|counter| (counter, 0)).collect(),
                            fault: None,
                        }),
                    }
                )+
                reports
            }

            /// Whether every learned number is finite.
            pub fn is_finite(&self) -> bool {
                $(self.$name.as_ref().is_none_or(Member::is_finite))&&+
            }
        }
    };
}
