//! Shared memory with a cheap test for being its only owner.
//!
//! In: a value. Out: any number of owners that read it; a single owner may write it. It is an [`Arc`] without weak
//! references. `Arc::get_mut` has to lock out weak references with an atomic exchange, which waits until all earlier
//! writes are done; without any, one load is enough. A step of learning writes some hundred chunks of memory, so that
//! this test took more time than the writes themselves.
#![allow(unsafe_code)]

use std::fmt::{Debug, Formatter};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

/// A value with any number of owners.
///
/// ```
/// use accrue_kernel::Shared;
/// let mut mine = Shared::new(1);
/// let snapshot = mine.clone();
/// *mine.make_mut() = 2;
/// assert_eq!((*snapshot, *mine), (1, 2));
/// ```
pub struct Shared<T: ?Sized>(Arc<T>);

impl<T> Shared<T> {
    /// The first owner of a value.
    pub fn new(value: T) -> Self {
        Self(Arc::new(value))
    }
}

impl<T: ?Sized> Shared<T> {
    /// The value for writing, if this is its only owner.
    #[inline]
    pub fn get_mut(&mut self) -> Option<&mut T> {
        if Arc::strong_count(&self.0) != 1 {
            return None;
        }
        // SAFETY: the count is 1.
        Some(unsafe { self.only_owner_mut() })
    }

    /// The value for writing.
    ///
    /// # Safety
    /// The count of owners has been found to be 1.
    #[inline(always)]
    unsafe fn only_owner_mut(&mut self) -> &mut T {
        // The last other owner released the value before it lowered the count: what it read has been read.
        fence(Ordering::Acquire);
        // SAFETY: no weak reference exists, because the `Arc` is private and is never downgraded, and no other owner
        // does, because the count is 1. A second owner can only be made from this one, which is borrowed.
        unsafe { &mut *Arc::as_ptr(&self.0).cast_mut() }
    }

    /// Whether both own the same value, and not only equal ones.
    #[inline]
    pub fn ptr_eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Asks for the count of owners, which lies before the value, to be brought into the cache.
    #[inline]
    pub fn prefetch_count(&self) {
        let value = Arc::as_ptr(&self.0).cast::<u8>();
        crate::prefetch_first(value.wrapping_sub(2 * size_of::<usize>()));
    }
}

impl<T: Clone> Shared<T> {
    /// The value for writing; if it has other owners, it is copied first and they keep the original.
    #[inline]
    pub fn make_mut(&mut self) -> &mut T {
        self.make_mut_noting(|_| ())
    }

    /// [`Shared::make_mut`], which hands the value to `note` if it is going to be copied.
    #[inline(always)]
    pub fn make_mut_noting(&mut self, note: impl FnOnce(&Self)) -> &mut T {
        if Arc::strong_count(&self.0) != 1 {
            note(self);
            self.0 = copy(&self.0);
        }
        // SAFETY: the count is 1, as it was found to be or as that of a new value is.
        unsafe { self.only_owner_mut() }
    }
}

impl<T: Clone> Shared<[T]> {
    /// The values for writing; if they have other owners, they are copied first.
    #[inline]
    pub fn make_mut(&mut self) -> &mut [T] {
        self.make_mut_noting(|_| ())
    }

    /// [`Shared::make_mut`], which hands the values to `note` if they are going to be copied.
    #[inline(always)]
    pub fn make_mut_noting(&mut self, note: impl FnOnce(&Self)) -> &mut [T] {
        if Arc::strong_count(&self.0) != 1 {
            note(self);
            self.0 = copy_slice(&self.0);
        }
        // SAFETY: the count is 1, as it was found to be or as that of new values is.
        unsafe { self.only_owner_mut() }
    }
}

#[cold]
#[inline(never)]
fn copy<T: Clone>(value: &Arc<T>) -> Arc<T> {
    Arc::new(T::clone(value))
}

#[cold]
#[inline(never)]
fn copy_slice<T: Clone>(values: &Arc<[T]>) -> Arc<[T]> {
    Arc::from(&**values)
}

impl<T: ?Sized> Clone for Shared<T> {
    #[inline]
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: ?Sized> Deref for Shared<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Default> Default for Shared<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: ?Sized + Debug> Debug for Shared<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: ?Sized + PartialEq> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> FromIterator<T> for Shared<[T]> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_with_two_owners_is_copied_before_it_is_written() {
        let mut mine: Shared<[u32]> = (0..4).collect();
        let other = mine.clone();
        assert!(mine.get_mut().is_none());
        let mut n_noted = 0;
        mine.make_mut_noting(|shared| n_noted += shared.len())[1] = 7;
        mine.make_mut_noting(|_| n_noted += 100)[1] = 7;
        assert_eq!(n_noted, 4, "only what is copied is noted");
        assert_eq!((&mine[..], &other[..]), (&[0, 7, 2, 3][..], &[0, 1, 2, 3][..]));
        assert!(!mine.ptr_eq(&other));
        let before = mine.as_ptr();
        mine.make_mut()[2] = 8;
        assert_eq!(mine.as_ptr(), before, "the only owner writes in place");
    }

    #[test]
    fn a_value_that_another_thread_has_released_is_written_in_place() {
        let mut mine = Shared::new(vec![1]);
        for n in 0..200 {
            let other = mine.clone();
            let reader = std::thread::spawn(move || other.len());
            assert!(reader.join().is_ok_and(|len| len == n + 1));
            mine.get_mut().expect("the thread has ended").push(n);
        }
    }
}
