/** Whether a caption names the main thing of a clip, and no animal that is not there. */

/** What a caption of one clip must and may name. */
export interface ClipNames {
  /** The caption must hold a match of this. */
  readonly must: RegExp;
  /** Animals that it may name; null: none. */
  readonly animals: RegExp | null;
}

/** Animals that captions name, in one word. */
const ANIMALS = `alligator ant antelope ape bear beaver bee bird bison buffalo bull bunny butterfly calf camel cat cattle cheetah chicken
chimpanzee cockatoo cow coyote crab crocodile crow deer dinosaur dog dolphin donkey dove duck eagle elephant fish fox frog giraffe goat goose
gorilla hamster hare hawk hen horse hyena insect jaguar jellyfish kangaroo kitten koala lamb leopard lion lizard lobster mallard monkey moose
mouse octopus ostrich otter owl ox panda parrot peacock pelican penguin pig pigeon pony prawn puppy rabbit raccoon rat rhino rooster seagull
shark sheep shrimp snake spider squirrel swan tiger turkey turtle walrus whale wolf wolves worm zebra`.split(/\s+/);
const NAMED_ANIMAL = new RegExp(`\\b(?:${ANIMALS.join('|')})(?:s|es)?\\b`, 'gi');

/**
 * A table with the columns file, must and animals and tabs between; `must` and `animals` are regular expressions.
 * @param file its path, for messages
 * @returns by file
 * @throws Error naming the line that is wrong
 */
export function parseNames(text: string, file: string): Map<string, ClipNames> {
  const [head = '', ...rows] = text.split(/\r?\n/).filter((line) => line !== '');
  if (head !== 'file\tmust\tanimals') throw new Error(`${file}: the first line must name the columns file, must and animals, with tabs between.`);
  return new Map(
    rows.map((row, i) => {
      const [name = '', must = '', animals = ''] = row.split('\t');
      if (name === '' || must === '') throw new Error(`${file}, line ${i + 2}: a file and what its caption must hold are needed.`);
      return [name, { must: expression(must, file), animals: animals === '' ? null : expression(animals, file) }] as const;
    }),
  );
}

export function namesRight(caption: string, { must, animals }: ClipNames): boolean {
  const others = [...caption.matchAll(NAMED_ANIMAL)].filter(([animal]) => animals === null || !animals.test(animal));
  return must.test(caption) && others.length === 0;
}

/** Whether a caption has one of the words, which may be several words each, also in the plural. */
export function namesOne(caption: string, words: readonly string[]): boolean {
  const text = ` ${caption.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, ' ')} `;
  return words.some((word) => ['', 's', 'es'].some((ending) => text.includes(` ${word.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, ' ')}${ending} `)));
}

function expression(source: string, file: string): RegExp {
  try {
    return new RegExp(source, 'i');
  } catch (cause) {
    throw new Error(`${file}: "${source}" is no regular expression.`, { cause });
  }
}
