"""Training examples from captions: trees of text in which many answers share one photo or clip.

An example is a context (visual tokens and the text around them) with branches; a branch is a question with one or more
answers. All randomness comes from the generator that is passed in.
"""

import re
from dataclasses import dataclass, field

import numpy as np

from clips import SUMMARY, cut_scenes, frame_times, moment_questions, order_dialogue, scene_count, told_in_order
from dialogues import dialogue, unanswerable
from pack import PROMPT
from questions import PhotoQuestions

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
# What a model card says of these examples.
ABOUT = """rules make simple questions of their words (is there a ..., the absent things often those of a photo that looks alike;
what color, how many, who, what is ... doing, holding, riding, where: `recipe/questions.py`), dialogues of some turns with
pronouns, and questions no photo answers (`recipe/dialogues.py`); clips of 2 to 8 frames are put together from one to three
photos, held or slowly zoomed, with questions about their order and their moments (`recipe/clips.py`)."""
DEFAULT_QUESTION_SHARE = 0.7
CLIPS_PER_PHOTO = 0.2
# Captions of a photo that share one sight of it. Five cost little more than two, but what is scarce is sights of photos:
# a run with five was behind one with fewer after the same time.
CAPTIONS_PER_SIGHT = 2
SCENES_SHARE = 0.6  # of the clips: two or three scenes, the others one
ZOOM_SHARE = 0.3  # of the scenes that last: they end with a crop of the photo
DIALOGUE_SHARE, UNANSWERABLE_SHARE = 0.25, 0.15  # of the photos in a pass
ALIKE = 8  # photos that count as looking like one
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
    dialogues: list = field(default_factory=list)  # [(question, answer)] in turn


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


def unshown(question):
    """The text between the root and the answer where nothing is shown: the user's turn begins with the question itself."""
    return after_visual(question)[1:]


def after_answer(question):
    """The text between the end token of an answer and the next one."""
    return f"\n<|im_start|>user{after_visual(question)}"


def photos_alike(z):
    """(N, ALIKE) for each of the latents z (N, 256) those that point most nearly the same way, itself left out."""
    unit = z - z.mean(0)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    nearest = []
    for start in range(0, len(unit), 1000):
        near = unit[start:start + 1000] @ unit.T
        near[np.arange(len(near)), start + np.arange(len(near))] = -1
        nearest.append(np.argsort(-near, 1)[:, :ALIKE])
    return np.concatenate(nearest)


class Captions:
    """The captions of one split as sentences, with the questions their words allow."""

    def __init__(self, captions, latents=None, first=0):
        """captions {photo: [str]}; latents (N, 256) of the photos in that order, which show which ones look alike, or None.

        first: the row of the training's latents at which these photos begin.
        """
        self.photos, self.first = list(captions), first
        self.own = None  # a caption of each photo that is learned in place of people's
        self.sentences = [[s for s in map(clean_sentence, captions[p]) if s] for p in self.photos]
        self.questions = PhotoQuestions(self.sentences, None if latents is None else photos_alike(latents))

    def caption_question(self, rng, others):
        return PROMPT["default_question"] if rng.random() < DEFAULT_QUESTION_SHARE else rng.choice(others)

    def some_questions(self, rng, photo, count):
        """Up to `count` branches from the photo's rule-made questions, each question once."""
        made = [question.written(rng) for question in self.questions(photo, rng)]
        if rng.random() < UNANSWERABLE_SHARE:
            made.append(unanswerable(rng, photo, self.questions))
        rng.shuffle(made)
        return [(question, [answer]) for question, answer in made[:count]]

    def some_dialogue(self, rng, photo):
        turns = dialogue(rng, photo, self.questions) if rng.random() < DIALOGUE_SHARE else None
        return [turns] if turns else []

    def frame(self, photo, view, jitter):
        return Frame(self.first + photo, view, jitter)

    def some_captions(self, rng, photo):
        if self.own is not None:
            return [self.own[photo]]
        return rng.sample(self.sentences[photo], min(CAPTIONS_PER_SIGHT, len(self.sentences[photo])))

    def photo_example(self, rng, photo, questions=None):
        """Captions of a photo under one question, and up to `questions` others: often one where that is None."""
        example = Example(photo_pieces(self.frame(photo, rng.randrange(VIEWS), PHOTO_JITTER)))
        example.branches.append((self.caption_question(rng, CAPTION_QUESTIONS), self.some_captions(rng, photo)))
        example.branches += self.some_questions(rng, photo, rng.choice([0, 1, 1]) if questions is None else questions)
        example.dialogues += self.some_dialogue(rng, photo)
        return example

    def clip_example(self, rng, photo):
        """A clip of 2 to 8 frames that begins with the photo: one to three scenes."""
        count = rng.randint(2, 8)
        times = frame_times(count, rng.uniform(1, 25))
        number = min(count, rng.choice([2, 2, 3])) if rng.random() < SCENES_SHARE else 1
        scenes = cut_scenes(rng, [photo, *rng.sample(range(len(self.photos)), number - 1)], count)
        example = Example(clip_pieces([frame for scene in scenes for frame in self.scene_frames(rng, scene)], times))
        question = self.caption_question(rng, CLIP_QUESTIONS)
        if number == 1:
            example.branches.append((question, self.some_captions(rng, photo)))
            example.branches += self.some_questions(rng, photo, 1)
            return example
        phrases = [[inside_sentence(sentence) for sentence in self.some_captions(rng, scene.photo)] for scene in scenes]
        example.branches.append((question, [told_in_order(told) for told in zip(*phrases)]))
        first = [told[0] for told in phrases]
        other = rng.choice(SUMMARY)
        example.branches.append(scene_count(scenes) if other == SUMMARY[-1] else (other, [told_in_order(first)]))
        example.branches += [(asked, [answer]) for asked, answer, _, _ in moment_questions(rng, scenes, times, self.questions)]
        example.dialogues.append(order_dialogue(rng, first))
        return example

    def scene_frames(self, rng, scene):
        """The frames of a scene: the photo held, or a slow zoom that ends with a crop of it."""
        mirrored, count = rng.randrange(2), scene.end - scene.start
        views = [mirrored] * count
        if count > 1 and rng.random() < ZOOM_SHARE:
            views[(count + 1) // 2:] = [2 + mirrored] * (count // 2)
        return [self.frame(scene.photo, view, FRAME_JITTER) for view in views]

    def other_examples(self, rng):
        """What a training on photos' captions alone would forget: questions about every photo that allows them, and clips."""
        photos = list(range(len(self.photos)))
        examples = []
        for photo in photos:
            example = Example(photo_pieces(self.frame(photo, rng.randrange(VIEWS), PHOTO_JITTER)),
                              self.some_questions(rng, photo, 3), self.some_dialogue(rng, photo))
            examples += [example] if example.branches or example.dialogues else []
        return examples + [self.clip_example(rng, photo) for photo in rng.sample(photos, int(CLIPS_PER_PHOTO * len(photos)))]

    def epoch(self, rng, questions=None):
        """One pass: every photo once with some of its captions, and clips between them, in random order. questions: as in photo_example."""
        photos = list(range(len(self.photos)))
        examples = [self.photo_example(rng, photo, questions) for photo in photos]
        clips = rng.sample(photos, int(CLIPS_PER_PHOTO * len(photos)))
        examples += [self.clip_example(rng, photo) for photo in clips]
        rng.shuffle(examples)
        return examples
