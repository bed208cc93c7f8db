//! Finds the columns that a mapping names, and those that it need not name.

use super::bound::BoundMapping;
use super::bound_state::BoundState;
use super::cell::Reading;
use super::error::MappingError;
use super::fill::{FillDown, Filling};
use super::left_out::{is_dropped, note_on_cost};
use super::object::Path;
use super::parts::{
    BoundField, BoundOrders, BoundPairs, BoundPriceParts, BoundProperty, BoundRule, BoundSale, Column, Piece,
    PropertyName, Sales, Source,
};
use super::rule::MappingRule;
use super::shape::Shape;
use super::vocabulary::{compact, other_names};
use super::{FILL_DOWN, LISTS, Mapping, Names};
use crate::private::is_cost;
use crate::raw::RawItem;
use crate::{RawValue, RecordKind};

/// Fields of an item that the exports of some systems have only in the row of a product's first variant.
const SHARED_BY_VARIANTS: &[&str] =
    &["title", "description", "brand", "categories", "tags", "image", "available", "published_at"];

impl Mapping {
    /// Resolves the columns in the header of a file, once for all its rows.
    ///
    /// # Errors
    /// As [`Mapping::validate`], and [`MappingError::NoColumn`] if the header lacks a column.
    pub fn bind(&self, header: &[&str]) -> Result<BoundMapping, MappingError> {
        self.validate()?;
        Binding::of_table(self, header).finish()
    }

    /// Prepares the mapping for objects (JSON), in which every name may be absent.
    ///
    /// # Errors
    /// As [`Mapping::validate`].
    pub fn bind_objects(&self) -> Result<BoundMapping, MappingError> {
        self.validate()?;
        Binding::of_objects(self).finish()
    }
}

/// A mapping and the columns of a table or the names of objects.
pub(super) struct Binding<'m> {
    mapping: &'m Mapping,
    /// The columns so far: the header, then paths into its cells; of objects, the names that are looked up.
    columns: Vec<Box<str>>,
    n_header: usize,
    /// Objects may have any name; a table has those of its header.
    is_table: bool,
    /// Which columns are in use.
    used: Vec<bool>,
    notes: Vec<String>,
}

impl<'m> Binding<'m> {
    pub fn of_table(mapping: &'m Mapping, header: &[&str]) -> Self {
        let columns: Vec<Box<str>> = header.iter().map(|name| (*name).into()).collect();
        let (n_header, used) = (columns.len(), vec![false; columns.len()]);
        Self { mapping, columns, n_header, is_table: true, used, notes: Vec::new() }
    }

    pub fn of_objects(mapping: &'m Mapping) -> Self {
        Self { mapping, columns: Vec::new(), n_header: 0, is_table: false, used: Vec::new(), notes: Vec::new() }
    }

