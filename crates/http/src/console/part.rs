//! Parts that pages are made of.

use accrue_store::{Facts, ItemIdx};
use axum::response::Response;
use maud::{Markup, html};

use super::ITEM;
use super::format::clipped;
use super::texts::Texts;
use super::view::{View, encoded, redirect};

/// Characters of a text of the shop in a list.
const MAX_CHARS: usize = 120;

/// A figure with its unit and the call that gives it.
pub(super) struct Figure<'f> {
    pub label: &'f str,
    pub value: String,
    pub unit: &'f str,
    /// The call that gives it; empty if none does.
    pub api: &'f str,
    /// Where it stands in the answer: names with dots between them. The script updates it; empty if it cannot.
    pub field: &'f str,
    /// How the script writes it: `count`, `ratio`, `percent` or `rate`.
    pub form: &'f str,
    pub note: Markup,
}

pub(super) fn figure(figure: Figure<'_>) -> Markup {
    let Figure { label, value, unit, api, field, form, note } = figure;
    let live = (!field.is_empty()).then_some(api);
    html! {
        div .figure {
            dt { (label) @if !api.is_empty() { " " (call(api)) } }
            dd {
                span .value data-api=[live] data-field=[live.map(|_| field)] data-form=[live.map(|_| form)] { (value) }
                @if !unit.is_empty() { " " span .unit { (unit) } }
                @if !note.0.is_empty() { div .note { (note) } }
            }
        }
    }
}

/// A link to the call that gives what is shown beside it.
pub(super) fn call(api: &str) -> Markup {
    html! { a .call href=(api) title={ "GET " (api) } aria-label={ "GET " (api) } { "{ }" } }
}

/// A heading with the call that gives what stands below it.
pub(super) fn heading(text: &str, api: Option<&str>) -> Markup {
    html! { h2 { (text) @if let Some(api) = api { " " (call(api)) } } }
}

/// What stands in place of a list without entries.
pub(super) fn empty(text: &str, hint: &str) -> Markup {
    html! {
        div .empty {
            p .lead { (text) }
            @if !hint.is_empty() { p .soft { (hint) } }
        }
    }
}

/// A word in a colour: `good`, `bad`, `warn`, `soft` or `accent`. The word says the same without it.
pub(super) fn badge(tone: &str, text: &str) -> Markup {
    html! { span class={ "badge " (tone) } { (text) } }
}

/// A text of the shop or of a shopper. It is shown apart from what stands around it, whatever its direction.
pub(super) fn said(text: &str) -> Markup {
    html! { bdi dir="auto" { (clipped(text, MAX_CHARS)) } }
}

/// A curve that the script draws from the answer of a call.
pub(super) struct Chart<'c> {
    pub title: &'c str,
    pub api: &'c str,
    /// The list in the answer.
    pub list: &'c str,
    /// The field of an entry along the axis: a time, or a count.
    pub x: &'c str,
    /// The fields that are drawn, with their names.
    pub series: &'c [(&'c str, &'c str)],
    /// The field with the weight of an entry: points are then means of ten entries, and those without weight are left
    /// out.
    pub weight: Option<&'c str>,
    /// How values are written, as in a [`Figure`].
    pub form: &'c str,
    /// What is said while there is nothing to draw.
    pub empty: &'c str,
}

pub(super) fn chart(chart: &Chart<'_>) -> Markup {
    let Chart { title, api, list, x, series, weight, form, empty } = chart;
    let fields: Vec<&str> = series.iter().map(|(field, _)| *field).collect();
    html! {
        figure .chart data-chart=(api) data-list=(list) data-x=(x) data-fields=(fields.join(" ")) data-form=(form)
            data-weight=[weight] {
            figcaption {
                b { (title) } " " (call(api))
                ul .legend {
                    @for (place, (_, name)) in series.iter().enumerate() {
                        li class={ "s" (place) } { (name) " " output {} }
                    }
                }
            }
            div .plot { p .soft { (empty) } }
        }
    }
}

/// An item in a list: its title as a link to its page.
pub(super) fn item(id: &str, title: Option<&str>) -> Markup {
    html! {
        a href={ (ITEM) "?id=" (encoded(id)) } { (said(title.unwrap_or(id))) }
    }
}

/// The title of an item, with what it lacks from its product.
pub(super) fn title_of(facts: &Facts, item: ItemIdx) -> Option<String> {
    facts.described(item).and_then(|item| item.title().map(str::to_owned))
}

/// Declares what a form can have done: the word in the address, and the sentence of the texts.
macro_rules! done {
    ($($done:ident => $word:literal, $text:ident;)+) => {
        /// What a form has done, which the page says that it leads to.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Done {
            $($done,)+
        }

        impl Done {
            /// All of them.
            const ALL: &[Self] = &[$(Self::$done),+];

            /// The word in the address.
            fn word(self) -> &'static str {
                match self {
                    $(Self::$done => $word,)+
                }
            }

            fn text(self, texts: &Texts) -> &'static str {
                match self {
                    $(Self::$done => texts.$text,)+
                }
            }
        }
    };
}

done! {
    Promoted => "promoted", done_promoted;
    Undone => "undone", done_undone;
    Released => "released", done_released;
    Checked => "checked", done_checked;
    Requested => "requested", done_requested;
    Dismissed => "dismissed", done_dismissed;
    Dropped => "dropped", done_dropped;
    Saved => "saved", done_saved;
    Removed => "removed", done_removed;
    Accepted => "accepted", done_accepted;
    Rejected => "rejected", done_rejected;
    Forgetting => "forgetting", done_forgetting;
    Judging => "judging", done_judging;
}

impl Done {
    /// Goes on to the page of the form, which says it.
    pub fn redirect(self, path: &str) -> Response {
        redirect(&format!("{path}?done={}", self.word()))
    }
}

/// A sentence after a form was carried out. An address that names nothing of the kind was not made by a form.
pub(super) fn outcome(view: &View) -> Markup {
    let named = view.param("done");
    let done = Done::ALL.iter().find(|done| named == Some(done.word()));
    html! {
        @if let Some(done) = done { p .notice.good role="status" { (done.text(view.texts())) } }
    }
}
