import { nextTurn } from "../kernel/clock.ts";

const NAME = "weir_http_request_duration_seconds";
/** Upper ends, seconds. */
const BUCKETS_S = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5];
/** Series put into words before others have their turn: a fifth of a millisecond. */
const SERIES_AT_ONCE = 100;

interface Series {
  /** `method="GET",route="/v1/usage",status="200"` */
  labels: string;
  /** Requests by the bucket they fell into; the last is for what took longer than any. */
  counts: number[];
  sum: number;
}

/**
 * How long requests took, by method, route and status: a histogram of Prometheus' text format. There are a thousand series once every
 * route has been refused in every way, and prom-client makes an object and a text of each of their lines at one go: 10 to 30 ms for a
 * scrape, which anybody may ask for, and every check waited for it.
 */
export class RequestDurations {
  readonly #series = new Map<string, Series>();

  observe(method: string, route: string, status: number, seconds: number): void {
    const key = `${method} ${status} ${route}`;
    let series = this.#series.get(key);
    if (!series) {
      const labels = `method="${method}",route="${route}",status="${status}"`;
      series = { labels, counts: Array.from({ length: BUCKETS_S.length + 1 }, () => 0), sum: 0 };
      this.#series.set(key, series);
    }
    const at = BUCKETS_S.findIndex((end) => seconds <= end);
    const bucket = at === -1 ? BUCKETS_S.length : at;
    series.counts[bucket] = (series.counts[bucket] ?? 0) + 1;
    series.sum += seconds;
  }

  /** All series, some in each turn of the event loop. */
  async text(): Promise<string> {
    let text = `# HELP ${NAME} Time a request took\n# TYPE ${NAME} histogram\n`;
    let written = 0;
    for (const series of this.#series.values()) {
      text += linesOf(series);
      if (++written % SERIES_AT_ONCE === 0) await nextTurn();
    }
    return text;
  }
}

function linesOf({ labels, counts, sum }: Series): string {
  let lines = "";
  let count = 0;
  counts.forEach((n, i) => {
    count += n;
    lines += `${NAME}_bucket{le="${BUCKETS_S[i] ?? "+Inf"}",${labels}} ${count}\n`;
  });
  return `${lines}${NAME}_sum{${labels}} ${sum}\n${NAME}_count{${labels}} ${count}\n`;
}
