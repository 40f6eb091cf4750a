//! How the profile's tables grow, and a store without a file.

#[path = "../../src/profile_file/growth.rs"]
pub mod growth;
#[path = "../../src/profile_file/record_numbers.rs"]
mod record_numbers;
pub mod store;
