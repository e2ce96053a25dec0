"""What each measure is, in plain words."""

from __future__ import annotations

MEASURES = {
    "ks": "largest gap between the two distribution functions",
    "ks_nonzero": "the same for values that are not 0",
    "wasserstein": "how far values would have to move on average, in the unit of the variable",
    "wasserstein_relative": "the same in units of the spread of real values",
    "tvd": "share of rows that would have to change category",
    "zero_share": "share of zeros, synthetic less real",
    "negative_share": "share of negative values, synthetic less real",
    "missing_share": "share of missing values, synthetic less real",
    "atom_error": "error of the shares of values that many rows have",
    "heaping_error": "error of the shares of round values",
    "total": "weighted total, relative to the real one",
    "mean": "weighted mean, relative to the real one",
    "quantile_log_ratio": "log of the ratio of a high quantile to the real one",
    "top_share": "share of the total that the top rows hold, synthetic less real",
    "gini": "Gini coefficient, synthetic less real",
    "hill": "weight of the tail (Hill's index), synthetic less real",
    "pearson_rms": "linear correlations, root mean square difference",
    "pearson_max": "linear correlations, largest difference",
    "spearman_rms": "rank correlations, root mean square difference",
    "spearman_max": "rank correlations, largest difference",
    "cramers_v_rms": "association of categories, root mean square difference",
    "cramers_v_max": "association of categories, largest difference",
    "correlation_ratio_rms": "association of numbers with categories, root mean square difference",
    "correlation_ratio_max": "association of numbers with categories, largest difference",
    "zero_pair_mean": "share of rows where two variables are both not 0, mean difference",
    "zero_pair_max": "share of rows where two variables are both not 0, largest difference",
    "table2_mean": "two-way tables, mean total variation",
    "table2_max": "two-way tables, largest total variation",
    "table3_mean": "three-way tables, mean total variation",
    "energy": "energy distance of whole rows, without bias",
    "mmd": "maximum mean discrepancy of whole rows, without bias",
    "precision": "share of synthetic rows that lie among real ones",
    "recall": "share of real rows that lie among synthetic ones",
    "density": "how densely real rows surround synthetic ones",
    "coverage": "share of real rows with a synthetic row nearby",
    "c2st_auc": "how well a classifier tells synthetic from real rows; 0.5 is a coin",
    "c2st_strict_auc": "the same for a classifier that sees the last digits too",
    "pmse": "error of propensity scores",
    "pmse_ratio": "error of propensity scores as a multiple of what chance gives",
    "conditional_ks": "gap of distribution functions within cells of conditions",
    "conditional_zero_share": "share of zeros within cells of conditions",
    "conditional_mean": "means within cells of conditions, in real standard deviations",
    "conditional_quantiles": "quantiles within cells of conditions, as ranks",
    "conditional_tvd": "categories within cells of conditions",
    "pit_ks": "calibration of the synthetic law given the conditions",
    "crps": "error of the synthetic law given the conditions",
    "crps_ratio": "error of the synthetic law given the conditions, over that of other real rows",
    "coverage_90": "share of real values within the central 90 % of the synthetic law",
    "tstr_r2": "prediction of real rows learnt from synthetic ones, as R squared of ranks",
    "tstr_auc": "prediction of real categories learnt from synthetic rows, area under the curve",
    "tstr_log_loss": "prediction of real categories learnt from synthetic rows, log loss",
    "ci_overlap": "overlap of the confidence intervals of a coefficient",
    "ci_overlap_mean": "mean overlap of the confidence intervals of a regression",
    "coefficient_difference": "difference of a coefficient in standard errors",
    "dcr_share": "share of synthetic rows nearer to a training than to a holdout row",
    "dcr_ratio": "median distance to the closest training row over that to the closest holdout row",
    "identical_share": "distinctive synthetic rows that equal a training row",
    "near_identical_share": "distinctive synthetic rows very near to a training row",
    "membership_auc": "how well an attack tells training rows from others; 0.5 is a coin",
    "membership_caught": "training rows that the attack finds at 1 % false alarms",
    "attribute_advantage": "guesses of a sensitive value: training rows less holdout rows",
    "k_anonymity": "rows in the smallest cell of quasi-identifiers",
    "small_cell_share": "synthetic rows in cells of fewer than 5 rows",
    "l_diversity": "sensitive values in the least diverse cell",
    "holdout_overlap": "distinctive holdout rows that are training rows",
}


def plain(measure: str) -> str:
    """Say what a measure is, with its name; the name alone where it is not known here.

    Examples
    --------
    >>> plain("ks"), plain("own")
    ('largest gap between the two distribution functions (ks)', 'own')
    """
    return f"{MEASURES[measure]} ({measure})" if measure in MEASURES else measure
