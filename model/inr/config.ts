/** The shape of one Latent-INR network, and its check when it comes from a file. */

export interface GridConfig {
  readonly channels: number;
  readonly rows: number;
  readonly columns: number;
}

export interface InrConfig {
  /** Encoded frame size in pixels. */
  readonly width: number;
  readonly height: number;
  /** Frames of the segment, T. */
  readonly frames: number;
  /** Numbers of one latent, D. */
  readonly latentDim: number;
  /** Side p of the square pixel patch that one evaluation of the base network gives (paper, section 3.3). */
  readonly patch: number;
  /** Linear layers of the base network, and the width between them. */
  readonly layers: number;
  readonly hidden: number;
  /** Layers that the latents modulate, first to last; the others have the same weights in every frame. Absent: all, as in the paper. */
  readonly modulated?: readonly number[];
  /** Rank r of the modulation P Q (eq. 2). */
  readonly rank: number;
  /** Width of the hidden tanh layer of each hypernetwork. */
  readonly hyperHidden: number;
  /** Learnable coordinate grids shared by all frames, coarse to fine. */
  readonly grids: readonly GridConfig[];
  /** Basis grids: `count` sets of them, fine to coarse, which each frame's latent mixes linearly. Count 0: none, as in the paper. */
  readonly basis: { readonly count: number; readonly grids: readonly GridConfig[] };
}

/** A segment whose frames are mixtures of basis images, transformed patch by patch (transform.ts); its network has no layers but that transform. */
export interface TransformConfig extends Pick<InrConfig, 'width' | 'height' | 'frames' | 'latentDim'> {
  readonly transform: {
    /** Basis images, K. */
    readonly count: number;
    /** Side of a patch in pixels. */
    readonly patch: number;
    /** Distance between the levels of a coefficient, in [0, 1] units of a pixel. */
    readonly step: number;
  };
}

export type SegmentConfig = InrConfig | TransformConfig;

export const hasTransform = (config: SegmentConfig): config is TransformConfig => 'transform' in config;

/** Rows and columns of patches that cover a frame; the last ones may reach past its edge. */
export function patchGrid(config: Pick<InrConfig, 'width' | 'height' | 'patch'>): { rows: number; columns: number } {
  return { rows: Math.ceil(config.height / config.patch), columns: Math.ceil(config.width / config.patch) };
}

/** Numbers of one grid. */
export const gridSize = ({ channels, rows, columns }: GridConfig): number => channels * rows * columns;

/** Grids that give the base network its features: those of all frames, then those that latents mix. */
export const featureGrids = ({ grids, basis }: Pick<InrConfig, 'grids' | 'basis'>): readonly GridConfig[] => (basis.count > 0 ? [...grids, ...basis.grids] : grids);

/** Limits on a configuration from a file: each well above what any preset makes, each low enough to refuse an attack. */
const LIMITS: Readonly<Record<string, readonly [number, number]>> = {
  width: [1, 8192],
  height: [1, 8192],
  frames: [1, 100_000],
  latentDim: [1, 4096],
  patch: [1, 64],
  layers: [2, 16],
  hidden: [1, 2048],
  rank: [1, 256],
  hyperHidden: [1, 1024],
};
const GRID_LIMITS = { channels: 256, side: 4096, count: 1024, levels: 16, elements: 1 << 26 } as const;

/** Steps between which a picture is neither coded to less than a thousandth of a byte's distance nor lost altogether. */
const STEP_LIMITS = [2 ** -18, 64] as const;

