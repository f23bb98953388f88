"""Training examples from captions: trees of text in which many answers share one photo or clip.

An example is a context (visual tokens and the text around them) with branches; a branch is a question with one or more
answers. All randomness comes from the generator that is passed in.
"""

import re
from dataclasses import dataclass, field

from pack import PROMPT
from questions import photo_questions

CAPTION_QUESTIONS = [
    "Describe the photo.",
    "What is in the photo?",
    "What can you see?",
    "What is happening?",
    "Write a caption.",
    "Give a short description.",
    "What does this show?",
]
CLIP_QUESTIONS = [
    "Describe the video.",
    "What happens in the video?",
    "What is happening?",
    "What can you see?",
    "Write a caption.",
    "Give a short description.",
    "What is going on in this clip?",
]
DEFAULT_QUESTION_SHARE = 0.7
CLIPS_PER_PHOTO = 0.15
# Captions of a photo that share one sight of it. Five cost little more than two, but what is scarce is sights of photos:
# a run with five was behind one with fewer after the same time.
CAPTIONS_PER_SIGHT = 2
TWO_SCENES_SHARE = 0.4
VIEWS = 4
PHOTO_JITTER = 0.15  # noise on a photo's latents, as below
FRAME_JITTER = 0.15  # noise between the frames of a clip, in standard deviations of each latent number


@dataclass
class Frame:
    photo: int  # row of the latents
    view: int  # 0 plain, 1 mirrored, 2 a crop, 3 another crop mirrored
    jitter: float = 0.0


@dataclass
class Example:
    pieces: list  # strings, and Frame objects that stand for TOKENS visual tokens each
    branches: list = field(default_factory=list)  # (question, [answers])


def clean_sentence(caption):
    """A caption as a sentence: no space before punctuation, capitalised, one full stop; '' if nothing is left."""
    text = caption.replace('"', " ").replace("``", " ").replace("''", " ")
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r" ('s|'t|n't|'re|'ll)\b", r"\1", text)
    text = re.sub(r" ([,.!?;:)])", r"\1", text).replace("( ", "(")
    text = text.rstrip(" .,;:!?").strip()
    return text[0].upper() + text[1:] + "." if text else ""


def inside_sentence(sentence):
    """'A dog runs.' -> 'a dog runs', to be put after 'First, '."""
    return sentence[0].lower() + sentence[1:].rstrip(".")


def photo_pieces(frame):
    """Context of one photo."""
    return [PROMPT["photo_before"], frame]


def clip_pieces(frames, times):
    """Context of a clip: its frames with their times in seconds."""
    pieces, text = [], PROMPT["video_before"].format(n=len(frames))
    for frame, time in zip(frames, times):
        pieces += [text + PROMPT["frame_before"].format(t=f"{time:.1f}"), frame]
        text = PROMPT["frame_after"]
    return pieces


def after_visual(question):
    """The text between the last visual token and the answer."""
    return f"\n{question}<|im_end|>\n<|im_start|>assistant\n"


class Captions:
    """The captions of one split as sentences, with the questions their words allow."""

    def __init__(self, captions):
        self.photos = list(captions)
        self.sentences = [[s for s in map(clean_sentence, captions[p]) if s] for p in self.photos]
        self.questions = photo_questions(self.sentences)

    def caption_question(self, rng, others):
        return PROMPT["default_question"] if rng.random() < DEFAULT_QUESTION_SHARE else rng.choice(others)

    def some_questions(self, rng, photo, count):
        """Up to `count` branches from the photo's rule-made questions, each question once."""
        made = self.questions(photo, rng)
        rng.shuffle(made)
        return [(question, [answer]) for question, answer in made[:count]]

    def some_captions(self, rng, photo):
        return rng.sample(self.sentences[photo], min(CAPTIONS_PER_SIGHT, len(self.sentences[photo])))

    def photo_example(self, rng, photo):
        """Captions of a photo under one question, and often another question."""
        example = Example(photo_pieces(Frame(photo, rng.randrange(VIEWS), PHOTO_JITTER)))
        example.branches.append((self.caption_question(rng, CAPTION_QUESTIONS), self.some_captions(rng, photo)))
        example.branches += self.some_questions(rng, photo, rng.choice([0, 0, 1]))
        return example

    def clip_example(self, rng, photo):
        """A clip of 2 to 8 frames: one scene, or two scenes one after the other."""
        count = rng.randint(2, 8)
        seconds = rng.uniform(1, 25)
        times = [(i + 0.5) * seconds / count for i in range(count)]
        view = rng.randrange(VIEWS)
        if rng.random() >= TWO_SCENES_SHARE:
            frames = [Frame(photo, view, FRAME_JITTER) for _ in range(count)]
            example = Example(clip_pieces(frames, times))
            example.branches.append((self.caption_question(rng, CLIP_QUESTIONS), self.some_captions(rng, photo)))
            example.branches += self.some_questions(rng, photo, 1)
            return example
        other = rng.randrange(len(self.photos))
        cut = rng.randint(1, count - 1)
        frames = [Frame(photo if i < cut else other, view, FRAME_JITTER) for i in range(count)]
        example = Example(clip_pieces(frames, times))
        pairs = zip(self.some_captions(rng, photo), self.some_captions(rng, other))
        answers = [f"First, {inside_sentence(a)}. Then, {inside_sentence(b)}." for a, b in pairs]
        example.branches.append((self.caption_question(rng, CLIP_QUESTIONS), answers))
        return example

    def epoch(self, rng):
        """One pass: every photo once with some of its captions, and clips between them, in random order."""
        photos = list(range(len(self.photos)))
        examples = [self.photo_example(rng, photo) for photo in photos]
        clips = rng.sample(photos, int(CLIPS_PER_PHOTO * len(photos)))
        examples += [self.clip_example(rng, photo) for photo in clips]
        rng.shuffle(examples)
        return examples
