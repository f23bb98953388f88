/** The report as one HTML file that needs nothing else: table, histograms, best and worst examples with pictures. */
import sharp from 'sharp';
import type { Frame } from '../../../model/frames/index.js';
import type { Item, Task } from './items.js';
import { judgementText, type Judgement } from './judge.js';
import { rowLabel } from './rows.js';
import { ITEM_SCORES, type Figure, type RowScores } from './scores.js';
import type { Pictures } from './views.js';

/** Examples shown of each end. */
const EXAMPLES = 6;
/** Pictures of one video. */
const PICTURES = 3;
/** Pixels; small enough that the file stays below a megabyte. */
const PICTURE_WIDTH = 240;
const BINS = 20;
/** After the point, of figures in tables. */
const DIGITS = 3;

export interface HtmlReport {
  readonly task: Task;
  readonly title: string;
  /** Name and value, below the title. */
  readonly facts: readonly (readonly [string, string])[];
  readonly items: readonly Item[];
  readonly rows: readonly RowScores[];
  readonly judge: Judgement | null;
  /** Frames of an item to show; none where there is nothing to see. */
  readonly pictures: (item: Item, count: number) => Promise<Pictures>;
}

export async function htmlReport(report: HtmlReport): Promise<string> {
  const { title, facts, rows, judge, task } = report;
  const { label } = ITEM_SCORES[task];
  const main = rows[0];
  const ranked = main === undefined ? [] : [...main.items].sort((a, b) => b.score - a.score);
  const count = Math.min(EXAMPLES, Math.ceil(ranked.length / 2));
  const best = ranked.slice(0, count);
  const worst = ranked.slice(ranked.length - Math.min(EXAMPLES, ranked.length - count)).reverse();
  const greatest = Math.max(0, ...rows.flatMap(({ items }) => items.map(({ score }) => score)));
  // Captions seldom come near the greatest possible score: an axis up to it would squeeze every bar into a corner.
  const end = task === 'qa' ? ITEM_SCORES.qa.most : Math.max(1, Math.ceil(greatest));
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>${escaped(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${escaped(title)}</h1>
<dl>${facts.map(([name, value]) => `<div><dt>${escaped(name)}</dt><dd>${escaped(value)}</dd></div>`).join('')}</dl>
<h2>Scores</h2>
${scoresTable(rows)}
${typesTable(rows)}
${judge === null ? '' : `<pre>${escaped(judgementText(judge))}</pre>`}
<h2>${label} of single items</h2>
<div class="charts">${rows.map((row) => histogram(row, end)).join('')}</div>
<h2>Best examples</h2>
<p>By ${label} of the row &ldquo;${escaped(rowLabel(main?.row ?? ''))}&rdquo;.</p>
${await examples(best, report)}
<h2>Worst examples</h2>
${await examples(worst, report)}
</main>
</body>
</html>
`;
}

function scoresTable(rows: readonly RowScores[]): string {
  const figures = rows[0]?.figures ?? [];
  // Only rows of all items compare; where they agree none stands out.
  const whole = rows.filter(({ count }) => count === Math.max(...rows.map((row) => row.count)));
  const highest = figures.map((_, i) => {
    const values = whole.map((row) => row.figures[i]?.value ?? 0);
    const best = Math.max(...values);
    // As printed: nobody sees what lies behind the last digit.
    return values.filter((value) => value.toFixed(DIGITS) === best.toFixed(DIGITS)).length === 1 && values.length > 1 ? whole[values.indexOf(best)]?.row : undefined;
  });
  const body = rows.map(
    ({ row, count, failed, figures: own }) =>
      `<tr><th scope="row">${escaped(rowLabel(row))}</th><td>${count}${failed === 0 ? '' : ` <small>${failed} failed</small>`}</td>` +
      own.map((figure, i) => `<td${highest[i] === row ? ' class="top"' : ''}>${figureCell(figure)}</td>`).join('') +
      '</tr>',
  );
  const note = figures.some(({ interval }) => interval !== null) ? '<p>Small figures: bootstrap 95% interval. Bold: the highest of a column, among rows of all items.</p>' : '';
  return `<div class="wide"><table><thead><tr><th scope="col">The model is given</th><th scope="col">items</th>${figures
    .map(({ label }) => `<th scope="col">${escaped(label)}</th>`)
    .join('')}</tr></thead><tbody>${body.join('')}</tbody></table></div>${note}`;
}

function typesTable(rows: readonly RowScores[]): string {
  const names = [...new Set(rows.flatMap(({ types }) => types.map(({ name }) => name)))].sort();
  if (names.length === 0) return '';
  const body = names.map((name) => {
    const parts = rows.map(({ types }) => types.find((type) => type.name === name));
    const cells = parts.map((part) => `<td>${part?.figures[0] === undefined ? '&ndash;' : figureCell(part.figures[0])}</td>`);
    return `<tr><th scope="row">${escaped(name)}</th><td>${Math.max(...parts.map((part) => part?.count ?? 0))}</td>${cells.join('')}</tr>`;
  });
  return `<h2>Exact match by type of question</h2><div class="wide"><table><thead><tr><th scope="col">Type</th><th scope="col">items</th>${rows
    .map(({ row }) => `<th scope="col">${escaped(rowLabel(row))}</th>`)
    .join('')}</tr></thead><tbody>${body.join('')}</tbody></table></div>`;
}

function figureCell({ value, interval }: Figure): string {
  return value.toFixed(DIGITS) + (interval === null ? '' : ` <small>${interval.map((end) => end.toFixed(DIGITS)).join('&ndash;')}</small>`);
}

/** Share of items in each of 20 equal stretches of the score, as bars. */
function histogram({ row, items }: RowScores, most: number): string {
  const counts = new Array<number>(BINS).fill(0);
  for (const { score } of items) {
    const bin = Math.min(BINS - 1, Math.floor((score / most) * BINS));
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  const [width, height, foot, left] = [300, 130, 18, 34];
  const tallest = Math.max(...counts);
  const step = (width - left) / BINS;
  const bars = counts.map((count, i) => {
    const tall = tallest === 0 ? 0 : (count / tallest) * (height - 12);
    const range = `${((i * most) / BINS).toFixed(2)} to ${(((i + 1) * most) / BINS).toFixed(2)}: ${count} of ${items.length}`;
    return `<rect x="${(left + i * step + 0.5).toFixed(1)}" y="${(height - tall).toFixed(1)}" width="${(step - 1).toFixed(1)}" height="${tall.toFixed(1)}"><title>${range}</title></rect>`;
  });
  const text = (x: number, y: number, anchor: string, value: string): string => `<text x="${x}" y="${y}" text-anchor="${anchor}">${value}</text>`;
  const mean = items.reduce((sum, { score }) => sum + score, 0) / Math.max(1, items.length);
  const at = (left + ((width - left) * Math.min(most, mean)) / most).toFixed(1);
  const share = `${((100 * tallest) / Math.max(1, items.length)).toFixed(0)}%`;
  return `<figure><svg viewBox="0 0 ${width} ${height + foot}" role="img" aria-label="${escaped(`Histogram, ${rowLabel(row)}`)}">
<line x1="${left}" y1="${height}" x2="${width}" y2="${height}"/>${bars.join('')}<line class="mean" x1="${at}" y1="4" x2="${at}" y2="${height}"/>
${text(left - 4, 18, 'end', share)}${text(left - 4, height, 'end', '0')}${text(left, height + 14, 'start', '0')}${text((left + width) / 2, height + 14, 'middle', String(most / 2))}${text(width, height + 14, 'end', String(most))}
</svg><figcaption>${escaped(rowLabel(row))}, mean ${mean.toFixed(DIGITS)}</figcaption></figure>`;
}

async function examples(chosen: RowScores['items'], { items, rows, pictures, task }: HtmlReport): Promise<string> {
  const cards: string[] = [];
  for (const { id } of chosen) {
    const item = items.find((other) => other.id === id);
    if (item === undefined) continue;
    const { frames, decoded } = await pictures(item, PICTURES);
    const images = await Promise.all(frames.map(async (frame) => {
      const when = `${frame.time_s.toFixed(1)} s`;
      return `<figure><img src="${await dataUrl(frame)}" alt="${escaped(`${item.source} at ${when}`)}"><figcaption>${[...(frames.length > 1 ? [when] : []), decoded ? 'decoded' : 'original'].join(', ')}</figcaption></figure>`;
    }));
    const said = rows.flatMap((row) => {
      const scored = row.items.find((other) => other.id === id);
      return scored === undefined ? [] : [`<tr><th scope="row">${escaped(rowLabel(row.row))}</th><td>${scored.score.toFixed(2)}</td><td>${escaped(scored.text) || '<em>nothing</em>'}</td></tr>`];
    });
    const question = task === 'qa' && item.question !== null ? `<p class="question">${escaped(item.question)}</p>` : '';
    const written = item.accepted.map((text) => `<li>${escaped(text)}</li>`).join('');
    cards.push(`<article><h3>${escaped(item.source)}</h3><div class="pictures">${images.length === 0 ? '<p class="blank">no picture</p>' : images.join('')}</div><div>
${question}<table>${said.join('')}</table><p>${task === 'qa' ? 'Accepted' : 'People wrote'}</p><ul>${written}</ul></div></article>`);
  }
  return cards.join('\n');
}

async function dataUrl({ width, height, data }: Frame): Promise<string> {
  const jpeg = await sharp(data, { raw: { width, height, channels: 3 } }).resize({ width: PICTURE_WIDTH, withoutEnlargement: true }).jpeg({ quality: 78 }).toBuffer();
  return `data:image/jpeg;base64,${jpeg.toString('base64')}`;
}

/** Text of files and models inside HTML. */
function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

const STYLE = `
:root { color-scheme: light dark; --ink: #1c2530; --soft: #5b6875; --line: #d5dbe1; --bar: #2f6fb3; --card: #f6f8fa; --page: #fff }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9ee; --soft: #9aa7b4; --line: #3a444e; --bar: #6aa7e6; --card: #1d242b; --page: #14191e } }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif }
main { max-width: 1040px; margin: 0 auto; padding: 24px 20px 60px }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 12px; overflow-wrap: anywhere }
h2 { font-size: 19px; margin: 36px 0 10px }
h3 { font-size: 15px; margin: 0 0 6px; overflow-wrap: anywhere }
dl { display: flex; flex-wrap: wrap; gap: 4px 28px; margin: 0 }
dt { color: var(--soft); font-size: 12px } dd { margin: 0; overflow-wrap: anywhere }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: 5px 14px 5px 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line) }
thead th { color: var(--soft); font-weight: 600; font-size: 13px }
tbody th { font-weight: 500 } article th { white-space: nowrap }
.top { font-weight: 700 }
small { color: var(--soft); font-weight: 400; white-space: nowrap }
p { color: var(--soft); margin: 8px 0 } pre { white-space: pre-wrap }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(220px, 1fr)); gap: 18px }
figure { margin: 0 } figcaption { color: var(--soft); font-size: 13px }
svg { width: 100%; height: auto } rect { fill: var(--bar) } line { stroke: var(--line) } text { fill: var(--soft); font-size: 11px }
line.mean { stroke: var(--ink); stroke-dasharray: 3 3 }
article { background: var(--card); border-radius: 8px; padding: 16px; margin: 12px 0 }
article h3 { margin-bottom: 10px }
.pictures { display: flex; flex-wrap: wrap; gap: 10px; margin-bottom: 12px } .pictures figure { width: 240px; max-width: 100% } img { width: 100%; border-radius: 4px; display: block }
.blank { border: 1px dashed var(--line); border-radius: 4px; padding: 24px 40px; margin: 0 }
.question { color: var(--ink); font-weight: 600; margin: 0 0 6px }
ul { margin: 0; padding-left: 18px }
`;
