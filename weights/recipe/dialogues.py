"""Several turns about one photo, in which pronouns stand for what was named before, and questions no photo can answer.

A dialogue is a list of (question, answer). All randomness comes from the generator that is passed in.
"""

import re

from questions import (
    ACTION,
    ANIMALS,
    COLOUR_NOUNS,
    NOT_VERBS,
    PEOPLE_WORDS,
    PLURAL_ACTORS,
    article,
    colour_of,
)

PRONOUNS = {"man": "he", "boy": "he", "woman": "she", "girl": "she"}
# What is asked of people in photos and can't be seen, with what is honest to say.
UNKNOWN_OF_PEOPLE = [
    ("What is the name of the {who}?", "I can't tell the name of the {who} from the photo."),
    ("What is the {who} called?", "I can't tell the name of the {who} from the photo."),
    ("How old is the {who}?", "I can't tell the age of the {who} from the photo."),
    ("What is the {who} thinking about?", "I can't tell what the {who} is thinking about."),
    ("What is the {who} saying?", "I can't hear what the {who} is saying."),
    ("Who is the {who}?", "I don't know who the {who} is."),
]
UNKNOWN_OF_ALL = [
    ("When was this taken?", "I can't tell when this was taken."),
    ("What day is it?", "I can't tell the day from what I see."),
    ("Which city is this?", "I can't tell which city this is."),
    ("Which country is this?", "I can't tell which country this is."),
    ("Who took this?", "I can't tell who took this."),
    ("What does the text say?", "I can't read text."),
    ("What does the sign say?", "I can't read text."),
    ("What sound can you hear?", "I can't hear anything."),
    ("What happens next?", "I can't tell what happens next."),
    ("How much does it cost?", "I can't tell what it costs."),
    ("What is the temperature?", "I can't tell the temperature from what I see."),
]
PERSONS = sorted(PRONOUNS)
MISSING_COLOURS = [noun for noun in COLOUR_NOUNS if noun in ("dog", "cat", "horse", "bird", "ball", "car", "truck", "bus", "bicycle", "motorcycle", "boat", "umbrella")]


def unanswerable(rng, photo, questions):
    """One (question, answer) that the photo does not answer: unknowable, or about something that is not there."""
    kind = rng.random()
    if kind < 0.4:
        noun = questions.absent(rng, photo, questions.hard(photo) or questions.pool)
        if noun in MISSING_COLOURS:
            return f"What color is the {noun}?", f"There is no {noun} that I can see."
        if noun is not None and noun not in PEOPLE_WORDS:
            return rng.choice([f"Where is the {noun}?", f"What is the {noun} like?"]), f"There is no {noun} that I can see."
    here = [who for who in PERSONS if who in questions.words[photo]]
    if here and kind < 0.75:
        who = rng.choice(here)
        asked, answer = rng.choice(UNKNOWN_OF_PEOPLE)
        return asked.format(who=who), answer.format(who=who)
    return rng.choice(UNKNOWN_OF_ALL)


def with_pronoun(text, actor, pronoun):
    """'What is the dog doing?' -> 'What is it doing?'"""
    return re.sub(rf"\b[Tt]he {actor}\b", pronoun, text, count=1)


def dialogue(rng, photo, questions):
    """Two to four turns about one actor or thing of the photo, the later ones with pronouns; None where the captions name none."""
    group, topics = questions.sentences[photo], []
    for sentence in group:
        if (match := ACTION.match(sentence)) and match[3] not in NOT_VERBS:
            topics.append((match[1], match[3], match[4]))
    if not topics:
        return None
    actor, verb, rest = rng.choice(topics)
    plural = actor in PLURAL_ACTORS
    pronoun = "they" if plural else PRONOUNS.get(actor, "it" if actor in ANIMALS else "they")
    be = "are" if pronoun == "they" else "is"
    name = actor if plural else article(actor)
    first = rng.choice([
        ("Who is in the photo?" if actor not in ANIMALS else "Which animal is in the photo?", f"There {'are' if plural else 'is'} {name}."),
        (f"Is there {name}?" if not plural else f"Are there {actor}?", f"Yes, there {'are' if plural else 'is'} {name}."),
    ])
    subject = pronoun[0].upper() + pronoun[1:]
    later = [(f"What {be} {pronoun} doing?", f"{subject} {be} {verb} {rest}.")]
    colour = colour_of(group).get(actor)
    if colour and actor in ANIMALS:
        later.append((rng.choice(["What color is it?", "And its color?"]), f"It is {colour}."))
    for question in questions(photo, rng):
        if f"the {actor}" in question.text and question.kind in ("where", "what", "number"):
            answer = with_pronoun(question.full, actor, subject)
            later.append((with_pronoun(question.text, actor, pronoun).replace(f"is {pronoun}", f"{be} {pronoun}"),
                          answer.replace(f"{subject} is", f"{subject} {be}")))
    if rng.random() < 0.25:
        later.append(unanswerable(rng, photo, questions))
    rng.shuffle(later)
    return [first, *later[:3]]
