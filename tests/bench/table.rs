//! The results: medians of the rounds, ratios pair by pair, and the bars they are held against.

use std::fmt;

use serde_json::{Value, json};

use crate::cost::Cost;

/// Everything that was measured, in its order.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    case: String,
    unit: &'static str,
    ours: f64,
    /// What it is compared with, its median, and the median of the ratios of the rounds.
    other: Option<(&'static str, f64, f64)>,
    /// What the ratio, or the figure where there is none, may be at most.
    bar: Option<f64>,
}

/// What of a cost is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Measure {
    Wall,
    Cpu,
    Peak,
}

impl Measure {
    fn of(self, cost: &Cost) -> f64 {
        match self {
            Self::Wall => cost.wall,
            Self::Cpu => cost.cpu,
            Self::Peak => cost.peak / 1024.0,
        }
    }

    const fn unit(self) -> &'static str {
        match self {
            Self::Wall => "wall ms",
            Self::Cpu => "CPU ms",
            Self::Peak => "peak MiB",
        }
    }
}

impl Table {
    /// Compares costs of the same rounds; `bar` is the most that the ratio may be.
    pub(crate) fn compare(
        &mut self,
        case: &str,
        measure: Measure,
        ours: &[Cost],
        (name, other): (&'static str, &[Cost]),
        bar: Option<f64>,
    ) {
        let [ours, other] =
            [ours, other].map(|costs| costs.iter().map(|c| measure.of(c)).collect::<Vec<_>>());
        let ratios = ours.iter().zip(&other).map(|(ours, other)| ours / other.max(f64::EPSILON)).collect();
        self.rows.push(Row {
            case: case.to_owned(),
            unit: measure.unit(),
            ours: median(ours),
            other: Some((name, median(other), median(ratios))),
            bar,
        });
    }

    /// Compares two counts of bytes.
    pub(crate) fn bytes(&mut self, case: &str, ours: u64, (name, other): (&'static str, u64), bar: f64) {
        #[expect(clippy::cast_precision_loss, reason = "a bundle has less than 2⁵² bytes")]
        let (ours, other) = (ours as f64, other as f64);
        let other = Some((name, other, ours / other));
        self.rows.push(Row { case: case.to_owned(), unit: "bytes", ours, other, bar: Some(bar) });
    }

    /// Takes a figure that is compared with nothing; `bar` is the most that it may be.
    pub(crate) fn alone(&mut self, case: &str, unit: &'static str, ours: Vec<f64>, bar: Option<f64>) {
        self.rows.push(Row { case: case.to_owned(), unit, ours: median(ours), other: None, bar });
    }

    /// As [`Table::alone`], of costs.
    pub(crate) fn cost(&mut self, case: &str, measure: Measure, ours: &[Cost], bar: Option<f64>) {
        self.alone(case, measure.unit(), ours.iter().map(|cost| measure.of(cost)).collect(), bar);
    }

    /// Returns the results as JSON.
    pub(crate) fn json(&self, rounds: usize) -> Value {
        let rows = self.rows.iter().map(|row| {
            json!({
                "case": row.case,
                "unit": row.unit,
                "ours": row.ours,
                "against": row.other.map(|(name, _, _)| name),
                "other": row.other.map(|(_, other, _)| other),
                "ratio": row.other.map(|(_, _, ratio)| ratio),
                "bar": row.bar,
                "met": row.bar.map(|bar| row.held() <= bar),
            })
        });
        json!({"rounds": rounds, "rows": rows.collect::<Vec<_>>()})
    }
}

impl Row {
    fn held(&self) -> f64 {
        self.other.map_or(self.ours, |(_, _, ratio)| ratio)
    }
}

/// As a table of Markdown.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| case | measure | ours | against | theirs | ratio | bar | |")?;
        write!(f, "| --- | --- | ---: | --- | ---: | ---: | ---: | --- |")?;
        for row in &self.rows {
            let number =
                |value: f64| if row.unit == "bytes" { format!("{value:.0}") } else { format!("{value:.1}") };
            let (name, other, ratio) = match row.other {
                Some((name, other, ratio)) => (name, number(other), format!("{ratio:.2}")),
                None => ("", String::new(), String::new()),
            };
            let bar = row.bar.map_or_else(String::new, |bar| format!("≤ {bar}"));
            let met = match row.bar.map(|bar| row.held() <= bar) {
                Some(true) => "met",
                Some(false) => "missed",
                None => "",
            };
            let ours = number(row.ours);
            write!(
                f,
                "\n| {} | {} | {ours} | {name} | {other} | {ratio} | {bar} | {met} |",
                row.case, row.unit
            )?;
        }
        Ok(())
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => values[length / 2],
        length => f64::midpoint(values[length / 2 - 1], values[length / 2]),
    }
}
