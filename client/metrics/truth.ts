/** Whether a caption tells what is there, by the words that people used for the same. */
import { tokenise } from './ptb-tokenise.js';

/** Words that say nothing of what is seen. */
const EMPTY = new Set(
  `a an the and or of in on at to with for from by is are was were be been being it its his her their he she they them this that these those
there while as into onto near next up down out over off some several other another one two three who which what someone something about not no
has have having does do doing can video clip showing shown shows front background through around`.split(/\s+/),
);
/** Share of a caption's words that people must have used too. */
const KNOWN = 0.5;

/** Whether at least half of what a caption names is named by one of the references. Words of one stem are one. */
export function tellsWhatIsThere(caption: string, references: readonly string[]): boolean {
  const words = contentOf(caption);
  const people = new Set(references.flatMap((reference) => [...contentOf(reference)]));
  if (words.size === 0) return false;
  return [...words].filter((word) => people.has(word)).length >= KNOWN * words.size;
}

function contentOf(text: string): Set<string> {
  return new Set(tokenise(text).filter((word) => !EMPTY.has(word)).map(stem));
}

/** Plurals, and forms that end in -ing or -ed, as what is left without the ending. */
function stem(word: string): string {
  return word.length > 4 ? word.replace(/(?:ing|ies|es|ed|s|y|e)$/, '') : word.replace(/s$/, '');
}
