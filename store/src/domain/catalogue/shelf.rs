//! Books in every order that they can be asked for in, with an index of their words.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use contract::BookId;

use super::grams::{Grams, Slot};
use super::query::{ALL, Cursor, Key, Query, Word, fold};
use super::{Book, Page};

/// A book with its texts folded, as searches read them.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) book: Arc<Book>,
    pub(super) title: Arc<str>,
    pub(super) author: Arc<str>,
    pub(super) genre: Option<String>,
}

impl Entry {
    fn new(book: Arc<Book>) -> Self {
        let (title, author) = (fold(&book.title).into(), fold(&book.author).into());
        let genre = book.genre.as_deref().map(fold);
        Self { book, title, author, genre }
    }
}

type Place = (Key, BookId);

#[derive(Debug, Default)]
pub(super) struct Shelf {
    slots: Vec<Option<Entry>>,
    free: Vec<Slot>,
    by_id: HashMap<BookId, Slot>,
    orders: [BTreeMap<Place, Slot>; ALL.len()],
    grams: Grams,
    genres: HashMap<String, BTreeSet<Slot>>,
}

impl Shelf {
    pub(super) fn get(&self, id: BookId) -> Option<&Arc<Book>> {
        self.entry(*self.by_id.get(&id)?).map(|entry| &entry.book)
    }

    /// Adds a book that is not there.
    pub(super) fn add(&mut self, book: Arc<Book>) {
        let entry = Entry::new(book);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            Slot::try_from(self.slots.len() - 1).unwrap_or(Slot::MAX)
        });
        for (by, order) in ALL.into_iter().zip(&mut self.orders) {
            order.insert((by.key(&entry), entry.book.id), slot);
        }
        self.grams.add(slot, &[&entry.title, &entry.author, &fold(&entry.book.isbn)]);
        if let Some(genre) = &entry.genre {
            self.genres.entry(genre.clone()).or_default().insert(slot);
        }
        self.by_id.insert(entry.book.id, slot);
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = Some(entry);
        }
    }

    /// Takes a book out, if it is there.
    pub(super) fn remove(&mut self, id: BookId) {
        let Some(slot) = self.by_id.remove(&id) else { return };
        let Some(entry) = self.slots.get_mut(slot as usize).and_then(Option::take) else { return };
        self.free.push(slot);
        for (by, order) in ALL.into_iter().zip(&mut self.orders) {
            order.remove(&(by.key(&entry), id));
        }
        self.grams.remove(slot, &[&entry.title, &entry.author, &fold(&entry.book.isbn)]);
        if let Some(genre) = &entry.genre
            && let Some(slots) = self.genres.get_mut(genre)
        {
            slots.remove(&slot);
            if slots.is_empty() {
                self.genres.remove(genre);
            }
        }
    }

    /// One page. Few candidates are looked at one by one; of many, a walk in the order that is wanted soon has enough.
    pub(super) fn search(&self, query: &Query) -> Page {
        let wanted = query.limit.saturating_add(1);
        let mut slots = match self.candidates(query) {
            Some(slots) if slots.len().saturating_mul(slots.len()) <= wanted.saturating_mul(self.by_id.len()) => {
                self.pick(slots, query)
            }
            _ => self.walk(query, wanted),
        };
        let more = slots.len() > query.limit;
        slots.truncate(query.limit);
        let next = slots.last().filter(|_| more).and_then(|slot| self.entry(*slot)).map(|entry| Cursor {
            sort: query.sort,
            key: query.sort.by.key(entry),
            id: entry.book.id,
        });
        let books = slots.into_iter().filter_map(|slot| Some(Arc::clone(&self.entry(slot)?.book))).collect();
        Page { books, next }
    }

    fn entry(&self, slot: Slot) -> Option<&Entry> {
        self.slots.get(slot as usize)?.as_ref()
    }

    /// The shortest list of slots that has everything that is looked for; none where that would be all.
    fn candidates(&self, query: &Query) -> Option<Vec<Slot>> {
        let mut lists = Vec::new();
        if let Some(ids) = &query.ids {
            let mut slots: Vec<_> = ids.iter().filter_map(|id| self.by_id.get(id).copied()).collect();
            slots.sort_unstable();
            slots.dedup();
            return Some(slots);
        }
        if let Some(genre) = &query.genre {
            lists.push(self.genres.get(genre).map(|slots| slots.iter().copied().collect()).unwrap_or_default());
        }
        lists.extend(query.words.iter().filter_map(|word| self.with_word(word)));
        lists.extend(query.author.iter().filter_map(|word| self.grams.candidates(word)));
        lists.into_iter().min_by_key(Vec::len)
    }

    fn with_word(&self, word: &Word) -> Option<Vec<Slot>> {
        let mut slots = self.grams.candidates(&word.text)?;
        if let Some(isbn) = word.isbn.as_ref().map(|isbn| fold(isbn)).filter(|isbn| *isbn != word.text) {
            slots.extend(self.grams.candidates(&isbn)?);
            slots.sort_unstable();
            slots.dedup();
        }
        Some(slots)
    }

    /// Those of the slots that match, behind the cursor, in order.
    fn pick(&self, slots: Vec<Slot>, query: &Query) -> Vec<Slot> {
        let descending = query.sort.descending;
        let is_behind = |place: &Place| {
            query.after.as_ref().is_none_or(|after| {
                let end = (&after.key, &after.id);
                if descending { (&place.0, &place.1) < end } else { (&place.0, &place.1) > end }
            })
        };
        let matching = slots.into_iter().filter_map(|slot| {
            let entry = self.entry(slot).filter(|entry| query.matches(entry))?;
            let place = (query.sort.by.key(entry), entry.book.id);
            is_behind(&place).then_some((place, slot))
        });
        let mut matching: Vec<_> = matching.collect();
        matching.sort_unstable();
        if descending {
            matching.reverse();
        }
        matching.into_iter().map(|(_, slot)| slot).collect()
    }

    fn walk(&self, query: &Query, wanted: usize) -> Vec<Slot> {
        let order = &self.orders[query.sort.by as usize];
        let after = query.after.as_ref().map(|after| (after.key.clone(), after.id));
        let matches = |slot: &&Slot| self.entry(**slot).is_some_and(|entry| query.matches(entry));
        if query.sort.descending {
            let end = after.map_or(Bound::Unbounded, Bound::Excluded);
            let places = order.range((Bound::Unbounded, end)).rev().map(|(_, slot)| slot);
            places.filter(matches).take(wanted).copied().collect()
        } else {
            let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
            let places = order.range((begin, Bound::Unbounded)).map(|(_, slot)| slot);
            places.filter(matches).take(wanted).copied().collect()
        }
    }
}
