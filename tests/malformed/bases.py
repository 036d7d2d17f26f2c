# ruff: noqa: E501
"""Valid scenarios that the malformed ones are made from."""

TIMES = """\
schema: 1
title: Protons against photons
population:
  accrual: {patients_per_month: 3.5}
  strata: {nsclc: 0.57, breast: 0.43}
endpoints:
  pfs: {kind: time_to_event}
arms:
  ifrt: {control: true}
  pcsi: {}
truths:
  nothing:
    pfs: {ifrt: {median_months: 2.3}, pcsi: {same_as: ifrt}}
  better:
    like: nothing
    pfs: {pcsi: {hazard_ratio: 0.5}}
designs:
  frequentist:
    kind: two_arm
    endpoint: pfs
    allocation: {ratio: {ifrt: 1, pcsi: 2}, block: 6, stratify_by: [strata]}
    max_patients: 63
    looks: {events: [25, 50]}
    analysis: {kind: log_rank, stratified: true}
    rules:
      - {stop_for: efficacy, spending: obrien_fleming, alpha: 0.025}
      - {stop_for: harm, when: {statistic: z, is_below: -2}}
  bayesian:
    like: frequentist
    analysis: {kind: gamma_exponential, prior: {events: 0.5, months: 1.0}}
    rules:
      - {stop_for: efficacy, when: {probability_that: hazard_ratio, below: 1.0, exceeds: 0.99}}
      - {stop_for: futility, at: interim, when: {predictive_probability_of: success, is_below: 0.05}}
run: {replicates: 1000, seed: 7}
"""

RATES = """\
schema: 1
title: Response of one arm and of two
population:
  accrual: {sites: 5, patients_per_site_month: 0.4}
endpoints:
  response: {kind: binary, assessed_after_months: 2}
  toxicity: {kind: binary, better: lower}
  os3: {kind: survival_at_month, month: 3}
arms:
  old: {control: true}
  new: {}
truths:
  nothing:
    response: {old: {rate: 0.2}, new: {rate: 0.2}}
    toxicity: {old: {rate: 0.3}, new: {rate: 0.3}}
    os3: {old: {rate: 0.3}, new: {median_months: 2.0}}
  better:
    like: nothing
    response: {new: {difference: 0.2}}
designs:
  simon:
    kind: simon_two_stage
    endpoint: response
    null_rate: 0.2
    target_rate: 0.4
    alpha: 0.05
    beta: 0.2
    criterion: optimal
  given:
    kind: simon_two_stage
    endpoint: response
    null_rate: 0.2
    stages: [{patients: 13, stop_if_at_most: 3}, {patients: 43, stop_if_at_most: 12}]
  ahern: {kind: single_stage, endpoint: os3, null_rate: 0.2, target_rate: 0.4, alpha: 0.05, beta: 0.2, method: exact}
  monitored:
    kind: posterior_monitoring
    endpoint: response
    null_rate: 0.2
    prior: {alpha: 0.5, beta: 1.5}
    max_patients: 40
    looks: {from: 10, every: 10, to: 40}
    futility_below: 0.1
    efficacy_above: 0.99
    success_above: 0.95
  predicted:
    kind: predictive_monitoring
    endpoint: response
    null_rate: 0.2
    prior: {alpha: 0.5, beta: 1.5}
    max_patients: 40
    looks: [10, 20, 30]
    theta_l: 0.05
    theta_t: 0.95
  bop:
    kind: bop2
    endpoint: response
    null_rate: 0.2
    prior: {alpha: 0.5, beta: 1.5}
    max_patients: 40
    looks: [10, 20, 30]
    lambda: 0.9
    gamma: 1
  one:
    kind: single_arm
    endpoint: response
    null_rate: 0.2
    max_patients: 30
    looks: {evaluable: [15, 30]}
    analysis: {kind: beta_binomial, prior: {alpha: 1, beta: 1}}
    rules:
      - {stop_for: futility, at: interim, when: {number_of: responses, at_most: 2}}
      - {stop_for: efficacy, at: final, when: {probability_that: rate, above: 0.2, exceeds: 0.95}}
  two:
    kind: two_arm
    endpoint: response
    allocation: {block: 4}
    max_patients: 60
    looks: {evaluable: [30, 60]}
    accrual_at_looks: pauses
    analysis: {kind: beta_binomial, priors: {old: {alpha: 1, beta: 4}, new: {alpha: 1, beta: 1}}}
    rules:
      - {stop_for: futility, at: interim, when: {predictive_probability_of: success, is_below: 0.05}}
      - {stop_for: efficacy, when: {probability_that: difference, above: 0.0, exceeds: [0.99, 0.975]}}
run: {replicates: 1000, seed: 7}
"""

