/** Small dense decompositions, for fitting a latent map. */

/** A column that keeps less of its length than this beside those before it is a mixture of them. */
const DEPENDENT = 1e-6;

/**
 * Makes the columns of a matrix (rows, columns) orthonormal in place, by modified Gram-Schmidt, twice, so that rounding of the
 * first pass does not stay. A column that depends on those before it becomes zeros.
 */
export function orthonormalise(matrix: Float32Array, rows: number, columns: number): void {
  const basis = Array.from({ length: columns }, (_, c) => Float64Array.from({ length: rows }, (_, r) => matrix[r * columns + c] as number));
  for (const [c, column] of basis.entries()) {
    const before = Math.sqrt(dot(column, column));
    for (let pass = 0; pass < 2; pass++) {
      for (let other = 0; other < c; other++) {
        const direction = basis[other] as Float64Array;
        const share = dot(column, direction);
        for (let r = 0; r < rows; r++) column[r] = (column[r] as number) - share * (direction[r] as number);
      }
    }
    const length = Math.sqrt(dot(column, column));
    const factor = length > DEPENDENT * before ? 1 / length : 0;
    for (let r = 0; r < rows; r++) column[r] = (column[r] as number) * factor;
  }
  basis.forEach((column, c) => column.forEach((value, r) => (matrix[r * columns + c] = value)));
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
}

/** More sweeps than any matrix needs: each squares the error. */
const MAX_SWEEPS = 30;
const CONVERGED = 1e-22;

/**
 * Eigenvalues of a symmetric matrix (n, n), largest first, and its eigenvectors as columns of (n, n), by cyclic Jacobi rotations
 * (Golub and Van Loan, Matrix Computations, section 8.5). The matrix is used up.
 */
export function symmetricEigen(matrix: Float64Array, n: number): { values: Float64Array; vectors: Float64Array } {
  const vectors = new Float64Array(n * n);
  for (let i = 0; i < n; i++) vectors[i * n + i] = 1;
  const size = dot(matrix, matrix);
  for (let sweep = 0; sweep < MAX_SWEEPS && offDiagonal(matrix, n) > CONVERGED * size; sweep++) {
    for (let p = 0; p < n - 1; p++) for (let q = p + 1; q < n; q++) rotate(matrix, vectors, n, p, q);
  }
  const order = Array.from({ length: n }, (_, i) => i).sort((a, b) => (matrix[b * n + b] as number) - (matrix[a * n + a] as number));
  const sorted = new Float64Array(n * n);
  order.forEach((from, to) => {
    for (let row = 0; row < n; row++) sorted[row * n + to] = vectors[row * n + from] as number;
  });
  return { values: Float64Array.from(order, (i) => matrix[i * n + i] as number), vectors: sorted };
}

function offDiagonal(matrix: Float64Array, n: number): number {
  let sum = 0;
  for (let row = 0; row < n; row++) for (let column = 0; column < row; column++) sum += (matrix[row * n + column] as number) ** 2;
  return 2 * sum;
}

/** The rotation of rows and columns p and q that makes their entry zero. */
function rotate(matrix: Float64Array, vectors: Float64Array, n: number, p: number, q: number): void {
  const entry = matrix[p * n + q] as number;
  if (entry === 0) return;
  const theta = ((matrix[q * n + q] as number) - (matrix[p * n + p] as number)) / (2 * entry);
  const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
  const c = 1 / Math.sqrt(t * t + 1);
  const s = t * c;
  const turn = (values: Float64Array, first: number, second: number): void => {
    const [a, b] = [values[first] as number, values[second] as number];
    values[first] = c * a - s * b;
    values[second] = s * a + c * b;
  };
  for (let i = 0; i < n; i++) turn(matrix, i * n + p, i * n + q);
  for (let i = 0; i < n; i++) turn(matrix, p * n + i, q * n + i);
  for (let i = 0; i < n; i++) turn(vectors, i * n + p, i * n + q);
}
