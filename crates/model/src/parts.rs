//! Transfer: what a shop can begin with because another shop has learned it.
//!
//! In: the models of a source shop. Out: [`Parts`], which mean the same in every shop: rows of facets, maps of content
//! vectors, layers of networks, weights of event types, and the blend's curves. Nothing of a shopper and no row of an item
//! is among them. [`InitSettings`] name the parts by a hash of their bytes, so the settings record of the log says with
//! what the models began, and a replay needs the bytes and not the source.
//!
//! The bytes are kept beside the log by the caller, who makes them known to the process with [`provide`] before models are
//! made. What a hash names never changes, so the models remain a function of the log.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::blend::Blend;
use crate::members::{Members, Part, Settings};
use crate::transfer::{InitSettings, PartsOfMembers, TransferError, part};

/// Form of the bytes of [`Parts`] with a place for each member of [`IN_FIRST_FORM`].
const FIRST_FORM: u32 = 1;
/// Form of the bytes where another member has a part: each has its name.
const BY_NAME: u32 = 2;

/// What shops can share.
#[derive(Clone, Debug, PartialEq)]
pub struct Parts {
    pub(crate) members: PartsOfMembers,
    pub(crate) blend: Option<Blend>,
}

/// Members that have places of their own in the first form, in which there are no names.
const IN_FIRST_FORM: [&str; 3] = ["two_tower", "sequence", "content"];

impl Parts {
    /// Their bytes, with the number of their form before them.
    pub fn to_bytes(&self) -> Vec<u8> {
        let in_first_form = self.members.keys().all(|name| IN_FIRST_FORM.contains(name));
        let form = if in_first_form { FIRST_FORM } else { BY_NAME };
        let mut bytes = form.to_le_bytes().to_vec();
        if in_first_form {
            for name in IN_FIRST_FORM {
                let of_member = self.members.get(name);
                bytes.push(u8::from(of_member.is_some()));
                bytes.extend(of_member.into_iter().flatten());
            }
        } else {
            bytes.extend(part(&self.members));
        }
        bytes.extend(part(&self.blend));
        bytes
    }

    /// Reads what [`Parts::to_bytes`] wrote.
    ///
    /// # Errors
    /// If the bytes are others.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TransferError> {
        let unreadable = |why: &str| TransferError::Unreadable(why.to_owned());
        let Some((form, rest)) = bytes.split_first_chunk() else { return Err(unreadable("they are cut off")) };
        let (members, rest) = match u32::from_le_bytes(*form) {
            FIRST_FORM => read_first_form(rest),
            BY_NAME => read_by_name(rest),
            other => return Err(TransferError::Unreadable(format!("their form is {other}"))),
        }
        .ok_or_else(|| unreadable("a part of a model is cut off, or a number is missing or not finite"))?;
        match postcard::take_from_bytes::<Option<Blend>>(rest) {
            Ok((blend, [])) if blend.as_ref().is_none_or(|blend| blend.is_whole() && blend.is_finite()) => {
                Ok(Self { members, blend })
            }
            Ok((_, [])) => Err(unreadable("a number of the blend is missing or not finite")),
            Ok((_, rest)) => Err(TransferError::Unreadable(format!("{} bytes are left over", rest.len()))),
            Err(error) => Err(TransferError::Unreadable(error.to_string())),
        }
    }

    /// Whether models with these settings can begin with the parts.
    ///
    /// # Errors
    /// If a size differs, or there is nothing to take.
    pub fn fit(&self, settings: &Settings) -> Result<(), TransferError> {
        settings.fit(&self.members)
    }
}

/// In the first form each member of [`IN_FIRST_FORM`] has a byte that says whether its part follows.
fn read_first_form(mut bytes: &[u8]) -> Option<(PartsOfMembers, &[u8])> {
    let mut members = PartsOfMembers::new();
    for name in IN_FIRST_FORM {
        let (&is_there, rest) = bytes.split_first()?;
        bytes = rest;
        if is_there == 1 {
            let (name, size) = Members::size_of_part(name, bytes)?;
            let (part, rest) = bytes.split_at_checked(size)?;
            members.insert(name, part.to_vec());
            bytes = rest;
        } else if is_there != 0 {
            return None;
        }
    }
    Some((members, bytes))
}