BASKETS = """\
schema: 1
title: One drug in three diseases
population:
  accrual: {patients_per_month: 6}
  strata: {breast: 0.5, lung: 0.3, melanoma: 0.2}
endpoints:
  response: {kind: binary}
arms:
  drug: {}
truths:
  nothing:
    response: {drug: {rate: 0.2}}
designs:
  sources:
    kind: basket
    endpoint: response
    null_rate: 0.2
    target_rate: 0.4
    max_patients: 20
    baskets:
      breast: {max_patients: 24}
      lung: {null_rate: 0.25, closes_if: {by_month: 6, fewer_than: 3}}
      melanoma: {opens_at_month: 2}
    looks: {in_each: [8, 14]}
    analysis: {kind: multi_source_exchangeability, models: local, exchangeability: 0.5, prior: {alpha: 0.5, beta: 0.5}}
    rules:
      - {stop_for: futility, at: [1, 2], when: {probability_that: rate, above: midpoint, is_below: [0.05, 0.1]}}
      - {stop_for: efficacy, at: final, when: {probability_that: rate, above: null_rate, exceeds: 0.95}}
  mixture:
    kind: basket
    endpoint: response
    null_rate: 0.2
    max_patients: 20
    max_in_all: 50
    looks: {in_all: [20, 35]}
    analysis:
      kind: exnex
      exchangeable: [{weight: 0.5, mean: {mean: -1.4, sd: 2}, sd: {kind: half_normal, scale: 1}}]
      non_exchangeable: {weight: 0.5, mean: -1.4, sd: 2}
    rules:
      - {stop_for: futility, at: interim, when: {predictive_probability_of: success, is_below: 0.05}}
      - {stop_for: efficacy, at: final, when: {probability_that: rate, above: {by_basket: {breast: 0.2, lung: 0.2, melanoma: 0.3}}, exceeds: 0.9}}
  weights:
    kind: basket
    endpoint: response
    null_rate: 0.2
    max_patients: 20
    analysis: {kind: power_prior, weights: {kind: jensen_shannon, epsilon: 2, tau: 0.5}, prior: {alpha: 1, beta: 1}}
    rules: [{stop_for: efficacy, when: {probability_that: rate, above: null_rate, exceeds: 0.9}}]
run: {replicates: 1000, seed: 7}
"""

EFFECTS = """schema: 1
title: Followed and randomised in three diseases
population:
  accrual: {patients_per_month: 3}
  strata: {breast: 0.5, lung: 0.3, melanoma: 0.2}
endpoints:
  os: {kind: time_to_event}
  response: {kind: binary}
arms:
  usual: {control: true}
  drug: {}
truths:
  nothing:
    os: {usual: {median_months: 3}, drug: {same_as: usual}}
    response: {usual: {rate: 0.2}, drug: {same_as: usual}}
designs:
  followed:
    kind: basket
    endpoint: os
    null_median: 3
    target_median: 6
    max_patients: 12
    follow_up_months: 2
    looks: {in_each: [6]}
    analysis: {kind: exnex, exchangeable: [{weight: 0.5, mean: {mean: 1, sd: 1}, sd: {kind: half_normal, scale: 1}}], non_exchangeable: {weight: 0.5, mean: 1, sd: 1}}
    rules:
      - {stop_for: futility, at: interim, when: {number_of: events, at_least: 6}}
      - {stop_for: efficacy, when: {probability_that: median, above: null_median, exceeds: 0.95}}
  gammas:
    like: followed
    analysis: {kind: gamma_exponential, prior: {events: 1, months: 4}}
  ratios:
    kind: basket
    endpoint: os
    arms: {control: usual, treatment: drug}
    ratio: {usual: 1, drug: 2}
    target_ratio: 0.6
    max_patients: 18
    analysis: {kind: hierarchical, control_hazard: {events: 1, months: 4}, mean: {mean: 0, sd: 1}, sd: {kind: half_normal, scale: 1}}
    rules: [{stop_for: efficacy, when: {probability_that: hazard_ratio, below: null_ratio, exceeds: 0.9}}]
  odds:
    like: ratios
    endpoint: response
    target_ratio: 3
    analysis: {kind: hierarchical, control_rate: {alpha: 1, beta: 4}, mean: {mean: 0, sd: 1}, sd: {kind: half_normal, scale: 1}}
    rules: [{stop_for: efficacy, when: {probability_that: odds_ratio, above: 1.2, exceeds: 0.9}}]
run: {replicates: 1000, seed: 7}
"""

