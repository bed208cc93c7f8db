//! How each file is read: by the mapping that the command line names, as the export of a system, or by what its columns say.
//!
//! In: a file's columns and first rows, and the flags. Out: the settings of its reader and how much it says of products. What was
//! recognised is told; what is clearly neither events nor products is refused.

use std::path::Path;

use accrue_event::{Mapping, RecordKind, listed, unclear_sale, usual_sale};
use accrue_ingest::{ReadSettings, Sample};

use super::contents::{describes_products, in_place_of_stock, names_nobody_and_nothing};
use super::extent::{self, Extent};
use super::orders::OrderColumns;
use super::systems::System;
use super::{Arguments, complete, item_columns, kind_of, money, order_tables, reviews, unclear};
use crate::cli::output::Output;
use crate::cli::problem::Problem;

/// How a file is read: by the mapping that the command line names, or by one that is recognised.
pub(super) fn settings_for(
    path: &Path,
    arguments: &Arguments,
    mut settings: ReadSettings,
    output: Output,
) -> Result<(ReadSettings, Extent), Problem> {
    let mut extent = Extent::Whole;
    // A pipe can be read only once; what is wrong with a file is told when it is read.
    let is_file = std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    let sample = is_file.then(|| Sample::open(path, &settings).ok()).flatten();
    if let Some(sample) = &sample {
        match &arguments.mapping {
            Some(mapping) => translate(mapping, sample, &mut settings),
            None if arguments.map.is_none() => extent = recognise(path, sample, arguments, &mut settings, output)?,
            None if extent::is_map_of_products(arguments, sample, &mut settings.mapping) => {
                output.note(&format!("{}{}", named(path, arguments), Extent::Whole.told()));
            }
            None if settings.mapping.kind == RecordKind::Events => {
                describe_items(&named(path, arguments), sample, &mut settings.mapping, output);
            }
            None => {}
        }
    }
    complete::complete(&mut settings.mapping, arguments.as_of.as_deref(), arguments.image_base.as_deref())?;
    settings.mapping.encoding = arguments.encoding.as_deref().map(Into::into).or(settings.mapping.encoding);
    if let Some(sample) = sample {
        let file = named(path, arguments);
        let notes = [
            complete::note_on_images(&settings.mapping, &sample),
            complete::note_on_zone(&file, &settings.mapping, &sample),
        ];
        notes.into_iter().flatten().for_each(|note| output.note(&note));
    }
    Ok((settings, extent))
}

/// Gives the mapping of a system the names that the columns have in this file.
fn translate(mapping: &Path, sample: &Sample, settings: &mut ReadSettings) {
    let system = Some(mapping).filter(|path| !path.exists()).and_then(|path| System::named(path.to_str()?));
    if let Some(mapping) = system.and_then(|system| system.mapping_for(sample).ok()) {
        settings.mapping = mapping;
    }
}

/// Uses the mapping of a known system if a file is an export of it, or takes it for products if it cannot be events, and says so.
fn recognise(
    path: &Path,
    sample: &Sample,
    arguments: &Arguments,
    settings: &mut ReadSettings,
    output: Output,
) -> Result<Extent, Problem> {
    let kind = kind_of(arguments);
    let file = named(path, arguments);
    let orders = OrderColumns::of(sample).filter(|_| kind.is_none());
    let mut extent = Extent::Whole;
    let recognised = System::recognise(sample, kind);
    if let Some((system, column)) = System::lacking(sample, kind).filter(|_| recognised.is_none()) {
        output.note(&format!("{file}{}", system.told_lacking(&column)));
    }
    if let Some((system, mapping)) = recognised {
        settings.mapping = mapping;
        let System { title, name, .. } = system;
        output.note(&format!("{file}recognised {title}; used --mapping {name}, which `--guess` prints"));
    } else if let Some(reviews) = reviews::mapping(path, sample).filter(|_| kind.is_none()) {
        settings.mapping = reviews?;
        output
            .note(&format!("{file}recognised reviews: each row is a rating of a product; --guess prints the mapping"));
    } else if Extent::is_of_places(sample, arguments) {
        settings.mapping.kind = RecordKind::Items;
        extent = Extent::Stocks;
        output.note(&format!(
            "{file}recognised stocks by place: the places of one product are added up, and nothing but the stock changes; --mapping FILE \
             takes the rows as they are"
        ));
    } else if let Some(orders) = orders.filter(|orders| orders.are_purchases(sample)) {
        let (mapping, dates) = order_tables::mapping_for(sample, &settings.mapping)?;
        settings.mapping = mapping;
        let dates =
            dates.map_or(String::new(), |format| format!(", dates as `{format}`, which is one of two that fit"));
        output.note(&format!(
            "{file}recognised orders, of which every line is a purchase: {}{dates}; --guess prints the mapping",
            orders.told()
        ));
    } else if let Some((orders, doubt)) = orders.and_then(|orders| Some((orders, doubt_of(&orders, sample)?))) {
        let message = format!(
            "{}: neither clearly orders nor clearly products: it has {}, as orders have, and {doubt}",
            path.display(),
            orders.evidence()
        );
        return Err(Problem::new(
            message,
            "--guess prints a mapping to start from; --items says that these are products",
        ));
    } else if let Some(columns) = in_place_of_stock(sample).filter(|_| kind.is_none()) {
        return Err(no_stock(path, columns));
    } else if kind.is_none() && describes_products(sample) {
        settings.mapping.kind = RecordKind::Items;
        extent = Extent::of(sample, arguments);
        output.note(&format!("{file}{}", extent.told()));
        money::tell_price(&file, sample, output);
        take_sale(&file, sample, &mut settings.mapping, output);
    } else if kind.is_none() && names_nobody_and_nothing(sample) {
        let message = format!(
            "{}: neither events nor products: its records name neither a shopper nor an item, and have no title; they have {}",
            path.display(),
            listed(&sample.columns)
        );
        return Err(Problem::new(
            message,
            "--guess prints a mapping to start from; --items, --users say what records are",
        ));
    } else if kind == Some(RecordKind::Items) {
        money::tell_price(&file, sample, output);
        take_sale(&file, sample, &mut settings.mapping, output);
    } else if kind.is_none() {
        if let Some(problem) = unclear::refusal(path, sample) {
            return Err(problem);
        }
        describe_items(&file, sample, &mut settings.mapping, output);
    }
    Ok(extent)
}

