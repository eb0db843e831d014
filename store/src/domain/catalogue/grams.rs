//! An inverted index: which texts have which two or three characters in a row. A word can only be in a text that has all of the word's.

use std::collections::{HashMap, HashSet};

/// The place of a book in its shelf.
pub(super) type Slot = u32;

/// Two or three characters, 21 bits each.
type Gram = u64;

/// The index.
#[derive(Debug, Default)]
pub(super) struct Grams(HashMap<Gram, Vec<Slot>>);

impl Grams {
    /// Adds the texts of a slot that has none yet.
    pub(super) fn add(&mut self, slot: Slot, texts: &[&str]) {
        for gram in all(texts) {
            let slots = self.0.entry(gram).or_default();
            // Mostly a push: new books have the highest slots.
            if let Err(place) = slots.binary_search(&slot) {
                slots.insert(place, slot);
            }
        }
    }

    /// Takes the texts of a slot out, as they were added.
    pub(super) fn remove(&mut self, slot: Slot, texts: &[&str]) {
        for gram in all(texts) {
            let Some(slots) = self.0.get_mut(&gram) else { continue };
            if let Ok(place) = slots.binary_search(&slot) {
                slots.remove(place);
            }
            if slots.is_empty() {
                self.0.remove(&gram);
            }
        }
    }

    /// Slots in order, among them every one with a text that contains the word. None where the word is too short to tell.
    pub(super) fn candidates(&self, word: &str) -> Option<Vec<Slot>> {
        let grams = of_word(word);
        if grams.is_empty() {
            return None;
        }
        let mut lists = Vec::with_capacity(grams.len());
        for gram in grams {
            match self.0.get(&gram) {
                Some(slots) => lists.push(slots),
                None => return Some(Vec::new()),
            }
        }
        lists.sort_unstable_by_key(|slots| slots.len());
        let mut found = lists[0].clone();
        for slots in &lists[1..] {
            found.retain(|slot| slots.binary_search(slot).is_ok());
        }
        Some(found)
    }
}

/// Every gram of the texts once. Words have no spaces, so grams with one are never asked for.
fn all(texts: &[&str]) -> HashSet<Gram> {
    let mut grams = HashSet::new();
    for word in texts.iter().flat_map(|text| text.split_whitespace()) {
        grams.extend(windows(word, 2));
        grams.extend(windows(word, 3));
    }
    grams
}

fn of_word(word: &str) -> Vec<Gram> {
    let length = if word.chars().nth(2).is_some() { 3 } else { 2 };
    windows(word, length)
}

fn windows(word: &str, length: usize) -> Vec<Gram> {
    let chars: Vec<char> = word.chars().collect();
    chars
        .windows(length)
        .map(|window| window.iter().fold(0, |gram, &c| gram << 21 | Gram::from(u32::from(c))))
        .collect()
}
