//! What a warehouse's registration changes (R19, R20).

use contract::{DatabaseId, Registration};

/// What the store knows of a warehouse by the name in a registration.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Its address for people.
    pub url: &'a str,
    /// Its address for the store.
    pub internal_url: &'a str,
    /// The identity of its database that was accepted.
    pub database_id: DatabaseId,
}

/// What a registration is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A warehouse by a name that nobody had.
    New,
    /// Another address for a known one: it is probed at once and pulled again.
    Moved,
    /// Another address for people only.
    Renamed,
    /// Nothing new.
    Unchanged,
    /// Another database under a known name: refused until a person accepts it.
    Stranger,
}

/// Judges a registration by what is known under its name.
pub fn judge(known: Option<Known<'_>>, registration: &Registration) -> Verdict {
    match known {
        None => Verdict::New,
        Some(known) if known.database_id != registration.database_id => Verdict::Stranger,
        Some(known) if known.internal_url != registration.internal_url => Verdict::Moved,
        Some(known) if known.url != registration.url => Verdict::Renamed,
        Some(_) => Verdict::Unchanged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r19_r20_a_name_belongs_to_a_database_and_only_changes_change() {
        let (ours, other) = (DatabaseId::new(), DatabaseId::new());
        let known = Some(Known { url: "a", internal_url: "b", database_id: ours });
        let table = [
            (None, "a", "b", ours, Verdict::New),
            (known, "a", "b", ours, Verdict::Unchanged),
            (known, "z", "b", ours, Verdict::Renamed),
            (known, "a", "z", ours, Verdict::Moved),
            (known, "a", "b", other, Verdict::Stranger),
            (known, "z", "z", other, Verdict::Stranger),
        ];
        for (known, url, internal_url, database_id, expected) in table {
            let (name, url, internal_url) = ("alpha".to_owned(), url.to_owned(), internal_url.to_owned());
            assert_eq!(judge(known, &Registration { name, url, internal_url, database_id }), expected);
        }
    }
}
