/** Most columns and rows of the picture: more would be narrower than a pixel on any screen it is shown on. */
const mostColumns = 600;
const mostRows = 48;

/**
 * Latents (T, D) as a picture: time runs from left to right, each row is one latent number (the first ones, which vary
 * most), light is high. Rows are scaled by their own spread, so that quiet numbers are seen too.
 */
export function paintLatents(latents: Float32Array, dim: number): ImageData {
  const frames = latents.length / dim;
  const columns = Math.min(frames, mostColumns);
  const rows = Math.min(dim, mostRows);
  const image = new ImageData(columns, rows);
  for (let row = 0; row < rows; row += 1) {
    const values = Float64Array.from({ length: columns }, (_, column) => {
      const frame = Math.min(frames - 1, Math.floor(((column + 0.5) * frames) / columns));
      return latents[frame * dim + row] ?? 0;
    });
    const mean = values.reduce((sum, value) => sum + value, 0) / columns;
    const spread = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / columns) || 1;
    for (let column = 0; column < columns; column += 1) {
      // 0.5 is the mean; two deviations reach the ends.
      const light = Math.min(1, Math.max(0, 0.5 + ((values[column] ?? 0) - mean) / (4 * spread)));
      image.data.set(colour(light), (row * columns + column) * 4);
    }
  }
  return image;
}

/** From deep ink through teal to pale, all readable on dark and on light. */
function colour(light: number): [number, number, number, number] {
  const low = [18, 38, 46] as const;
  const middle = [24, 128, 116] as const;
  const high = [226, 240, 214] as const;
  const [from, to, share] = light < 0.5 ? [low, middle, light * 2] : [middle, high, light * 2 - 1];
  const mix = (channel: 0 | 1 | 2): number => Math.round(from[channel] + (to[channel] - from[channel]) * share);
  return [mix(0), mix(1), mix(2), 255];
}
