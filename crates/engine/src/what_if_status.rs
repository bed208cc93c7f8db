//! How far the what-if beside the running server is, for those who ask and for the thread that works on it.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::what_if_log::WhatIfFound;

/// How far the latest what-if is.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum WhatIfState {
    /// None was asked for since the server began.
    #[default]
    None,
    /// The pages are being made again; the share that is done.
    Running(f64),
    /// It was judged.
    Done(Box<WhatIfFound>),
    /// It could not be judged, and why.
    Failed(String),
}

/// The latest what-if.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WhatIfStatus {
    /// What was asked for, as JSON; empty before the first.
    pub proposal: Box<str>,
    /// How far it is.
    pub state: WhatIfState,
}

/// The place of the latest what-if.
#[derive(Clone, Debug, Default)]
pub(crate) struct WhatIfJob(pub Arc<Mutex<WhatIfStatus>>);
