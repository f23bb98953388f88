/** Longest name of a download, in bytes as they are sent: any name this server keeps, and far below what clients take in a header. */
const longestName = 2000;

/**
 * A Content-Disposition under which a browser saves an answer as `name`, in the form of RFC 8187. Too long a name is cut between two
 * characters, before its ending.
 * @param ending takes the place of the name's own; with its dot
 */
export function attachment(name: string, ending?: string): string {
  const stem = ending === undefined ? name : name.replace(/\.[^.]*$/, '');
  let encoded = '';
  // Halves of characters, which cannot be written, become replacement characters on this way.
  for (const character of Buffer.from(stem).toString()) {
    const next = encodeURIComponent(character).replace(/['()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`);
    if (encoded.length + next.length > longestName) break;
    encoded += next;
  }
  return `attachment; filename*=UTF-8''${encoded}${ending ?? ''}`;
}