/** @throws RangeError that names the field. */
export function parseSegmentConfig(value: unknown): SegmentConfig {
  const record = value as Record<string, unknown> | null;
  if (typeof record !== 'object' || record?.['transform'] === undefined) return parseInrConfig(value);
  const transform = record['transform'];
  if (typeof transform !== 'object' || transform === null) throw new RangeError('network config: transform is not an object');
  const { count, patch, step } = transform as Record<string, unknown>;
  const sizes = Object.fromEntries(['width', 'height', 'frames', 'latentDim'].map((field) => [field, whole(record[field], field, ...(LIMITS[field] as readonly [number, number]))]));
  const [least, most] = STEP_LIMITS;
  if (typeof step !== 'number' || !(step >= least && step <= most)) {
    throw new RangeError(`network config: transform.step must be a number from ${least} to ${most}, got ${String(step).slice(0, 40)}`);
  }
  return {
    ...(sizes as unknown as Pick<InrConfig, 'width' | 'height' | 'frames' | 'latentDim'>),
    transform: { count: whole(count, 'transform.count', 1, GRID_LIMITS.count), patch: whole(patch, 'transform.patch', 4, 32), step },
  };
}

/** @throws RangeError that names the field. */
export function parseInrConfig(value: unknown): InrConfig {
  if (typeof value !== 'object' || value === null) throw new RangeError('network config: not an object');
  const record = value as Record<string, unknown>;
  const numbers = Object.fromEntries(
    Object.entries(LIMITS).map(([field, [min, max]]) => [field, whole(record[field], field, min, max)]),
  ) as unknown as Omit<InrConfig, 'grids' | 'basis'>;
  const basis = record['basis'];
  const modulated = record['modulated'];
  const config: InrConfig = {
    ...numbers,
    ...(modulated === undefined ? {} : { modulated: layerList(modulated, numbers.layers) }),
    grids: gridList(record['grids'], 'grids'),
    basis: basisConfig(basis),
  };
  const { count, grids } = config.basis;
  if (count * grids.reduce((sum, grid) => sum + gridSize(grid), 0) > GRID_LIMITS.elements) throw new RangeError('network config: basis grids are too large');
  if (count > 0 && grids.length === 0) throw new RangeError('network config: basis.grids is empty, but basis.count is not 0');
  if (config.grids.length === 0 && count === 0) throw new RangeError('network config: the base network has no input features');
  return config;
}

/** A basis of one grid may be written without the list. */
function basisConfig(value: unknown): InrConfig['basis'] {
  if (typeof value !== 'object' || value === null) throw new RangeError('network config: basis is not an object');
  const { count, grids } = value as Record<string, unknown>;
  return {
    count: whole(count, 'basis.count', 0, GRID_LIMITS.count),
    grids: grids === undefined ? [gridConfig(value, 'basis')] : gridList(grids, 'basis.grids'),
  };
}

function gridList(value: unknown, field: string): GridConfig[] {
  if (!Array.isArray(value) || value.length > GRID_LIMITS.levels) throw new RangeError(`network config: ${field} must be a list of at most ${GRID_LIMITS.levels}`);
  return value.map((grid: unknown, i) => gridConfig(grid, `${field}[${i}]`));
}

function layerList(value: unknown, layers: number): number[] {
  if (!Array.isArray(value) || value.length > layers) throw new RangeError(`network config: modulated must be a list of at most ${layers} layers`);
  return value.map((layer: unknown, i) => whole(layer, 'modulated', i === 0 ? 0 : (value[i - 1] as number) + 1, layers - 1));
}

function gridConfig(value: unknown, field: string): GridConfig {
  if (typeof value !== 'object' || value === null) throw new RangeError(`network config: ${field} is not an object`);
  const record = value as Record<string, unknown>;
  return {
    channels: whole(record['channels'], `${field}.channels`, 1, GRID_LIMITS.channels),
    rows: whole(record['rows'], `${field}.rows`, 1, GRID_LIMITS.side),
    columns: whole(record['columns'], `${field}.columns`, 1, GRID_LIMITS.side),
  };
}

function whole(value: unknown, field: string, min: number, max: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(`network config: ${field} must be a whole number from ${min} to ${max}, got ${String(value).slice(0, 40)}`);
  }
  return value;
}