/// Has the price of a sale count while it is valid, where a list of products has one beside the usual price.
fn take_sale(file: &str, sample: &Sample, mapping: &mut Mapping, output: Output) {
    let columns: Vec<&str> = sample.columns.iter().map(String::as_str).collect();
    if let Some((price, beside)) = unclear_sale(&columns).filter(|_| mapping.sale.is_none()) {
        output.note(&format!(
            "{file}`{price}` is not taken as the price of a sale, because `{beside}` may say that the sale is over; [sale] in a mapping says \
             what it means"
        ));
    }
    let Some(sale) = usual_sale(&columns).filter(|_| mapping.sale.is_none()) else { return };
    let has_times = !(sale.from.is_empty() && sale.until.is_empty() && sale.period.is_empty());
    let price = listed(&sale.price.iter().map(str::to_owned).collect::<Vec<_>>());
    let holds = if has_times {
        "while its dates say so"
    } else {
        "where a product has one, because the list has no dates for it"
    };
    output.note(&format!(
        "{file}recognised {price} as the price of a sale, which counts {holds}; --guess prints it as [sale]"
    ));
    mapping.sale = Some(sale);
}

/// Why a table with the number of an order and a quantity is not taken for products.
fn no_stock(path: &Path, (number, quantity): (&str, &str)) -> Problem {
    let message = format!(
        "{}: neither clearly orders nor clearly products: `{number}` is the number of an order, so `{quantity}` may be how many \
         were ordered or came back, and no stock",
        path.display()
    );
    Problem::new(message, "--guess prints a mapping to start from; --items says that these are products")
}

/// Why a table with the columns of orders is taken neither for purchases nor for products.
fn doubt_of(orders: &OrderColumns<'_>, sample: &Sample) -> Option<String> {
    let of_products = || "no column that is known for the rest of one".to_owned();
    orders
        .doubt(sample)
        .or_else(|| orders.without_lines(sample))
        .or_else(|| describes_products(sample).then(of_products))
}

/// The beginning of what is said of a file, if there are several.
fn named(path: &Path, arguments: &Arguments) -> String {
    match &arguments.files[..] {
        [_] => String::new(),
        _ => format!("{}: ", path.display()),
    }
}

/// Has the rows of events describe their items, if a column has their title.
fn describe_items(file: &str, sample: &Sample, mapping: &mut Mapping, output: Output) {
    let columns = item_columns::item_columns(sample, mapping);
    for (field, column) in &columns {
        mapping.item.insert((*field).into(), [column.as_str()].into_iter().collect());
    }
    if let Some((_, title)) = columns.first() {
        output.note(&format!("{file}recognised `{title}` as the title of the items"));
    }
}

/// The mapping of a known system's export of events, if the file is one.
pub(in crate::cli) fn recognised_events(path: &Path, output: Output) -> Option<Mapping> {
    let sample = Some(path).filter(|path| path.is_file())?;
    let (system, mapping) =
        System::recognise(&Sample::open(sample, &ReadSettings::default()).ok()?, Some(RecordKind::Events))?;
    output.note(&format!("recognised {}; used --mapping {}", system.title, system.name));
    Some(mapping)
}
