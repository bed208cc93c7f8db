//! What the state of an order can say of its lines.

/// What the state of an order says of its lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderState {
    /// Cancelled, failed or not paid: it never became a purchase.
    NeverBought,
    /// Given back, or the money was.
    GivenBack,
}
