/** Questions about time: which of them ask when something is seen, and what that something is. */

/** How such a question begins: what is asked for is the rest. */
const OPENINGS = [
  /^(?:at|in|from|on)? ?(?:what|which) (?:time|moment|point|second|seconds|minute|timestamp|part)s?\b(?: in the (?:video|clip|film))?/,
  /^(?:when|at when|since when)\b(?: in the (?:video|clip|film))?/,
  /^where in the (?:video|clip|film)\b/,
  /^(?:find|show|give|jump to|go to|seek to|take me to)(?: me| us)? (?:the |a )?(?:moment|moments|time|times|part|parts|point|scene|second|seconds)\b(?: (?:when|where|in which|with|of|at which))?/,
];
/** Politeness and connections before them. */
const PREAMBLE = /^(?:(?:and|so|but|then|ok|okay|now|please|hey)\b,? )*(?:(?:can|could|would|will) you )?(?:please )?(?:tell me |say |do you know |show me (?=when))?/;
/** Helping verbs, and who looks on: neither is seen. */
const HELPERS = /^(?:exactly |first |about )?(?:(?:does|do|did|is|are|was|were|can|could|will|has|have|had) )?(?:(?:you|i|we|one) (?:first |see |find |notice |spot )+)?(?:there )?/;
/** That something appears is what is asked, not what is seen. */
const TAIL = /(?: first| ever)?(?: (?:appear|appears|appearing|show up|shows up|turn up|come up|comes up|happen|happens|happening|occur|occurs|take place|takes place|visible|to be seen|be seen|seen|shown|on screen|in sight|in view|in the picture|there))?(?: (?:for the first time|first))?(?: (?:in|of|during) (?:the|this) (?:video|clip|film|footage))?$/;
/** A question about the recording, or about something named before, which the words alone do not tell. */
const NOTHING_SEEN = /^(?:this|that|it|these|those|the (?:video|clip|film|photo|picture|footage|recording))\b(?! \w+ing\b)/;

/** Characters: what asks for a moment is a short question, and longer texts say more than its words. */
const LONGEST = 300;

/**
 * What is looked for by a question such as "When does the dog jump?": "the dog jump". Null where a question asks for something else than the
 * time at which something is seen.
 */
export function askedMoment(question: string): string | null {
  if (question.length > LONGEST) return null;
  const text = question.trim().toLowerCase().replace(/\s+/g, ' ').replace(/[\s?.!]+$/, '').replace(PREAMBLE, '');
  for (const opening of OPENINGS) {
    if (!opening.test(text)) continue;
    const rest = text.replace(opening, '').trim().replace(HELPERS, '').replace(TAIL, '').trim();
    return rest === '' || NOTHING_SEEN.test(rest) || !/\p{L}{2}/u.test(rest) ? null : rest;
  }
  return null;
}
