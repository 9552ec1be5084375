/** A plot of what was done over time. */

import { duration } from "../../app/format.ts";
import { text } from "./messages.ts";

export interface Point {
  /** Milliseconds since 1970. */
  at: number;
  done: number;
}

const WIDTH = 600;
const HEIGHT = 120;

export function Throughput({ points }: { points: Point[] }) {
  const first = points[0] as Point;
  const last = points.at(-1) as Point;
  const time = Math.max(1, last.at - first.at);
  const most = Math.max(1, ...points.map((point) => point.done));
  const line = points.map((point) => `${(((point.at - first.at) / time) * WIDTH).toFixed(1)},${(HEIGHT - (point.done / most) * HEIGHT).toFixed(1)}`);
  return (
    <figure className="card stack-small">
      <figcaption className="muted small">
        {text.throughput} · {duration(time)}
      </figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} width="100%" height={HEIGHT} preserveAspectRatio="none" role="img" aria-label={text.throughput}>
        <polyline points={line.join(" ")} fill="none" stroke="var(--accent)" strokeWidth="2" vectorEffect="non-scaling-stroke" />
      </svg>
    </figure>
  );
}
