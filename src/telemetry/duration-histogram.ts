import { Histogram, type Registry } from 'prom-client';

/**
 * A histogram whose cells are plain arrays, read only when it is scraped: an observation costs some 10 ns where
 * prom-client's own, which hashes labels and looks buckets up by name, costs 0.4 µs (test/bench/record.ts).
 */
export class DurationHistogram<Label extends string> extends Histogram<Label> {
  readonly #name: string;
  readonly #help: string;
  readonly #boundsSeconds: readonly number[];
  readonly #cells: { readonly labels: Record<Label, string>; readonly cell: DurationCell }[] = [];

  constructor(options: {
    readonly name: string;
    readonly help: string;
    readonly labelNames: readonly Label[];
    readonly boundsSeconds: readonly number[];
    readonly registry: Registry;
  }) {
    const { name, help, labelNames, boundsSeconds, registry } = options;
    super({ name, help, labelNames: [...labelNames], buckets: [...boundsSeconds], registers: [registry] });
    this.#name = name;
    this.#help = help;
    this.#boundsSeconds = boundsSeconds;
  }

  /** Makes the cell of one label set; the caller keeps it and bounds how many there are. */
  cell(labels: Record<Label, string>): DurationCell {
    const cell = new DurationCell(this.#boundsSeconds);
    this.#cells.push({ labels, cell });
    return cell;
  }

  /** What both `get` and `Registry.metrics()` of prom-client 15 read; it is not among that library's types. */
  async getForPromString(): Promise<object> {
    return { name: this.#name, help: this.#help, type: 'histogram', aggregator: 'sum', values: this.#values() };
  }

  #values(): SampleOf<Label>[] {
    const samples: SampleOf<Label>[] = [];
    const push = (suffix: string, labels: Record<string, string | number>, value: number): void => {
      // `le` is the one label that prom-client's types do not know of.
      samples.push({ metricName: `${this.#name}${suffix}`, labels: labels as SampleOf<Label>['labels'], value });
    };
    for (const { labels, cell } of this.#cells) {
      let cumulated = 0;
      for (const [index, bound] of this.#boundsSeconds.entries()) {
        cumulated += cell.counts[index] ?? 0;
        push('_bucket', { ...labels, le: bound }, cumulated);
      }
      push('_bucket', { ...labels, le: '+Inf' }, cell.count);
      push('_sum', labels, cell.sumSeconds);
      push('_count', labels, cell.count);
    }
    return samples;
  }
}

/** One label set's counts; `counts` is per bucket, not cumulative, and leaves out what is above the last bound. */
export class DurationCell {
  readonly counts: Float64Array;
  count = 0;
  sumSeconds = 0;
  readonly #boundsSeconds: readonly number[];

  constructor(boundsSeconds: readonly number[]) {
    this.#boundsSeconds = boundsSeconds;
    this.counts = new Float64Array(boundsSeconds.length);
  }

  /** A negative or unreadable duration (a clock that was set back) counts as zero. */
  observe(seconds: number): void {
    const value = seconds > 0 ? seconds : 0;
    this.count += 1;
    this.sumSeconds += value;
    const bounds = this.#boundsSeconds;
    for (let index = 0; index < bounds.length; index += 1) {
      if (value <= (bounds[index] ?? 0)) {
        this.counts[index] = (this.counts[index] ?? 0) + 1;
        return;
      }
    }
  }
}

type SampleOf<Label extends string> = Awaited<ReturnType<Histogram<Label>['get']>>['values'][number];
