/** Longest name of a download, in bytes as they are sent: far below what any client takes in a header. */
const longestName = 300;

/**
 * A Content-Disposition under which a browser saves an answer as `name`, in the form of RFC 8187. Too long a name is cut between two
 * characters, before its extension.
 * @param extension with its dot
 */
export function attachment(name: string, extension = ''): string {
  let encoded = '';
  // By characters: half of one could not be written. What is half of one already becomes a replacement character.
  for (const character of name.toWellFormed()) {
    const next = encodeURIComponent(character).replace(/['()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`);
    if (encoded.length + next.length > longestName) break;
    encoded += next;
  }
  return `attachment; filename*=UTF-8''${encoded}${extension}`;
}
