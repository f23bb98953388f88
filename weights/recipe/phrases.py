"""Short texts for search, as people type them: things, and the noun phrases that captions hold, each with the photos that show them.

A tower that has read whole captions alone does not know what a single noun may match: 'a dog' lies far from every photo of one,
because no caption is only that.
"""

import re
from dataclasses import dataclass

import numpy as np

from questions import (
    MASS,
    PEOPLE,
    PEOPLE_PLURALS,
    PLURALS,
    THINGS,
    article,
    maybe_present,
    present_things,
)

LEAST_PHOTOS = 3  # that a phrase is in
LONGEST = 5  # words
OPENING = {"a", "an", "two", "three", "four", "several", "some"}
# What ends a noun phrase, besides words in -ing.
ENDING = set("""a an the two three four several some is are was were be being been am has have had do does did in on at of to by from near
with and or as while over under into onto through across along around behind beside between during before after above below down up
off out for that which who whose his her its their it he she they them there this these those very against outside inside next
toward towards atop amongst among about like another one other each not what where when beneath past without within""".split())


@dataclass(frozen=True)
class Phrase:
    text: str
    thing: bool  # a thing by its name, not found in captions
    shown: np.ndarray  # (N) bool: the photos that show it
    unsure: np.ndarray  # (N) bool: photos of which their captions do not tell


def words_of(text):
    return re.findall(r"[\w'-]+", text.lower())


def noun_phrases(caption):
    """'A brown dog and two men in red shirts' -> ['a brown dog', 'two men']: from an article or number up to what ends a noun phrase."""
    words, found = words_of(caption), []
    for start, word in enumerate(words):
        if word not in OPENING:
            continue
        end = start + 1
        while end < len(words) and words[end] not in ENDING and not words[end].endswith("ing") and end - start < LONGEST:
            end += 1
        if end - start >= 2:
            found.append(" ".join(words[start:end]))
    return found


def forms(noun):
    """How people write a thing they look for."""
    if noun in MASS:
        return [noun, f"the {noun}"]
    plural = PEOPLE_PLURALS.get(noun) or PLURALS.get(noun, noun + "s")
    return [article(noun), noun, f"the {noun}", plural]


def things(words):
    """A phrase for every form of every thing. words: the set of them that each photo's captions hold."""
    shown = [present_things(group) for group in words]
    made = []
    for noun in [*THINGS, *MASS, *PEOPLE]:
        has = np.array([noun in found for found in shown])
        unsure = np.array([maybe_present(noun, group) for group in words]) & ~has
        made += [Phrase(form, True, has, unsure) for form in forms(noun)] if has.sum() >= LEAST_PHOTOS else []
    return made


def from_captions(sentences, words):
    """The noun phrases of the captions; of a photo that names its last word in another way one can't be sure. words: as in things()."""
    photos, naming = {}, {}
    for photo, group in enumerate(sentences):
        for sentence in group:
            for phrase in noun_phrases(sentence):
                photos.setdefault(phrase, set()).add(photo)
        for word in words[photo]:
            naming.setdefault(word, set()).add(photo)
    made = []
    for phrase, seen in photos.items():
        if len(seen) < LEAST_PHOTOS:
            continue
        head = phrase.split()[-1]
        single = next((noun for noun in PEOPLE if head in (noun, PEOPLE_PLURALS[noun])), head[:-1] if head.endswith("s") else head)
        hinted = set().union(*(naming.get(word, ()) for word in (single, single + "s", head)))
        if single in PEOPLE or single in THINGS or single in MASS:
            hinted |= {photo for photo, group in enumerate(words) if maybe_present(single, group)}
        shown, unsure = np.zeros(len(sentences), bool), np.zeros(len(sentences), bool)
        shown[list(seen)], unsure[list(hinted - seen)] = True, True
        made.append(Phrase(phrase, False, shown, unsure))
    return made


def phrases(groups):
    """The phrases of a split, things first; groups: the captions of each of its photos."""
    groups = [list(group) for group in groups]
    words = [set(words_of(" ".join(group))) for group in groups]
    return things(words) + from_captions(groups, words)
