/** Plots as SVG text: panels of lines or points with titled axes and one legend. Drawn by ECharts, which needs no browser for it. */
import { LineChart, ScatterChart } from 'echarts/charts';
import { GridComponent, LegendComponent, TitleComponent } from 'echarts/components';
import * as echarts from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';

export interface Plot {
  readonly title: string;
  readonly panels: readonly Panel[];
  /** Panels side by side. Default: up to three. */
  readonly across?: number;
}

export interface Panel {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
}

export interface Axis {
  /** What it shows, with its unit. */
  readonly name: string;
  /** `category`: places of equal distance, in order of first appearance. `place`: a number without meaning, not written. */
  readonly scale: 'linear' | 'log' | 'category' | 'place';
}

export interface Series {
  /** In the legend; series of one name in several panels look alike. */
  readonly name: string;
  readonly points: readonly (readonly [x: number | string, y: number])[];
  /** Whether points are joined. Default true. */
  readonly joined?: boolean;
}

/** Okabe and Ito's colours, told apart by people of all kinds of sight, without the yellow that is faint on white. */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#56b4e9', '#e69f00', '#000000', '#7f7f7f', '#8c564b'];
const SYMBOLS = ['circle', 'rect', 'triangle', 'diamond', 'emptyCircle', 'emptyRect', 'emptyTriangle', 'emptyDiamond'];
const TEXT = '#222222';
const LINES = '#d8d8d8';
/** Pixels. */
const PANEL = { width: 380, height: 290, left: 76, right: 20, top: 34, bottom: 62 };
/** Of a panel that stands alone. */
const ALONE = 600;
const MOST_ACROSS = 3;
const TITLE_HEIGHT = 40;
const LEGEND_ROW = 26;
/** Of a letter's size, its width in a wide sans-serif: too much room is better than letters on each other. */
const LETTER = 0.6;
const LEGEND_SIZE = 12;
/** Pixels before and behind each name of the legend. */
const LEGEND_MARK = 50;

let registered = false;

export function plotSvg({ title, panels, across: wanted = MOST_ACROSS }: Plot): string {
  if (!registered) register();
  const across = Math.min(wanted, Math.max(1, panels.length));
  const names = [...new Set(panels.flatMap(({ series }) => series.map(({ name }) => name)))];
  const panelWidth = across === 1 ? ALONE : PANEL.width;
  const width = across * panelWidth;
  const legendRows = rowsOf(names.map((name) => name.length * LETTER * LEGEND_SIZE + LEGEND_MARK), width - 40);
  const height = TITLE_HEIGHT + Math.ceil(panels.length / across) * PANEL.height + legendRows * LEGEND_ROW + 8;
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width, height });
  try {
    chart.setOption(optionsOf({ title, panels }, { across, width: panelWidth, names }));
    return chart.renderToSVGString();
  } finally {
    chart.dispose();
  }
}

/** There is no canvas to measure a text with. */
function register(): void {
  echarts.use([LineChart, ScatterChart, GridComponent, LegendComponent, TitleComponent, SVGRenderer]);
  echarts.setPlatformAPI({ measureText: (text, font) => ({ width: (text ?? '').length * LETTER * Number(/(\d+)px/.exec(font ?? '')?.[1] ?? LEGEND_SIZE) }) });
  registered = true;
}

/** Rows that things of these widths fill, one after another. */
function rowsOf(widths: readonly number[], most: number): number {
  let [rows, used] = [1, 0];
  for (const width of widths) {
    if (used > 0 && used + width > most) [rows, used] = [rows + 1, 0];
    used += width;
  }
  return rows;
}

interface Layout {
  readonly across: number;
  /** Of a panel, in pixels. */
  readonly width: number;
  readonly names: readonly string[];
}

