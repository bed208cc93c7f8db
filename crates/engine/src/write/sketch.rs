//! Counts of very many keys in bounded memory: what is counted once there are too many keys to count each by itself.
//!
//! A key is counted in two rows of cells that it shares with others, and its count is the smaller one (count-min:
//! Cormode, Muthukrishnan, *An improved data stream summary*, 2005), so that a count is never too small: a bound by it
//! fails closed. Members are remembered in a filter of bits (Bloom, 1970), which takes a few of those that were not added
//! for members.

/// Cells of a row, as a power of two.
const CELL_BITS: u32 = 20;
/// Bits of the filter of members, as a power of two: 4 MB, of which a hundredth of 3,600,000 members is mistaken.
const FILTER_BITS: u32 = 25;
/// Bits that are set for a member.
const N_PROBES: u32 = 4;

/// Counts and members.
pub(super) struct Sketch {
    /// `[2, 2^CELL_BITS]`
    cells: Vec<u16>,
    members: Vec<u64>,
}

impl Default for Sketch {
    fn default() -> Self {
        Self { cells: vec![0; 2 << CELL_BITS], members: vec![0; 1 << (FILTER_BITS - 6)] }
    }
}

impl Sketch {
    /// Counts do not go beyond this one.
    pub const MOST: u32 = u16::MAX as u32;

    /// Counts a key one more time; what it is counted then, or more.
    pub fn count(&mut self, key: u64) -> u32 {
        let n = self.get(key).saturating_add(1).min(Self::MOST);
        for place in places(key) {
            // Only cells that are smaller than the count grow, so that others are mistaken less.
            self.cells[place] = self.cells[place].max(n as u16);
        }
        n
    }

    /// How often a key was counted, or more.
    pub fn get(&self, key: u64) -> u32 {
        let [one, other] = places(key).map(|place| self.cells[place]);
        u32::from(one.min(other))
    }

    /// Whether a member was added; of those that were not, a few are mistaken.
    pub fn has(&self, member: u64) -> bool {
        probes(member).all(|(word, bit)| self.members[word] & bit != 0)
    }

    /// Adds a member.
    pub fn add(&mut self, member: u64) {
        probes(member).for_each(|(word, bit)| self.members[word] |= bit);
    }
}

/// The cells of a key, one of each row. The key is a hash.
fn places(key: u64) -> [usize; 2] {
    let mask = (1 << CELL_BITS) - 1;
    [(key & mask) as usize, (1 << CELL_BITS) + ((key >> 32) & mask) as usize]
}

/// The bits of a member: places that two halves of its hash give (Kirsch, Mitzenmacher, *Less hashing, same performance*,
/// 2006).
fn probes(member: u64) -> impl Iterator<Item = (usize, u64)> {
    let (first, step) = (member as u32, (member >> 32) as u32 | 1);
    (0..N_PROBES).map(move |n| {
        let place = first.wrapping_add(n.wrapping_mul(step)) >> (32 - FILTER_BITS);
        ((place / 64) as usize, 1 << (place % 64))
    })
}

#[cfg(test)]
mod tests {
    use accrue_kernel::Draws;

    use super::*;

    fn hashes(seed: u64) -> impl Iterator<Item = u64> {
        let mut draws = Draws::new(seed, 1, 0);
        std::iter::repeat_with(move || (draws.below(1 << 32) << 32) | draws.below(1 << 32))
    }

    #[test]
    fn counts_are_never_too_small_and_seldom_too_large() {
        let mut sketch = Sketch::default();
        let keys: Vec<u64> = hashes(1).take(300_000).collect();
        keys.iter().for_each(|&key| _ = sketch.count(key));
        assert!(keys.iter().all(|&key| sketch.get(key) >= 1));
        let too_large = keys.iter().filter(|&&key| sketch.get(key) > 1).count();
        assert!(too_large < 30_000, "{too_large}");
        assert!(hashes(2).take(1_000).filter(|&key| sketch.get(key) >= 3).count() < 10);
        assert_eq!((0..9).map(|_| sketch.count(7)).last(), Some(sketch.get(7)));
        assert!(sketch.get(7) >= 9);
    }

    #[test]
    fn members_are_remembered_and_hardly_one_is_mistaken() {
        let mut sketch = Sketch::default();
        let members: Vec<u64> = hashes(3).take(500_000).collect();
        members.iter().for_each(|&member| sketch.add(member));
        assert!(members.iter().all(|&member| sketch.has(member)));
        let mistaken = hashes(4).take(10_000).filter(|&other| sketch.has(other)).count();
        assert!(mistaken < 20, "{mistaken}");
    }
}
