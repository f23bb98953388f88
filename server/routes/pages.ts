/** Lists a page at a time. */

/** Entries of a page whose request names no limit. */
const defaultLimit = 20;

/** The rows after the one that `after` names, all from the first where there is none with that id. */
export function pageOf<Row extends { readonly id: string }, Shown>(rows: readonly Row[], { after, limit = defaultLimit }: { readonly after?: string; readonly limit?: number }, present: (row: Row) => Shown) {
  const from = after === undefined ? 0 : rows.findIndex(({ id }) => id === after) + 1;
  const page = rows.slice(from, from + limit);
  return {
    object: 'list' as const,
    data: page.map(present),
    first_id: page[0]?.id ?? null,
    last_id: page.at(-1)?.id ?? null,
    has_more: from + limit < rows.length,
  };
}
