/**
 * Whether a question is in a language that the model does not know. A small model answers such a question with nonsense; better it says so. A
 * question that is wrongly taken for another language's is worse than one that is wrongly answered, so everything doubtful counts as known.
 */

/** Words that most English questions have one of, and other languages with Latin letters have not. A question with one is not looked at further. */
const ENGLISH = new Set(
  ('the what which who whose how where when why does did there this that these those with any and or she they their them you your his have would ' +
    'could should about some happens happening doing wearing').split(' '),
);
/** English words that are words of other languages, too. A question with more of these than others counts as English. */
const PERHAPS_ENGLISH = new Set(
  'a an are as at be by can do for has he her i if in is it its me my no not of on one so to us was we were'.split(' '),
);
/** Words of many languages, which say nothing about which of them it is. */
const INTERNATIONAL = /\b(?:video|clip|film)s?\b/gi;

/** Characters: what a long text is in shows from its beginning. */
const LOOKED_AT = 500;
/** Words of a question that can be told from English ones: of fewer, names and slips of the pen look like another language. */
const FEWEST_WORDS = 3;
/** The same where there is a letter that English has not. */
const FEWEST_MARKED_WORDS = 2;
/** By how much the best language's score must be above those of the languages that the model knows. English captions of three words come near it. */
const MARGIN = 0.12;

/**
 * Whether `text` is in none of `languages`.
 * @param languages ISO 639-1 codes, such as `en`
 */
export async function isForeign(text: string, languages: readonly string[]): Promise<boolean> {
  const looked = text.slice(0, LOOKED_AT);
  if (!mayBeForeign(looked, languages.includes('en'))) return false;
  // Its tables take 30 MB; whoever asks in English never loads them.
  const { eld } = await import('eld/extrasmall');
  const result = eld.detect(looked.replace(INTERNATIONAL, ' '));
  if (!isLatin(looked)) return !languages.includes(result.language);
  if (!result.isReliable() || languages.includes(result.language)) return false;
  const scores = result.getScores();
  const known = Math.max(...languages.map((language) => scores[language] ?? 0));
  return (scores[result.language] ?? 0) - known >= MARGIN;
}

/** What is told instead of an answer. */
export function languageNotice(languages: readonly string[]): string {
  const names = new Intl.DisplayNames(['en'], { type: 'language' });
  const list = new Intl.ListFormat('en', { type: 'disjunction' }).format(languages.map((language) => names.of(language) ?? language));
  return `I only understand ${list}. Please ask in ${list}.`;
}

/** False where the words say that it is English, or are too few to say anything. */
function mayBeForeign(text: string, english: boolean): boolean {
  if (!isLatin(text)) return true;
  const words = text.toLowerCase().match(/\p{L}+/gu) ?? [];
  if (words.length < (/[^\p{ASCII}\p{P}\p{S}]/u.test(text) ? FEWEST_MARKED_WORDS : FEWEST_WORDS)) return false;
  if (!english) return true;
  return !words.some((word) => ENGLISH.has(word)) && 2 * words.filter((word) => PERHAPS_ENGLISH.has(word)).length <= words.length;
}

/** Whether most of its letters are Latin, or it has hardly any. */
function isLatin(text: string): boolean {
  const letters = text.match(/\p{L}/gu) ?? [];
  const others = letters.filter((letter) => !/\p{Script=Latin}/u.test(letter)).length;
  return others < 2 || 2 * others <= letters.length;
}
