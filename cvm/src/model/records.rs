//! The records of one kind in a group, by name.
//!
//! Every transaction has its group several times: as it is, as it is to be, and in images on their way
//! to disks. Most of their records are the same ones, and are kept once: a clone shares them, and a
//! record is copied when one of those that share it changes it. Ours.

use std::borrow::Borrow;
use std::collections::btree_map::{self, BTreeMap};
use std::ops::Index;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ids::Name;

/// Records of one kind, by name.
#[derive(Debug, Eq, PartialEq)]
pub struct Records<T> {
    all: BTreeMap<Name, Arc<T>>,
}

impl<T> Records<T> {
    /// None.
    pub const fn new() -> Self {
        Self { all: BTreeMap::new() }
    }

    /// Takes all of them out.
    pub fn clear(&mut self) {
        self.all.clear();
    }

    /// There is one with this name.
    pub fn contains_key<Q: Ord + ?Sized>(&self, name: &Q) -> bool
    where
        Name: Borrow<Q>,
    {
        self.all.contains_key(name)
    }

    /// The one with this name.
    pub fn get<Q: Ord + ?Sized>(&self, name: &Q) -> Option<&T>
    where
        Name: Borrow<Q>,
    {
        self.all.get(name).map(|record| &**record)
    }

    /// The one with this name, together with the name.
    pub fn get_key_value<Q: Ord + ?Sized>(&self, name: &Q) -> Option<(&Name, &T)>
    where
        Name: Borrow<Q>,
    {
        self.all.get_key_value(name).map(|(name, record)| (name, &**record))
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// All, in the order of their names.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter(self.all.iter())
    }

    /// Their names, in order.
    pub fn keys(&self) -> btree_map::Keys<'_, Name, Arc<T>> {
        self.all.keys()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Those that are in only one of two, or different, in the order of their names: the one of `self`,
    /// and the one of `other`.
    pub fn differences<'a>(
        &'a self,
        other: &'a Self,
    ) -> impl Iterator<Item = (&'a Name, Option<&'a T>, Option<&'a T>)>
    where
        T: PartialEq,
    {
        let (mut here, mut there) = (self.all.iter().peekable(), other.all.iter().peekable());
        std::iter::from_fn(move || {
            loop {
                let order = match (here.peek(), there.peek()) {
                    (Some((one, _)), Some((two, _))) => one.cmp(two),
                    (Some(_), None) => std::cmp::Ordering::Less,
                    (None, Some(_)) => std::cmp::Ordering::Greater,
                    (None, None) => return None,
                };
                let mine = if order.is_le() { here.next() } else { None };
                let theirs = if order.is_ge() { there.next() } else { None };
                let name = mine.or(theirs)?.0;
                match (mine, theirs) {
                    (Some((_, one)), Some((_, two))) if Arc::ptr_eq(one, two) || one == two => {}
                    _ => {
                        return Some((
                            name,
                            mine.map(|(_, one)| &**one),
                            theirs.map(|(_, two)| &**two),
                        ));
                    }
                }
            }
        })
    }

    /// Keeps those of which `is_kept` says so.
    pub fn retain(&mut self, mut is_kept: impl FnMut(&Name, &T) -> bool) {
        self.all.retain(|name, record| is_kept(name, record));
    }

    /// All, in the order of their names.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &T> + Clone {
        self.all.values().map(|record| &**record)
    }
}

/// What changes records copies those that it touches, if they are shared.
impl<T: Clone> Records<T> {
    /// The one with this name, to be changed.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, name: &Q) -> Option<&mut T>
    where
        Name: Borrow<Q>,
    {
        self.all.get_mut(name).map(Arc::make_mut)
    }

