"""Training examples from captions: trees of text in which many answers share one photo or clip.

An example is a context (visual tokens and the text around them) with branches; a branch is a question with one or more
answers. All randomness comes from the generator that is passed in.
"""

import re
from dataclasses import dataclass, field

import numpy as np

from clips import (
    SUMMARY,
    Scene,
    cut_scenes,
    frame_times,
    moment_questions,
    order_dialogue,
    scene_count,
    told_in_order,
)
from dialogues import dialogue, unanswerable
from pack import PROMPT
from questions import SHORT, PhotoQuestions, upper

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
MADE_CLIPS = 0.15  # of a pass: clips put together from the sights of others
ROOM_QUESTIONS = 5  # about a room, at most
BRIEF_ROOMS = 0.7  # of a room's questions ask for a brief answer, which is the form all their answers have
# A clip is shown by eight frames if it is longer than a few seconds, so that is what is trained most.
CLIP_FRAMES = [2, 3, 4, 5, 6, 7, 8, 8, 8, 8]
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


# What stands in the prompt as recognized is left out at times, and wrong at times, so that the model learns to weigh it.
UNSAID_SHARE, MISTAKEN_SHARE = 0.25, 0.15
LIKELY = 12  # classes, the likeliest, from which a wrong word is taken


@dataclass
class Frame:
    image: int  # row of the latents
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


def room_question(question):
    """A question about a room as a sentence."""
    return upper(re.sub(r"\s+\?", "?", question.strip()))


def room_answer(answer):
    return upper(answer.replace("_", " ").strip())


