//! `netvirt diff`: what is declared, and what would be, as a unified diff of YAML.

use similar::TextDiff;

use crate::CliError;
use crate::run::Streams;

/// One resource before and after; an empty text where it is not there.
#[derive(Debug)]
pub struct Sides {
    /// What it is called.
    pub name: String,
    /// As it is declared now.
    pub old: String,
    /// As it would be.
    pub new: String,
}

/// Prints the differences.
///
/// # Errors
/// [`CliError::Different`] when there are any, so that the exit code says so.
pub fn show(resources: &[Sides], streams: &mut Streams<'_>) -> Result<(), CliError> {
    let text: String = resources.iter().map(unified).collect();
    if text.is_empty() {
        return Ok(());
    }
    streams.print(&text)?;
    Err(CliError::Different)
}

fn unified(Sides { name, old, new }: &Sides) -> String {
    let header =
        |text: &str, side: &str| if text.is_empty() { "/dev/null".to_owned() } else { format!("{side}: {name}") };
    TextDiff::from_lines(old, new)
        .unified_diff()
        .context_radius(3)
        .header(&header(old, "declared"), &header(new, "file"))
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_named_and_sameness_is_silent() {
        let sides = |old: &str, new: &str| Sides { name: "port a".into(), old: old.into(), new: new.into() };
        assert_eq!(unified(&sides("a: 1\n", "a: 1\n")), "");
        assert_eq!(
            unified(&sides("a: 1\nb: 2\n", "a: 1\nb: 3\n")),
            "--- declared: port a\n+++ file: port a\n@@ -1,2 +1,2 @@\n a: 1\n-b: 2\n+b: 3\n"
        );
        assert_eq!(unified(&sides("", "a: 1\n")), "--- /dev/null\n+++ file: port a\n@@ -0,0 +1 @@\n+a: 1\n");
    }
}
