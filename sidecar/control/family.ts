// One metric of the page.

/** One line of the page. `suffix` is `_bucket`, `_sum` or `_count` of a histogram. */
export interface Sample {
  readonly suffix?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  /** Counters without `_total`: the two formats write it differently. */
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly read: () => readonly Sample[];
}