    pub fn finish(mut self) -> Result<BoundMapping, MappingError> {
        let mapping = self.mapping;
        let fields = self.fields()?;
        let mut item = Vec::new();
        for (field, names) in &mapping.item {
            let sources = self.sources("item", names)?;
            item.push(BoundField {
                field: field_name(RawItem::FIELDS, field),
                sources,
                other_names: &[],
                is_collected: is_collected(mapping, field),
                shape: Shape::of(field, mapping, RecordKind::Items),
            });
        }
        let mut rest = Vec::new();
        for (property, names) in &mapping.properties {
            match self.property(property, names) {
                Ok(property) => rest.push(property),
                Err(_) if mapping.optional.contains(property) => {}
                Err(error) => return Err(error),
            }
        }
        let mut rules = Vec::new();
        for (idx, rule) in mapping.rule.iter().enumerate() {
            match self.rule(rule, idx + 1) {
                Err(MappingError::NoColumn { .. }) if rule.optional => {}
                bound => rules.push(bound?),
            }
        }
        let pairs = self.pairs(&mut rest)?;
        let sale = self.sale()?;
        let price_parts = self.price_parts();
        let orders = self.orders()?;
        let fill = self.fill_down(&fields, &rest)?;
        let n_paths = self.columns.len() - self.n_header;
        self.left_columns(&mut rest);
        let columns = self.columns.iter().map(|name| Column::named(name)).collect();
        let mut bound = BoundMapping {
            kind: mapping.kind,
            is_nested: self.is_table && n_paths > 0,
            keys: self.keys(&fields),
            array: None,
            array_around: None,
            is_id_inside: false,
            columns,
            fields,
            constants: constants(mapping),
            rest,
            item,
            currency: mapping.currency.clone().map_or(RawValue::Null, RawValue::text),
            rules,
            empty: mapping.empty.clone(),
            drop_columns: mapping.drop_columns.clone(),
            decimal: mapping.decimal,
            fill,
            pairs,
            join: mapping
                .join
                .as_ref()
                .and_then(|join| Some((Path::of_fields(&join.object)?, Path::of_fields(&join.to)?))),
            orders,
            sale,
            price_parts,
            sales: Sales::default(),
            family: None,
            beside_elements: Vec::new(),
            notes: self.notes,
        };
        bound.relate_arrays();
        Ok(bound)
    }