/// The parts of members that this build does not have are left out.
fn read_by_name(bytes: &[u8]) -> Option<(PartsOfMembers, &[u8])> {
    let (found, rest) = postcard::take_from_bytes::<BTreeMap<String, Vec<u8>>>(bytes).ok()?;
    let mut members = PartsOfMembers::new();
    for (name, part) in found.into_iter().filter(|(name, _)| Part::named(name).is_some()) {
        let (name, size) = Members::size_of_part(&name, &part)?;
        if size != part.len() {
            return None;
        }
        members.insert(name, part);
    }
    Some((members, rest))
}

/// Parts by the hash of their bytes. A name never changes its meaning, so this is a cache and no state.
static PROVIDED: RwLock<BTreeMap<String, Arc<Parts>>> = RwLock::new(BTreeMap::new());

/// Makes parts known to this process. Returns their hash, for [`InitSettings::parts`].
///
/// # Errors
/// If the bytes are not those of parts.
pub fn provide(bytes: &[u8]) -> Result<String, TransferError> {
    let parts = Parts::from_bytes(bytes)?;
    let hash = format!("{:032x}", xxhash_rust::xxh3::xxh3_128(bytes));
    PROVIDED.write().unwrap_or_else(PoisonError::into_inner).insert(hash.clone(), Arc::new(parts));
    Ok(hash)
}

/// The parts that the settings name, if they are known to this process.
pub fn provided(settings: &InitSettings) -> Option<Arc<Parts>> {
    PROVIDED.read().unwrap_or_else(PoisonError::into_inner).get(&settings.parts).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_content(weights: &[f32]) -> Parts {
        Parts { members: [("content", part(&weights))].into(), blend: None }
    }

    #[test]
    fn damaged_parts_are_refused_and_whole_ones_come_back() {
        let parts = of_content(&[1.0, 2.0]);
        let bytes = parts.to_bytes();
        assert_eq!(Parts::from_bytes(&bytes), Ok(parts));
        for broken in [&bytes[..3], &bytes[..bytes.len() - 1], &[9, 0, 0, 0, 0], &[&bytes[..], &[0]].concat()] {
            assert!(matches!(Parts::from_bytes(broken), Err(TransferError::Unreadable(_))), "{broken:?}");
        }
        assert!(Parts::from_bytes(&of_content(&[f32::NAN]).to_bytes()).is_err());
        let settings = InitSettings { parts: provide(&bytes).unwrap(), ..InitSettings::default() };
        assert!(settings.validate().is_ok() && provided(&settings).is_some());
        let unknown = InitSettings { parts: "0".repeat(32), ..InitSettings::default() };
        assert!(unknown.validate().is_ok() && provided(&unknown).is_none());
        assert!(InitSettings { parts: "../x".into(), ..InitSettings::default() }.validate().is_err());
    }

    #[test]
    fn the_first_form_is_written_where_it_has_a_place_for_every_part() {
        // The form before members had names: three parts in their order, then the curves of the blend.
        type First = (Option<()>, Option<()>, Option<Vec<f32>>, Option<()>);
        let first: First = (None, None, Some(vec![1.0, 2.0]), None);
        let expected = [1_u32.to_le_bytes().to_vec(), postcard::to_stdvec(&first).unwrap()].concat();
        assert_eq!(of_content(&[1.0, 2.0]).to_bytes(), expected);
        assert_eq!(Parts::from_bytes(&expected), Ok(of_content(&[1.0, 2.0])));
    }

    #[test]
    fn parts_of_members_that_this_build_does_not_have_are_left_out() {
        let by_name: BTreeMap<&str, Vec<u8>> = [("content", part(&[3.0_f32][..].to_vec())), ("later", vec![7])].into();
        let bytes = [BY_NAME.to_le_bytes().to_vec(), part(&by_name), part(&None::<()>)].concat();
        assert_eq!(Parts::from_bytes(&bytes), Ok(of_content(&[3.0])));
        let damaged: BTreeMap<&str, Vec<u8>> = [("content", vec![9])].into();
        let bytes = [BY_NAME.to_le_bytes().to_vec(), part(&damaged), part(&None::<()>)].concat();
        assert!(Parts::from_bytes(&bytes).is_err());
    }
}
