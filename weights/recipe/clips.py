"""Clips made of photos: one to three scenes in order, held, cut, or slowly zoomed (a crop of the same photo at the end), with
questions about their order and their moments.

All randomness comes from the generator that is passed in.
"""

from dataclasses import dataclass

from questions import MASS, article, maybe_present

FIRST = ["What happens first?", "What do you see first?", "What is at the beginning?"]
THEN = ["What happens then?", "And then?", "What comes next?", "What happens after that?"]
LAST = ["What happens at the end?", "What do you see last?", "What is at the end?"]
WHEN = ["When does {name} appear?", "When can you see {name}?", "At what time is {name} there?"]
SUMMARY = ["Describe the scenes in order.", "Tell me what happens, scene by scene.", "Summarise the video.", "How many scenes are there?"]
COUNT_WORDS = {2: "two scenes", 3: "three scenes"}
ORDER_WORDS = {2: ["First, {}.", "Then, {}."], 3: ["First, {}.", "Then, {}.", "At the end, {}."]}


@dataclass(frozen=True)
class Scene:
    photo: int
    start: int  # first frame
    end: int  # one past its last frame


def frame_times(count, seconds):
    """Times of a clip's frames, in the middle of their shares of it; one decimal, as the prompt writes them."""
    return [round((i + 0.5) * seconds / count, 1) for i in range(count)]


def span(times, scene):
    """How an answer names a scene's moment: the times of its first and last frame."""
    first, last = times[scene.start], times[scene.end - 1]
    return f"At {first:.1f} seconds." if scene.end - scene.start == 1 else f"From {first:.1f} to {last:.1f} seconds."


def cut_scenes(rng, photos, count):
    """The photos as scenes that share `count` frames, each at least one."""
    cuts = sorted(rng.sample(range(1, count), len(photos) - 1))
    return [Scene(photo, start, end) for photo, start, end in zip(photos, [0, *cuts], [*cuts, count])]


def told_in_order(phrases):
    """['a dog runs', 'a man sits'] -> 'First, a dog runs. Then, a man sits.'"""
    return " ".join(form.format(phrase) for form, phrase in zip(ORDER_WORDS[len(phrases)], phrases))


def telling_things(scenes, things):
    """{noun: scene} of things that one scene alone shows."""
    shown = [things[scene.photo] for scene in scenes]
    return {noun: scene for i, scene in enumerate(scenes) for noun in sorted(shown[i])
            if not any(noun in other for j, other in enumerate(shown) if j != i)}


def moment_questions(rng, scenes, times, questions, limit=2):
    """[(question, answer, noun, scene)]: when something appears that one scene alone shows, hinted at by no other."""
    made = []
    for noun, scene in telling_things(scenes, questions.things).items():
        if any(maybe_present(noun, questions.words[other.photo]) for other in scenes if other is not scene):
            continue
        name = noun if noun in MASS else article(noun)
        made.append((rng.choice(WHEN).format(name=name), span(times, scene), noun, scene))
    rng.shuffle(made)
    return made[:limit]


def order_dialogue(rng, phrases):
    """What happens first, and then, with each scene's phrase."""
    def sentence(phrase):
        return phrase[0].upper() + phrase[1:] + "."

    turns = [(rng.choice(FIRST), sentence(phrases[0]))]
    turns += [(rng.choice(THEN), sentence(phrase)) for phrase in phrases[1:]]
    if rng.random() < 0.3:
        turns = [(rng.choice(LAST), sentence(phrases[-1]))]
    return turns


def scene_count(scenes):
    """The question of SUMMARY for their number, and its answer, as a branch."""
    return SUMMARY[-1], [f"There are {COUNT_WORDS[len(scenes)]}."]
