//! What a container is called, and what its elements are.

use super::name;
use super::rules::{Family, SET_VALUE};

/// The name of a container of `element`, and what to call its elements.
pub(super) fn type_of(
    family: Family,
    container: Option<&str>,
    element: Option<&str>,
) -> Option<(String, String)> {
    let named =
        |container: &str, element: &str| (format!("{container}<{element}>"), element.to_owned());
    let pair = |element: &str| -> Option<(String, String)> {
        let inner = element.strip_prefix('(')?.strip_suffix(')')?;
        let parts = name::split(inner);
        let [key, value] = parts[..] else { return None };
        Some((key.to_owned(), value.to_owned()))
    };
    Some(match (family, container) {
        (Family::Buffer, Some("Box<[]>")) => {
            let element = element?;
            (format!("Box<[{element}]>"), element.to_owned())
        }
        (
            Family::Buffer,
            Some(
                text @ ("String" | "CString" | "OsString" | "PathBuf" | "Box<str>" | "BufReader"
                | "BufWriter" | "Bytes"),
            ),
        ) => (text.to_owned(), "u8".to_owned()),
        (Family::Buffer, container) => {
            let element = element?;
            let (base, parts) = name::arguments(element);
            match (base, &parts[..]) {
                ("indexmap::Bucket", [key, value]) => {
                    (format!("IndexMap<{key}, {value}>"), element.to_owned())
                }
                _ => named(container.unwrap_or("Vec"), element),
            }
        }
        (Family::Box, _) => named("Box", element?),
        (Family::Rc, _) => named("Rc", element?),
        (Family::Arc, _) => named("Arc", element?),
        (Family::Table, container) => {
            let element = element?;
            match (container, pair(element)) {
                (Some("HashTable"), _) => named("HashTable", element),
                (_, Some((key, value))) if value == "()" => (format!("HashSet<{key}>"), key),
                (None, None) => named("HashTable", element),
                (_, Some((key, value))) => (format!("HashMap<{key}, {value}>"), element.to_owned()),
                (Some(container), None) => named(container, element),
            }
        }
        (Family::Tree, _) => {
            let element = element?;
            let (key, value) = pair(element)?;
            match value.as_str() {
                SET_VALUE => (format!("BTreeSet<{key}>"), key),
                _ => (format!("BTreeMap<{key}, {value}>"), element.to_owned()),
            }
        }
        (Family::Other(container), _) => named(container, element?),
    })
}
