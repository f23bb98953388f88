/** The least bytes that a grammar can be written in. */
import { COLON, END_OF_OBJECT } from './object-text.js';
import type { Grammar, Members } from './grammar.js';

/** @returns bytes; Infinity for a grammar that can never be whole, as one that contains itself in every case */
export function shortest(grammar: Grammar): number {
  if (grammar.least !== undefined) return grammar.least;
  const lengths = new Map<Grammar, number>();
  const users = new Map<Grammar, Grammar[]>();
  for (const waiting = [grammar]; waiting.length > 0; ) {
    const at = waiting.pop() as Grammar;
    if (lengths.has(at)) continue;
    lengths.set(at, Infinity);
    for (const part of partsOf(at)) {
      if (part.least !== undefined) continue;
      const using = users.get(part);
      if (using === undefined) users.set(part, [at]);
      else using.push(at);
      waiting.push(part);
    }
  }
  const lengthOf = (part: Grammar): number => part.least ?? (lengths.get(part) as number);
  // Lengths only become less, those of the last parts first; whoever uses a part is looked at again.
  const waiting = [...lengths.keys()];
  const waits = new Set(waiting);
  while (waiting.length > 0) {
    const at = waiting.pop() as Grammar;
    waits.delete(at);
    const length = measure(at, lengthOf);
    if (length >= (lengths.get(at) as number)) continue;
    lengths.set(at, length);
    for (const user of users.get(at) ?? []) {
      if (waits.has(user)) continue;
      waits.add(user);
      waiting.push(user);
    }
  }
  for (const [at, length] of lengths) at.least = length;
  return lengths.get(grammar) as number;
}

function partsOf(grammar: Grammar): readonly Grammar[] {
  switch (grammar.kind) {
    case 'machine':
      if (grammar.texts.length > 0) return grammar.texts.map(({ then }) => then);
      return grammar.then === null ? [...grammar.next.values()] : [...grammar.next.values(), grammar.then];
    case 'sequence':
      return grammar.parts;
    case 'choice':
      return grammar.options;
    case 'repeat':
      return [grammar.of];
    case 'later':
      return [grammar.get()];
    case 'members': {
      const { value, next } = grammar.member;
      return next === null ? [value, COLON, END_OF_OBJECT] : [value, COLON, next.more, next.first];
    }
  }
}

function measure(grammar: Grammar, lengthOf: (part: Grammar) => number): number {
  switch (grammar.kind) {
    case 'machine': {
      if (grammar.texts.length > 0) return grammar.texts.reduce((least, { bytes, then }) => Math.min(least, bytes.length - grammar.depth + lengthOf(then)), Infinity);
      let least = grammar.then === null ? Infinity : lengthOf(grammar.then);
      for (const node of grammar.next.values()) least = Math.min(least, 1 + lengthOf(node));
      return least;
    }
    case 'sequence':
      return grammar.parts.reduce((sum, part) => sum + lengthOf(part), 0);
    case 'choice':
      return Math.min(Infinity, ...grammar.options.map(lengthOf));
    case 'repeat':
      return grammar.min === 0 ? 0 : grammar.min * lengthOf(grammar.of);
    case 'later':
      return lengthOf(grammar.get());
    case 'members':
      return measureMembers(grammar, lengthOf);
  }
}

/** A member that is not needed is never written where little room is left. */
function measureMembers({ member: { name, needed, value, next }, begun }: Members, lengthOf: (part: Grammar) => number): number {
  if (!needed) return next === null ? lengthOf(END_OF_OBJECT) : lengthOf(begun ? next.more : next.first);
  return (begun ? 1 : 0) + name.length + lengthOf(COLON) + lengthOf(value) + lengthOf(next === null ? END_OF_OBJECT : next.more);
}
