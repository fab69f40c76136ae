//! A table, for a terminal and for Markdown.

use std::fmt::{self, Write as _};

/// A header and rows with as many cells. The columns from number `left` on hold numbers.
pub(crate) struct Table {
    pub(crate) left: usize,
    pub(crate) head: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rule: Vec<String> =
            (0..self.head.len()).map(|at| if at < self.left { "---" } else { "---:" }.to_owned()).collect();
        [&self.head, &rule].into_iter().chain(&self.rows).map(|cells| line(cells)).collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = || std::iter::once(&self.head).chain(&self.rows);
        let width = |column: usize| rows().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        for row in rows() {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                if column < self.left { write!(line, "{cell:<width$}  ")? } else { write!(line, "{cell:>width$}  ")? }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_left_aligned_and_numbers_right_aligned() {
        let text = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let rows = vec![text(["explicit", "7"]), text(["ttl", "12 345"])];
        let table = Table { left: 1, head: text(["subject", "reads"]), rows };
        assert_eq!(table.to_string(), "subject    reads\nexplicit       7\nttl       12 345\n");
        assert_eq!(table.markdown(), "| subject | reads |\n| --- | ---: |\n| explicit | 7 |\n| ttl | 12 345 |\n");
    }
}
