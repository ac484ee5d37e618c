//! Tables for people: a head and rows, each column as wide as its widest cell.

use std::fmt::Write as _;

/// A head, and rows that have as many cells or fewer. Nothing is put after the last cell of a row.
pub(super) fn table<const COLUMNS: usize>(head: [&str; COLUMNS], rows: &[[String; COLUMNS]]) -> String {
    let widths: [usize; COLUMNS] = std::array::from_fn(|column| {
        let of = |row: &[String; COLUMNS]| row.get(column).map_or(0, |cell| cell.chars().count());
        let head = head.get(column).map_or(0, |cell| cell.chars().count());
        rows.iter().map(of).fold(head, usize::max)
    });
    let mut text = line(&head, &widths);
    for row in rows {
        text.push_str(&line(&row.each_ref().map(String::as_str), &widths));
    }
    text
}

fn line(cells: &[&str], widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        let _infallible = write!(line, "{cell:width$}  ");
    }
    line.truncate(line.trim_end().len());
    line.push('\n');
    line
}

/// Milliseconds for people.
pub(super) fn duration(milliseconds: f64) -> String {
    match milliseconds {
        ..9.95 => format!("{milliseconds:.1} ms"),
        ..999.5 => format!("{milliseconds:.0} ms"),
        ..119_950.0 => format!("{:.1} s", milliseconds / 1000.0),
        _ => format!("{:.0} min", milliseconds / 60_000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a → b", "x", ""], ["c", "longer", "end"]];
        let rows = rows.map(|row| row.map(str::to_owned));
        assert_eq!(
            table(["WHAT", "HOW", "WHY"], &rows),
            "WHAT   HOW     WHY\na → b  x\nc      longer  end\n"
        );
        assert_eq!(table(["A", "B"], &[]), "A  B\n");
    }

    #[test]
    fn durations_are_short() {
        for (milliseconds, shown) in [
            (0.04, "0.0 ms"),
            (1.94, "1.9 ms"),
            (38.3, "38 ms"),
            (999.6, "1.0 s"),
            (3_210.0, "3.2 s"),
            (300_000.0, "5 min"),
        ] {
            assert_eq!(duration(milliseconds), shown);
        }
    }
}
