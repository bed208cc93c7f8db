//! The writer: it turns items into tantivy documents and commits them to a folder.
//!
//! A document holds an item's index, its terms with the fields they came from, and its codes. No text is stored,
//! because the catalogue has it. Changes become visible and durable with a commit, which costs about 13 ms whatever its
//! size.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use accrue_event::Item;
use arc_swap::ArcSwap;
use tantivy::directory::error::LockError;
use tantivy::directory::{INDEX_WRITER_LOCK, MmapDirectory};
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy};
use tantivy::schema::Schema;
use tantivy::store::Compressor;
use tantivy::tokenizer::Language;
use tantivy::{
    Directory as _, Index, IndexReader, IndexSettings, IndexWriter, ReloadPolicy, TantivyDocument, TantivyError, Term,
};

use super::analysis::{Analyzer, LANGUAGES, language_of};
use super::document::document;
use super::reader::SearchReader;
use super::schema::{FORMAT, Fields, LANGUAGE, schema};
use super::snapshot::Snapshot;
use super::{SearchError, SearchSettings};

/// How long to try again if another writer seems to be there.
const LOCK_PATIENCE: Duration = Duration::from_millis(400);

/// The state of an index when it was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// It was empty; every item has to be added.
    Created,
    /// It was usable; the records of the log from [`SearchIndex::covered`] on have to be applied.
    Continued,
    /// It was unusable and was deleted; every item has to be added.
    Rebuilt {
        /// Why, for a person to read.
        reason: String,
    },
}

/// The writer of a search index; there is one at a time.
///
/// ```
/// use accrue_event::Item;
/// use accrue_serve::search::{SearchIndex, SearchSettings};
///
/// let mut index = SearchIndex::open(None, SearchSettings::default())?;
/// let mut mug = Item::bare("SKU-7".into());
/// mug.title = Some("Red coffee mugs".into());
/// index.upsert(0, &mug)?;
/// index.set_covered(1);
/// index.commit()?;
///
/// let page = index.reader().search("coffee mug", &|_| true, 10, 0)?;
/// assert_eq!((page.total, page.hits[0].item_idx), (1, 0));
/// # Ok::<(), accrue_serve::search::SearchError>(())
/// ```
pub struct SearchIndex {
    fields: Fields,
    writer: IndexWriter,
    commits: IndexReader,
    reader: SearchReader,
    analyzers: Vec<(Language, Analyzer)>,
    settings: Arc<SearchSettings>,
    opened: Opened,
    n_pending: usize,
    covered: u64,
    covered_next: u64,
    committed_at_ms: u64,
    poisoned: bool,
}

impl SearchIndex {
    /// Opens the index in a folder, or a new one in memory for `None`.
    ///
    /// A folder that holds a broken index, one of another format or of another language is emptied; see [`Self::opened`].
    /// Every file is checked against its checksum first.
    ///
    /// # Errors
    /// [`SearchError::Busy`] if another process writes there, [`SearchError::NotAnIndex`] if the folder holds something else.
    pub fn open(dir: Option<&Path>, settings: SearchSettings) -> Result<Self, SearchError> {
        Self::open_for(dir, settings, None)
    }

    /// [`SearchIndex::open`] in the place of a writer that has failed: its readers, clones of `reader`, go on with what they have until
    /// the first commit or [`SearchIndex::reload`].
    ///
    /// # Errors
    /// Those of [`SearchIndex::open`].
    pub fn reopen(dir: &Path, settings: SearchSettings, reader: SearchReader) -> Result<Self, SearchError> {
        Self::open_for(Some(dir), settings, Some(reader))
    }

    fn open_for(
        dir: Option<&Path>,
        settings: SearchSettings,
        reader: Option<SearchReader>,
    ) -> Result<Self, SearchError> {
        let until = Instant::now() + LOCK_PATIENCE;
        loop {
            match Self::try_open(dir, settings.clone(), reader.clone()) {
                // A process that this one has just begun holds copies of its files, and so the lock, until it runs its program.
                Err(SearchError::Busy { .. }) if Instant::now() < until => std::thread::sleep(LOCK_PATIENCE / 20),
                opened => return opened,
            }
        }
    }

    fn try_open(
        dir: Option<&Path>,
        settings: SearchSettings,
        reader: Option<SearchReader>,
    ) -> Result<Self, SearchError> {
        let (schema, fields) = schema();
        let (index, opened) = match dir {
            None => (create(tantivy::directory::RamDirectory::create(), schema)?, Opened::Created),
            Some(dir) => open_folder(dir, &schema, &settings)?,
        };
        let options = IndexWriterOptions::builder()
            .memory_budget_per_thread(settings.heap_bytes.clamp(15_000_000, 50_000_000))
            .num_worker_threads(1)
            .num_merge_threads(1)
            .build();
        let writer: IndexWriter = index.writer_with_options(options).map_err(|error| busy_or(error, dir))?;
        let mut policy = LogMergePolicy::default();
        policy.set_del_docs_ratio_before_merge(0.2);
        writer.set_merge_policy(Box::new(policy));
        let commits = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        let covered = covered_of(&index)?;
        let settings = Arc::new(settings);
        let reader = match reader {
            Some(reader) => reader,
            None => {
                let snapshot = Snapshot::new(&commits.searcher(), fields, &settings, None)?;
                SearchReader::new(Arc::new(ArcSwap::from_pointee(snapshot)), Arc::clone(&settings))
            }
        };
        Ok(Self {
            fields,
            writer,
            commits,
            reader,
            analyzers: vec![(settings.language, Analyzer::new(settings.language))],
            settings,
            opened,
            n_pending: 0,
            covered,
            covered_next: covered,
            committed_at_ms: 0,
            poisoned: false,
        })
    }