    /// The fields of the record: those that the mapping names, those that the file has under their own names, and those
    /// that it has under another usual name.
    fn fields(&mut self) -> Result<Vec<BoundField>, MappingError> {
        let mapping = self.mapping;
        let is_mapped = |field: &str| {
            mapping.fields.contains_key(field) && !mapping.optional.iter().any(|optional| **optional == *field)
        };
        let paths = || mapping.fields.values().flat_map(Names::iter);
        let mut found: Vec<(&'static str, Vec<Source>)> = Vec::new();
        for field in mapping.kind.fields() {
            let sources = match mapping.fields.get(*field) {
                Some(names) => match self.sources("fields", names) {
                    Ok(sources) => sources,
                    Err(_) if mapping.optional.iter().any(|optional| **optional == **field) => continue,
                    Err(error) => return Err(error),
                },
                None if renamed(mapping, field) => continue,
                // What mapped paths lead into is no field of its name.
                None if !self.is_table && paths().any(|name| leads_into(name, field)) => continue,
                None if self.is_table && !self.columns.iter().any(|name| **name == **field) => continue,
                None => vec![Source::Cell(self.place("fields", field)?)],
            };
            found.push((field, sources));
        }
        let is_constant = |field: &str| mapping.constants.contains_key(field);
        for field in mapping.kind.fields().iter().filter(|field| !is_mapped(field) && !is_constant(field)) {
            if self.is_table
                && !found.iter().any(|(known, _)| known == field)
                && let Some(place) = self.under_other_name(field)
            {
                self.used[place] = true;
                if compact(&self.columns[place]) != compact(field) {
                    self.notes.push(format!("`{}` as {field}", self.columns[place]));
                }
                found.push((field, vec![Source::Cell(place)]));
            }
        }
        for (field, sources) in &mut found {
            self.add_columns_of_same_names(field, sources);
        }
        let order = |field: &str| mapping.kind.fields().iter().position(|known| *known == field);
        found.sort_by_key(|(field, _)| order(field));
        let bound = found.into_iter().map(|(field, sources)| {
            let is_searched = !self.is_table && !is_mapped(field) && !is_constant(field);
            let other_names = if is_searched { other_names(mapping.kind, field) } else { &[] };
            let is_collected = is_collected(mapping, field) || self.is_list_in_columns_of_one_name(field, &sources);
            let shape = Shape::of(field, mapping, mapping.kind);
            BoundField { field, sources, other_names, is_collected, shape }
        });
        Ok(bound.collect())
    }

    /// Makes properties of the columns that nothing else uses, unless they are dropped or of what the shop pays.
    fn left_columns(&mut self, rest: &mut Vec<BoundProperty>) {
        let roots: Vec<Path> = self.columns[self.n_header..].iter().filter_map(|name| Path::parse(name)).collect();
        for (place, name) in self.columns[..self.n_header].iter().enumerate() {
            let is_root = roots.iter().any(|path| path.root() == &**name);
            let is_left = !self.used[place] && !is_root && !is_dropped(&self.mapping.drop_columns, name);
            if is_left && self.mapping.kind == RecordKind::Items && is_cost(name) {
                self.notes.push(note_on_cost(name));
            } else if is_left {
                let reading = self.reading_of_property(name);
                let (name, sources) = (PropertyName::Fixed(name.clone()), vec![Source::Cell(place)]);
                rest.push(BoundProperty { name, separators: None, sources, reading });
            }
        }
    }

    /// Adds the further columns of a header that has a name twice: of those of one field, the first that has a value
    /// counts. The second of two columns of pictures has a meaning of its own.
    fn add_columns_of_same_names(&mut self, field: &str, sources: &mut Vec<Source>) {
        if !self.is_table || field == "image" {
            return;
        }
        for place in sources.iter().filter_map(Source::cell).filter(|place| *place < self.n_header).collect::<Vec<_>>()
        {
            for other in place + 1..self.n_header {
                let is_same = self.columns[other] == self.columns[place];
                if is_same && !sources.iter().filter_map(Source::cell).any(|known| known == other) {
                    self.used[other] = true;
                    sources.push(Source::Cell(other));
                }
            }
        }
    }

    /// Whether a list, such as the tags, stands in several columns of one name: then all of them have elements of it.
    fn is_list_in_columns_of_one_name(&self, field: &str, sources: &[Source]) -> bool {
        let places: Vec<usize> = sources.iter().filter_map(Source::cell).collect();
        let is_repeated = || places.windows(2).any(|pair| self.columns[pair[0]] == self.columns[pair[1]]);
        LISTS.contains(&field) && is_repeated()
    }

    /// The column that has a field under another usual name.
    fn under_other_name(&self, field: &str) -> Option<usize> {
        let has_meaning = |(key, _): &(&str, &str)| *key != FILL_DOWN;
        let named: Vec<&str> = self.mapping.columns().filter(has_meaning).map(|(_, name)| name).collect();
        let is_free = |place: usize, name: &str| {
            let in_template = |given: &&str| given.contains(&format!("{{{name}}}"));
            !self.used[place]
                && !named.contains(&name)
                && !named.iter().any(in_template)
                && !is_dropped(&self.mapping.drop_columns, name)
        };
        let own = compact(field);
        let mut wanted = std::iter::once(&*own).chain(other_names(self.mapping.kind, field).iter().copied());
        let header = &self.columns[..self.n_header];
        wanted.find_map(|wanted| {
            header.iter().enumerate().position(|(place, name)| compact(name) == wanted && is_free(place, name))
        })
    }

    fn sources(&mut self, table: &'static str, names: &Names) -> Result<Vec<Source>, MappingError> {
        let mut sources = Vec::new();
        let mut missing = None;
        for name in names.iter() {
            match self.source(table, name) {
                Ok(source) => sources.push(source),
                Err(error) => missing = missing.or(Some(error)),
            }
        }
        match missing {
            // Of several columns the file needs one.
            Some(error) if sources.is_empty() => Err(error),
            _ => Ok(sources),
        }
    }

    fn source(&mut self, table: &'static str, name: &str) -> Result<Source, MappingError> {
        let is_exact = self.columns[..self.n_header].iter().any(|known| **known == *name);
        if is_exact || !name.contains('{') {
            return self.place(table, name).map(Source::Cell);
        }
        self.pieces(table, name).map(Source::Joined)
    }

    /// Texts and the columns between them, which stand in braces.
    fn pieces(&mut self, table: &'static str, name: &str) -> Result<Vec<Piece>, MappingError> {
        let mut pieces = Vec::new();
        let mut rest = name;
        while let Some((text, after)) = rest.split_once('{') {
            let (column, after) = after.split_once('}').unwrap_or((after, ""));
            if !text.is_empty() {
                pieces.push(Piece::Text(text.into()));
            }
            pieces.push(Piece::Cell(self.place(table, column)?));
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.into()));
        }
        Ok(pieces)
    }

    /// A property under a name of its own, or under one that a column has.
    fn property(&mut self, name: &str, columns: &Names) -> Result<BoundProperty, MappingError> {
        let sources = self.sources("properties", columns)?;
        let separators = self.mapping.separators.get(name).cloned();
        let reading = self.reading_of_property(name);
        let name = match name.contains('{') {
            true => PropertyName::Joined(self.pieces("properties", name)?),
            false => PropertyName::Fixed(name.into()),
        };
        Ok(BoundProperty { name, separators, sources, reading })
    }

    /// The pairs of an array or of one cell. Those of columns are added to the other properties.
    fn pairs(&mut self, rest: &mut Vec<BoundProperty>) -> Result<Vec<BoundPairs>, MappingError> {
        let mut bound = Vec::new();
        for pairs in &self.mapping.pairs {
            if let Some(column) = &pairs.column {
                match self.source("pairs", column) {
                    Ok(source) => bound.push(BoundPairs::of_cell(pairs, source)),
                    Err(error) if !self.is_table => return Err(error),
                    // Not every export has it.
                    Err(_) => {}
                }
                continue;
            }
            if !self.is_table {
                bound.extend(BoundPairs::of_array(pairs));
                continue;
            }
            for place in 0..self.n_header {
                let Some(values) = pairs.columns_for(&self.columns[place]) else { continue };
                let values: Names = values.iter().map(String::as_str).collect();
                if let Ok(sources) = self.sources("pairs", &values) {
                    self.used[place] = true;
                    let name = PropertyName::Joined(vec![Piece::Cell(place)]);
                    let separators = Some(&pairs.separators).filter(|texts| texts.iter().next().is_some()).cloned();
                    rest.push(BoundProperty { name, separators, sources, reading: Reading::Text });
                }
            }
        }
        Ok(bound)
    }

    /// The columns of a price that is valid for some time, as far as the file has them.
    fn sale(&mut self) -> Result<Option<BoundSale>, MappingError> {
        let mapping = self.mapping;
        let Some(sale) = &mapping.sale else { return Ok(None) };
        let Ok(sources) = self.sources("sale", &sale.price) else { return Ok(None) };
        let shape = Shape::of("price", mapping, RecordKind::Items);
        let price = BoundField { field: "price", sources, other_names: &[], is_collected: false, shape };
        let times =
            [&sale.from, &sale.until, &sale.period].map(|names| self.sources("sale", names).unwrap_or_default());
        Ok(Some(BoundSale::new(mapping, sale, price, times)))
    }

    /// The columns of a price in parts, as far as the file has them.
    fn price_parts(&mut self) -> Option<BoundPriceParts> {
        let parts = self.mapping.price_parts.as_ref()?;
        let columns = [&parts.surcharge, &parts.discount, &parts.discount_mode];
        let [surcharge, discount, mode] = columns.map(|column| self.source("price_parts", column.as_deref()?).ok());
        Some(BoundPriceParts { surcharge, discount, mode, reading: Reading::Amount(self.mapping.decimal) })
    }

    fn orders(&mut self) -> Result<Option<BoundOrders>, MappingError> {
        let mapping = self.mapping;
        let Some(orders) = &mapping.orders else { return Ok(None) };
        let mut charges = Vec::new();
        for column in orders.charges.iter() {
            charges.push(self.place("orders", column)?);
        }
        let mut states = Vec::new();
        for column in orders.state.iter() {
            states.push(BoundState::new(self.place("orders", column)?, column));
        }
        let line_total = orders.line_total.as_deref().map(|column| self.source("orders", column)).transpose()?;
        let reading = Reading::Price(mapping.decimal);
        Ok(Some(BoundOrders { states, charges, line_total, reading, told: Vec::new() }))
    }

    /// The place of a column in a row.
    fn place(&mut self, table: &'static str, name: &str) -> Result<usize, MappingError> {
        if let Some(place) = self.columns.iter().position(|known| **known == *name) {
            self.used[place] = true;
            return Ok(place);
        }
        let leads_into = |path: Path| self.columns[..self.n_header].iter().any(|known| **known == *path.root());
        if self.is_table && !Path::parse(name).is_some_and(leads_into) {
            let known = self.columns[..self.n_header].to_vec();
            return Err(MappingError::NoColumn { table, column: name.into(), known });
        }
        self.columns.push(name.into());
        self.used.push(true);
        Ok(self.columns.len() - 1)
    }

    /// The columns of the record's item, or id.
    fn keys(&self, fields: &[BoundField]) -> Vec<usize> {
        let key = if self.mapping.kind == RecordKind::Events { "item" } else { "id" };
        let sources = fields.iter().filter(|field| field.field == key).flat_map(|field| &field.sources);
        sources.flat_map(Source::cells).collect()
    }

    fn fill_down(&mut self, fields: &[BoundField], rest: &[BoundProperty]) -> Result<Option<FillDown>, MappingError> {
        let cells_of = |field: &str| -> Vec<usize> {
            let sources = fields.iter().filter(|known| known.field == field).flat_map(|known| &known.sources);
            sources.filter_map(Source::cell).collect()
        };
        // Those that are joined too, such as a day and its hour.
        let all_cells_of = |field: &str| -> Vec<usize> {
            let sources = fields.iter().filter(|known| known.field == field).flat_map(|known| &known.sources);
            sources.flat_map(Source::cells).collect()
        };
        let mut columns = Vec::new();
        for name in &self.mapping.fill_down {
            if self.mapping.kind.fields().contains(&&**name) {
                columns.extend(all_cells_of(name).into_iter().map(|column| (column, Filling::FromAbove)));
            } else if name.contains('*') {
                // A file may have no such columns.
                let meant = (0..self.n_header).filter(|place| fits(name, &self.columns[*place]));
                columns.extend(meant.map(|place| (place, Filling::FromAbove)));
            } else {
                let was_used =
                    self.columns.iter().position(|known| known == name).is_some_and(|place| self.used[place]);
                let place = self.place("fill_down", name)?;
                // It is still a property, unless something else uses it.
                self.used[place] = was_used;
                columns.push((place, Filling::FromAbove));
            }
        }
        let group: Vec<usize> = match self.mapping.kind {
            // The row of a product itself, which has no parent, is the first of its group.
            RecordKind::Items if self.mapping.begins.is_some() => cells_of("id"),
            RecordKind::Items => match cells_of("parent") {
                parents if parents.is_empty() => parents,
                parents => parents.into_iter().chain(cells_of("id")).collect(),
            },
            RecordKind::Events => {
                Some(cells_of("session")).filter(|cells| !cells.is_empty()).unwrap_or(cells_of("user"))
            }
            RecordKind::Users => Vec::new(),
        };
        if self.is_table && self.mapping.kind == RecordKind::Items && !group.is_empty() {
            // Of several columns of pictures, the first has that of the variant, and the others have those of the
            // product.
            let images = cells_of("image");
            let of_product = images.get(1..).unwrap_or_default();
            columns.extend(of_product.iter().map(|column| (*column, Filling::OfGroup)));
            let shared = SHARED_BY_VARIANTS.iter().flat_map(|field| cells_of(field));
            let shared = shared.filter(|column| of_product.is_empty() || Some(column) != images.first());
            let names = rest.iter().flat_map(|property| property.name.cells());
            columns.extend(shared.chain(names).map(|column| (column, Filling::FromFirst)));
        }
        let begins = match &self.mapping.begins {
            None => None,
            Some(begins) => Some((self.place("begins", &begins.column)?, begins.test(0)?)),
        };
        let fill = FillDown::new(columns, group).that_begins(begins);
        Ok((!fill.is_empty()).then_some(fill))
    }

    fn rule(&mut self, rule: &MappingRule, number: usize) -> Result<BoundRule, MappingError> {
        let mapping = self.mapping;
        let name = |field: &str| field_name(mapping.kind.fields(), field);
        let mut copy = Vec::new();
        let mut bound = |field: &str, names: &Names| -> Result<BoundField, MappingError> {
            let sources = self.sources("rule.copy", names)?;
            let field = name(field);
            let (is_collected, shape) = (is_collected(mapping, field), Shape::of(field, mapping, mapping.kind));
            Ok(BoundField { field, sources, other_names: &[], is_collected, shape })
        };
        for (field, names) in &rule.copy {
            copy.push(bound(field, names)?);
        }
        let undo_order = (!rule.undo_order.is_empty()).then(|| bound("id", &rule.undo_order)).transpose()?;
        let mut when = Vec::new();
        for condition in rule.conditions() {
            when.push((self.place("rule.when", &condition.column)?, condition.test(number)?));
        }
        let column = rule.when.as_ref().map_or("the row", |when| &*when.column);
        Ok(BoundRule {
            when,
            set: rule.set.iter().map(|(field, text)| (name(field), crate::raw::cell(field, text))).collect(),
            copy,
            clear: rule.clear.iter().map(|field| name(field)).collect(),
            absolute: rule.absolute.iter().map(|field| name(field)).collect(),
            quarantine: rule.quarantine.clone().map(|code| (code, column.into())),
            skip: rule.skip,
            undo: rule.undo,
            undo_order,
            delete: rule.delete,
            describes: rule.describe != Some(false),
            unless_variant: rule.unless_variant,
        })
    }

    fn reading_of_property(&self, name: &str) -> Reading {
        if self.mapping.numbers.iter().any(|number| **number == *name) {
            Reading::Amount(self.mapping.decimal)
        } else {
            Reading::Text
        }
    }
}

