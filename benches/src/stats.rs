//! What several samples of one figure say together: median, spread, ratio.

use serde::Serialize;

/// Median and spread of samples.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// The middle one, or the mean of the two in the middle.
    pub median: f64,
    /// Coefficient of variation: standard deviation (of a sample) over mean; 0 for a single one.
    pub variation: f64,
    /// How many there are.
    pub count: usize,
}

/// Sums samples up; none without samples.
pub fn summarize(samples: &[f64]) -> Option<Summary> {
    let count = samples.len();
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let high = *sorted.get(count / 2)?;
    let low = *sorted.get(count.checked_sub(1)? / 2)?;
    Some(Summary { median: f64::midpoint(low, high), variation: variation(samples), count })
}

/// Coefficient of variation.
fn variation(samples: &[f64]) -> f64 {
    let count = samples.len() as f64;
    let mean = samples.iter().sum::<f64>() / count;
    if samples.len() < 2 || mean == 0.0 {
        return 0.0;
    }
    let squares: f64 = samples.iter().map(|sample| (sample - mean).powi(2)).sum();
    (squares / (count - 1.0)).sqrt() / mean
}

/// The samples of one contestant over those of another, round by round. Rounds that either of them lacks are left
/// out, as is a division by nothing.
pub fn ratios(samples: &[Option<f64>], baseline: &[Option<f64>]) -> Vec<f64> {
    let pairs = samples.iter().zip(baseline);
    pairs.filter_map(|(sample, base)| Some((*sample)? / (*base).filter(|base| *base > 0.0)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(left: f64, right: f64) -> bool {
        (left - right).abs() < 1e-9
    }

    #[test]
    fn the_median_is_the_middle_of_any_order() {
        assert!(near(summarize(&[5.0, 1.0, 3.0]).unwrap().median, 3.0));
        assert!(near(summarize(&[4.0, 1.0, 3.0, 2.0]).unwrap().median, 2.5));
        assert!(near(summarize(&[7.0]).unwrap().median, 7.0));
        assert_eq!(summarize(&[]), None);
    }

    #[test]
    fn the_spread_is_that_of_a_sample() {
        // Mean 5, squares of deviation 9 + 1 + 1 + 9 = 20 over 3.
        let summary = summarize(&[2.0, 4.0, 6.0, 8.0]).unwrap();
        assert!(near(summary.variation, (20.0_f64 / 3.0).sqrt() / 5.0), "{summary:?}");
        assert!(near(summarize(&[3.0]).unwrap().variation, 0.0));
        assert!(near(summarize(&[0.0, 0.0]).unwrap().variation, 0.0));
    }

    #[test]
    fn ratios_are_taken_in_the_same_round() {
        let ours = [Some(2.0), None, Some(9.0), Some(1.0)];
        let base = [Some(4.0), Some(1.0), Some(3.0), Some(0.0)];
        assert_eq!(ratios(&ours, &base), [0.5, 3.0]);
    }
}