    /// The state of the index when it was opened.
    pub fn opened(&self) -> &Opened {
        &self.opened
    }

    /// A reader, which follows the commits; clone it for each thread.
    pub fn reader(&self) -> SearchReader {
        self.reader.clone()
    }

    /// Adds an item, or replaces its document, from the next commit on.
    ///
    /// # Errors
    /// If the writer fails or has failed before.
    pub fn upsert(&mut self, item_idx: u32, item: &Item) -> Result<(), SearchError> {
        self.remove(item_idx)?;
        let document = self.document(item_idx, item);
        let added = self.writer.add_document(document);
        self.poisoned |= added.is_err();
        added?;
        Ok(())
    }

    /// Removes an item, from the next commit on.
    ///
    /// # Errors
    /// If the writer has failed before.
    pub fn remove(&mut self, item_idx: u32) -> Result<(), SearchError> {
        if self.poisoned {
            return Err(SearchError::Poisoned);
        }
        self.writer.delete_term(Term::from_field_u64(self.fields.item, item_idx.into()));
        self.n_pending += 1;
        Ok(())
    }

    /// Sets which records the index includes after the next commit: all before `offset`.
    pub fn set_covered(&mut self, offset: u64) {
        self.covered_next = offset;
    }

    /// The log offset up to which the committed index includes all records; 0 for a new one.
    pub fn covered(&self) -> u64 {
        self.covered
    }

    /// Whether there are changes that are not committed yet.
    pub fn n_pending(&self) -> usize {
        self.n_pending
    }

    /// Makes all changes and the covered offset durable and visible; does nothing when there is nothing new.
    ///
    /// # Errors
    /// If the writer fails or has failed before; it then accepts nothing more.
    pub fn commit(&mut self) -> Result<(), SearchError> {
        if self.poisoned {
            return Err(SearchError::Poisoned);
        }
        if self.n_pending == 0 && self.covered_next == self.covered {
            return Ok(());
        }
        let committed = self.try_commit();
        self.poisoned = committed.is_err();
        committed
    }

    /// Makes the last commit visible to the readers, as [`SearchIndex::commit`] does.
    ///
    /// # Errors
    /// If its files cannot be read.
    pub fn reload(&mut self) -> Result<(), SearchError> {
        self.commits.reload()?;
        let before = self.reader.snapshot();
        self.reader.publish(Snapshot::new(&self.commits.searcher(), self.fields, &self.settings, Some(&before))?);
        Ok(())
    }

    /// Commits if there are changes and the last such commit was [`SearchSettings::commit_every_ms`] ago. Called with
    /// the time of any monotonic clock, at least a few times a second, it makes changes searchable well within a
    /// second.
    ///
    /// # Errors
    /// Those of [`Self::commit`].
    pub fn commit_if_due(&mut self, now_ms: u64) -> Result<bool, SearchError> {
        let due = now_ms.saturating_sub(self.committed_at_ms) >= self.settings.commit_every_ms;
        if self.n_pending == 0 || !due {
            return Ok(false);
        }
        self.commit()?;
        self.committed_at_ms = now_ms;
        Ok(true)
    }

    /// Waits until merges in the background are done; changes without a commit are lost. Dropping the index stops the
    /// merges instead.
    ///
    /// # Errors
    /// If a merge failed; the committed index is intact nevertheless.
    pub fn close(self) -> Result<(), SearchError> {
        Ok(self.writer.wait_merging_threads()?)
    }

    fn try_commit(&mut self) -> Result<(), SearchError> {
        let mut prepared = self.writer.prepare_commit()?;
        prepared.set_payload(&payload(self.settings.language, self.covered_next));
        prepared.commit()?;
        self.n_pending = 0;
        self.covered = self.covered_next;
        self.reload()
    }

    fn document(&mut self, item_idx: u32, item: &Item) -> TantivyDocument {
        let language = item.locale.as_deref().and_then(language_of).unwrap_or(self.settings.language);
        let mut document = document(self.fields, self.analyzer(language), item_idx, item);
        if language != self.settings.language {
            let tag = LANGUAGES.iter().find(|(_, known)| *known == language).map(|(tag, _)| *tag);
            document.add_text(self.fields.code, format!("{LANGUAGE}{}", tag.unwrap_or_default()));
        }
        document
    }