PLATFORMS = """schema: 1
title: Arms that come and go
population:
  accrual: {patients_per_month: 5}
  strata: {breast: 0.6, lung: 0.4}
endpoints:
  response: {kind: binary, assessed_after_months: 1}
  os: {kind: time_to_event}
  cells: {kind: continuous, better: lower}
arms:
  usual: {control: true}
  first: {}
  second: {}
  third: {}
truths:
  nothing:
    response: {usual: {rate: 0.2}, first: {same_as: usual}, second: {same_as: usual}, third: {same_as: usual}}
    os: {usual: {median_months: 4}, first: {hazard_ratio: 0.9}, second: {same_as: usual}, third: {same_as: usual}}
    cells: {usual: {mean: 2, sd: 1}, first: {mean_difference: -1}, second: {same_as: usual}, third: {same_as: usual}}
    drift: {per_month: 0.01, steps: [{at_month: 6, by: 0.2}], factors: {first: 2}}
designs:
  adaptive:
    kind: platform
    endpoint: response
    max_patients: 120
    max_per_arm: 40
    arms: {first: {}, second: {enters_at_month: 6, strata: [breast]}, third: {enters_at_patients: 30}}
    arms_at_once: 2
    max_months: 60
    allocation: {kind: thall_wathen, power: 1, floor: 0.1, control_share: 0.25}
    looks: {evaluable: [40, 60, 80]}
    analysis: {kind: beta_binomial, prior: {alpha: 1, beta: 1}}
    confirmatory_trial: {patients: 200}
    rules:
      - {stop_for: futility, at: interim, when: {predictive_probability_of: confirmatory_trial, is_below: 0.1}}
      - {stop_for: efficacy, when: {probability_that: difference, above: 0, exceeds: [0.99, 0.99, 0.98, 0.97]}}
      - {stop_for: harm, when: {probability_that: rate, above: 0.1, is_below: {by_arm: {first: 0.01}}}}
  stages:
    kind: platform
    endpoint: cells
    max_patients: 160
    looks: {patients: [80]}
    keep_best: [2]
    analysis: {kind: difference_of_means, sd: 1}
    rules:
      - {stop_for: efficacy, boundary: obrien_fleming, alpha: 0.025}
      - {stop_for: futility, at: interim, when: {statistic: z, is_below: 0}}
  survival:
    kind: platform
    endpoint: os
    max_patients: 150
    looks: {events: [40, 80]}
    follow_up_months: 6
    allocation: {kind: trippa, follows: {endpoint: response, analysis: {kind: beta_binomial, prior: {alpha: 1, beta: 1}}}}
    analysis: {kind: log_rank}
    rules: [{stop_for: efficacy, when: {statistic: z, exceeds: [3, 2.5, 2]}}]
  champion:
    kind: platform
    endpoint: response
    without_control: true
    max_patients: 100
    analysis: {kind: beta_binomial, prior: {alpha: 1, beta: 1}}
    ends_if_alike: {within: 0.1, exceeds: 0.9}
    rules: [{stop_for: efficacy, when: {probability_that: best, exceeds: 0.95}}]
  adjusted:
    kind: platform
    endpoint: response
    max_patients: 240
    max_months: 50
    controls: all
    analysis:
      kind: regression
      level: {mean: -1, sd: 1}
      prior: {sd: 1.5}
      strata: {sd: 0.5}
      time: {months: 6, walk: {sd: {kind: half_normal, scale: 0.3}}}
    rules: [{stop_for: efficacy, when: {probability_that: odds_ratio, above: 1, exceeds: 0.95}}]
  enriching:
    kind: platform
    endpoint: response
    max_patients: 90
    controls: concurrently_eligible
    closed_strata: left_out
    looks: {evaluable: [30, 50]}
    analysis: {kind: beta_binomial, prior: {alpha: 1, beta: 2}}
    rules:
      - {of: each_stratum, stop_for: futility, from_patients: 6, when: {probability_that: difference, above: 0, is_below: 0.2}}
      - {stop_for: efficacy, when: {probability_that: difference, above: 0, exceeds: 0.98}}
run: {replicates: 1000, seed: 7}
"""
