/**
 * Tokens of a caption as the usual caption scores count them: Penn Treebank conventions in lower case, without punctuation. The rules are
 * ours; they were found and are held by comparing with the tokeniser that pycocoevalcap runs (test/fixtures/metrics).
 *
 * Each caption stands alone here. pycocoevalcap hands all captions to its tokeniser as one text, so there a caption that ends in "no." is
 * read by the first word of the caption after it.
 *
 * At each place every rule is tried and the longest match wins, the earlier rule on a tie.
 */

/** Tokens that captions are not scored on. Brackets stay, as in pycocoevalcap, whose list spells them in upper case. */
const PUNCTUATION: ReadonlySet<string> = new Set(["''", "'", '``', '`', '.', '?', '!', ',', ':', '-', '--', '...', ';']);

const ABBREVIATIONS =
  'mr mrs ms messrs mme mlle dr prof gen col sgt lt capt cpl pvt maj rev hon gov sen rep pres supt insp adm brig cmdr comdr det pfc atty msgr rt ' +
  'inc co corp ltd bros jr sr esq univ dept assn bldg cos plc est st ave blvd rd mt ft ct sq ste jan feb mar apr jun jul aug sep sept oct nov dec ' +
  'mon tue tues wed thu thurs fri etc vs cf al tel ext ala ariz calif colo conn fla ga ind kan ky md mich minn mo mont neb nev okla penn tenn va vt ' +
  'wis wisc wyo ph\\.d m\\.d alex wm adj adv intl natl';
/** Abbreviations only when capitalised. */
const CAPITAL_ABBREVIATIONS = 'Ark|Del|Ill|La|Mass|Miss|Ore|Pa|Tex|Wash';
/** Abbreviations only before a number. */
const NUMBER_ABBREVIATIONS = 'ca|pp|nos?|figs?|art|op';
/** After these words' starts a single letter and a full stop end a sentence rather than stand for a name. */
const SENTENCE_STARTS =
  'A|About|According|Additionally|After|An|As|At|But|He|Her|Here|However|If|In|It|Last|Many|Now|One|Other|Our|She|Since|So|Some|Such|That|The|Their|' +
  'Then|There|These|They|This|We|What|When|While|Yet|You';

const L = '[\\p{L}\\p{M}]';
const LD = '[\\p{L}\\p{M}\\p{Nd}]';
const APOSTROPHE = "['\\u2019]";
const END = `(?!${LD})`;
const AUXILIARY = `(?=${APOSTROPHE}(?:s|m|d|re|ve|ll)${END})`;
const PART = `(?:[dol]${APOSTROPHE})?${LD}+`;
const THING = `${PART}(?:[-_]${PART})*`;
const NUMBER = '\\p{Nd}*(?:[.,:]\\p{Nd}+)+|\\p{Nd}+';
const WORD = `${L}${LD}*(?:[.!?]${L}${LD}*)*`;

interface Rule {
  readonly pattern: RegExp;
  /** The tokens of a match; default: the match itself. */
  readonly tokens?: (match: string) => readonly string[];
}

/** Group 1, where there is one, is what is taken; the whole match is what competes for length. */
function rule(source: string, tokens?: (match: string) => readonly string[], flags = 'iuy'): Rule {
  const pattern = new RegExp(source, flags);
  return tokens === undefined ? { pattern } : { pattern, tokens };
}

const splitAfter =
  (count: number) =>
  (match: string): readonly string[] => [match.slice(0, count), match.slice(count)];
const ENTITIES: Readonly<Record<string, string>> = { '&amp;': '&', '&lt;': '<', '&gt;': '>', '&quot;': "''", '&apos;': "'" };