    fn analyzer(&mut self, language: Language) -> &Analyzer {
        let known = self.analyzers.iter().position(|(known, _)| *known == language);
        let i = known.unwrap_or_else(|| {
            self.analyzers.push((language, Analyzer::new(language)));
            self.analyzers.len() - 1
        });
        &self.analyzers[i].1
    }
}

fn create(directory: impl Into<Box<dyn tantivy::Directory>>, schema: Schema) -> Result<Index, TantivyError> {
    let settings = IndexSettings {
        docstore_compression: Compressor::None,
        docstore_compress_dedicated_thread: false,
        ..IndexSettings::default()
    };
    Index::create(directory, schema, settings)
}

fn open_folder(dir: &Path, schema: &Schema, settings: &SearchSettings) -> Result<(Index, Opened), SearchError> {
    let io = |source| SearchError::Io { path: dir.to_owned(), source };
    std::fs::create_dir_all(dir).map_err(io)?;
    let names = file_names(dir).map_err(io)?;
    let is_index = names.iter().any(|name| name == "meta.json" || name == ".managed.json");
    if !is_index && !names.iter().all(|name| is_lock(name) || is_unfinished(name)) {
        return Err(SearchError::NotAnIndex { path: dir.to_owned() });
    }
    let directory = MmapDirectory::open(dir).map_err(TantivyError::from)?;
    // No other writer may be active while files are checked, and maybe deleted.
    let _lock = directory.acquire_lock(&INDEX_WRITER_LOCK).map_err(|error| match error {
        LockError::LockBusy => SearchError::Busy { path: dir.to_owned() },
        LockError::IoError(error) => io(std::io::Error::new(error.kind(), error.to_string())),
    })?;
    let mut opened = Opened::Created;
    if !is_index {
        for name in names.iter().filter(|name| is_unfinished(name)) {
            std::fs::remove_file(dir.join(name)).map_err(io)?;
        }
    } else {
        match usable(directory.clone(), schema, settings) {
            Ok(index) => return Ok((index, Opened::Continued)),
            Err(reason) => opened = Opened::Rebuilt { reason: reason.to_string() },
        }
        for name in names.iter().filter(|name| !is_lock(name)) {
            let path = dir.join(name);
            let removed = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
            // A writer that was just dropped may still hold the lock.
            if let Err(error) = removed
                && error.kind() != std::io::ErrorKind::NotFound
            {
                return Err(io(error));
            }
        }
    }
    let directory = MmapDirectory::open(dir).map_err(TantivyError::from)?;
    Ok((create(directory, schema.clone())?, opened))
}

/// Why an index in a folder cannot be continued.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    /// Its fields are not those of this build.
    #[error("it has other fields")]
    OtherFields,
    /// What it says of itself is not what this build writes for the language of the settings.
    #[error("it was written by another version or for another language")]
    OtherBuild,
    /// A file of it is damaged.
    #[error("{} does not match its checksum", .0.display())]
    Damaged(PathBuf),
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] TantivyError),
}

/// The index in the folder, or why it is unusable.
fn usable(directory: MmapDirectory, schema: &Schema, settings: &SearchSettings) -> Result<Index, Unusable> {
    let index = Index::open(directory)?;
    if index.schema() != *schema {
        return Err(Unusable::OtherFields);
    }
    let meta = index.load_metas()?;
    match meta.payload.as_deref() {
        None if meta.segments.is_empty() => {}
        Some(payload) if covered_in(payload, settings.language).is_some() => {}
        _ => return Err(Unusable::OtherBuild),
    }
    let broken = index.validate_checksum()?;
    if let Some(path) = broken.into_iter().min() {
        return Err(Unusable::Damaged(path));
    }
    index.reader()?;
    Ok(index)
}

fn file_names(dir: &Path) -> std::io::Result<Vec<String>> {
    std::fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

fn is_lock(name: &str) -> bool {
    name.starts_with(".tantivy-") && name.ends_with(".lock")
}

/// Whether a file is one that tantivy writes before it renames it; a process that was killed meanwhile leaves it.
fn is_unfinished(name: &str) -> bool {
    name.starts_with(".tmp")
}

fn payload(language: Language, covered: u64) -> String {
    format!("{FORMAT} {language:?} {covered}")
}

fn covered_in(payload: &str, language: Language) -> Option<u64> {
    payload.strip_prefix(&format!("{FORMAT} {language:?} "))?.parse().ok()
}

fn covered_of(index: &Index) -> Result<u64, SearchError> {
    let payload = index.load_metas()?.payload;
    Ok(payload.as_deref().and_then(|payload| payload.rsplit(' ').next()).and_then(|n| n.parse().ok()).unwrap_or(0))
}

fn busy_or(error: TantivyError, dir: Option<&Path>) -> SearchError {
    match error {
        TantivyError::LockFailure(LockError::LockBusy, _) => {
            SearchError::Busy { path: dir.map(PathBuf::from).unwrap_or_default() }
        }
        other => other.into(),
    }
}