function optionsOf({ title, panels }: Plot, { across, width, names }: Layout): Record<string, unknown> {
  const place = (index: number): { left: number; top: number } => ({ left: (index % across) * width, top: TITLE_HEIGHT + Math.floor(index / across) * PANEL.height });
  const titles = panels.map((panel, i) => ({
    text: panel.title, left: place(i).left + PANEL.left + (width - PANEL.left - PANEL.right) / 2, top: place(i).top + 8, textAlign: 'center', textStyle: { fontSize: 13, fontWeight: 'bold', color: TEXT },
  }));
  return {
    animation: false,
    backgroundColor: '#ffffff',
    textStyle: { fontFamily: 'sans-serif', color: TEXT },
    title: [{ text: title, left: 'center', top: 8, textStyle: { fontSize: 15, color: TEXT } }, ...titles],
    legend: { bottom: 4, left: 'center', width: across * width - 40, itemGap: 14, textStyle: { fontSize: LEGEND_SIZE, color: TEXT }, data: names },
    grid: panels.map((_, i) => ({
      left: place(i).left + PANEL.left, top: place(i).top + PANEL.top, width: width - PANEL.left - PANEL.right, height: PANEL.height - PANEL.top - PANEL.bottom,
    })),
    xAxis: panels.map(({ x, series }, i) => ({ gridIndex: i, ...axisOf(x, series.flatMap(({ points }) => points.map(([value]) => value)), 30) })),
    yAxis: panels.map(({ y, series }, i) => ({ gridIndex: i, ...axisOf(y, series.flatMap(({ points }) => points.map(([, value]) => value)), 52) })),
    series: panels.flatMap(({ series }, panel) => series.map(({ name, points, joined = true }) => {
      const index = names.indexOf(name);
      const colour = COLOURS[index % COLOURS.length];
      const look = { symbol: SYMBOLS[index % SYMBOLS.length], itemStyle: { color: colour, opacity: joined ? 1 : 0.75 } };
      const shared = { name, xAxisIndex: panel, yAxisIndex: panel, data: points.map(([x, y]) => [x, y]), ...look };
      return joined ? { type: 'line', symbolSize: 8, lineStyle: { width: 2, color: colour }, ...shared } : { type: 'scatter', symbolSize: 5, ...shared };
    })),
  };
}

function axisOf({ name, scale }: Axis, values: readonly (number | string)[], gap: number): object {
  const shared = {
    name,
    nameLocation: 'middle',
    nameGap: scale === 'place' ? 12 : gap,
    nameTextStyle: { fontSize: 12, color: TEXT },
    axisLine: { show: true, onZero: false, lineStyle: { color: '#888888' } },
    axisLabel: { show: scale !== 'place', color: TEXT, fontSize: 11, hideOverlap: true },
    axisTick: { show: scale !== 'place' },
    splitLine: { show: scale !== 'place', lineStyle: { color: LINES } },
  };
  if (scale === 'category') return { type: 'category', data: [...new Set(values.map(String))], ...shared, splitLine: { show: false } };
  const [least, most] = boundsOf(values.filter((value): value is number => typeof value === 'number'), scale);
  return { type: scale === 'log' ? 'log' : 'value', min: least, max: most, ...shared, axisLabel: { ...shared.axisLabel, formatter: written } };
}

/** Round numbers around the values, so that no point lies on the edge. */
function boundsOf(values: readonly number[], scale: Axis['scale']): [number, number] {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  if (values.length === 0) return [0, 1];
  if (scale === 'log') return [stepDown(least / 1.15), stepUp(most * 1.15)];
  const range = most - least || Math.abs(most) || 1;
  const step = 10 ** Math.floor(Math.log10(range)) / 2;
  const down = Math.floor((least - range * 0.04) / step) * step;
  return [least >= 0 ? Math.max(0, down) : down, Math.ceil((most + range * 0.04) / step) * step];
}

const stepDown = (value: number): number => roundedBy(Math.floor, value);
const stepUp = (value: number): number => roundedBy(Math.ceil, value);

/** To one digit that counts. */
function roundedBy(round: (value: number) => number, value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return Number((round(value / power) * power).toPrecision(3));
}

/** Not 0.30000000000000004. */
function written(value: number): string {
  return String(Number(value.toPrecision(6)));
}
