//! The demo data that every service agrees on: twenty books, their stock, and accounts. Used only where `SEED_DEMO` is on.

use uuid::Uuid;

use crate::{BookId, Role};

/// A book of the demo catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DemoBook {
    /// ISBN-13 without hyphens.
    pub isbn: &'static str,
    /// Title.
    pub title: &'static str,
    /// Author or authors.
    pub author: &'static str,
    /// Publisher.
    pub publisher: &'static str,
    /// Price of one copy, in cents.
    pub price_cents: i64,
    /// Genre.
    pub genre: &'static str,
    /// Year of this edition.
    pub year: i32,
}

impl DemoBook {
    /// The book's id, the same in every service.
    pub fn id(&self) -> BookId {
        book_id(self.isbn)
    }
}

/// An account of the demo data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemoAccount {
    /// E-mail address.
    pub email: String,
    /// Password; shorter than a registered account's may be.
    pub password: &'static str,
    /// What it may do.
    pub role: Role,
    /// Given name.
    pub first_name: &'static str,
}

/// The names of the demo's warehouses.
pub const WAREHOUSES: [&str; 2] = ["warehouse-alpha", "warehouse-beta"];

/// The demo catalogue.
pub const BOOKS: [DemoBook; 20] = [
    book("9780132350884", "Clean Code", "Robert C. Martin", "Prentice Hall", 4_399, "Computing", 2008),
    book(
        "9780201633610",
        "Design Patterns",
        "Erich Gamma, Richard Helm, Ralph Johnson, John Vlissides",
        "Addison-Wesley",
        5_499,
        "Computing",
        1994,
    ),
    book(
        "9780135957059",
        "The Pragmatic Programmer",
        "David Thomas, Andrew Hunt",
        "Addison-Wesley",
        4_999,
        "Computing",
        2019,
    ),
    book(
        "9780262510875",
        "Structure and Interpretation of Computer Programs",
        "Harold Abelson, Gerald Jay Sussman",
        "MIT Press",
        7_500,
        "Computing",
        1996,
    ),
    book(
        "9781449373320",
        "Designing Data-Intensive Applications",
        "Martin Kleppmann",
        "O'Reilly Media",
        5_999,
        "Computing",
        2017,
    ),
    book(
        "9781718503106",
        "The Rust Programming Language",
        "Steve Klabnik, Carol Nichols",
        "No Starch Press",
        4_999,
        "Computing",
        2023,
    ),
    book("9780451524935", "1984", "George Orwell", "Signet Classics", 999, "Fiction", 1961),
    book("9780061120084", "To Kill a Mockingbird", "Harper Lee", "Harper Perennial", 1_499, "Fiction", 2006),
    book("9780743273565", "The Great Gatsby", "F. Scott Fitzgerald", "Scribner", 1_700, "Fiction", 2004),
    book("9780141439518", "Pride and Prejudice", "Jane Austen", "Penguin Classics", 1_000, "Fiction", 2002),
    book("9780316769488", "The Catcher in the Rye", "J. D. Salinger", "Little, Brown", 1_099, "Fiction", 1991),
    book("9780140449136", "Crime and Punishment", "Fyodor Dostoevsky", "Penguin Classics", 1_600, "Fiction", 2002),
    book("9780060850524", "Brave New World", "Aldous Huxley", "Harper Perennial", 1_699, "Science Fiction", 2006),
    book("9781451673319", "Fahrenheit 451", "Ray Bradbury", "Simon & Schuster", 1_599, "Science Fiction", 2012),
    book("9780441172719", "Dune", "Frank Herbert", "Ace", 1_099, "Science Fiction", 1990),
    book(
        "9780345391803",
        "The Hitchhiker's Guide to the Galaxy",
        "Douglas Adams",
        "Del Rey",
        899,
        "Science Fiction",
        1995,
    ),
    book("9780553293357", "Foundation", "Isaac Asimov", "Bantam Spectra", 899, "Science Fiction", 1991),
    book("9780547928227", "The Hobbit", "J. R. R. Tolkien", "Houghton Mifflin Harcourt", 1_499, "Fantasy", 2012),
    book("9780553380163", "A Brief History of Time", "Stephen Hawking", "Bantam", 1_895, "Science", 1998),
    book("9780062316097", "Sapiens", "Yuval Noah Harari", "Harper", 2_499, "History", 2015),
];

const fn book(
    isbn: &'static str,
    title: &'static str,
    author: &'static str,
    publisher: &'static str,
    price_cents: i64,
    genre: &'static str,
    year: i32,
) -> DemoBook {
    DemoBook { isbn, title, author, publisher, price_cents, genre, year }
}

/// The id of a demo book: UUIDv5 of `urn:isbn:<isbn>` in the URL namespace.
pub fn book_id(isbn: &str) -> BookId {
    BookId(Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("urn:isbn:{isbn}").as_bytes()))
}

/// Copies of a book that a warehouse starts with: between 12 and 50, the same at every start.
pub fn stock(warehouse_name: &str, isbn: &str) -> u32 {
    let digest = Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{warehouse_name}/{isbn}").as_bytes());
    12 + u32::from(digest.as_bytes()[0]) % 39
}

/// The store's accounts.
pub fn store_accounts() -> Vec<DemoAccount> {
    let account =
        |email: &str, password, role, first_name| DemoAccount { email: email.to_owned(), password, role, first_name };
    vec![
        account("admin@bookstore.com", "admin123", Role::StoreAdmin, "Ada"),
        account("alice@customer.com", "alice123", Role::Customer, "Alice"),
        account("bob@customer.com", "bob123", Role::Customer, "Bob"),
    ]
}

/// The staff account of a warehouse: `staff@<warehouse name>.com`.
pub fn warehouse_staff(warehouse_name: &str) -> DemoAccount {
    DemoAccount {
        email: format!("staff@{warehouse_name}.com"),
        password: "staff123",
        role: Role::WarehouseStaff,
        first_name: "Staff",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_book_has_a_real_isbn_of_its_own() {
        for book in BOOKS {
            assert_eq!(crate::isbn::normalize(book.isbn).as_deref(), Some(book.isbn), "{}", book.title);
        }
        assert_eq!(BOOKS.iter().map(DemoBook::id).collect::<HashSet<_>>().len(), 20);
    }

    #[test]
    fn ids_and_stock_never_change() {
        assert_eq!(book_id("9780132350884").to_string(), "0175bdea-725b-5e58-b14d-0dd9e2a720f4");
        for warehouse in WAREHOUSES {
            for book in BOOKS {
                assert!((12..=50).contains(&stock(warehouse, book.isbn)));
            }
        }
        assert_eq!(warehouse_staff("warehouse-alpha").email, "staff@warehouse-alpha.com");
    }
}