class Captions:
    """The sights of one split: their captions as sentences, and the questions their words allow."""

    def __init__(self, sights, latents=None, concepts=None):
        """sights: [Sight]; latents (images, 256) of all images, which show which sights look alike, or None; concepts: Concepts, or
        None where nothing that is recognized stands in the prompt.
        """
        self.sights, self.concepts = sights, concepts
        self.sentences = [[s for s in map(clean_sentence, sight.captions) if s] for sight in sights]
        plain = None if latents is None else np.stack([latents[list(sight.rows)].mean(0) for sight in sights])
        self.questions = PhotoQuestions(self.sentences, None if plain is None else photos_alike(plain))
        self.captioned = [at for at, sentences in enumerate(self.sentences) if sentences]

    def caption_question(self, rng, others):
        return PROMPT["default_question"] if rng.random() < DEFAULT_QUESTION_SHARE else rng.choice(others)

    def some_questions(self, rng, sight, count):
        """Up to `count` branches from the sight's rule-made questions, each question once."""
        made = [question.written(rng) for question in self.questions(sight, rng)]
        if rng.random() < UNANSWERABLE_SHARE:
            made.append(unanswerable(rng, sight, self.questions))
        rng.shuffle(made)
        return [(question, [answer]) for question, answer in made[:count]]

    def some_dialogue(self, rng, sight):
        turns = dialogue(rng, sight, self.questions) if rng.random() < DIALOGUE_SHARE else None
        return [turns] if turns else []

    def some_captions(self, rng, sight):
        """Captions of one sight: of a clip, those more often that the others agree with, which come first."""
        sentences = self.sentences[sight]
        if self.sights[sight].source != "msrvtt":
            return rng.sample(sentences, min(CAPTIONS_PER_SIGHT, len(sentences)))
        weights = range(len(sentences), 0, -1)
        return list(dict.fromkeys(rng.choices(sentences, weights, k=CAPTIONS_PER_SIGHT)))

    def example(self, rng, sight, questions=None):
        """Captions of a sight under one question, and up to `questions` others: often one where that is None."""
        if not self.sentences[sight]:
            return self.room_example(rng, sight)
        clip = self.sights[sight].source == "msrvtt"
        example = Example(self.pieces(rng, sight))
        example.branches.append((self.caption_question(rng, CLIP_QUESTIONS if clip else CAPTION_QUESTIONS), self.some_captions(rng, sight)))
        example.branches += self.some_questions(rng, sight, rng.choice([0, 1, 1]) if questions is None else questions)
        example.dialogues += self.some_dialogue(rng, sight)
        return example

    def pieces(self, rng, sight):
        """A photo, or a clip of its frames."""
        if self.sights[sight].source != "msrvtt":
            frame = Frame(self.sights[sight].rows[0], rng.randrange(VIEWS), PHOTO_JITTER)
            return photo_pieces(frame) + self.recognized([frame], rng)
        count = rng.choice(CLIP_FRAMES)
        frames = self.scene_frames(rng, Scene(sight, 0, count))
        return clip_pieces(frames, frame_times(count, rng.uniform(count / 2, 25))) + self.recognized(frames, rng)

    def recognized(self, frames, rng=None):
        """What stands behind the frames: [text] with the words for what is recognized, or []. With rng, as a training needs it."""
        if self.concepts is None or (rng is not None and rng.random() < UNSAID_SHARE):
            return []
        words = self.concepts.words(frames)
        if rng is not None and rng.random() < MISTAKEN_SHARE:
            likely = np.argsort(-self.concepts.of(frames))[1:LIKELY]
            words = [*words[:rng.randrange(len(words) + 1)], self.concepts.names[rng.choice(likely.tolist())]]
        return [PROMPT["seen"].format(words=", ".join(dict.fromkeys(words)))] if words else []

    def plain_pieces(self, sight):
        """A sight as it is shown to be judged: a photo, or a clip of its frames, two seconds each."""
        frames = [Frame(row, 0) for row in self.sights[sight].rows]
        if self.sights[sight].source != "msrvtt":
            return photo_pieces(frames[0]) + self.recognized(frames)
        return clip_pieces(frames, frame_times(len(frames), 2 * len(frames))) + self.recognized(frames)

    def room_example(self, rng, sight):
        """People's questions about a photo without captions."""
        example, questions = Example(self.pieces(rng, sight)), self.sights[sight].questions
        for question, answer in rng.sample(questions, min(ROOM_QUESTIONS, len(questions))):
            brief = SHORT if rng.random() < BRIEF_ROOMS else ""
            example.branches.append((room_question(question) + brief, [room_answer(answer) + "."]))
        return example

    def made_clip(self, rng, sight):
        """A clip of 2 to 8 frames that begins with the sight: one to three scenes."""
        count = rng.randint(2, 8)
        times = frame_times(count, rng.uniform(1, 25))
        number = min(count, rng.choice([2, 2, 3])) if rng.random() < SCENES_SHARE else 1
        scenes = cut_scenes(rng, [sight, *rng.sample(self.captioned, number - 1)], count)
        frames = [frame for scene in scenes for frame in self.scene_frames(rng, scene)]
        example = Example(clip_pieces(frames, times) + self.recognized(frames, rng))
        question = self.caption_question(rng, CLIP_QUESTIONS)
        if number == 1:
            example.branches.append((question, self.some_captions(rng, sight)))
            example.branches += self.some_questions(rng, sight, 1)
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
        """The frames of a scene: a clip's own in order, or a photo held; at times a slow zoom, which ends with crops."""
        rows, count = self.sights[scene.photo].rows, scene.end - scene.start
        mirrored = rng.randrange(2)
        views = [mirrored] * count
        if count > 1 and rng.random() < ZOOM_SHARE:
            views[(count + 1) // 2:] = [2 + mirrored] * (count // 2)
        return [Frame(rows[at * len(rows) // count], view, FRAME_JITTER) for at, view in enumerate(views)]

    def made_clips(self, rng):
        return [self.made_clip(rng, sight) for sight in rng.sample(self.captioned, int(MADE_CLIPS * len(self.captioned)))]

    def other_examples(self, rng):
        """What a training on captions alone would forget: questions about every sight that allows them, and made clips."""
        examples = []
        for sight in range(len(self.sights)):
            if not self.sentences[sight]:
                examples.append(self.room_example(rng, sight))
                continue
            example = Example(self.pieces(rng, sight), self.some_questions(rng, sight, 3), self.some_dialogue(rng, sight))
            examples += [example] if example.branches or example.dialogues else []
        return examples + self.made_clips(rng)

    def epoch(self, rng, questions=None):
        """One pass: every sight once with some of its captions, and made clips between them, in random order. questions: as in example()."""
        examples = [self.example(rng, sight, questions) for sight in range(len(self.sights))] + self.made_clips(rng)
        rng.shuffle(examples)
        return examples
