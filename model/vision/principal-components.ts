/** Principal components of a few wide rows, through their Gram matrix: rows number hundreds, columns up to a million. */

export interface PrincipalComponents {
  /** (columns) */
  readonly mean: Float32Array;
  /** (count, columns), orthonormal rows, the strongest first. */
  readonly components: Float32Array;
  /** (count): standard deviation of the rows along each. */
  readonly deviations: Float32Array;
}

/** Turns of the Jacobi method; matrices of a few hundred rows settle within ten. */
const MAX_SWEEPS = 30;
/** Components whose variance is below this share of the strongest's are rounding noise of the others. */
const LEAST_SHARE = 1e-7;

/**
 * @param rows of one length, at least two
 * @param count components wanted; fewer come back where the rows do not vary in so many directions
 */
export function principalComponents(rows: readonly Float32Array[], count: number): PrincipalComponents {
  const columns = (rows[0] as Float32Array).length;
  const n = rows.length;
  const mean = new Float32Array(columns);
  for (const row of rows) for (let i = 0; i < columns; i++) mean[i] = (mean[i] as number) + (row[i] as number) / n;
  const centred = rows.map((row) => row.map((value, i) => value - (mean[i] as number)));
  const gram = new Float64Array(n * n);
  for (let a = 0; a < n; a++) {
    for (let b = a; b < n; b++) gram[a * n + b] = gram[b * n + a] = dot(centred[a] as Float32Array, centred[b] as Float32Array);
  }
  const { values, vectors } = symmetricEigen(gram, n);
  const order = Array.from(values.keys()).sort((a, b) => (values[b] as number) - (values[a] as number));
  const strongest = Math.max(0, values[order[0] as number] as number);
  const kept = order.slice(0, count).filter((index) => (values[index] as number) > LEAST_SHARE * strongest);
  const components = new Float32Array(kept.length * columns);
  for (const [place, index] of kept.entries()) {
    const component = components.subarray(place * columns, (place + 1) * columns);
    const scale = 1 / Math.sqrt(values[index] as number);
    for (let row = 0; row < n; row++) {
      const weight = (vectors[row * n + index] as number) * scale;
      const data = centred[row] as Float32Array;
      for (let i = 0; i < columns; i++) component[i] = (component[i] as number) + weight * (data[i] as number);
    }
  }
  return { mean, components, deviations: Float32Array.from(kept, (index) => Math.sqrt((values[index] as number) / n)) };
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
}

/** Eigenvalues and eigenvectors (columns) of a symmetric matrix (n, n), by Jacobi's rotations (Golub and Van Loan, section 8.5). The matrix is overwritten. */
function symmetricEigen(matrix: Float64Array, n: number): { values: Float64Array; vectors: Float64Array } {
  const vectors = new Float64Array(n * n);
  for (let i = 0; i < n; i++) vectors[i * n + i] = 1;
  const at = (row: number, column: number): number => matrix[row * n + column] as number;
  for (let sweep = 0; sweep < MAX_SWEEPS; sweep++) {
    let [off, all] = [0, 0];
    for (let p = 0; p < n; p++) for (let q = 0; q < n; q++) [off, all] = [off + (p === q ? 0 : at(p, q) ** 2), all + at(p, q) ** 2];
    if (off <= 1e-24 * all) break;
    for (let p = 0; p < n - 1; p++) {
      for (let q = p + 1; q < n; q++) {
        if (at(p, q) === 0) continue;
        const theta = (at(q, q) - at(p, p)) / (2 * at(p, q));
        const t = Math.sign(theta || 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
        const c = 1 / Math.sqrt(t * t + 1);
        const s = t * c;
        rotate(matrix, n, p, q, c, s, false);
        rotate(matrix, n, p, q, c, s, true);
        rotate(vectors, n, p, q, c, s, false);
      }
    }
  }
  return { values: Float64Array.from({ length: n }, (_, i) => at(i, i)), vectors };
}

/** Turns columns p and q, or rows. */
function rotate(data: Float64Array, n: number, p: number, q: number, c: number, s: number, rows: boolean): void {
  for (let k = 0; k < n; k++) {
    const [a, b] = rows ? [p * n + k, q * n + k] : [k * n + p, k * n + q];
    const [x, y] = [data[a] as number, data[b] as number];
    data[a] = c * x - s * y;
    data[b] = s * x + c * y;
  }
}
