/** The names of PromQL that the agent knows, for completion: it refuses what is not among them. */

const AGGREGATIONS = "sum avg min max count topk bottomk quantile stddev stdvar group count_values";
const FUNCTIONS =
  "rate increase irate delta idelta deriv predict_linear changes resets " +
  "avg_over_time min_over_time max_over_time sum_over_time count_over_time quantile_over_time stddev_over_time " +
  "stdvar_over_time last_over_time first_over_time present_over_time absent_over_time " +
  "abs absent ceil clamp clamp_max clamp_min floor round sgn sqrt exp ln log2 log10 histogram_quantile " +
  "label_join label_replace scalar vector sort sort_desc time timestamp " +
  "hour minute day_of_week day_of_month day_of_year days_in_month month year " +
  "acos acosh asin asinh atan atanh cos cosh sin sinh tan tanh deg rad pi";

export interface Name {
  name: string;
  /** What it is, beside it. */
  about: string;
  /** What stands behind it once it is chosen. */
  tail?: string;
}

export const CALLS: readonly Name[] = [
  ...AGGREGATIONS.split(" ").map((name) => ({ name, about: "aggregation", tail: "(" })),
  ...FUNCTIONS.split(" ").map((name) => ({ name, about: "function", tail: "(" })),
  ...["by", "without", "on", "ignoring", "group_left", "group_right"].map((name) => ({ name, about: "keyword", tail: " (" })),
  ...["and", "or", "unless", "bool", "offset"].map((name) => ({ name, about: "keyword", tail: " " })),
];

export const DURATIONS: readonly Name[] = ["1m", "5m", "15m", "1h", "6h", "1d"].map((name) => ({ name, about: "" }));
