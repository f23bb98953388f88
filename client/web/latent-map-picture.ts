/** What is drawn: N points of a video of `total` frames. */
export interface MapPicture {
  /** (N) */
  readonly frames: Uint32Array;
  /** (N, 2), at any scale */
  readonly places: Float32Array;
  readonly total: number;
  /** First frames of the shots: no line is drawn across a cut. */
  readonly shots: readonly number[];
  readonly current: number;
  /** The point that is pointed at. */
  readonly looksAt: number | null;
}

/** Pixels kept free at the edges. */
const margin = 18;
/** Pixels from a point within which it is meant. */
const reach = 40;

/** Draws points in the colour of their time, the way from one to the next, and where the player is. */
export function drawMap(canvas: HTMLCanvasElement, { frames, places, total, shots, current, looksAt }: MapPicture): void {
  const density = Math.min(2, devicePixelRatio);
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (width === 0) return;
  canvas.width = Math.round(width * density);
  canvas.height = Math.round(height * density);
  const context = canvas.getContext('2d');
  if (!context || frames.length === 0) return;
  context.scale(density, density);
  const spots = onCanvas(places, width, height);
  const cuts = new Set(shots);
  const ink = getComputedStyle(canvas).color;
  context.lineWidth = 1;
  context.strokeStyle = ink;
  context.globalAlpha = 0.22;
  context.beginPath();
  spots.forEach(([x, y], point) => {
    const crosses = between(frames[point - 1] ?? 0, frames[point] ?? 0, cuts);
    if (point === 0 || crosses) context.moveTo(x, y);
    else context.lineTo(x, y);
  });
  context.stroke();
  context.globalAlpha = 1;
  const radius = frames.length > 300 ? 3 : 4.5;
  spots.forEach(([x, y], point) => {
    context.fillStyle = timeColour((frames[point] ?? 0) / Math.max(1, total - 1));
    dot(context, x, y, radius);
  });
  const here = nearestInTime(frames, current);
  for (const [point, size] of [[here, radius + 4], [looksAt, radius + 2]] as const) {
    const spot = point === null ? undefined : spots[point];
    if (!spot) continue;
    context.fillStyle = timeColour((frames[point as number] ?? 0) / Math.max(1, total - 1));
    dot(context, ...spot, size);
    context.lineWidth = point === here ? 2.5 : 1.5;
    context.stroke();
  }
}

/** The point nearest to a place on the canvas, CSS pixels from its corner; null where none is near. */
export function nearest(canvas: HTMLCanvasElement, places: Float32Array, x: number, y: number): number | null {
  let best: number | null = null;
  let least = reach;
  onCanvas(places, canvas.clientWidth, canvas.clientHeight).forEach(([px, py], point) => {
    const distance = Math.hypot(px - x, py - y);
    if (distance < least) [best, least] = [point, distance];
  });
  return best;
}

/** Scaled to fill the canvas, each direction by itself: distances on such a map have no unit. */
function onCanvas(places: Float32Array, width: number, height: number): [number, number][] {
  const points = Array.from({ length: places.length / 2 }, (_, point): [number, number] => [places[2 * point] ?? 0, places[2 * point + 1] ?? 0]);
  const scale = (axis: 0 | 1, size: number): ((value: number) => number) => {
    const values = points.map((point) => point[axis]);
    const least = Math.min(...values);
    const range = Math.max(...values) - least || 1;
    return (value) => margin + ((value - least) / range) * (size - 2 * margin);
  };
  const [across, down] = [scale(0, width), scale(1, height)];
  return points.map(([x, y]) => [across(x), down(y)]);
}

function nearestInTime(frames: Uint32Array, current: number): number {
  let best = 0;
  frames.forEach((frame, point) => {
    if (Math.abs(frame - current) < Math.abs((frames[best] ?? 0) - current)) best = point;
  });
  return best;
}

function between(from: number, to: number, cuts: ReadonlySet<number>): boolean {
  for (let frame = from + 1; frame <= to; frame++) if (cuts.has(frame)) return true;
  return false;
}

function dot(context: CanvasRenderingContext2D, x: number, y: number, radius: number): void {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}

/** From violet through teal to amber, told apart on dark and on light. The legend's gradient has the same ends. */
function timeColour(share: number): string {
  const stops = [[122, 92, 214], [38, 150, 168], [240, 165, 48]] as const;
  const [from, to, part] = share < 0.5 ? [stops[0], stops[1], share * 2] : [stops[1], stops[2], share * 2 - 1];
  const mix = (channel: 0 | 1 | 2): number => Math.round(from[channel] + (to[channel] - from[channel]) * part);
  return `rgb(${mix(0)} ${mix(1)} ${mix(2)})`;
}