    /// All of them, to be changed: each one that is shared is copied. Where few are to be changed, find out
    /// which, and change those.
    pub fn iter_mut(&mut self) -> IterMut<'_, T> {
        IterMut(self.all.iter_mut())
    }

    /// Adds one; returns the one that had its name.
    pub fn insert(&mut self, name: Name, record: T) -> Option<T> {
        self.all.insert(name, Arc::new(record)).map(Arc::unwrap_or_clone)
    }

    /// Takes one out.
    pub fn remove<Q: Ord + ?Sized>(&mut self, name: &Q) -> Option<T>
    where
        Name: Borrow<Q>,
    {
        self.all.remove(name).map(Arc::unwrap_or_clone)
    }

    /// As [`Self::iter_mut`], without the names.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.all.values_mut().map(Arc::make_mut)
    }
}

impl<T> Clone for Records<T> {
    fn clone(&self) -> Self {
        Self { all: self.all.clone() }
    }
}

impl<T> Default for Records<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, Q: Ord + ?Sized> Index<&Q> for Records<T>
where
    Name: Borrow<Q>,
{
    type Output = T;

    /// # Panics
    /// If there is none with this name.
    fn index(&self, name: &Q) -> &T {
        &self.all[name]
    }
}

impl<T> FromIterator<(Name, T)> for Records<T> {
    fn from_iter<I: IntoIterator<Item = (Name, T)>>(records: I) -> Self {
        let all = records.into_iter().map(|(name, record)| (name, Arc::new(record))).collect();
        Self { all }
    }
}

/// See [`Records::iter`].
#[derive(Clone, Debug)]
pub struct Iter<'a, T>(btree_map::Iter<'a, Name, Arc<T>>);

impl<'a, T> Iterator for Iter<'a, T> {
    type Item = (&'a Name, &'a T);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(name, record)| (name, &**record))
    }
}

impl<T> DoubleEndedIterator for Iter<'_, T> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back().map(|(name, record)| (name, &**record))
    }
}

impl<'a, T> IntoIterator for &'a Records<T> {
    type IntoIter = Iter<'a, T>;
    type Item = (&'a Name, &'a T);

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

/// See [`Records::iter_mut`].
#[derive(Debug)]
pub struct IterMut<'a, T>(btree_map::IterMut<'a, Name, Arc<T>>);

impl<'a, T: Clone> Iterator for IterMut<'a, T> {
    type Item = (&'a Name, &'a mut T);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(name, record)| (name, Arc::make_mut(record)))
    }
}

impl<'a, T: Clone> IntoIterator for &'a mut Records<T> {
    type IntoIter = IterMut<'a, T>;
    type Item = (&'a Name, &'a mut T);

    fn into_iter(self) -> IterMut<'a, T> {
        self.iter_mut()
    }
}

impl<T: Serialize> Serialize for Records<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Records<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(deserializer).map(Self::from_iter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn records(text: &str) -> Records<u32> {
        let words = text.split_whitespace().filter_map(|word| word.split_once('='));
        words.map(|(key, value)| (name(key), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_record_is_copied_when_it_is_changed() {
        let one = records("a=1 b=2 c=3");
        let mut two = one.clone();
        *two.get_mut("b").unwrap() = 5;
        assert_eq!((one.get("b"), two.get("b")), (Some(&2), Some(&5)));
        let is_shared = |key: &str| Arc::ptr_eq(&one.all[key], &two.all[key]);
        assert_eq!((is_shared("a"), is_shared("b"), is_shared("c")), (true, false, true));
    }

    #[test]
    fn differences_are_of_contents() {
        let differences = |one: &str, two: &str| {
            let (one, two) = (records(one), records(two));
            let all = one.differences(&two);
            let all = all.map(|(name, one, two)| (name.to_string(), one.copied(), two.copied()));
            Vec::from_iter(all)
        };
        let different = |name: &str, one, two| (name.to_owned(), one, two);
        assert_eq!(differences("a=1 b=2", "a=1 b=2"), []);
        assert_eq!(
            differences("a=1 b=2 d=4", "b=3 c=3 d=4 e=5"),
            [
                different("a", Some(1), None),
                different("b", Some(2), Some(3)),
                different("c", None, Some(3)),
                different("e", None, Some(5)),
            ]
        );
        assert_eq!(differences("", "a=1"), [different("a", None, Some(1))]);
    }
}