const RULES: readonly Rule[] = [
  rule('&(?:amp|lt|gt|quot|apos);', (match) => [ENTITIES[match.toLowerCase()] ?? match]),
  rule('<\\/?[a-z][^<>\\s]*>'),
  rule('https?:\\/\\/[^\\s<>"()]*[^\\s<>"().,?!;:\'-]'),
  rule('www\\.(?:[^\\s"<>|.!?(){},]+\\.)+[a-z]{2,4}(?:\\/[^\\s"<>|()]*[^\\s"<>|().,?!;:\'-])?'),
  rule('[\\w.+-]*\\w@\\w[\\w-]*(?:\\.[\\w-]+)+'),
  rule('@[a-z_]\\w*'),
  rule(`#${L}[\\p{L}\\p{M}_]*`),
  rule(`cannot${END}`, splitAfter(3)),
  rule(`(?:gonna|gotta|lemme|gimme|wanna)(?!${APOSTROPHE}|${LD})`, splitAfter(3)),
  rule(`(${APOSTROPHE}t)(?=is|was)`),
  rule(`(${L}+?)n[\\u2019'\`]t${END}`),
  rule(`n[\\u2019'\`]t${END}`),
  rule(`${APOSTROPHE}(?:s|m|d|re|ve|ll)${END}`),
  rule(`(y${APOSTROPHE})(?=(?:all|know)${END})`),
  rule(`${WORD}${AUXILIARY}`),
  rule(WORD),
  rule(`${THING}${AUXILIARY}`),
  rule(THING),
  rule(`${THING}(?:\\/${THING})+`),
  rule(`[dl]${APOSTROPHE}ye|c${APOSTROPHE}mon|ma${APOSTROPHE}am|s${APOSTROPHE}mores|o${APOSTROPHE}clock|[eo]${APOSTROPHE}er|ne${APOSTROPHE}er`),
  rule(`${APOSTROPHE}n${APOSTROPHE}|${APOSTROPHE}n${END}|${APOSTROPHE}(?:em|til|cause)${END}`),
  rule('[A-Z]+&[A-Z]+', undefined, 'uy'),
  rule(`[-+]?(?:${NUMBER})`),
  rule('\\p{Nd}+(?:[-\\/]\\p{Nd}+)+'),
  rule(`(?:${NUMBER})(?:-${LD}+)+`),
  rule(`${APOSTROPHE}\\p{Nd}\\p{Nd}s?${END}`),
  rule('(?:us|[ac])\\$', undefined, 'iuy'),
  rule(`${L}(?:\\.${L})+\\.(?!${LD})(?:-${LD}+)*`),
  rule(`${L}(?:\\.${L})+\\.(?=-)(?:-${LD}+)+`),
  rule(`${LD}+-${L}(?:\\.${L})+\\.`),
  rule(`(${L}\\.)(?!\\s+(?:${SENTENCE_STARTS})(?!\\p{L}))(?!${LD})`, undefined, 'uy'),
  rule(`(?:${ABBREVIATIONS.split(' ').join('|')})\\.(?!${LD})`),
  rule(`(?:${CAPITAL_ABBREVIATIONS})\\.(?!${LD})`, undefined, 'uy'),
  rule(`((?:${NUMBER_ABBREVIATIONS})\\.)\\s?\\p{Nd}`),
  rule("[<>]?[:;=][-o*']?[()DPdpO\\\\{@|[\\]](?![\\p{L}\\p{Nd}])", (match) => [match.replace(/[()[\]{]/g, (bracket) => BRACKETS[bracket] ?? bracket)], 'uy'),
  rule('\\(\\d{3}\\) ?\\d{3}-\\d{4}', (match) => [`-lrb-${match.slice(1, 4)}-rrb-`, match.slice(-8)]),
  rule('[?!]+|\\*+|_+|##+|@@+|<<|>>'),
  rule('\\.{3,}|\\.(?: \\.){2,}|\\u2026', () => ['...']),
  rule('-{2,}|[\\u2013\\u2014]', () => ['--']),
  rule(`''|["\\u201c\\u201d\\u00ab\\u00bb]|\`\``, () => ["''"]),
  rule("[\\u2018\\u2019\\u2039\\u203a]", () => ["'"]),
  rule('\\u00bd|\\u00bc|\\u00be', (match) => [FRACTIONS[match] ?? match]),
  rule('\\u20ac', () => ['$']),
  rule('\\u00a3', () => ['#']),
  rule('\\u00a2', () => ['cents']),
  rule('[()[\\]{}]', (match) => [BRACKETS[match] ?? match]),
  rule('[^\\s]'),
];

const BRACKETS: Readonly<Record<string, string>> = { '(': '-lrb-', ')': '-rrb-', '[': '-lsb-', ']': '-rsb-', '{': '-lcb-', '}': '-rcb-' };
const FRACTIONS: Readonly<Record<string, string>> = { '\u00bd': '1/2', '\u00bc': '1/4', '\u00be': '3/4' };

/** The tokens of `caption` that count in BLEU, ROUGE-L and CIDEr-D. */
export function tokenise(caption: string): string[] {
  // Pictographs outside the basic plane stand for no word; the reference tokeniser drops them too.
  const text = straightContractions(caption).replace(/[\u{10000}-\u{10ffff}]/gu, (character) => (/\p{L}/u.test(character) ? character : ''));
  const tokens: string[] = [];
  let at = 0;
  while (at < text.length) {
    if (/\s/u.test(text[at] as string)) {
      at++;
      continue;
    }
    const { taken, found } = longest(text, at);
    for (const token of found) {
      const lower = token.toLowerCase();
      if (!PUNCTUATION.has(lower)) tokens.push(lower);
    }
    at += taken;
  }
  return tokens;
}

/** Typographic apostrophes inside n't, 's, 'm, 'd, 're, 've and 'll count as plain ones; elsewhere they stay. */
function straightContractions(text: string): string {
  return text.replace(/(?<=\p{L}|\p{Nd})\u2019(?=(?:s|m|d|re|ve|ll)(?![\p{L}\p{Nd}]))|(?<=n)\u2019(?=t(?![\p{L}\p{Nd}]))/giu, "'");
}

function longest(text: string, at: number): { taken: number; found: readonly string[] } {
  let length = 0;
  let taken = 1;
  let found: readonly string[] = [];
  for (const { pattern, tokens } of RULES) {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match === null || match[0].length <= length) continue;
    const token = match[1] ?? match[0];
    length = match[0].length;
    taken = token.length;
    found = tokens === undefined ? [token] : tokens(token);
  }
  return { taken, found };
}