/// Whether a path leads into the object of this name.
fn leads_into(path: &str, name: &str) -> bool {
    let path = path.trim_start_matches("$.").trim_start_matches('/');
    path.strip_prefix(name).is_some_and(|rest| rest.starts_with(['.', '[', '/']))
}

/// Whether a name is one that a pattern means, in which `*` stands for any text.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut left) = name.strip_prefix(start) else { return false };
    let (middle, end) = rest.rsplit_once('*').map_or(("", rest), |(middle, end)| (middle, end));
    for part in middle.split('*').filter(|part| !part.is_empty()) {
        let Some((_, after)) = left.split_once(part) else { return false };
        left = after;
    }
    left.ends_with(end)
}

/// Whether a field takes the values of all its columns.
fn is_collected(mapping: &Mapping, field: &str) -> bool {
    mapping.collect.iter().any(|collected| **collected == *field)
}

/// Whether a column with the name of a field is mapped to something else.
fn renamed(mapping: &Mapping, column: &str) -> bool {
    let mut named = mapping.fields.values().chain(mapping.properties.values()).flat_map(Names::iter);
    named.any(|name| name == column) || is_dropped(&mapping.drop_columns, column)
}

fn constants(mapping: &Mapping) -> Vec<(&'static str, RawValue)> {
    let name = |field: &str| field_name(mapping.kind.fields(), field);
    let source = mapping.source.iter().filter(|_| mapping.kind == RecordKind::Events);
    let source = source.map(|source| ("source", RawValue::text(source.clone())));
    let given = mapping.constants.iter().map(|(field, text)| (name(field), crate::raw::cell(field, text)));
    source.chain(given).collect()
}

/// The static name of a field that validation has accepted.
fn field_name(fields: &'static [&'static str], name: &str) -> &'static str {
    fields.iter().find(|field| **field == name).expect("a validated mapping names only existing fields")
}
